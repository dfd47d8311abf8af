// SPDX-License-Identifier: GPL-2.0

//! Waiting for an interrupt's handlers takes a task: a tasklet may have interrupted the very thread
//! that it would wait for.

use irqkit::{
    context::SoftIrq,
    irq::Line,
    path::Run,
    tasklet::TaskletHandler, //
};
use kernel::sync::Arc;

struct Waiter(Arc<Line>);

impl TaskletHandler for Waiter {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        let _ = self.0.disable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = self.0.synchronize(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = (ctx, self.0.disable_nosync());
    }
}
