// SPDX-License-Identifier: GPL-2.0

//! What goes out: frames given to the device, and taken back when it has sent them.
//!
//! The ring is protected by the lock of the kernel's transmit queue, which the core holds already
//! when it hands over a frame.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    context::SoftIrq,
    dma::stream::Stream,
    net::{
        self,
        MappedSkb,
        Reason,
        SkBuff,
        TxStat,
        Unmapped,
        MAX_FRAGS, //
    },
    virtio::QueueOf, //
};

use crate::{
    desk::{
        Desk,
        Kicks, //
    },
    kind::Kind,
    logic::sweep::{
        sweep,
        End,
        Ring, //
    },
    offload,
    recover::Recover, //
};

pub(crate) mod complete;

/// The most segments of a frame: the linear part, with the header, and the fragments.
// CAST: There are at most 46.
pub(crate) const SEGMENTS: u16 = MAX_FRAGS as u16 + 1;

/// A ring that is asked to be shorter may have no room for so many: those of a split queue are powers of two.
pub(crate) const LEAST_RING: u16 = SEGMENTS.next_power_of_two();

/// The ring of a queue.
pub(crate) struct Transmitter<K: Kind> {
    ring: QueueOf<K::Rings, MappedSkb>,
    stream: Stream,
    desk: Arc<Desk>,
    recover: Recover<K>,
    kicks: Arc<Kicks>,
    index: u16,
    /// How many descriptors the largest frame takes.
    most: u16,
    /// It is about to be reset: nobody may send.
    parked: bool,
}

/// What the device was asked to do with a frame.
#[derive(Clone, Copy)]
enum Asked {
    Nothing,
    /// To compute its checksum.
    Checksum,
    /// To cut it into so many, each with a checksum.
    Cut(u32),
}

/// What became of a frame.
enum Sent {
    /// The device has it; it is so long.
    Yes(u32, Asked),
    /// It was dropped.
    Dropped,
}

impl<K: Kind> Transmitter<K> {
    /// Makes the sending end of queue `index`.
    pub(crate) fn new(
        ring: QueueOf<K::Rings, MappedSkb>,
        stream: Stream,
        recover: Recover<K>,
        kicks: Arc<Kicks>,
        index: u16,
        desk: &Arc<Desk>,
    ) -> Self {
        Self {
            // A shorter one gets frames in one segment.
            most: ring.takes(SEGMENTS.min(ring.size())),
            ring,
            stream,
            desk: desk.clone(),
            recover,
            kicks,
            index,
            parked: false,
        }
    }

    /// Whether there is room for the largest frame.
    #[inline]
    fn has_room(&self) -> bool {
        self.ring.free() >= self.most
    }

    /// Gives a frame to the device, which is not told yet.
    #[inline]
    fn add(&mut self, skb: SkBuff) -> Sent {
        match skb.is_gso() {
            false => {
                let header = offload::header_of_one(&skb);
                let asked = match skb.is_partial() {
                    true => Asked::Checksum,
                    false => Asked::Nothing,
                };
                self.add_with(skb, &header, asked)
            }
            true => self.add_large(skb),
        }
    }

    /// The same, for a frame that the device is to cut: apart, so that both ways are short.
    #[inline(never)]
    fn add_large(&mut self, skb: SkBuff) -> Sent {
        match offload::header_of(&skb) {
            Ok(header) => {
                let asked = Asked::Cut(skb.segments());
                self.add_with(skb, &header, asked)
            }
            Err(_) => {
                // The device knows no such offload.
                skb.drop_with(Reason::DeviceHeader);
                Sent::Dropped
            }
        }
    }

    /// Gives a frame with its header to the device.
    #[inline(always)]
    fn add_with(&mut self, skb: SkBuff, header: &[u8], asked: Asked) -> Sent {
        let mapped = match MappedSkb::new(skb, header, &self.stream) {
            Ok(mapped) => mapped,
            Err(unmapped) => return Self::drop_unmapped(unmapped),
        };
        let len = mapped.len();

        match self.ring.add(mapped) {
            Ok(()) => Sent::Yes(len, asked),
            Err(refused) => Self::drop_refused(refused.buffer),
        }
    }

    /// Drops a frame for which there are no addresses.
    #[cold]
    fn drop_unmapped(unmapped: Unmapped) -> Sent {
        let reason = match unmapped.why == ENOMEM {
            true => Reason::NoMemory,
            false => Reason::NotSpecified,
        };
        unmapped.skb.drop_with(reason);
        Sent::Dropped
    }

    /// Drops a frame that the ring does not take. The queue is stopped in time: so the ring is out of use.
    #[cold]
    fn drop_refused(mapped: MappedSkb) -> Sent {
        mapped.into_skb().drop_with(Reason::FullRing);
        Sent::Dropped
    }

    /// Tells the device of what it was given, if it wants to know.
    #[inline]
    fn kick(&mut self) {
        if self.ring.kick() {
            self.kicks.add();
        }
    }

