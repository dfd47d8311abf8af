// SPDX-License-Identifier: GPL-2.0

//! What becomes of every interrupt of a device, whoever has found it: it is acknowledged, and
//! handed on.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    context::Task,
    path::Stamp,
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

/// What the interrupts of a device go through.
pub(crate) struct Intake {
    pub(crate) edu: Arc<Edu>,
    pub(crate) tasklets: Arc<Tasklets>,
    /// Whether the interrupt is INTx, whose line may have other users; else it is MSI.
    pub(crate) intx: bool,
}

impl Intake {
    pub(crate) fn new(edu: Arc<Edu>, intx: bool) -> Result<Arc<Self>> {
        let tasklets = Tasklets::new(&edu)?;
        let intake = Self {
            edu,
            tasklets,
            intx,
        };
        Ok(Arc::new(intake, GFP_KERNEL)?)
    }

    /// Acknowledges what there is of `causes` to acknowledge, and returns it.
    ///
    /// A storm made to order is fed here: it is the only thing that keeps a cause back.
    #[inline]
    pub(crate) fn acknowledge(&self, causes: u32) -> Result<u32> {
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
    pub(crate) fn hand_on(&self, causes: u32, at: Stamp) -> bool {
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

    /// Does for a masked source what the hard handler does for one that is not; returns whether
    /// there was anything to do. If the thread is to run, for an interrupt of that time, `wake` sees
    /// to that.
    pub(crate) fn poll(&self, wake: impl FnOnce(Stamp)) -> Result<bool> {
        let edu = &*self.edu;
        let causes = edu.hw.causes()?;
        edu.storm.poll(causes != 0);
        if causes == 0 {
            return Ok(false);
        }

        let acknowledged = self.acknowledge(causes)?;
        if acknowledged != 0 {
            let mut at = edu.trigger.raised_at.take();
            if at.is_none() {
                at = edu.paths.hardirq.stamp();
            }
            if self.hand_on(acknowledged, at) {
                wake(at);
            }
            edu.trigger.served(acknowledged);
        }
        Ok(true)
    }
}
