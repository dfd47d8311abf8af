// SPDX-License-Identifier: GPL-2.0

//! The pure logic of irqkit's virtqueues, from the kernel module's own source files.
//!
//! `cargo test -p ringlogic` drives it against a model device: by property tests, on threads, and
//! by loom, which runs the two through every interleaving that the barriers allow.

pub mod ring;

#[cfg(test)]
mod tests;
