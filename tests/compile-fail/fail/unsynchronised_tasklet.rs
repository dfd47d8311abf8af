// SPDX-License-Identifier: GPL-2.0

//! A tasklet's handler is shared with whoever has the tasklet.

use core::cell::Cell;

use irqkit::{
    context::SoftIrq,
    path::Run,
    tasklet::TaskletHandler, //
};

pub struct Counter(pub Cell<u32>);

#[rustfmt::skip]
impl TaskletHandler for Counter { fn run(&self, _: SoftIrq<'_>, _: &mut Run<'_>) {} } //~ ERROR E0277 cannot be shared between threads safely

pub struct Constant(pub u32);

impl TaskletHandler for Constant {
    fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {}
}
