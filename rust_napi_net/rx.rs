// SPDX-License-Identifier: GPL-2.0

//! What comes in: buffers posted, frames taken from them, and buffers posted again.
//!
//! All of it belongs to the queue's NAPI instance, which never runs beside itself: there is no lock.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    context::SoftIrq,
    net::{
        Budget,
        InNapi,
        Next,
        PagePool,
        Poller,
        Reason,
        Received,
        RxStat,
        Shape,
        SkBuff, //
    },
    virtio::{
        QueueOf,
        Used, //
    }, //
};

use crate::{
    desk::{
        Desk,
        Kicks, //
    },
    kind::{
        Kind,
        Memory,
        Shapes, //
    },
    logic::{
        config::ETHERNET_MTU,
        header::{
            self,
            Checksum,
            Fault,
            Raw, //
        },
        Features, //
    },
    offload,
    plan::{
        frame_len,
        Receive,
        HEADROOM,
        LARGEST,
        PIECE, //
    },
    recover::Recover,
    tx::complete::Sibling, //
};

mod average;
pub(crate) mod refill;

use average::Average;
use refill::Refill;

/// The header's length, as lengths of buffers are.
// CAST: It is 12.
const HEADER: u32 = header::LEN as u32;

/// How much of a frame in whole pages is copied into its skb, for the headers: as C does.
const HEADERS: u32 = 128;

/// The most buffers that a frame may come in: 64 KiB in the smallest, and one for where it begins.
const MOST_BUFFERS: u16 = 64;

/// The queue by which frames come in, and what they are put into.
pub(crate) struct Receiver<K: Kind> {
    // Before the pool that its buffers are from.
    ring: QueueOf<K::Rings, K::Memory>,
    /// What is left of buffers, to be filled anew, and buffers of frames that were copied.
    spare: KVec<K::Memory>,
    pool: PagePool,
    desk: Arc<Desk>,
    refill: Refill<K>,
    /// The work item sees to buffers that there was no memory for, and tries until there is.
    waiting: bool,
    recover: Recover<K>,
    kicks: Arc<Kicks>,
    sibling: Sibling<K>,
    index: u16,
    agreed: Features,
    mergeable: bool,
    copybreak: u32,
    /// The room in a buffer for a frame of the MTU.
    frame: u32,
    /// Buffers for that, and the largest there are.
    shapes: [Shapes; 2],
    /// How many descriptors one takes.
    descriptors: u16,
    /// How many may be free before buffers are posted again.
    slack: u16,
    /// How long frames are of late.
    average: Average,
}

impl<K: Kind> Receiver<K> {
    /// Makes the receiving end of a queue. Buffers are posted by [`Receiver::fill`].
    pub(crate) fn new(
        ring: QueueOf<K::Rings, K::Memory>,
        pool: PagePool,
        refill: Refill<K>,
        recover: Recover<K>,
        kicks: Arc<Kicks>,
        sibling: Sibling<K>,
        desk: &Arc<Desk>,
    ) -> Result<Self> {
        let plan = &desk.plan;
        let index = sibling.cell.index();
        // In mergeable buffers, longer frames take more of them.
        let room = Shape::most(HEADROOM);
        // The smallest are so large that the longest frame fits into as many as a packet, and the ring, can have.
        let mut frame = frame_len(plan.mtu.max(ETHERNET_MTU).into()).min(room);
        if plan.receive == Receive::Mergeable {
            let longest = match plan.large_frames() {
                true => LARGEST,
                false => frame_len(plan.mtu.into()),
            };
            frame = frame.max(longest.div_ceil(u32::from(ring.size()).max(1)));
        }
        // In batches: a notification is dear. But the buffers that are left must hold the longest frame,
        // or the device waits for more of them, and we for it.
        let mut slack = ring.size() / 2;
        if plan.receive == Receive::Mergeable {
            let needed = LARGEST.div_ceil(frame.max(1));
            slack = slack.min(ring.size().saturating_sub(u16::try_from(needed)?));
        }
        if frame > room || usize::from(ring.size()) <= plan.pieces() {
            dev_err!(
                desk.function,
                "rx{index}: a ring of {} has no room for the longest frame: refused\n",
                ring.size()
            );
            return Err(EINVAL);
        }

        let shapes = |first| {
            Ok::<_, Error>(Shapes {
                first,
                more: Shape::fragment(PIECE)?,
                count: plan.pieces(),
            })
        };
        let descriptors = ring.takes(u16::try_from(plan.pieces())? + 1);

        Ok(Self {
            // A frame that takes many of them takes the fewest if no room is left in them for a packet's own.
            shapes: [
                shapes(Shape::packet(HEADROOM, frame)?)?,
                shapes(Shape::fragment(PIECE)?)?,
            ],
            descriptors,
            slack,
            spare: KVec::with_capacity(ring.size().into(), GFP_KERNEL)?,
            ring,
            pool,
            desk: desk.clone(),
            refill,
            waiting: false,
            recover,
            kicks,
            sibling,
            index,
            agreed: plan.features,
            mergeable: plan.receive == Receive::Mergeable,
            copybreak: plan.parameters.copybreak,
            frame,
            average: Average::new(frame),
        })
    }

