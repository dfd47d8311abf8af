// SPDX-License-Identifier: GPL-2.0

//! The hard handler and the thread run beside each other: what they have in common is shared.

use core::cell::Cell;

use irqkit::{
    context::{
        HardIrq,
        Task, //
    },
    irq::{
        IrqReturn,
        ThreadHandler,
        ThreadedHandler,
        ThreadedIrqReturn, //
    },
    path::Run, //
};

pub struct Counter(pub Cell<u32>);

#[rustfmt::skip]
impl ThreadedHandler for Counter { fn handle(&self, _: HardIrq<'_>, _: &mut Run<'_>) -> ThreadedIrqReturn { ThreadedIrqReturn::WakeThread } fn handle_threaded(&self, _: Task<'_>, _: &mut Run<'_>) -> IrqReturn { IrqReturn::Handled } } //~ ERROR E0277 cannot be shared between threads safely

#[rustfmt::skip]
impl ThreadHandler for Counter { fn handle_threaded(&self, _: Task<'_>, _: &mut Run<'_>) -> IrqReturn { IrqReturn::Handled } } //~ ERROR E0277 cannot be shared between threads safely

pub struct Constant(pub u32);

impl ThreadedHandler for Constant {
    fn handle(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> ThreadedIrqReturn {
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self, _task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
        IrqReturn::Handled
    }
}

impl ThreadHandler for Constant {
    fn handle_threaded(&self, _task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
        IrqReturn::Handled
    }
}
