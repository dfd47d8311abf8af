// SPDX-License-Identifier: GPL-2.0

//! The interrupt: its hard handler and its thread.

use kernel::sync::Arc;

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
    path::Run, //
};

use crate::{
    contain::{
        contain,
        Watch, //
    },
    intake::Intake, //
};

/// What the interrupt calls.
pub(crate) struct Handlers {
    intake: Arc<Intake>,
    /// Who contains the storms of an INTx line; of MSI the thread does.
    watch: Option<Watch>,
}

impl Handlers {
    pub(crate) fn new(intake: Arc<Intake>, watch: Option<Watch>) -> Self {
        Self { intake, watch }
    }

    /// Works off what was handed to the thread. Sleeps.
    fn work_off(&self, task: Task<'_>, run: &mut Run<'_>) {
        let edu = &*self.intake.edu;
        let items = edu.thread.take();

        edu.complete();
        edu.journal.record(task, items);
        run.items(items);
        edu.thread.finish(items);
    }
}

impl ThreadedHandler for Handlers {
    #[inline]
    fn handle(&self, _ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        let Intake { edu, intx, .. } = &*self.intake;
        let intx = *intx;

        // While the pin is masked an interrupt on the line can't be ours, even if the device has
        // something to say; whoever contains the storm asks it.
        if intx && edu.storm.is_masked() {
            return ThreadedIrqReturn::None;
        }

        let Ok(causes) = edu.hw.causes() else {
            // A device that can't be made to let go of the line must not keep it from the others.
            if intx {
                edu.pin.mask();
            }
            return ThreadedIrqReturn::None;
        };
        if causes == 0 && intx {
            // Another user of the line.
            return ThreadedIrqReturn::None;
        }

        let Ok(acknowledged) = self.intake.acknowledge(causes) else {
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

        let wake = acknowledged != 0 && self.intake.hand_on(acknowledged, at);
        // Who deals with it can't be relied on to get a chance before the source is silent.
        let storm = edu
            .storm
            .judge(acknowledged != 0, edu.thread.waiting(), || {
                if intx {
                    edu.pin.mask();
                }
            });
        edu.trigger.served(acknowledged);

        match (&self.watch, storm) {
            (Some(watch), true) => watch.begin(at),
            // A line of our own is masked as a whole, and until the thread is done.
            (None, true) => return ThreadedIrqReturn::WakeThreadMasked,
            (_, false) => {}
        }
        if wake {
            ThreadedIrqReturn::WakeThread
        } else {
            // Under MSI also without a cause: it was served together with an earlier one, while
            // its message was on the way.
            ThreadedIrqReturn::Handled
        }
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        self.work_off(task, run);
        if self.watch.is_none() && self.intake.edu.storm.is_masked() {
            contain(&self.intake, task, || {
                // This is the thread.
                self.intake.poll(|_| self.work_off(task, run))
            });
        }
        IrqReturn::Handled
    }
}
