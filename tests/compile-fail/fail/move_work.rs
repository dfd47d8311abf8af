// SPDX-License-Identifier: GPL-2.0

//! A work item stays where it is: the kernel's lists point to it.

use irqkit::{
    context::Task,
    path::Run,
    workqueue::{
        Handler,
        Item,
        Work, //
    }, //
};
use kernel::prelude::*;

pub struct Idle;

impl Handler for Idle {
    fn run(&self, _ctx: Task<'_>, _this: &Item, _run: &mut Run<'_>) {}
}

pub fn move_out(mut work: Pin<KBox<Work<Idle>>>, mut other: Pin<KBox<Work<Idle>>>) {
    core::mem::swap(&mut *work, &mut *other); //~ ERROR E0596 cannot borrow data in dereference of

    let _ = (work.as_mut(), other.as_mut());
}
