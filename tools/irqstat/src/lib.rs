// SPDX-License-Identifier: GPL-2.0

//! Reads what the interrupt suite's modules show in debugfs, and what the kernel itself shows in
//! `/proc/interrupts` and `/proc/softirqs`.
//!
//! The parsers take text, not files, so that every one of them is tested on the host with the
//! text of a real kernel. They are strict: a line that does not parse is an error which names the
//! line, never a counter silently left out. [`Device`] is the part that opens files.

mod device;
mod histogram;
mod proc;
mod stats;

pub use device::{module_devices, Device, DEBUGFS};
pub use histogram::{Bucket, Histogram};
pub use proc::{Interrupts, Line, Softirqs};
pub use stats::{PathStats, Stats};

/// The version of the debugfs format that this library reads.
pub const FORMAT_VERSION: u32 = 1;