    /// The buffers to post now: if frames are longer than an MTU allows, as large ones are, whole
    /// pages hold them in the fewest pieces.
    fn shapes(&self) -> Shapes {
        let [frame, largest] = self.shapes;

        if !self.mergeable || self.average.get() <= self.frame {
            frame
        } else {
            largest
        }
    }

    /// Posts as many buffers as the device can have. If there is no memory for some, a work item sees to
    /// them.
    pub(crate) fn refill(&mut self, at: &impl InNapi) {
        if !self.fill(at) && !self.waiting {
            self.waiting = true;
            self.refill.request();
        }
    }

    /// The device is at work again. What was posted before that it was not told of.
    pub(crate) fn resume(&mut self, at: &impl InNapi, fill: bool) {
        if fill {
            self.refill(at);
        }
        if self.ring.in_flight() != 0 {
            self.ring.notify();
            self.kicks.add();
        }
    }

    /// For the work item: tries again, and returns whether it is done. If not, it is to come back after a
    /// while; polls, of which one follows, do not call it before.
    fn retry(&mut self, at: &impl InNapi) -> bool {
        self.waiting = !self.fill(at);
        !self.waiting
    }

    /// Posts as many buffers as the device can have, and returns whether there was memory for all.
    fn fill(&mut self, at: &impl InNapi) -> bool {
        let shapes = self.shapes();
        let mut enough = true;
        let mut added = false;

        while self.ring.free() >= self.descriptors {
            let spare = self.spare.pop();
            let Some(buffer) = K::Memory::alloc(&mut self.pool, at, &shapes, spare) else {
                self.count(RxStat::AllocFail);
                enough = false;
                break;
            };
            if self.ring.add(buffer).is_err() {
                break;
            }
            added = true;
        }
        if added && self.ring.kick() {
            self.kicks.add();
        }
        enough
    }

    /// Takes the next frame from the ring; [`None`] if there is none.
    fn next(&mut self) -> Option<Used<K::Memory>> {
        self.ring.get_used()
    }

    /// Counts a frame, or a piece of one, that can't be.
    #[cold]
    fn count(&self, what: RxStat) {
        if let Some(stats) = self.desk.device.rx_stats(self.index) {
            stats.add(what, 1);
        }
    }

    /// Counts a frame that is lost because there is no memory.
    #[cold]
    fn count_lost(&self) {
        self.count(RxStat::AllocFail);
        self.count(RxStat::Dropped);
    }

    /// Makes an skb of what came in `used` and, if the header says so, in buffers behind it.
    #[inline]
    fn assemble(&mut self, used: Used<K::Memory>, budget: &mut Budget<'_>) -> Option<SkBuff> {
        let written = used.written;
        let Some((first, mut rest)) = used.buffer.first(written) else {
            self.count(RxStat::LengthErrors);
            return None;
        };
        let mut bytes = [0; header::LEN];

        // What the device may still write is read once, and believed of this copy.
        if written <= HEADER || first.read(0, &mut bytes).is_err() {
            self.count(RxStat::LengthErrors);
            return None;
        }
        let raw = Raw::from_bytes(bytes);
        let buffers = match self.mergeable {
            true => match raw.buffers(MOST_BUFFERS) {
                Ok(buffers) => buffers,
                Err(fault) => {
                    // The rest of that frame is not the beginning of another.
                    for _ in 1..raw.said_buffers() {
                        if self.next().is_none() {
                            break;
                        }
                    }
                    self.drop_for(fault);
                    return None;
                }
            },
            // Without mergeable buffers the field means nothing.
            false => 1,
        };

        let len = first.len().saturating_sub(HEADER);
        let mut skb = self.begin(first, len, budget);
        while let Some(more) = K::Memory::next(&mut rest) {
            skb = skb.and_then(|skb| self.append(skb, more));
        }
        if let Some(spare) = K::Memory::spare(rest) {
            // There is room for as many as the ring has.
            let _ = self.spare.push_within_capacity(spare);
        }
        for _ in 1..buffers {
            let Some(used) = self.next() else {
                // They must be there before the first one is said to be used.
                self.count(RxStat::LengthErrors);
                skb?.drop_with(Reason::DeviceHeader);
                return None;
            };
            // Even if there was no memory: the rest of that frame is not the beginning of another.
            if let Some((more, _)) = used.buffer.first(used.written) {
                skb = skb.and_then(|skb| self.append(skb, more));
            }
        }

        let skb = skb?;
        self.average.add(skb.len() + HEADER);
        match raw.check(self.agreed, skb.len()) {
            Ok(said) => self.believe(skb, said),
            Err(fault) => {
                self.drop_for(fault);
                skb.drop_with(Reason::DeviceHeader);
                None
            }
        }
    }

