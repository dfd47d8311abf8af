// SPDX-License-Identifier: GPL-2.0

//! The pure logic of irqkit's virtio transport, from the kernel module's own source files.
//!
//! `cargo test -p virtiologic` runs its tests on the host: single cases, and property tests against
//! configuration spaces and devices that answer what they like.

#[path = "../../../rust/irqkit/virtio/features.rs"]
pub mod features;

// Private to irqkit; used here by the tests alone.
#[cfg(test)]
#[path = "../../../rust/irqkit/virtio/common.rs"]
mod common;
#[cfg(test)]
#[path = "../../../rust/irqkit/virtio/layout.rs"]
mod layout;

#[cfg(test)]
mod tests;
