// SPDX-License-Identifier: GPL-2.0

//! A hard handler must not sleep.

use irqkit::{
    context::HardIrq,
    irq::{
        Handler,
        IrqReturn, //
    },
    path::Run, //
};
use kernel::time::Delta;

struct Sleeper(Delta);

impl Handler for Sleeper {
    fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        ctx.sleep(self.0); //~ ERROR E0599 no method named `sleep` found
        let _ = (ctx, self.0);
        IrqReturn::Handled
    }
}
