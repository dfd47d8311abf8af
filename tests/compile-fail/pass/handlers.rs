// SPDX-License-Identifier: GPL-2.0

//! All kinds of handlers, doing what they may.

use irqkit::{
    context::{
        Atomic,
        Context,
        HardIrq,
        SoftIrq,
        Task, //
    },
    irq::{
        Handler,
        IrqReturn,
        Line,
        ThreadHandler,
        ThreadedHandler,
        ThreadedIrqReturn, //
    },
    path::{
        Run,
        Stamp, //
    },
    tasklet::{
        Tasklet,
        TaskletHandler, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc,
    time::Delta, //
};

struct All {
    tasklet: Pin<Arc<Tasklet<Soft>>>,
    other: Arc<Line>,
}

struct Soft;

impl TaskletHandler for Soft {
    fn run(&self, ctx: SoftIrq<'_>, run: &mut Run<'_>) {
        let _cpu = ctx.cpu();
        run.items(u64::from(KBox::new(0, ctx.alloc_flags()).is_ok()));
    }
}

impl Handler for All {
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> IrqReturn {
        let _cpu = ctx.cpu();
        run.since(Stamp::now());
        self.tasklet.schedule_hi(run.cause());
        IrqReturn::Handled
    }
}

impl ThreadedHandler for All {
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        let _guard = self.other.disable_nosync();
        let _memory = KBox::new(0, ctx.alloc_flags());
        self.tasklet.schedule(run.started());
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        let _outer = self.tasklet.disable(task);
        let _inner = self.tasklet.disable_nosync();
        let _guard = self.other.disable(task);
        let _ = self.other.synchronize(task);
        let _memory = KBox::new(0, task.alloc_flags());
        task.sleep(Delta::from_millis(1));
        run.items(1);
        IrqReturn::Handled
    }
}

impl ThreadHandler for All {
    fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
        let _ = self.other.effective_affinity(task);
        IrqReturn::None
    }
}
