// SPDX-License-Identifier: GPL-2.0

//! What a poll may do.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use irqkit_bindings as raw;
use kernel::bindings;

use super::{
    napi::Core,
    skb::{
        Reason,
        SkBuff, //
    },
    stats::{
        RxStat,
        RxStats, //
    },
    ETH_HLEN, //
};

/// How many packets a poll may still receive, and what it does with them.
///
/// It can't be overspent: receiving takes a [`Credit`], and there are not more of those than the
/// budget has.
///
/// # Invariants
///
/// `core` is being polled by the current context, with a budget that is not 0.
pub struct Budget<'a> {
    core: &'a Core,
    queue: Option<u16>,
    weight: u32,
    left: u32,
    /// What was done that costs nothing.
    items: u64,
    tally: Tally,
    /// Neither `Send` nor `Sync`.
    _context: PhantomData<*mut ()>,
}

/// What was received, until it is added to the counters of the queue.
#[derive(Default)]
struct Tally {
    packets: u64,
    bytes: u64,
    unnecessary: u64,
    gro_packets: u64,
    gro_bytes: u64,
    lengths: u64,
    no_memory: u64,
}

/// The right to receive one packet. If it is not made use of, it is spent all the same: looking at a
/// packet that is none was work, too.
#[must_use = "it is spent"]
pub struct Credit<'a>(PhantomData<fn(&'a ()) -> &'a ()>);

impl<'a> Budget<'a> {
    /// The caller is polling `core`.
    #[inline]
    pub(super) fn new(core: &'a Core, queue: Option<u16>, weight: u32) -> Self {
        // INVARIANT: It is for the function that polls to call this.
        Self {
            core,
            queue,
            weight,
            left: weight,
            items: 0,
            tally: Tally::default(),
            _context: PhantomData,
        }
    }

    #[inline]
    pub(super) fn napi(&self) -> &Core {
        self.core
    }

    /// Returns how many packets may still be received.
    #[inline]
    pub fn left(&self) -> u32 {
        self.left
    }

    /// Takes the right to receive one packet; [`None`] if the budget is used up.
    #[inline]
    pub fn take(&mut self) -> Option<Credit<'a>> {
        self.left = self.left.checked_sub(1)?;
        Some(Credit(PhantomData))
    }

    /// Counts `n` units of work that cost nothing, such as packets that were sent.
    #[inline]
    pub fn items(&mut self, n: u64) {
        self.items += n;
    }

    /// Allocates a packet with room for `len` bytes, for the device; [`None`] if there is no memory.
    ///
    /// Stands for `napi_alloc_skb()`.
    #[inline]
    pub fn alloc_skb(&mut self, len: u32) -> Option<SkBuff> {
        // SAFETY: By the type invariants the instance is being polled, on this CPU.
        let skb = unsafe { bindings::napi_alloc_skb(self.core.as_raw(), len) };

        // SAFETY: It was just allocated, and is nobody else's.
        NonNull::new(skb).map(|skb| unsafe { SkBuff::from_raw(skb.as_ptr()) })
    }

    /// Gives a packet to the stack, which begins with its Ethernet header. One that is too short for
    /// that is dropped, and so is one whose headers are more than 64 KiB from where its memory begins. One
    /// that the stack has sent becomes a packet of its own first, if there is memory.
    ///
    /// Stands for `eth_type_trans()`, `skb_record_rx_queue()` and `napi_gro_receive()`.
    #[inline]
    pub fn receive(&mut self, _credit: Credit<'_>, mut skb: SkBuff) {
        // Neither is what a driver does that gets its packets from a device.
        if skb.was_sent() | (skb.reach() > usize::from(u16::MAX)) {
            match self.own(skb) {
                Some(own) => skb = own,
                None => return,
            }
        }
        if skb.headlen() < ETH_HLEN && skb.pull_tail(ETH_HLEN).is_err() {
            self.tally.lengths += 1;
            skb.drop_with(Reason::HeaderTooShort);
            return;
        }

        let len = u64::from(skb.len());
        self.tally.packets += 1;
        self.tally.bytes += len;
        if skb.is_verified() {
            self.tally.unnecessary += 1;
        }
        if skb.is_gso() {
            self.tally.gro_packets += 1;
            self.tally.gro_bytes += len;
        }
        // SAFETY: By the type invariants the instance is being polled, on this CPU. The packet is ours,
        // and has a linear Ethernet header.
        unsafe {
            raw::napi_receive(self.core.as_raw(), skb.into_raw(), self.queue.unwrap_or(0));
        }
    }

    /// Makes a packet that is not one that can be received such a one; if that can't be, it is dropped and
    /// counted.
    #[cold]
    fn own(&mut self, skb: SkBuff) -> Option<SkBuff> {
        // SAFETY: By the type invariants this is a poll. The packet is ours, and is not used after this.
        let own = unsafe { raw::skb_own(skb.into_raw()) };
        let Some(own) = NonNull::new(own) else {
            self.tally.no_memory += 1;
            return None;
        };
        // SAFETY: It is nobody else's.
        let own = unsafe { SkBuff::from_raw(own.as_ptr()) };

        // Where headers are is said in 16 bits.
        if own.reach() > usize::from(u16::MAX) {
            self.tally.lengths += 1;
            own.drop_with(Reason::TooLong);
            return None;
        }
        Some(own)
    }

    /// Frees a packet that was sent, with others.
    ///
    /// Stands for `napi_consume_skb()`.
    #[inline]
    pub fn consume(&mut self, skb: SkBuff) {
        // SAFETY: By the type invariants this is a poll with a budget that was not 0. The packet is
        // ours, and is not used after this.
        unsafe { raw::napi_consume_skb(skb.into_raw(), 1) };
    }

    /// Adds what was received to the counters of the queue, and returns how much was spent.
    #[inline]
    pub(super) fn finish(&mut self) -> u32 {
        let tally = core::mem::take(&mut self.tally);
        if tally.packets + tally.lengths + tally.no_memory != 0 {
            let stats = self
                .queue
                .and_then(|queue| self.core.device().rx_stats(queue));
            if let Some(stats) = stats {
                tally.add_to(stats);
            }
        }
        self.weight - self.left
    }

    /// Returns how much was done.
    #[inline]
    pub(super) fn done(&self) -> u64 {
        u64::from(self.weight - self.left) + self.items
    }
}

impl Tally {
    #[inline]
    fn add_to(&self, stats: &RxStats) {
        stats.add(RxStat::Packets, self.packets);
        stats.add(RxStat::Bytes, self.bytes);
        stats.add(RxStat::CsumUnnecessary, self.unnecessary);
        stats.add(RxStat::CsumNone, self.packets - self.unnecessary);
        if self.gro_packets != 0 {
            stats.add(RxStat::GroPackets, self.gro_packets);
            stats.add(RxStat::GroBytes, self.gro_bytes);
        }
        if self.lengths != 0 {
            stats.add(RxStat::LengthErrors, self.lengths);
        }
        if self.no_memory != 0 {
            stats.add(RxStat::AllocFail, self.no_memory);
            stats.add(RxStat::Dropped, self.no_memory);
        }
    }
}
