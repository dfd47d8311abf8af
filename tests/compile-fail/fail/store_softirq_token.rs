// SPDX-License-Identifier: GPL-2.0

//! The token of a softirq can't be kept when the callback is over, nor be a part of the handler.

use irqkit::{
    context::SoftIrq,
    path::Run,
    tasklet::TaskletHandler, //
};

struct Keeper;

fn keep<T: 'static>(_: T) {}

impl TaskletHandler for Keeper {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        keep(ctx); //~ ERROR E0521 borrowed data escapes outside of method
        keep(size_of_val(&ctx));
    }
}

pub struct Hoarder(pub Option<SoftIrq<'static>>);

#[rustfmt::skip]
impl TaskletHandler for Hoarder { fn run(&self, _: SoftIrq<'_>, _: &mut Run<'_>) {} } //~ ERROR E0277 cannot be shared between threads safely

pub struct Empty;

impl TaskletHandler for Empty {
    fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {}
}