    /// Takes back what was sent, and returns how many frames, of how many bytes. At most what the
    /// device had: nobody adds any meanwhile.
    #[inline]
    fn clean(&mut self, mut free: impl FnMut(SkBuff)) -> (u32, u32) {
        let mut packets = 0u32;
        let mut bytes = 0u32;

        while let Some(used) = self.ring.get_used() {
            packets += 1;
            bytes = bytes.wrapping_add(used.buffer.len());
            free(used.buffer.into_skb());
        }
        (packets, bytes)
    }

    /// The device said that it is done with something, and now it is not: nothing that it says of
    /// this queue can be believed.
    #[cold]
    fn disbelieve(&mut self) {
        self.ring.give_up();
        dev_err!(
            self.desk.function,
            "tx{}: what the device was done with it is not done with any more: out of use\n",
            self.index
        );
    }

    /// The device broke the rules, which the log says: it is reset.
    #[cold]
    fn give_up(&mut self) {
        self.recover.request_all();
    }

    /// The ring, for who resets it.
    pub(crate) fn ring(&mut self) -> &mut QueueOf<K::Rings, MappedSkb> {
        &mut self.ring
    }
}

/// Stops a queue for its reset: nothing is sent until [`unpark`], whatever is completed meanwhile.
pub(crate) fn park<K: Kind>(queue: &mut net::Locked<'_, Transmitter<K>>) {
    queue.parked = true;
    queue.stop();
}

/// Lets a queue go on that is at work again.
pub(crate) fn unpark<K: Kind>(queue: &mut net::Locked<'_, Transmitter<K>>) {
    queue.parked = false;
    if queue.has_room() {
        queue.wake();
    }
}

/// Counts what happened on a transmit queue, whose lock is held: else something may be lost.
pub(crate) fn count(device: &net::Device, index: u16, what: TxStat, n: u64) {
    if let Some(stats) = device.tx_stats(index) {
        stats.add(what, n);
    }
}

/// Counts what the device was asked to do with a frame of `bytes`, the queue's lock being held.
#[inline]
fn count_asked(device: &net::Device, index: u16, bytes: u32, asked: Asked) {
    let Some(stats) = device.tx_stats(index) else {
        return;
    };

    match asked {
        Asked::Nothing => stats.add(TxStat::CsumNone, 1),
        Asked::Checksum => stats.add(TxStat::NeedsCsum, 1),
        Asked::Cut(segments) => {
            stats.add(TxStat::NeedsCsum, segments.into());
            stats.add(TxStat::GsoPackets, 1);
            stats.add(TxStat::GsoBytes, bytes.into());
        }
    }
}

/// Sends a frame, the queue's lock being held. Returns whether completions are there already that
/// nobody will be told of: the caller sees to them.
#[inline]
pub(crate) fn send<K: Kind>(
    queue: &mut net::Locked<'_, Transmitter<K>>,
    device: &net::Device,
    index: u16,
    more: bool,
    mut skb: SkBuff,
    _ctx: SoftIrq<'_>,
) -> bool {
    // What comes back meanwhile is seen below, which is cheaper than an interrupt.
    queue.ring.disable_cb();
    skb.tx_timestamp(device);

    let kick = match queue.add(skb) {
        Sent::Yes(bytes, asked) => {
            count_asked(device, index, bytes, asked);
            if !queue.has_room() {
                queue.stop();
            }
            queue.sent(bytes, more)
        }
        Sent::Dropped => {
            count(device, index, TxStat::Dropped, 1);
            // What was added before it and waits for more.
            !more
        }
    };
    if !kick {
        // Another frame follows.
        return false;
    }
    queue.kick();
    !queue.ring.enable_cb_delayed()
}

/// Takes back what was sent, lets the queue go on if there is room again, and asks to be told of the
/// next.
#[inline]
pub(crate) fn complete<K: Kind>(
    queue: &mut net::Locked<'_, Transmitter<K>>,
    mut free: impl FnMut(SkBuff),
) -> u32 {
    let (total, end) = sweep(&mut Returning {
        queue,
        free: &mut free,
    });

    if end == End::Revoked {
        queue.disbelieve();
    }
    if queue.ring.poisoned().is_some() {
        queue.give_up();
    }
    if queue.has_room() && !queue.parked {
        queue.wake();
    }
    total
}

/// What was sent and comes back. The lock is held, so nobody adds any.
struct Returning<'a, 'b, K: Kind, F> {
    queue: &'a mut net::Locked<'b, Transmitter<K>>,
    free: F,
}

impl<K: Kind, F: FnMut(SkBuff)> Ring for Returning<'_, '_, K, F> {
    #[inline]
    fn take(&mut self) -> u32 {
        let (packets, bytes) = self.queue.clean(&mut self.free);

        if packets != 0 {
            self.queue.completed(packets, bytes);
        }
        packets
    }

    #[inline]
    fn ask(&mut self) -> bool {
        // A ring out of use has nothing to wait for: it says yes.
        self.queue.ring.enable_cb_delayed()
    }
}
