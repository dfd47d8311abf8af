// SPDX-License-Identifier: GPL-2.0

//! Reading or setting an interrupt's affinity takes a task.

use irqkit::{
    context::SoftIrq,
    irq::Line,
    path::Run,
    tasklet::TaskletHandler, //
};
use kernel::sync::Arc;

struct Mover(Arc<Line>);

impl TaskletHandler for Mover {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        let _ = self.0.effective_affinity(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = (ctx, self.0.irq());
    }
}
