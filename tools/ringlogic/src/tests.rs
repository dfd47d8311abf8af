// SPDX-License-Identifier: GPL-2.0

//! Unit tests, property tests, and tests of what happens at the same time.

#[path = "../../../kunit/support/ring_device.rs"]
#[allow(dead_code)]
mod device;

mod any_device;
mod concurrent;
mod either;
mod events;
mod exchange;
mod hostile;
mod kind;
mod layout;
mod memory;
mod packed_hostile;
mod packed_memory;
mod packed_units;
mod units;

/// Returns how many times to try what is tried `full` times with `LAB_LONG` in the environment: a
/// quarter without it, as in `make test`, and `miri` times in that interpreter.
fn tries(full: u32, miri: u32) -> u32 {
    if cfg!(miri) {
        miri
    } else if std::env::var_os("LAB_LONG").is_some() {
        full
    } else {
        full / 4
    }
}
