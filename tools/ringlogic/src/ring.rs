// SPDX-License-Identifier: GPL-2.0

//! What `rust/irqkit/virtio/ring.rs` has.

#[path = "../../../rust/irqkit/virtio/ring/books.rs"]
mod books;
#[path = "../../../rust/irqkit/virtio/ring/chain.rs"]
pub mod chain;
#[path = "../../../rust/irqkit/virtio/ring/chain_writer.rs"]
mod chain_writer;
#[path = "../../../rust/irqkit/virtio/ring/cursor.rs"]
mod cursor;
#[path = "../../../rust/irqkit/virtio/ring/generic.rs"]
pub mod generic;
#[path = "../../../rust/irqkit/virtio/ring/layout.rs"]
pub mod layout;
#[path = "../../../rust/irqkit/virtio/ring/memory.rs"]
pub mod memory;
#[path = "../../../rust/irqkit/virtio/ring/packed.rs"]
pub mod packed;
#[path = "../../../rust/irqkit/virtio/ring/packed_memory.rs"]
pub mod packed_memory;
#[path = "../../../rust/irqkit/virtio/ring/packed_writer.rs"]
mod packed_writer;
#[path = "../../../rust/irqkit/virtio/ring/poison.rs"]
pub mod poison;
#[path = "../../../rust/irqkit/virtio/ring/scheme.rs"]
mod scheme;
#[path = "../../../rust/irqkit/virtio/ring/slot.rs"]
pub mod slot;
#[path = "../../../rust/irqkit/virtio/ring/split.rs"]
pub mod split;
#[path = "../../../rust/irqkit/virtio/ring/virtqueue.rs"]
pub mod virtqueue;
