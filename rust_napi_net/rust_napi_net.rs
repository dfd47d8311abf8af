// SPDX-License-Identifier: GPL-2.0

//! A virtio-net driver that carries real traffic: NAPI, offloads, many queues.
//!
//! It binds to the PCI function and speaks virtio 1.x itself, so that its interrupts are its own.
//! Start QEMU with `-device virtio-net-pci`, take the card from the kernel's own driver with
//! `scripts/bind 0000:00:07.0 rust_napi_net`, and look at `/sys/kernel/debug/rust_napi_net/`.

#![deny(unsafe_code)]

use kernel::{
    pci,
    prelude::*, //
};

use irqkit::pci::WithDmaMask;

mod desk;
mod driver;
mod file;
mod kind;
mod logic;
mod nic;
mod offload;
mod param;
mod plan;
mod recover;
mod rx;
mod spread;
mod tx;

/// The driver of the devices, which reach all of memory.
type Devices = kernel::driver::Registration<pci::Adapter<WithDmaMask<driver::NetDriver, 64>>>;

/// The module.
struct RustNapiNet {
    _devices: Pin<KBox<Devices>>,
}

impl kernel::Module for RustNapiNet {
    fn init(module: &'static ThisModule) -> Result<Self> {
        // What is wrong with them shall show now, not when there is a device.
        param::Parameters::read()?;
        Ok(Self {
            _devices: KBox::pin_init(
                Devices::new(<LocalModule as kernel::ModuleMetadata>::NAME, module),
                GFP_KERNEL,
            )?,
        })
    }
}

module! {
    type: RustNapiNet,
    name: "rust_napi_net",
    authors: ["The Rust interrupt suite"],
    description: "virtio-net, in Rust",
    license: "GPL",
    params: {
        copybreak: u32 {
            default: 128,
            description: "Frames up to so many bytes are copied, longer ones keep their memory",
        },
        ring_size: u32 {
            default: 1024,
            description: "The most descriptors of a queue, if the device has as many; with fewer than 32, no large frames come in",
        },
        queue_pairs: u32 {
            default: 0,
            description: "The most pairs of queues; 0 is one for each CPU",
        },
    },
}
