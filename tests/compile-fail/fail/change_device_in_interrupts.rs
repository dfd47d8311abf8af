// SPDX-License-Identifier: GPL-2.0

//! What changes a network device for the stack takes a mutex, and so a task.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq, //
    },
    net::Device, //
};
use kernel::cpumask::Cpumask;

pub fn soft(device: &Device, cpus: &Cpumask, ctx: SoftIrq<'_>) -> bool {
    device.set_carrier(ctx, true); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    device.set_present(ctx, false); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = device.set_xps(ctx, 0, cpus); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    device.carrier()
}

pub fn hard(device: &Device, cpus: &Cpumask, ctx: HardIrq<'_>) -> bool {
    device.set_carrier(ctx, true); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    device.set_present(ctx, false); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = device.set_xps(ctx, 0, cpus); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    device.carrier()
}
