// SPDX-License-Identifier: GPL-2.0

//! A tasklet's handler borrows nothing: a leaked tasklet may run when the owner is gone.

use irqkit::{
    context::SoftIrq,
    path::Run,
    tasklet::TaskletHandler, //
};

pub struct Borrower<'a>(pub &'a u32);

impl<'a> Borrower<'a> {
    pub fn get(&self) -> u32 {
        *self.0
    }
}

#[rustfmt::skip]
impl<'a> TaskletHandler for Borrower<'a> { fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {} } //~ ERROR E0478 lifetime bound not satisfied

pub struct Owner(pub u32);

impl TaskletHandler for Owner {
    fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {}
}
