// SPDX-License-Identifier: GPL-2.0

//! A tasklet can't go while a guard keeps it disabled: its drop would wait for ever.

use irqkit::{
    context::SoftIrq,
    path::Run,
    tasklet::{
        Tasklet,
        TaskletHandler, //
    }, //
};
use kernel::prelude::*;

pub struct Idle;

impl TaskletHandler for Idle {
    fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {}
}

pub fn outlive(tasklet: Pin<KBox<Tasklet<Idle>>>) {
    let guard = tasklet.disable_nosync();
    drop(tasklet); //~ ERROR E0505 cannot move out of `tasklet` because it is borrowed
    drop(guard);
}
