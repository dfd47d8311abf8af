// SPDX-License-Identifier: GPL-2.0

//! The interrupt: hard handler, IRQ thread, and the containment of storms.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::{
    context::{
        HardIrq,
        Task, //
    },
    irq::{
        IrqReturn,
        ThreadedHandler,
        ThreadedIrqReturn, //
    },
    path::{
        Run,
        Stamp, //
    },
    pci::Intx,
    tasklet::{
        State,
        Tasklet, //
    }, //
};

use crate::{
    defer::{
        High,
        Normal, //
    },
    device::Edu,
    storm::{
        Source,
        CALM_POLLS,
        POLL_INTERVAL,
        STORM_CAUSE, //
    }, //
};

/// What the line calls.
///
/// Dropped after the line was freed, so that nobody schedules the tasklets any more when they are
/// killed.
#[pin_data]
pub(crate) struct Line {
    #[pin]
    tasklet: Tasklet<Normal>,
    #[pin]
    tasklet_hi: Tasklet<High>,
    edu: Arc<Edu>,
    /// The pin, if the interrupt is INTx, whose line has other users; `None` under MSI.
    intx: Option<Intx>,
}

impl Line {
    pub(crate) fn new(edu: Arc<Edu>, intx: Option<Intx>) -> impl PinInit<Self, Error> {
        let normal = edu.clone();
        let high = edu.clone();
        let tasklet = edu.paths.tasklet.clone();
        let tasklet_hi = edu.paths.tasklet_hi.clone();

        try_pin_init!(Self {
            tasklet <- Tasklet::new(Normal(normal), tasklet, State::Enabled),
            tasklet_hi <- Tasklet::new(High(high), tasklet_hi, State::Enabled),
            edu,
            intx,
        })
    }

    /// Acknowledges what there is of `causes` to acknowledge, and returns it.
    ///
    /// A storm made to order is fed here: it is the only thing that keeps a cause back.
    #[inline]
    fn acknowledge(&self, causes: u32) -> Result<u32> {
        let source = self.edu.storm.source();
        let acknowledged = match source {
            Source::NoAck => causes & !STORM_CAUSE,
            Source::None | Source::Ack => causes,
        };
        self.edu.hw.acknowledge(acknowledged)?;

        // A level triggered line that was not acknowledged interrupts again by itself.
        if causes & STORM_CAUSE != 0
            && (source == Source::Ack || source == Source::NoAck && self.intx.is_none())
        {
            self.edu.hw.raise(STORM_CAUSE)?;
        }
        Ok(acknowledged)
    }

    /// Hands an interrupt on along the path that the user chose; returns whether the thread is to
    /// run. What only the thread can do goes to the thread, whatever the user chose.
    #[inline]
    fn hand_on(&self, causes: u32, at: Stamp) -> bool {
        let edu = &*self.edu;
        let defer = edu.defer.get();

        if defer.to_tasklet_hi() {
            edu.tasklet_hi.put();
            let _ = self.tasklet_hi.schedule_hi(at);
        }
        if defer.to_tasklet() {
            edu.tasklet.put();
            let _ = self.tasklet.schedule(at);
        }
        if edu.remember(causes) || defer.to_thread() {
            edu.thread.put();
            return true;
        }
        false
    }

    /// Works off what was handed to the thread. Sleeps.
    fn work_off(&self, task: Task<'_>, run: &mut Run<'_>) {
        let edu = &*self.edu;
        let items = edu.thread.take();

        edu.complete();
        edu.journal.record(task, items);
        run.items(items);
        edu.thread.finish(items);
    }

    /// Polls the device, whose source is masked, until it has calmed down.
    fn contain(&self, task: Task<'_>, run: &mut Run<'_>) {
        let edu = &*self.edu;
        let began = Instant::<Monotonic>::now();

        dev_warn!(
            edu.hw.dev,
            "interrupt storm ({}): {} masked, polled every {} ms until it is calm\n",
            edu.storm.reason().map_or("?", |reason| reason.word()),
            if self.intx.is_some() {
                "INTx pin"
            } else {
                "MSI"
            },
            POLL_INTERVAL.as_millis(),
        );

        let mut calm = 0;
        while calm < CALM_POLLS && !edu.hw.is_lost() {
            fsleep(POLL_INTERVAL);
            calm = match self.poll(task, run) {
                Ok(true) => 0,
                Ok(false) => calm + 1,
                Err(_) => break,
            };
        }

        // From here on the hard handler may find the next one.
        edu.storm.end(began.elapsed());
        if let Some(intx) = &self.intx {
            // A device that is being unbound stays silent.
            if !edu.hw.is_lost() {
                intx.unmask();
            }
        }
    }

    /// Does for a masked source what the hard handler does for one that is not; returns whether
    /// there was anything to do.
    fn poll(&self, task: Task<'_>, run: &mut Run<'_>) -> Result<bool> {
        let causes = self.edu.hw.causes()?;
        self.edu.storm.poll(causes != 0);
        if causes == 0 {
            return Ok(false);
        }

        let acknowledged = self.acknowledge(causes)?;
        if acknowledged != 0 {
            let at = self.edu.trigger.raised_at.take();
            if self.hand_on(acknowledged, at) {
                // This is the thread.
                self.work_off(task, run);
            }
            self.edu.trigger.served(acknowledged);
        }
        Ok(true)
    }
}

impl ThreadedHandler for Line {
    #[inline]
    fn handle(&self, _ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        let edu = &*self.edu;

        // While the pin is masked an interrupt on the line can't be ours, even if the device has
        // something to say; the thread asks it.
        if self.intx.is_some() && edu.storm.is_masked() {
            return ThreadedIrqReturn::None;
        }

        let Ok(causes) = edu.hw.causes() else {
            return ThreadedIrqReturn::None;
        };
        if causes == 0 && self.intx.is_some() {
            // Another user of the line.
            return ThreadedIrqReturn::None;
        }

        let Ok(acknowledged) = self.acknowledge(causes) else {
            return ThreadedIrqReturn::None;
        };
        let at = edu.trigger.raised_at.take();
        run.since(at);
        run.items(1);

        let mut wake = acknowledged != 0 && self.hand_on(acknowledged, at);
        let storm = edu.storm.judge(acknowledged != 0).is_some();
        if storm {
            // The thread can't be relied on to get a chance before the source is silent.
            if let Some(intx) = &self.intx {
                intx.mask();
            }
            wake = true;
        }
        edu.trigger.served(acknowledged);

        match (wake, storm, causes) {
            // A line of our own is masked as a whole, and until the thread is done.
            (_, true, _) if self.intx.is_none() => ThreadedIrqReturn::WakeThreadMasked,
            (true, _, _) => ThreadedIrqReturn::WakeThread,
            (false, _, 0) => ThreadedIrqReturn::None,
            (false, _, _) => ThreadedIrqReturn::Handled,
        }
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        self.work_off(task, run);
        if self.edu.storm.is_masked() {
            self.contain(task, run);
        }
        IrqReturn::Handled
    }
}
