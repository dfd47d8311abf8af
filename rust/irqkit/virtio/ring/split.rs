// SPDX-License-Identifier: GPL-2.0

//! The split virtqueue: section 2.7.
//!
//! # Whose is what
//!
//! The descriptor table, the available ring and the indirect tables are written and never read. Of
//! the used ring two things are read: its index, once a batch, and each of its elements, once. All
//! else that is known is in [`Split`] and its [`Slot`]s, which the device can't see.
//!
//! # In order
//!
//! With `VIRTIO_F_IN_ORDER` descriptors are taken in the order in which they lie in the table, and
//! one element of the used ring may stand for all buffers up to the one that it names; it is where
//! that of the first would be. Those before it are taken for completely written (section 2.7.9), and
//! are returned one with each call.
//!
//! # Order of memory accesses
//!
//! | before | barrier | after | in |
//! | --- | --- | --- | --- |
//! | descriptors and the entry written | write | available index written | `add` |
//! | available index written | full | `avail_event` or flags read | `kick_needed` |
//! | used index read | read | used element read | `get_used` |
//! | `used_event` or flags written | full | used index read | `get_used`, `enable_cb` |
//!
//! The second and the fourth are the two halves of the race that each side must not lose: it says
//! that it goes to sleep, then looks once more.

use core::ops::DerefMut;

use super::{
    chain::{
        AddError,
        Buffer,
        Refused,
        Used, //
    },
    chain_writer::ChainWriter,
    layout::{
        need_event,
        Layout, //
    },
    memory::{
        Memory,
        UsedElement,
        NO_INTERRUPT,
        NO_NOTIFY, //
    },
    poison::Poison,
    slot::{
        self,
        Slot, //
    },
    virtqueue::{
        State,
        Virtqueue, //
    }, //
};

/// A split virtqueue over the shared memory `M`, with its books in `S`, which is memory for one
/// [`Slot`] a descriptor.
///
/// # Invariants
///
/// - `layout.size()` is the number of slots, and `mask` is one less.
/// - `free` descriptors are on a list that starts at `free_head`, and all others in the chains of
///   the `in_flight` buffers that the device has. If `in_order`, each descriptor is followed by the
///   next one in the table, and `oldest` is the head of the first of those chains.
/// - `batch` is a buffer in flight, of which there are not more before it than `seen` is beyond
///   `last_used`; and [`None`] unless `in_order`.
/// - `seen` is `last_used` or up to `in_flight` beyond it: as many elements of the used ring were
///   there when it was read, and are not taken yet.
pub struct Split<M, S> {
    memory: M,
    slots: S,
    layout: Layout,
    mask: u16,

    free_head: u16,
    free: u16,
    in_flight: u16,

    /// The available index.
    available: u16,
    /// How many buffers were added since the last notification was decided on; it does not wrap.
    unkicked: u16,

    /// The index in the used ring up to which buffers were taken.
    last_used: u16,
    /// The used index that was read last.
    seen: u16,
    /// With `in_order`: the head of the first chain that the device has.
    oldest: u16,
    /// The element that is being taken, for this buffer and all before it.
    batch: Option<Element>,
    /// The element of the used ring for which the device was asked to interrupt.
    armed: u16,
    /// Whether that one was taken. The indices can't tell: after 2^15 more they wrap.
    passed: bool,

    event_idx: bool,
    in_order: bool,
    callbacks: bool,
    state: State,
}

/// An element of the used ring that names a buffer in flight.
#[derive(Clone, Copy)]
struct Element {
    id: u16,
    len: u32,
}

