// SPDX-License-Identifier: GPL-2.0

//! Interrupts are requested for a device that is bound, and so will be unbound.

use irqkit::irq::Vectors;
use kernel::{
    device::Bound,
    pci, //
};

pub fn request(bound: &pci::Device<Bound>, any: &pci::Device) {
    let _ = Vectors::new(any, 1, 1, pci::IrqTypes::all()); //~ ERROR E0308 mismatched types
    let _ = (
        Vectors::new(bound, 1, 1, pci::IrqTypes::all()),
        any.vendor_id(),
    );
}
