// SPDX-License-Identifier: GPL-2.0

//! A virtio device is come to terms with, given commands and reset in task context: all that waits for
//! it, or takes mutexes.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq, //
    },
    virtio::{
        Control,
        Device,
        Features,
        Handler,
        Live, //
    }, //
};
use kernel::sync::Arc;

pub fn soft<H: Handler>(live: &Live<H>, ctx: SoftIrq<'_>) {
    let _ = live.reset_queue(ctx, 0); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = live.suspend(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = live.resume(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = (live.features(), ctx);
}

pub fn hard<H: Handler>(live: &Live<H>, ctx: HardIrq<'_>) {
    let _ = live.reset_queue(ctx, 0); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = live.suspend(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = live.resume(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = (live.features(), ctx);
}

pub fn soft_command(device: &Arc<Device>, control: &mut Control, ctx: SoftIrq<'_>) {
    let none = Features::default();
    let _ = device.negotiate(ctx, none, none); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = control.command(ctx, &[&[0]], &mut [0]); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = (device, control, ctx);
}

pub fn hard_command(device: &Arc<Device>, control: &mut Control, ctx: HardIrq<'_>) {
    let none = Features::default();
    let _ = device.negotiate(ctx, none, none); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = control.command(ctx, &[&[0]], &mut [0]); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = (device, control, ctx);
}
