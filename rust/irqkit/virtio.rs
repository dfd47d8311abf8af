// SPDX-License-Identifier: GPL-2.0

//! Virtio 1.x devices, driven by ourselves: the C virtio core requests interrupts on its own, and
//! the point here is to own them.
//!
//! - [`ring`]: the logic of virtqueues, pure, tested on the host.
//! - [`buffer`]: what a virtqueue takes to the device and back.
//! - [`features`]: what device and driver agree on.
//! - [`queue`]: virtqueues: logic, shared memory and doorbell together.
//!
//! Whatever a device can write is hostile until it was checked, once, on a private copy.
//!
//! Specification: Virtual I/O Device (VIRTIO) 1.2.

pub mod buffer;
pub mod features;
pub mod queue;
pub mod ring;
mod shared;

pub use buffer::{
    InBuffer,
    OutBuffer, //
};
pub use features::Features;
pub use queue::{
    Addresses,
    Config,
    Order,
    Port,
    Queue,
    SplitQueue,
    Stopped,
    RING_FEATURES, //
};
pub use ring::{
    chain::{
        AddError,
        Buffer,
        Refused,
        Segment,
        Used, //
    },
    layout::notification_data,
    poison::Poison,
    virtqueue::Virtqueue, //
};
