// SPDX-License-Identifier: GPL-2.0

//! Every kind of workqueue, at work in a driver: work items that a virtio-rng device, or a timer,
//! gives the cause for.
//!
//! `modprobe rust_workqueue source=timer` needs no device. For the other, start QEMU with
//! `-device virtio-rng-pci`, and take it from the kernel's own driver:
//! `scripts/bind 0000:00:06.0 rust_workqueue`. Then look at `/sys/kernel/debug/rust_workqueue/`.

#![deny(unsafe_code)]

use kernel::{
    prelude::*,
    str::CString, //
};

use irqkit::context::Task;

mod batch;
mod bench;
mod control;
mod kinds;
mod lanes;
mod matrix;
mod param;
mod payload;
mod settings;
mod tally;
mod timer;

use param::Source;

/// The most timers there may be.
const MAX_TIMERS: u32 = 16;

/// The module: its sources.
struct RustWorkqueue {
    _timers: KVec<timer::TimerSource>,
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
    fn init(_module: &'static ThisModule) -> Result<Self> {
        let timers = match param::source.value() {
            Source::Timer => Task::with(Self::timers)??,
            Source::Virtio => return Err(ENODEV),
        };
        Ok(Self { _timers: timers })
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
        timers: u32 {
            default: 1,
            description: "How many timers there are, with source=timer",
        },
    },
}
