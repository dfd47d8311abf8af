// SPDX-License-Identifier: GPL-2.0

//! Virtio 1.x devices, driven by ourselves: the C virtio core requests interrupts on its own, and
//! the point here is to own them.
//!
//! Virtqueues:
//!
//! - [`ring`]: the logic of virtqueues, pure, tested on the host.
//! - [`buffer`]: what a virtqueue takes to the device and back.
//! - [`features`]: what device and driver agree on.
//! - [`queue`]: virtqueues: logic, shared memory and doorbell together.
//! - [`rings`]: split or packed.
//!
//! The transport, PCI: a [`Device`] is found by `probe`, agrees on features and becomes a [`Setup`],
//! in which its queues are made, and with its interrupts a [`Live`] one.
//!
//! Whatever a device can write is hostile until it was checked, once, on a private copy.
//!
//! Specification: Virtual I/O Device (VIRTIO) 1.2.

mod barrier;
pub mod buffer;
mod common;
mod config;
mod control;
mod device;
mod doorbell;
pub mod features;
mod layout;
mod live;
pub mod queue;
mod regions;
pub mod ring;
pub mod rings;
mod setup;
mod shared;
mod shared_packed;
mod vectors;
mod window;

pub use buffer::{
    InBuffer,
    OutBuffer, //
};
pub use common::Health;
pub use config::{
    Config as DeviceConfig,
    Fields, //
};
pub use control::Control;
pub use device::{
    Device,
    State, //
};
pub use doorbell::Doorbell;
pub use features::Features;
pub use live::{
    Live,
    Resume, //
};
pub use queue::{
    Addresses,
    Config,
    Order,
    Port,
    Queue,
    Stopped,
    RING_FEATURES, //
};
pub use ring::{
    chain::{
        AddError,
        Buffer,
        Refused,
        Segment,
        Segments,
        Space,
        Used, //
    },
    layout::notification_data,
    poison::Poison,
    virtqueue::Virtqueue, //
};
pub use rings::{
    PackedQueue,
    PackedRings,
    QueueOf,
    Rings,
    SplitQueue,
    SplitRings,
    PACKED_FEATURES, //
};
pub use setup::Setup;
pub use vectors::{
    Event,
    Handler,
    Policy,
    Wake, //
};
