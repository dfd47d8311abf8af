// SPDX-License-Identifier: GPL-2.0

//! What a device's queues have counted.

use core::cell::UnsafeCell;

use kernel::prelude::*;

/// A counter of 64 bits, which nobody ever reads torn: `READ_ONCE()` and `WRITE_ONCE()`.
///
/// [`Atomic`](kernel::sync::atomic::Atomic) does the same by a call for each; a frame that is sent has no time for
/// them.
///
/// # Invariants
///
/// It is only ever read and written as a whole, by volatile accesses.
struct Count(UnsafeCell<u64>);

const _: () = assert!(usize::BITS == u64::BITS, "a counter would be read in two");

// SAFETY: By the type invariants; in the kernel's memory model any number may do so at a time.
unsafe impl Sync for Count {}

impl Count {
    #[inline]
    fn get(&self) -> u64 {
        // SAFETY: It is valid and aligned. Others may write to it meanwhile: this stands for `READ_ONCE()`.
        unsafe { self.0.get().read_volatile() }
    }

    #[inline]
    fn set(&self, value: u64) {
        // SAFETY: It is valid and aligned. Others may read it meanwhile: this stands for `WRITE_ONCE()`.
        unsafe { self.0.get().write_volatile(value) };
    }
}

/// The counters of a queue.
///
/// They are written by those who own the queue just then, one at a time; so an addition is a load and a
/// store, without a lock and without a barrier. They stand on cache lines of their own.
#[repr(align(64))]
struct Table<const N: usize>([Count; N]);

impl<const N: usize> Table<N> {
    fn new() -> Self {
        Self(core::array::from_fn(|_| Count(UnsafeCell::new(0))))
    }

    #[inline]
    fn add(&self, index: usize, n: u64) {
        if let Some(count) = self.0.get(index) {
            count.set(count.get().wrapping_add(n));
        }
    }

    #[inline]
    fn get(&self, index: usize) -> u64 {
        self.0.get(index).map_or(0, Count::get)
    }
}

/// What a receive queue counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum RxStat {
    /// Packets given to the stack.
    Packets,
    /// Their bytes, with the Ethernet header.
    Bytes,
    /// Packets of which the device said that their checksum is right.
    CsumUnnecessary,
    /// Packets of which it said nothing.
    CsumNone,
    /// Packets that were given as one, made of several by the device.
    GroPackets,
    /// The bytes of those.
    GroBytes,
    /// There was no memory for a packet, or for a buffer. A packet that is lost for that is [`RxStat::Dropped`] as
    /// well.
    AllocFail,
    /// Packets whose length can't be.
    LengthErrors,
    /// Packets whose header, or whatever the device says of them, makes no sense.
    FrameErrors,
    /// Packets that the driver dropped, though nothing was wrong with them.
    Dropped,
}

/// What a transmit queue counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(usize)]
pub enum TxStat {
    /// Packets that were sent, or given up on after they were given to the device.
    Packets,
    /// Their bytes, with the Ethernet header.
    Bytes,
    /// The driver stopped the queue.
    Stop,
    /// The driver woke it.
    Wake,
    /// Packets whose checksum the device was asked to compute; one that it is to cut counts for as
    /// many as it makes of it. This and the next three are for
    /// [`Builder::counts_offloads`](super::Builder::counts_offloads).
    NeedsCsum,
    /// Packets that had theirs, or need none.
    CsumNone,
    /// Packets that the device was asked to cut.
    GsoPackets,
    /// The bytes of those.
    GsoBytes,
    /// Packets dropped for want of memory or of an address for the device.
    Dropped,
    /// Packets that the device, or its queue, refused.
    Errors,
    /// The watchdog barked.
    Timeouts,
}

const RX: usize = RxStat::Dropped as usize + 1;
const TX: usize = TxStat::Timeouts as usize + 1;

/// The counters of a receive queue, since the device was made.
pub struct RxStats(Table<RX>);

/// The counters of a transmit queue, since the device was made.
pub struct TxStats(Table<TX>);

impl RxStats {
    pub(super) fn new() -> Self {
        Self(Table::new())
    }

    /// Adds `n`. Any context; where two add to one queue at a time, one may be lost.
    #[inline]
    pub fn add(&self, stat: RxStat, n: u64) {
        self.0.add(stat as usize, n);
    }