impl<M, S, B> Split<M, S>
where
    M: Memory,
    S: DerefMut<Target = [Slot<B>]>,
{
    /// Makes a queue of `layout` that is live and has all descriptors free; callbacks are on.
    ///
    /// `memory` is for that layout, and the rings in it are zeroed. `event_idx` is whether
    /// `VIRTIO_F_EVENT_IDX` was negotiated, `in_order` whether `VIRTIO_F_IN_ORDER` was. [`None`]
    /// unless there is a slot for each descriptor.
    pub fn new(
        memory: M,
        slots: S,
        layout: Layout,
        event_idx: bool,
        in_order: bool,
    ) -> Option<Self> {
        if slots.len() != usize::from(layout.size()) {
            return None;
        }

        let mut split = Self {
            memory,
            slots,
            layout,
            // The invariant of `Layout`: it is not 0.
            mask: layout.size().wrapping_sub(1),
            free_head: 0,
            free: 0,
            in_flight: 0,
            available: 0,
            unkicked: 0,
            last_used: 0,
            seen: 0,
            oldest: 0,
            batch: None,
            armed: 0,
            passed: false,
            event_idx,
            in_order,
            callbacks: true,
            state: State::Live,
        };
        split.link();
        Some(split)
    }

    /// Returns the shared memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Puts all descriptors on the free list. No buffer is in flight.
    fn link(&mut self) {
        let mut next = 0u16;

        for slot in self.slots.iter_mut() {
            next = next.wrapping_add(1);
            slot.next = next & self.mask;
        }
        self.free_head = 0;
        self.free = self.layout.size();
    }

    /// Returns how many elements of the used ring there are that were not taken yet, as the device
    /// says.
    #[inline]
    fn ready(&self) -> u16 {
        self.memory.used_index().wrapping_sub(self.last_used)
    }

    /// Looks for new elements in the used ring, and returns whether there are any. If not, the
    /// device interrupts for the next one, should callbacks be on.
    #[inline]
    fn look(&mut self) -> bool {
        let mut ready = self.ready();
        if ready == 0 && self.is_unarmed() {
            self.arm(0);
            ready = self.ready();
        }
        if ready == 0 {
            return false;
        }

        let to = self.last_used.wrapping_add(ready);
        if ready > self.in_flight {
            self.state.poison(Poison::UsedIndexJump {
                from: self.last_used,
                to,
                in_flight: self.in_flight,
            });
            return false;
        }

        // The elements were written before the index was.
        self.memory.read_barrier();
        // INVARIANT: It is beyond `last_used` by no more than what is in flight.
        self.seen = to;
        true
    }

    /// Reads the next element of the used ring, which is there, and returns it if it names a buffer
    /// in flight.
    #[inline]
    fn element(&mut self) -> Option<Element> {
        let UsedElement { id, len } = self.memory.used(self.last_used & self.mask);
        let size = self.layout.size();
        let slot = self.slots.get(usize::try_from(id).unwrap_or(usize::MAX));
        // By the type invariant there is a slot for each id below the size.
        let (Some(slot), Ok(id)) = (slot, u16::try_from(id)) else {
            self.state.poison(Poison::IdOutOfRange { id, size });
            return None;
        };

        if let Err(poison) = slot.check(id, len) {
            self.state.poison(poison);
            return None;
        }
        let earlier = slot.order.wrapping_sub(self.last_used);
        let ready = self.seen.wrapping_sub(self.last_used);
        if self.in_order && earlier >= ready {
            self.state.poison(Poison::OutOfOrder { id, earlier, ready });
            return None;
        }
        Some(Element { id, len })
    }

    /// Returns whether callbacks are on, but the device interrupts for nothing that is to come.
    #[inline]
    fn is_unarmed(&self) -> bool {
        self.callbacks && self.event_idx && self.passed
    }

    /// Asks the device to interrupt for the element of the used ring that is `after` those that were
    /// taken, and makes sure that whatever it used without knowing of this is seen from now on.
    #[inline]
    fn arm(&mut self, after: u16) {
        if self.event_idx {
            self.armed = self.last_used.wrapping_add(after);
            self.passed = false;
            self.memory.set_used_event(self.armed);
        } else if !self.callbacks {
            self.memory.set_available_flags(0);
        }
        self.callbacks = true;
        self.memory.full_barrier();
    }
}

