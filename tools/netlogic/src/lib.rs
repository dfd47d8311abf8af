// SPDX-License-Identifier: GPL-2.0

//! The pure logic of `rust_napi_net`, from the kernel module's own source files.
//!
//! `cargo test -p netlogic` runs its tests on the host: single cases, and property tests against
//! devices that say what they like.

pub use virtiologic::features::Features;

// Private to the driver; used here by the tests alone.
#[cfg(test)]
// Where the fields are concerns the driver alone, which reads them.
#[allow(dead_code)]
#[path = "../../../rust_napi_net/logic/config.rs"]
mod config;
#[cfg(test)]
#[path = "../../../rust_napi_net/logic/features.rs"]
mod features;
#[cfg(test)]
#[path = "../../../rust_napi_net/logic/header.rs"]
mod header;
#[cfg(test)]
#[path = "../../../rust_napi_net/logic/patience.rs"]
mod patience;
#[cfg(test)]
#[path = "../../../rust_napi_net/logic/share.rs"]
mod share;
#[cfg(test)]
#[path = "../../../rust_napi_net/logic/sweep.rs"]
mod sweep;

#[cfg(test)]
mod tests;
