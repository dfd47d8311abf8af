// SPDX-License-Identifier: GPL-2.0

//! What allocates with `GFP_KERNEL` can't be called by a tasklet.

use irqkit::{
    context::{
        Context,
        SoftIrq,
        Task, //
    },
    path::Run,
    tasklet::TaskletHandler, //
};
use kernel::prelude::*;

struct Refill;

fn refill(task: Task<'_>) -> Result<KBox<[u8; 64]>> {
    Ok(KBox::new([0; 64], task.alloc_flags())?)
}

impl TaskletHandler for Refill {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        let _ = refill(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = (ctx, refill);
    }
}
