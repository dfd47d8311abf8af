// SPDX-License-Identifier: GPL-2.0

//! How a device addresses memory the transport knows; a driver has no word of its own in it.

use irqkit::{
    dma::{
        Addressing,
        Pool, //
    },
    virtio::Setup, //
};
use kernel::{
    device::Bound,
    pci,
    prelude::*,
    sync::Arc, //
};

pub fn agreed(dev: &pci::Device<Bound>, setup: &Setup) -> Result<Arc<Pool>> {
    setup.pool(dev)
}

pub fn claimed(dev: &pci::Device<Bound>) -> Result<Arc<Pool>> {
    return Pool::new(dev.as_ref(), Addressing::Physical); //~ ERROR E0133 call to unsafe function

    Err(EIO)
}
