// SPDX-License-Identifier: GPL-2.0

//! A tasklet must not sleep.

use irqkit::{
    context::SoftIrq,
    path::Run,
    tasklet::TaskletHandler, //
};
use kernel::time::Delta;

struct Sleeper(Delta);

impl TaskletHandler for Sleeper {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        ctx.sleep(self.0); //~ ERROR E0599 no method named `sleep` found
        let _ = (ctx, self.0);
    }
}
