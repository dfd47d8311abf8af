// SPDX-License-Identifier: GPL-2.0

//! Driver for QEMU's `edu` device: real PCI interrupts, on every path from the hard handler on.
//!
//! To have devices to drive, start QEMU with `-device edu`, as often as you like. Then
//! `modprobe rust_irq_demo`, and look at `/sys/kernel/debug/rust_irq_demo/`.

#![deny(unsafe_code)]

use kernel::prelude::*;

mod contain;
mod control;
mod defer;
mod device;
mod dma;
mod driver;
mod factorial;
mod gate;
mod handlers;
mod hw;
mod intake;
mod journal;
mod param;
mod regs;
mod storm;
mod trigger;

/// The name, as in `/proc/interrupts`.
const NAME: &CStr = <LocalModule as kernel::ModuleMetadata>::NAME;

kernel::module_pci_driver! {
    type: irqkit::pci::WithDmaMask<driver::EduDriver, { regs::DMA_BITS }>,
    name: "rust_irq_demo",
    authors: ["The Rust interrupt suite"],
    description: "Interrupts of QEMU's edu device, in Rust",
    license: "GPL",
    params: {
        irq_shared: bool {
            default: true,
            description: "Whether an INTx line is shared with its other users",
        },
        storm_limit: u32 {
            default: 50_000,
            description: "Interrupts a second of one device that are a storm; 0 is no limit",
        },
    },
}
