// SPDX-License-Identifier: GPL-2.0

//! Virtqueues: the arithmetic, the bookkeeping and the checks, without the memory.
//!
//! Everything below is pure: it knows neither the kernel nor an address, and contains no `unsafe`
//! code. So the very same source is compiled on the host (`tools/ringlogic`), where property tests
//! drive it against a model device, and loom runs it through every interleaving with one.
//!
//! What a device can write is read once, into a local, and believed only as far as the driver's own
//! books ([`slot::Slot`]) agree. The device sees no part of those, and nothing that it is told is
//! ever read back.
//!
//! - [`memory`]: what a queue needs of the memory that it shares with the device.
//! - [`chain`]: buffers as chains of segments.
//! - [`poison`]: what a device may do wrong, by name.
//! - [`layout`][]: sizes.
//! - [`slot`]: the driver's own books about descriptors; `books` are those about a queue as a whole.
//! - [`virtqueue`]: what a virtqueue does for who uses it.
//! - [`generic`]: how it does that, whatever its kind, by way of a `scheme`:
//! - [`split`]: that of the split virtqueue.
//! - [`packed`]: that of the packed virtqueue, with [`packed_memory`] for it.
//!
//! Virtual I/O Device (VIRTIO) 1.2, sections 2.6 to 2.8.

mod books;
pub mod chain;
mod chain_writer;
mod cursor;
pub mod generic;
pub mod layout;
pub mod memory;
pub mod packed;
pub mod packed_memory;
mod packed_writer;
pub mod poison;
mod scheme;
pub mod slot;
pub mod split;
pub mod virtqueue;