    /// Adds a piece to a frame.
    #[inline]
    fn append(&mut self, mut skb: SkBuff, more: Received) -> Option<SkBuff> {
        let len = more.len();

        match skb.add_frag(more, &mut self.pool, 0, len) {
            Ok(()) => Some(skb),
            Err(_) if len == 0 => {
                self.count(RxStat::LengthErrors);
                skb.drop_with(Reason::DeviceHeader);
                None
            }
            Err(_) => {
                self.count_lost();
                skb.drop_with(Reason::NoMemory);
                None
            }
        }
    }

    /// Makes an skb of the first `len` bytes of a frame: a copy if they are few, which leaves the
    /// buffer to be used again, and else of the buffer itself.
    #[inline]
    fn begin(&mut self, first: Received, len: u32, budget: &mut Budget<'_>) -> Option<SkBuff> {
        if len <= self.copybreak {
            let Some(mut skb) = budget.alloc_skb(len) else {
                self.count_lost();
                return None;
            };
            if first.copy_to(&mut skb, HEADER, len).is_err() {
                return self.drop_short(skb);
            }
            if let Some(buffer) = K::Memory::reuse(first) {
                // There is room for as many as the ring has.
                let _ = self.spare.push_within_capacity(buffer);
            }
            return Some(skb);
        }
        if !first.is_for_packets() {
            return self.begin_large(first, len, budget);
        }
        match first.into_skb(&mut self.pool, budget, HEADER, len) {
            Ok(skb) => Some(skb),
            Err(_) => {
                self.count_lost();
                None
            }
        }
    }

    /// The same, of a buffer that has no room for a packet to be built around it: the headers are
    /// copied, and the rest is a fragment.
    #[inline]
    fn begin_large(
        &mut self,
        first: Received,
        len: u32,
        budget: &mut Budget<'_>,
    ) -> Option<SkBuff> {
        let copied = len.min(HEADERS);
        let Some(mut skb) = budget.alloc_skb(copied) else {
            self.count_lost();
            return None;
        };

        if first.copy_to(&mut skb, HEADER, copied).is_err() {
            return self.drop_short(skb);
        }
        if copied < len
            && skb
                .add_frag(first, &mut self.pool, HEADER + copied, len - copied)
                .is_err()
        {
            self.count_lost();
            skb.drop_with(Reason::NoMemory);
            return None;
        }
        Some(skb)
    }

    /// Drops a frame of which the device has written less than it said.
    #[cold]
    fn drop_short(&self, skb: SkBuff) -> Option<SkBuff> {
        self.count(RxStat::LengthErrors);
        skb.drop_with(Reason::DeviceHeader);
        None
    }

    /// Tells the stack what the device said of a frame; one of which it can't be true is dropped.
    #[inline]
    fn believe(&self, mut skb: SkBuff, said: header::Received) -> Option<SkBuff> {
        match said.checksum {
            Checksum::Unknown => {}
            Checksum::Verified => skb.set_verified(),
            Checksum::Partial(_) => {
                if skb.set_offload(&offload::of_received(said)).is_err() {
                    self.count(RxStat::FrameErrors);
                    skb.drop_with(Reason::DeviceHeader);
                    return None;
                }
            }
        }
        Some(skb)
    }

    /// Drops a frame for what its header says.
    #[cold]
    fn drop_for(&self, fault: Fault) {
        self.count(match fault {
            Fault::Short | Fault::Buffers => RxStat::LengthErrors,
            _ => RxStat::FrameErrors,
        });
        self.desk.say(fault);
    }

    /// The device broke the rules, which the log says: it is reset.
    #[cold]
    fn give_up(&mut self) {
        self.recover.request_all();
    }

    /// The ring, for who resets it.
    pub(crate) fn ring(&mut self) -> &mut QueueOf<K::Rings, K::Memory> {
        &mut self.ring
    }
}

impl<K: Kind> Poller for Receiver<K> {
    #[inline]
    fn poll(&mut self, budget: &mut Budget<'_>, ctx: SoftIrq<'_>) -> Next {
        self.sibling.complete(budget, ctx);
        let next = loop {
            if budget.left() == 0 {
                break Next::Again;
            }
            let Some(used) = self.next() else {
                if self.ring.poisoned().is_some() {
                    self.give_up();
                }
                break Next::Done;
            };
            let Some(credit) = budget.take() else {
                break Next::Again;
            };
            if let Some(skb) = self.assemble(used, budget) {
                budget.receive(credit, skb);
            }
        };

        if self.ring.free() > self.slack {
            self.refill(budget);
        }
        next
    }

    fn netpoll(&mut self, ctx: SoftIrq<'_>) {
        self.sibling.netpoll(ctx);
    }

    fn mask(&mut self) {
        self.ring.disable_cb();
    }

    fn unmask(&mut self) -> bool {
        self.ring.enable_cb()
    }
}
