// SPDX-License-Identifier: GPL-2.0

//! Every kind of workqueue, at work in a driver: work items that a virtio-rng device, or a timer,
//! gives the cause for.
//!
//! `modprobe rust_workqueue source=timer` needs no device. For the other, start QEMU with
//! `-device virtio-rng-pci`, and take it from the kernel's own driver:
//! `scripts/bind 0000:00:06.0 rust_workqueue`. Then look at `/sys/kernel/debug/rust_workqueue/`.

#![deny(unsafe_code)]

use kernel::{
    pci,
    prelude::*,
    str::CString, //
};

use irqkit::{
    context::Task,
    pci::WithDmaMask, //
};

mod batch;
mod bench;
mod control;
mod kinds;
mod lanes;
mod matrix;
mod param;
mod payload;
mod rng;
mod settings;
mod tally;
mod timer;

use param::Source;

/// The most timers there may be.
const MAX_TIMERS: u32 = 16;

/// The driver of the devices, which reach all of memory.
type Devices = kernel::driver::Registration<pci::Adapter<WithDmaMask<rng::driver::RngDriver, 64>>>;

/// The module: its sources.
struct RustWorkqueue {
    _timers: KVec<timer::TimerSource>,
    _devices: Option<Pin<KBox<Devices>>>,
}

impl RustWorkqueue {
    fn timers(task: Task<'_>) -> Result<KVec<timer::TimerSource>> {
        let count = module_parameters::timers.value();
        let rate_hz = module_parameters::rate_hz.value();
        if !(1..=MAX_TIMERS).contains(&count) {
            pr_err!("timers={count}: expected 1 to {MAX_TIMERS}\n");
            return Err(EINVAL);
        }
        if rate_hz > timer::MAX_RATE_HZ {
            pr_err!("rate_hz={rate_hz}: expected 0 to {}\n", timer::MAX_RATE_HZ);
            return Err(EINVAL);
        }

        let mut timers = KVec::with_capacity(count as usize, GFP_KERNEL)?;
        for index in 0..count {
            let name = CString::try_from_fmt(fmt!("timer{index}"))?;
            timers.push(
                timer::TimerSource::new(task, &name, index, rate_hz)?,
                GFP_KERNEL,
            )?;
        }
        Ok(timers)
    }
}

impl kernel::Module for RustWorkqueue {
    fn init(module: &'static ThisModule) -> Result<Self> {
        Ok(match param::source.value() {
            Source::Timer => Self {
                _timers: Task::with(Self::timers)??,
                _devices: None,
            },
            Source::Virtio => {
                // What is wrong with them shall show now, not when there is a device.
                rng::driver::Parameters::read()?;
                Self {
                    _timers: KVec::new(),
                    _devices: Some(KBox::pin_init(
                        Devices::new(<LocalModule as kernel::ModuleMetadata>::NAME, module),
                        GFP_KERNEL,
                    )?),
                }
            }
        })
    }
}

module! {
    type: RustWorkqueue,
    name: "rust_workqueue",
    authors: ["The Rust interrupt suite"],
    description: "Every kind of workqueue, in Rust, on virtio-rng or a timer",
    license: "GPL",
    params: {
        rate_hz: u32 {
            default: 100,
            description: "Ticks a second of each timer; 0 is none",
        },
        quality: u32 {
            default: 1024,
            description: "Bits of entropy for each 1024 bits that a device gives",
        },
        ring_size: u32 {
            default: 16,
            description: "The most buffers that a device is given at a time",
        },
        buffer_bytes: u32 {
            default: 1024,
            description: "The size of one",
        },
        timers: u32 {
            default: 1,
            description: "How many timers there are, with source=timer",
        },
    },
}
