// SPDX-License-Identifier: GPL-2.0

//! Unit tests, property tests, and tests of what happens at the same time.

#[path = "../../../kunit/support/ring_device.rs"]
#[allow(dead_code)]
mod device;

mod concurrent;
mod events;
mod exchange;
mod hostile;
mod layout;
mod memory;
mod packed_concurrent;
mod packed_exchange;
mod packed_hostile;
mod packed_memory;
mod units;
