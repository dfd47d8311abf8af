// SPDX-License-Identifier: GPL-2.0

//! What a driver keeps of its device does not include the task that probed it.

use irqkit::context::Task;
use kernel::{
    device::Core,
    pci, //
};

pub struct Data<'bound>(pub Option<Task<'bound>>, pub &'bound u32);

pub fn probe<'bound>(pdev: &'bound pci::Device<Core<'_>>, kept: &mut Data<'bound>) {
    kept.0 = Some(Task::of_bus_callback(pdev)); //~ ERROR E0621 explicit lifetime required
    let _ = (Task::of_bus_callback(pdev), &kept.0);
}
