// SPDX-License-Identifier: GPL-2.0

//! A hard interrupt handler requests work and takes it back, but does not wait for it.

use irqkit::{
    context::HardIrq,
    path::Stamp,
    workqueue::{
        Item,
        Queue, //
    }, //
};

pub fn handle(ctx: HardIrq<'_>, work: &Item, queue: &Queue) {
    let _ = work.schedule(Stamp::NONE);
    let _ = work.cancel();
    let _ = work.flush(ctx); //~ ERROR E0308 mismatched types
    let _ = work.cancel_and_wait(ctx); //~ ERROR E0308 mismatched types
    let _ = queue.flush(ctx); //~ ERROR E0308 mismatched types
    let _ = queue.set_max_active(ctx, 1); //~ ERROR E0308 mismatched types
    let _ = queue.drain(ctx, kernel::time::Delta::ZERO); //~ ERROR E0308 mismatched types
    let _ = (ctx, queue);
}
