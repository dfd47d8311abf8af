// SPDX-License-Identifier: GPL-2.0

//! Waiting for a tasklet takes a task: the tasklet could be interrupted right below.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq, //
    },
    path::Run,
    tasklet::{
        Tasklet,
        TaskletHandler, //
    }, //
};
use kernel::{
    prelude::*,
    sync::Arc, //
};

struct Idle;

impl TaskletHandler for Idle {
    fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {}
}

struct Waiter(Pin<Arc<Tasklet<Idle>>>);

impl TaskletHandler for Waiter {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        let _guard = self.0.disable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _guard = (ctx, self.0.disable_nosync());
    }
}

pub fn hard<T: TaskletHandler>(tasklet: Pin<&Tasklet<T>>, ctx: HardIrq<'_>) {
    let _guard = tasklet.disable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _guard = (ctx, tasklet.disable_nosync());
}
