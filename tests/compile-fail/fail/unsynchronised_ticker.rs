// SPDX-License-Identifier: GPL-2.0

//! A ticker's handler is shared with whoever has the ticker.

use core::cell::Cell;

use irqkit::{
    context::HardIrq,
    path::Run,
    ticker::TickHandler, //
};

pub struct Counter(pub Cell<u32>);

#[rustfmt::skip]
impl TickHandler for Counter { fn tick(&self, _: HardIrq<'_>, _: &mut Run<'_>) {} } //~ ERROR E0277 cannot be shared between threads safely

pub struct Constant(pub u32);

impl TickHandler for Constant {
    fn tick(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) {}
}
