// SPDX-License-Identifier: GPL-2.0

//! What switches a NAPI instance on or off waits for its polls, or for whoever switches it just now; and a
//! task's way to schedule it is for tasks.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq, //
    },
    net::{
        Napi,
        Poller, //
    },
    path::Stamp, //
};

pub fn soft<P: Poller>(napi: &Napi<P>, ctx: SoftIrq<'_>) -> bool {
    let _ = napi.enable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    napi.with(ctx, |_, _| ()); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    napi.set_irq(ctx, None); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    napi.schedule_from_task(ctx, Stamp::NONE); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    napi.schedule(ctx, Stamp::NONE)
}

pub fn hard<P: Poller>(napi: &Napi<P>, ctx: HardIrq<'_>) -> bool {
    let _ = napi.enable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    napi.disable(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    napi.with(ctx, |_, _| ()); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    napi.set_irq(ctx, None); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    napi.schedule_from_task(ctx, Stamp::NONE); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    napi.schedule(ctx, Stamp::NONE)
}
