// SPDX-License-Identifier: GPL-2.0

//! A token can't be kept when the callback is over.

use irqkit::{
    context::{
        HardIrq,
        Task, //
    },
    irq::{
        IrqReturn,
        ThreadedHandler,
        ThreadedIrqReturn, //
    },
    path::Run, //
};

struct Keeper;

fn keep<T: 'static>(_: T) {}

impl ThreadedHandler for Keeper {
    fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> ThreadedIrqReturn {
        keep(ctx); //~ ERROR E0521 borrowed data escapes outside of method
        keep(size_of_val(&ctx));
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
        keep(task); //~ ERROR E0521 borrowed data escapes outside of method
        keep(size_of_val(&task));
        IrqReturn::Handled
    }
}