impl<M, S, B> Virtqueue<B> for Split<M, S>
where
    M: Memory,
    S: DerefMut<Target = [Slot<B>]>,
    B: Buffer,
{
    #[inline]
    fn add(&mut self, buffer: B) -> Result<(), Refused<B>> {
        let written = self.state.accepts().and_then(|()| {
            ChainWriter::write(
                &mut self.memory,
                &self.slots,
                self.layout,
                self.free_head,
                self.free,
                &buffer,
            )
        });
        let written = match written {
            Ok(written) => written,
            Err(why) => return Err(Refused { buffer, why }),
        };
        // By the type invariant there is such a slot: the head of the free list, which is not empty.
        let Some(slot) = self.slots.get_mut(usize::from(written.head)) else {
            return Err(Refused {
                buffer,
                why: AddError::Full,
            });
        };

        // INVARIANT: The chain is the first `count` descriptors of the free list, and leaves it.
        slot.last = written.last;
        slot.count = written.count;
        slot.order = self.available;
        slot.limit = written.limit;
        slot.buffer = Some(buffer);
        self.free_head = written.next;
        self.free = self.free.wrapping_sub(written.count);
        self.in_flight = self.in_flight.wrapping_add(1);

        self.memory
            .set_available(self.available & self.mask, written.head);
        // The device sees all of that before it sees the index.
        self.memory.write_barrier();
        self.available = self.available.wrapping_add(1);
        self.memory.set_available_index(self.available);
        self.unkicked = self.unkicked.saturating_add(1);
        Ok(())
    }

    #[inline]
    fn get_used(&mut self) -> Option<Used<B>> {
        if !self.state.is_live() || (self.seen == self.last_used && !self.look()) {
            return None;
        }

        let element = match self.batch.take() {
            Some(batch) => batch,
            None => self.element()?,
        };

        let Element { mut id, mut len } = element;
        if self.in_order && id != self.oldest {
            // INVARIANT: It is in flight, and what is returned is another one.
            self.batch = Some(element);
            id = self.oldest;
            len = u32::MAX;
        }
        // By the type invariant there are both: the oldest buffer, or the one that was looked at.
        let slot = self.slots.get_mut(usize::from(id))?;
        let buffer = slot.buffer.take()?;
        let written = len.min(slot.limit);

        let (last, count) = (slot.last, slot.count);
        if self.in_order {
            // INVARIANT: The list ends before the chain, which is linked to it as the table is.
            self.oldest = id.wrapping_add(count) & self.mask;
        } else {
            // INVARIANT: The chain goes to the front of the free list as it is: its descriptors are
            // still linked, from `id` to `last`.
            if let Some(slot) = self.slots.get_mut(usize::from(last)) {
                slot.next = self.free_head;
            }
            self.free_head = id;
        }
        self.free = self.free.wrapping_add(count);
        self.in_flight = self.in_flight.wrapping_sub(1);
        self.passed |= self.last_used == self.armed;
        self.last_used = self.last_used.wrapping_add(1);
        Some(Used { buffer, written })
    }

    #[inline]
    fn has_used(&self) -> bool {
        self.state.is_live() && self.ready() != 0
    }

    #[inline]
    fn kick_needed(&mut self) -> bool {
        if self.unkicked == 0 || !self.state.is_live() {
            return false;
        }

        // The device sees the index before we look whether it sleeps.
        self.memory.full_barrier();
        let unkicked = core::mem::replace(&mut self.unkicked, 0);
        if self.event_idx {
            // So many that the index may have come round: nobody can tell what was passed.
            unkicked == u16::MAX
                || need_event(
                    self.memory.available_event(),
                    self.available,
                    self.available.wrapping_sub(unkicked),
                )
        } else {
            self.memory.used_flags() & NO_NOTIFY == 0
        }
    }

    #[inline]
    fn position(&self) -> u16 {
        self.available
    }

    #[inline]
    fn disable_cb(&mut self) {
        if !self.callbacks {
            return;
        }
        self.callbacks = false;
        if self.event_idx {
            // The index is as far from there as it can be. The flags must stay 0 (section 2.7.7.1).
            self.memory.set_used_event(self.last_used.wrapping_sub(1));
        } else {
            self.memory.set_available_flags(NO_INTERRUPT);
        }
    }

    #[inline]
    fn enable_cb(&mut self) -> bool {
        self.arm(0);
        !self.has_used()
    }

    #[inline]
    fn enable_cb_delayed(&mut self) -> bool {
        // CAST: No loss, three quarters of a `u16`.
        let after = ((u32::from(self.in_flight) * 3) >> 2) as u16;

        self.arm(after);
        !self.state.is_live() || self.ready() <= after
    }

    fn poisoned(&self) -> Option<Poison> {
        self.state.poisoned()
    }

    fn give_up(&mut self) {
        self.state.poison(Poison::DeviceFailed);
    }

    #[inline]
    fn free(&self) -> u16 {
        self.free
    }

    #[inline]
    fn in_flight(&self) -> u16 {
        self.in_flight
    }

    #[inline]
    fn size(&self) -> u16 {
        self.layout.size()
    }

    fn is_fresh(&self) -> bool {
        // Nothing came back yet. If 2^16 buffers did, the indices are where they were, too.
        self.state.is_live() && self.last_used == 0 && self.available == self.in_flight
    }

    fn stop(&mut self) {
        self.batch = None;
        self.state = State::Stopped;
    }

    fn take(&mut self, from: usize) -> Option<(B, usize)> {
        if self.state != State::Stopped {
            return None;
        }

        let taken = slot::take(&mut self.slots, from)?;

        self.in_flight = self.in_flight.wrapping_sub(1);
        Some(taken)
    }

    fn restart(&mut self) -> bool {
        if self.state != State::Stopped || self.in_flight != 0 {
            return false;
        }

        self.memory.clear();
        self.link();
        self.available = 0;
        self.unkicked = 0;
        self.last_used = 0;
        self.seen = 0;
        self.oldest = 0;
        self.armed = 0;
        self.passed = false;
        self.callbacks = true;
        self.state = State::Live;
        true
    }
}
