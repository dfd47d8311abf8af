// SPDX-License-Identifier: GPL-2.0

//! Waiting for an interrupt's handlers takes a task: the handler would wait for itself.

use irqkit::{
    context::HardIrq,
    irq::{
        Handler,
        IrqReturn,
        Line, //
    },
    path::Run, //
};
use kernel::sync::Arc;

struct Waiter(Arc<Line>);

impl Handler for Waiter {
    fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        let _ = self.0.disable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
        let _ = self.0.synchronize(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
        let _ = (ctx, self.0.disable_nosync());
        IrqReturn::Handled
    }
}
