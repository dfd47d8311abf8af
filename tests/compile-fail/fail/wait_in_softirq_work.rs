// SPDX-License-Identifier: GPL-2.0

//! A BH handler can't wait: not for another item, not for a queue, and not for itself.

use irqkit::{
    context::SoftIrq,
    path::Run,
    workqueue::{
        Handler,
        Item,
        Queue,
        SoftIrqs,
        Tasks, //
    }, //
};
use kernel::prelude::*;

pub struct Waiter(pub Queue<SoftIrqs>, pub Queue<Tasks>);

impl Handler<SoftIrqs> for Waiter {
    fn run(&self, ctx: SoftIrq<'_>, this: &Item, _run: &mut Run<'_>) {
        let _ = this.cancel();
        let _ = this.cancel_and_wait(ctx); //~ ERROR E0308 mismatched types
        let _ = this.flush(ctx); //~ ERROR E0308 mismatched types
        let _ = self.0.flush(ctx); //~ ERROR E0308 mismatched types
        let _ = self.0.drain(ctx, kernel::time::Delta::ZERO); //~ ERROR E0308 mismatched types
        let _ = self.1.set_max_active(ctx, 1); //~ ERROR E0308 mismatched types
        ctx.sleep(kernel::time::Delta::ZERO); //~ ERROR E0599 no method named `sleep` found
        let _ = (ctx, this);
    }
}