    /// Returns what was counted so far. Any context.
    #[inline]
    pub fn get(&self, stat: RxStat) -> u64 {
        self.0.get(stat as usize)
    }

    /// Adds to the sums of the device.
    pub(super) fn sum(&self, to: &mut irqkit_bindings::rtnl_link_stats64) {
        let lengths = self.get(RxStat::LengthErrors);
        let frames = self.get(RxStat::FrameErrors);

        to.rx_packets += self.get(RxStat::Packets);
        to.rx_bytes += self.get(RxStat::Bytes);
        to.rx_dropped += self.get(RxStat::Dropped);
        to.rx_length_errors += lengths;
        to.rx_frame_errors += frames;
        to.rx_errors += lengths + frames;
    }

    /// Fills in what queue statistics have of it. What is not collected stays as it is.
    pub(super) fn fill(&self, to: &mut irqkit_bindings::netdev_queue_stats_rx) {
        to.packets = self.get(RxStat::Packets);
        to.bytes = self.get(RxStat::Bytes);
        to.alloc_fail = self.get(RxStat::AllocFail);
        // As C does: what came and was refused. What the device itself dropped nobody is told.
        to.hw_drops = self.get(RxStat::LengthErrors) + self.get(RxStat::FrameErrors);
        to.csum_unnecessary = self.get(RxStat::CsumUnnecessary);
        to.csum_none = self.get(RxStat::CsumNone);
        to.hw_gro_packets = self.get(RxStat::GroPackets);
        to.hw_gro_bytes = self.get(RxStat::GroBytes);
    }

    /// Says what [`RxStats::fill`] fills in, and that nothing of it was lost with a queue.
    pub(super) fn base(to: &mut irqkit_bindings::netdev_queue_stats_rx) {
        RxStats::new().fill(to);
    }
}

impl TxStats {
    pub(super) fn new() -> Self {
        Self(Table::new())
    }

    /// Adds `n`. Any context; where two add to one queue at a time, one may be lost.
    #[inline]
    pub fn add(&self, stat: TxStat, n: u64) {
        self.0.add(stat as usize, n);
    }

    /// Returns what was counted so far. Any context.
    #[inline]
    pub fn get(&self, stat: TxStat) -> u64 {
        self.0.get(stat as usize)
    }

    /// Adds to the sums of the device.
    pub(super) fn sum(&self, to: &mut irqkit_bindings::rtnl_link_stats64) {
        to.tx_packets += self.get(TxStat::Packets);
        to.tx_bytes += self.get(TxStat::Bytes);
        to.tx_dropped += self.get(TxStat::Dropped);
        to.tx_errors += self.get(TxStat::Errors) + self.get(TxStat::Timeouts);
    }

    /// Fills in what queue statistics have of it. What is not collected stays as it is, what was asked of
    /// the device among it unless `offloads`.
    pub(super) fn fill(&self, offloads: bool, to: &mut irqkit_bindings::netdev_queue_stats_tx) {
        to.packets = self.get(TxStat::Packets);
        to.bytes = self.get(TxStat::Bytes);
        to.hw_drops = self.get(TxStat::Dropped) + self.get(TxStat::Errors);
        to.hw_drop_errors = self.get(TxStat::Errors);
        to.stop = self.get(TxStat::Stop);
        to.wake = self.get(TxStat::Wake);
        if offloads {
            to.csum_none = self.get(TxStat::CsumNone);
            to.needs_csum = self.get(TxStat::NeedsCsum);
            to.hw_gso_packets = self.get(TxStat::GsoPackets);
            to.hw_gso_bytes = self.get(TxStat::GsoBytes);
        }
    }

    /// Says what [`TxStats::fill`] fills in, and that nothing of it was lost with a queue.
    pub(super) fn base(offloads: bool, to: &mut irqkit_bindings::netdev_queue_stats_tx) {
        TxStats::new().fill(offloads, to);
    }
}

/// Makes `n` tables with `new`. May sleep.
pub(super) fn tables<T>(n: u32, new: impl Fn() -> T) -> Result<KVec<T>> {
    let mut tables = KVec::with_capacity(n as usize, GFP_KERNEL)?;

    for _ in 0..n {
        tables.push(new(), GFP_KERNEL)?;
    }
    Ok(tables)
}
