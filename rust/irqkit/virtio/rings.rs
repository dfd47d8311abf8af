// SPDX-License-Identifier: GPL-2.0

//! Split or packed: the kinds of rings that a queue can have.
//!
//! Which of them, a device and a driver agree on when the driver binds. A driver that is generic over
//! [`Rings`] is compiled for each, and chooses once; what it does for a buffer is then a call that the
//! compiler knows, and inlines.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    doorbell::Doorbell,
    features::Features,
    queue::{
        Config,
        Port,
        Queue,
        RING_FEATURES, //
    },
    ring::{
        chain::Buffer,
        layout::{
            Layout,
            PackedLayout,
            MAX_SIZE, //
        },
        packed::Packed,
        slot::Slot,
        split::Split,
        virtqueue::Virtqueue, //
    },
    shared::Shared,
    shared_packed::SharedPacked, //
};
use crate::dma::Pool;

/// The features that a driver asks for if its queues may be packed.
pub const PACKED_FEATURES: Features = RING_FEATURES.with(Features::RING_PACKED);

/// A split virtqueue.
pub type SplitQueue<B, P> = QueueOf<SplitRings, B, P>;

/// A packed virtqueue.
pub type PackedQueue<B, P> = QueueOf<PackedRings, B, P>;

/// A virtqueue with rings of kind `K`.
pub type QueueOf<K, B, P = Doorbell> = Queue<B, P, <K as Rings>::Ring<B>>;

mod private {
    pub trait Sealed {}

    impl Sealed for super::SplitRings {}
    impl Sealed for super::PackedRings {}
}

/// A kind of rings.
///
/// Sealed: the kinds are those of the specification.
pub trait Rings: private::Sealed + Sized + Send + Sync + 'static {
    /// Whether they are packed.
    const PACKED: bool;

    /// What a driver asks for that makes its queues of this kind, if the device can have them.
    const FEATURES: Features;

    /// The ring of a queue that holds buffers of type `B`.
    type Ring<B: Buffer + Send + 'static>: Virtqueue<B> + Send;

    /// Returns the greatest size of a queue that is not above `size`; [`None`] if there is none.
    fn fit(size: u16) -> Option<u16>;

    /// Makes a virtqueue in memory of `pool`, which the device is not told of yet. It is live:
    /// buffers may be added before the device is. If there is no memory for indirect tables, it has none:
    /// [`Queue::takes`]. Task context; may sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the size is none that a queue of this kind can have; `ENODEV` if the device is no
    /// longer bound; `ENOMEM`.
    fn queue<B, P>(pool: &Arc<Pool>, config: &Config, port: P) -> Result<QueueOf<Self, B, P>>
    where
        B: Buffer + Send + 'static,
        P: Port;
}

/// Split virtqueues: virtio 1.2, section 2.7.
pub enum SplitRings {}

/// Packed virtqueues: virtio 1.2, section 2.8; with [`Features::RING_PACKED`].
pub enum PackedRings {}

/// Allocates the books of a queue. May sleep.
fn slots<B>(size: u16) -> Result<KVVec<Slot<B>>> {
    let mut slots = KVVec::with_capacity(usize::from(size), GFP_KERNEL)?;

    for _ in 0..size {
        slots.push(Slot::new(), GFP_KERNEL)?;
    }
    Ok(slots)
}

/// Makes what has indirect tables of `entries` descriptors, or if there is no memory for that, as all of them are
/// in one piece, what has none.
fn with_tables_or_without<T>(entries: u16, make: impl Fn(u16) -> Result<T>) -> Result<T> {
    match make(entries) {
        Err(e) if e == ENOMEM && entries != 0 => make(0),
        made => made,
    }
}

impl Rings for SplitRings {
    const PACKED: bool = false;
    const FEATURES: Features = RING_FEATURES;

    type Ring<B: Buffer + Send + 'static> = Split<Shared, KVVec<Slot<B>>>;

    fn fit(size: u16) -> Option<u16> {
        // The greatest power of two in it.
        Some(1 << size.checked_ilog2()?)
    }

    fn queue<B, P>(pool: &Arc<Pool>, config: &Config, port: P) -> Result<QueueOf<Self, B, P>>
    where
        B: Buffer + Send + 'static,
        P: Port,
    {
        let (layout, memory) = with_tables_or_without(config.indirect, |table| {
            let layout = Layout::new(config.size, table).ok_or(EINVAL)?;
            Ok((layout, Shared::new(pool, layout, config.order)?))
        })?;
        let config = &Config {
            indirect: layout.table(),
            ..*config
        };
        let addresses = memory.addresses();
        let slots = slots(layout.size())?;
        let ring = Split::new(memory, slots, layout, config.event_idx, config.in_order);

        Ok(Queue::of(
            ring.ok_or(EINVAL)?,
            addresses,
            pool,
            config,
            port,
        ))
    }
}

impl Rings for PackedRings {
    const PACKED: bool = true;
    const FEATURES: Features = PACKED_FEATURES;

    type Ring<B: Buffer + Send + 'static> = Packed<SharedPacked, KVVec<Slot<B>>>;

    fn fit(size: u16) -> Option<u16> {
        (size != 0).then(|| size.min(MAX_SIZE))
    }

    fn queue<B, P>(pool: &Arc<Pool>, config: &Config, port: P) -> Result<QueueOf<Self, B, P>>
    where
        B: Buffer + Send + 'static,
        P: Port,
    {
        let (layout, memory) = with_tables_or_without(config.indirect, |table| {
            let layout = PackedLayout::new(config.size, table).ok_or(EINVAL)?;
            Ok((layout, SharedPacked::new(pool, layout, config.order)?))
        })?;
        let config = &Config {
            indirect: layout.table(),
            ..*config
        };
        let addresses = memory.addresses();
        let slots = slots(layout.size())?;
        let ring = Packed::new(memory, slots, layout, config.event_idx, config.in_order);

        Ok(Queue::of(
            ring.ok_or(EINVAL)?,
            addresses,
            pool,
            config,
            port,
        ))
    }
}

impl<B, P> SplitQueue<B, P>
where
    B: Buffer + Send + 'static,
    P: Port,
{
    /// Makes a split virtqueue: [`Rings::queue`].
    ///
    /// # Errors
    ///
    /// As those of [`Rings::queue`].
    pub fn new(pool: &Arc<Pool>, config: &Config, port: P) -> Result<Self> {
        SplitRings::queue(pool, config, port)
    }
}

impl<B, P> PackedQueue<B, P>
where
    B: Buffer + Send + 'static,
    P: Port,
{
    /// Makes a packed virtqueue: [`Rings::queue`].
    ///
    /// # Errors
    ///
    /// As those of [`Rings::queue`].
    pub fn new(pool: &Arc<Pool>, config: &Config, port: P) -> Result<Self> {
        PackedRings::queue(pool, config, port)
    }
}
