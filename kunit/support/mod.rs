// SPDX-License-Identifier: GPL-2.0

//! What the KUnit suites have in common: threads on chosen CPUs, hard interrupts on demand,
//! a device that raises real ones, and the text of debugfs files.
//!
//! Each suite is a module of its own and compiles this as a part of it:
//!
//! ```ignore
//! #[path = "support/mod.rs"]
//! mod support;
//! ```
//!
//! # How the tests are written
//!
//! - A failed `assert!` of a KUnit test ends the thread on the spot and runs no destructors. So
//!   nothing that others still use may stand on the stack by then: a test first does everything,
//!   and lets go of it, and then asserts. Everything in here that borrows from the stack returns
//!   only when the borrow is over.
//! - Nothing waits for time to pass. Tests wait for what must happen ([`until`]), with a deadline
//!   that is far beyond what the slowest machine needs; and that something does *not* happen is
//!   shown by something else that must happen later.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    cpu::CpuId,
    cpumask::Cpumask,
    prelude::*,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

pub(crate) mod books;
pub(crate) mod crew;
pub(crate) mod file;
pub(crate) mod gate;
pub(crate) mod hardirq;
pub(crate) mod items;
pub(crate) mod load;
pub(crate) mod moment;
pub(crate) mod other;

/// How long to wait for what must happen. A machine that is slower than this is broken.
pub(crate) const DEADLINE: Delta = Delta::from_millis(20_000);

/// Waits until `happened` returns true, and returns whether it did before the [`DEADLINE`].
///
/// To be called in task context; it sleeps.
pub(crate) fn until(mut happened: impl FnMut() -> bool) -> bool {
    let began = Instant::<Monotonic>::now();

    while !happened() {
        if began.elapsed() > DEADLINE {
            return false;
        }
        fsleep(Delta::from_micros(100));
    }
    true
}

/// As [`until`], without sleeping: for callbacks that must not.
pub(crate) fn spin_until(mut happened: impl FnMut() -> bool) -> bool {
    let began = Instant::<Monotonic>::now();

    while !happened() {
        if began.elapsed() > DEADLINE {
            return false;
        }
        kernel::processor::cpu_relax();
    }
    true
}

/// Spins for `delta` on the clock that stamps are made of; `udelay()` has a mind of its own under
/// emulation.
pub(crate) fn spin_for(delta: Delta) {
    let began = Instant::<Monotonic>::now();

    while began.elapsed() < delta {
        kernel::processor::cpu_relax();
    }
}

/// Returns the CPUs that are online, in ascending order.
pub(crate) fn online_cpus() -> Result<KVec<CpuId>> {
    // SAFETY: The mask is a global of the kernel, valid for ever. CPUs come and go only by the
    // tests' own doing.
    let online = unsafe { Cpumask::from_raw(&raw const kernel::bindings::__cpu_online_mask) };
    let mut cpus = KVec::new();

    for cpu in irqkit::percpu::possible_cpus().filter(|&cpu| online.test(cpu)) {
        cpus.push(cpu, GFP_KERNEL)?;
    }
    Ok(cpus)
}

/// Returns two different CPUs that are online.
///
/// # Errors
///
/// `ENXIO` if there is only one: the tests of what CPUs do to each other need two, and fail rather
/// than show nothing.
pub(crate) fn two_cpus() -> Result<(CpuId, CpuId)> {
    match online_cpus()?.as_slice() {
        [one, other, ..] => Ok((*one, *other)),
        _ => {
            pr_err!("these tests need two CPUs\n");
            Err(ENXIO)
        }
    }
}
