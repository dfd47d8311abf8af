// SPDX-License-Identifier: GPL-2.0

//! A handler is used on all CPUs: its state is shared.

use core::cell::Cell;

use irqkit::{
    context::HardIrq,
    irq::{
        Handler,
        IrqReturn, //
    },
    path::Run, //
};

pub struct Counter(pub Cell<u32>);

#[rustfmt::skip]
impl Handler for Counter { fn handle(&self, _: HardIrq<'_>, _: &mut Run<'_>) -> IrqReturn { IrqReturn::None } } //~ ERROR E0277 cannot be shared between threads safely

pub struct Constant(pub u32);

impl Handler for Constant {
    fn handle(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        IrqReturn::None
    }
}
