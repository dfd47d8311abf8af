// SPDX-License-Identifier: GPL-2.0

//! A bound device can be had in any context, so it does not make a task; only the bus's callbacks
//! do.

use irqkit::context::Task;
use kernel::{
    device::{
        Bound,
        Core, //
    },
    pci, //
};

pub fn probe(core: &pci::Device<Core<'_>>, bound: &pci::Device<Bound>) {
    let _task = Task::of_bus_callback(bound); //~ ERROR E0308 mismatched types
    let _task = (Task::of_bus_callback(core), bound.vendor_id());
}
