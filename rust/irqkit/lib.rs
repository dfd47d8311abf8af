// SPDX-License-Identifier: GPL-2.0

//! irqkit: interrupts and deferred work for Rust drivers.
//!
//! It is a crate and a module at once: drivers are compiled against its metadata and linked to its
//! exported symbols, so `irqkit.ko` is loaded first. Drivers that use it contain no `unsafe`: all
//! of it is in here, behind types whose soundness does not depend on what the driver does.
//!
//! - [`context`]: where code runs is a type. Callbacks receive a token of their context, and what
//!   may only be done there asks for it.
//! - [`irq`]: interrupt handlers, plain and threaded, on the vectors of a PCI function.
//! - [`tasklet`]: tasklets, normal and high priority.
//! - [`workqueue`]: queues of one's own and of the system's, and work on them.
//! - [`path`]: what every path from a cause to its work has in common, counted and timed, in
//!   debugfs.
//! - [`percpu`]: a value for each CPU.
//! - [`cpu_hotplug`]: CPUs that come and go.
//! - [`ticker`]: a periodic timer as a source of hard interrupts where there is no device.
//! - [`pm`]: suspend and resume.
//! - [`hwrng`]: generators of random numbers, behind `/dev/hwrng`.
//! - [`dma`]: memory for DMA, whose release is sound whenever it comes.
//! - [`virtio`]: virtio devices over PCI, and their virtqueues.
//! - [`net`]: network devices, NAPI, packets and their memory.
//! - [`pci`], [`param`], [`text`]: what the drivers need beside those and the kernel's crate has no
//!   safe form of.

pub mod context;
pub mod cpu_hotplug;
pub mod dma;
pub mod hwrng;
pub mod irq;
mod listed;
pub mod net;
mod owner;
pub mod param;
pub mod path;
pub mod pci;
pub mod percpu;
pub mod pm;
pub(crate) mod raw_lock;
pub mod tasklet;
pub mod text;
pub mod ticker;
pub(crate) mod trace;
pub mod virtio;
pub mod workqueue;

use kernel::prelude::*;

module! {
    type: Irqkit,
    name: "irqkit",
    authors: ["Rust interrupt suite"],
    description: "Interrupts and deferred work for Rust drivers",
    license: "GPL",
}

/// The module: what its own life keeps alive for its users.
#[pin_data]
struct Irqkit {
    // First the notifier goes, which uses the queues.
    #[pin]
    _registry: path::Registry,
    _queues: workqueue::Registry,
    _cpus: cpu_hotplug::Registry,
    _lines: irq::Registry,
    _tasklets: tasklet::Registry,
    _tickers: ticker::Registry,
    _command: pci::CommandLock,
}

impl kernel::InPlaceModule for Irqkit {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // SAFETY: A module is initialised once, before any other module can use it, and its
            // value is dropped before its code goes.
            _cpus: unsafe { cpu_hotplug::Registry::new()? },
            // SAFETY: A module is initialised once, before any other module can use it, and its
            // value is dropped before its code goes.
            _queues: unsafe { workqueue::Registry::new() },
            // SAFETY: As above.
            _lines: unsafe { irq::Registry::new() },
            // SAFETY: As above.
            _tasklets: unsafe { tasklet::Registry::new() },
            // SAFETY: As above.
            _tickers: unsafe { ticker::Registry::new() },
            // SAFETY: As above.
            _command: unsafe { pci::CommandLock::new() },
            // SAFETY: As above.
            _registry <- unsafe { path::Registry::new() },
        })
    }
}
