// SPDX-License-Identifier: GPL-2.0

//! A work item's handler borrows nothing: a leaked item may run when the owner is gone.

use irqkit::{
    context::Task,
    path::Run,
    workqueue::{
        Handler,
        Item, //
    }, //
};

pub struct Borrower<'a>(pub &'a u32);

impl<'a> Borrower<'a> {
    pub fn get(&self) -> u32 {
        *self.0
    }
}

#[rustfmt::skip]
impl<'a> Handler for Borrower<'a> { fn run(&self, _ctx: Task<'_>, _this: &Item, _run: &mut Run<'_>) {} } //~ ERROR E0478 lifetime bound not satisfied

pub struct Owner(pub u32);

impl Handler for Owner {
    fn run(&self, _ctx: Task<'_>, _this: &Item, _run: &mut Run<'_>) {}
}
