// SPDX-License-Identifier: GPL-2.0

//! The pure logic of irqkit's path statistics, from the kernel module's own source files.
//!
//! `cargo test -p pathlogic` runs its unit tests on the host.

#[path = "../../../rust/irqkit/path/counters.rs"]
pub mod counters;
#[path = "../../../rust/irqkit/path/histogram.rs"]
pub mod histogram;
// Private to irqkit; used here by the tests alone.
#[cfg(test)]
#[path = "../../../rust/irqkit/path/names.rs"]
mod names;

#[cfg(test)]
mod tests;
