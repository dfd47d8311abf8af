// SPDX-License-Identifier: GPL-2.0

//! Nor does an interrupt's: a registration can be leaked.

use irqkit::{
    context::HardIrq,
    irq::{
        Handler,
        IrqReturn, //
    },
    path::Run, //
};

pub struct Borrower<'a>(pub &'a u32);

#[rustfmt::skip]
impl<'a> Handler for Borrower<'a> { fn handle(&self, _: HardIrq<'_>, _: &mut Run<'_>) -> IrqReturn { IrqReturn::None } } //~ ERROR E0478 lifetime bound not satisfied

pub struct Owner(pub u32);

impl Handler for Owner {
    fn handle(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        IrqReturn::None
    }
}
