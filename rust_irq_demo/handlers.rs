// SPDX-License-Identifier: GPL-2.0

//! The interrupt: hard handler, IRQ thread, and the containment of storms.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
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

/// The tasklets of a device.
#[pin_data]
pub(crate) struct Tasklets {
    #[pin]
    normal: Tasklet<Normal>,
    #[pin]
    high: Tasklet<High>,
}

impl Tasklets {
    pub(crate) fn new(edu: &Arc<Edu>) -> Result<Arc<Self>> {
        let (normal, high) = (Normal(edu.clone()), High(edu.clone()));
        let (tasklet, tasklet_hi) = (edu.paths.tasklet.clone(), edu.paths.tasklet_hi.clone());

        Arc::pin_init(
            try_pin_init!(Self {
                normal <- Tasklet::new(normal, tasklet, State::Enabled),
                high <- Tasklet::new(high, tasklet_hi, State::Enabled),
            }),
            GFP_KERNEL,
        )
    }

    /// Waits until neither is running. One that is pending may still run.
    pub(crate) fn synchronize(&self, task: Task<'_>) {
        drop(self.normal.disable(task));
        drop(self.high.disable(task));
    }
}

/// What the interrupt calls.
pub(crate) struct Handlers {
    edu: Arc<Edu>,
    tasklets: Arc<Tasklets>,
    /// Whether the interrupt is INTx, whose line may have other users; else it is MSI.
    intx: bool,
}

impl Handlers {
    pub(crate) fn new(edu: Arc<Edu>, tasklets: Arc<Tasklets>, intx: bool) -> Self {
        Self {
            edu,
            tasklets,
            intx,
        }
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
        if acknowledged != 0 {
            self.edu.hw.acknowledge(acknowledged)?;
        }

        // A level triggered line that was not acknowledged interrupts again by itself.
        if causes & STORM_CAUSE != 0
            && (source == Source::Ack || source == Source::NoAck && !self.intx)
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
            let _ = self.tasklets.high.schedule_hi(at);
        }
        if defer.to_tasklet() {
            edu.tasklet.put();
            let _ = self.tasklets.normal.schedule(at);
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
            if self.intx { "INTx pin" } else { "MSI" },
            POLL_INTERVAL.as_millis(),
        );

        let mut calm = 0;
        while calm < CALM_POLLS && !edu.hw.is_lost() {
            task.sleep(POLL_INTERVAL);
            calm = match self.poll(task, run) {
                Ok(true) => 0,
                Ok(false) => calm + 1,
                Err(_) => break,
            };
        }

        edu.storm.end(began.elapsed(), || {
            // A device that is being unbound stays silent.
            if self.intx && !edu.hw.is_lost() {
                edu.pin.unmask();
            }
        });
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
            let mut at = self.edu.trigger.raised_at.take();
            if at.is_none() {
                at = self.edu.paths.hardirq.stamp();
            }
            if self.hand_on(acknowledged, at) {
                // This is the thread.
                self.work_off(task, run);
            }
            self.edu.trigger.served(acknowledged);
        }
        Ok(true)
    }
}

impl ThreadedHandler for Handlers {
    #[inline]
    fn handle(&self, _ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        let edu = &*self.edu;

        // While the pin is masked an interrupt on the line can't be ours, even if the device has
        // something to say; the thread asks it.
        if self.intx && edu.storm.is_masked() {
            return ThreadedIrqReturn::None;
        }

        let Ok(causes) = edu.hw.causes() else {
            // A device that can't be made to let go of the line must not keep it from the others.
            if self.intx {
                edu.pin.mask();
            }
            return ThreadedIrqReturn::None;
        };
        if causes == 0 && self.intx {
            // Another user of the line.
            return ThreadedIrqReturn::None;
        }

        let Ok(acknowledged) = self.acknowledge(causes) else {
            return ThreadedIrqReturn::None;
        };
        let raised = edu.trigger.raised_at.take();
        run.since(raised);
        // Where nobody knows when the device raised it, it counts from here.
        let at = if raised.is_none() {
            run.started()
        } else {
            raised
        };
        run.items(u64::from(acknowledged != 0));

        let wake = acknowledged != 0 && self.hand_on(acknowledged, at);
        // The thread can't be relied on to get a chance before the source is silent.
        let storm = edu
            .storm
            .judge(acknowledged != 0, edu.thread.waiting(), || {
                if self.intx {
                    edu.pin.mask();
                }
            });
        edu.trigger.served(acknowledged);

        match (wake || storm, storm) {
            // A line of our own is masked as a whole, and until the thread is done.
            (_, true) if !self.intx => ThreadedIrqReturn::WakeThreadMasked,
            (true, _) => ThreadedIrqReturn::WakeThread,
            // Under MSI also without a cause: it was served together with an earlier one, while
            // its message was on the way.
            (false, _) => ThreadedIrqReturn::Handled,
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
