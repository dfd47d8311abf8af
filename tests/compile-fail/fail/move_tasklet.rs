// SPDX-License-Identifier: GPL-2.0

//! A tasklet stays where it is: the kernel's lists point to it.

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

pub fn move_out(mut tasklet: Pin<KBox<Tasklet<Idle>>>, mut other: Pin<KBox<Tasklet<Idle>>>) {
    core::mem::swap(&mut *tasklet, &mut *other); //~ ERROR E0596 cannot borrow data in dereference of

    let _ = (tasklet.as_mut(), other.as_mut());
}
