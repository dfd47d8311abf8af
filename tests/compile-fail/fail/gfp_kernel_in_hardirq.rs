// SPDX-License-Identifier: GPL-2.0

//! What allocates with `GFP_KERNEL` can't be called by a hard handler.

use irqkit::{
    context::{
        Context,
        HardIrq,
        Task, //
    },
    irq::{
        Handler,
        IrqReturn, //
    },
    path::Run, //
};
use kernel::prelude::*;

struct Refill;

fn refill(task: Task<'_>) -> Result<KBox<[u8; 64]>> {
    Ok(KBox::new([0; 64], task.alloc_flags())?)
}

impl Handler for Refill {
    fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        let _ = refill(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
        let _ = (ctx, refill);
        IrqReturn::Handled
    }
}
