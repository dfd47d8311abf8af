// SPDX-License-Identifier: GPL-2.0

//! A ticker's handler borrows nothing: a leaked ticker goes on when the owner is gone.

use irqkit::{
    context::HardIrq,
    path::Run,
    ticker::TickHandler, //
};

pub struct Borrower<'a>(pub &'a u32);

impl<'a> Borrower<'a> {
    pub fn get(&self) -> u32 {
        *self.0
    }
}

#[rustfmt::skip]
impl<'a> TickHandler for Borrower<'a> { fn tick(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) {} } //~ ERROR E0478 lifetime bound not satisfied

pub struct Owner(pub u32);

impl TickHandler for Owner {
    fn tick(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) {}
}
