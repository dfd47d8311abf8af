// SPDX-License-Identifier: GPL-2.0

//! The packed virtqueue: section 2.8.
//!
//! # Whose is what
//!
//! There is one ring of descriptors, which both sides write: the driver a buffer that it makes
//! available, the device over it, in the order in which it uses them, which buffer it is done with.
//! Of what the device may write, the flags of the next descriptor to be used are read to find out
//! whether it is, and then its number and length, once each. All else that is known is in [`Packed`]
//! and its [`Slot`]s, which the device can't see: how many descriptors a buffer takes, too.
//!
//! Of a used descriptor's flags only the two bits count that say that it is used. `WRITE`, which a
//! device should set if it wrote anything, is not set by those there are; a length is not believed
//! without being compared anyway.
//!
//! # In order
//!
//! With `VIRTIO_F_IN_ORDER` the number of a buffer is the place of its first descriptor, and one used
//! descriptor may stand for all buffers up to the one that it names. Those before it are taken for
//! completely written (section 2.8.11), and are returned one with each call.
//!
//! # Order of memory accesses
//!
//! | before | barrier | after | in |
//! | --- | --- | --- | --- |
//! | all else of the buffer written | write | flags of the first descriptor written | `add` |
//! | those flags written | full | device's event structure read | `kick_needed` |
//! | flags of the used descriptor read | read | its number and length read | `get_used` |
//! | position of the event written | write | flags of the event structure written | `enable_cb` |
//! | event structure written | full | flags of the next descriptor read | `get_used`, `enable_cb` |

use core::ops::DerefMut;

use super::{
    chain::{
        AddError,
        Buffer,
        Refused,
        Used, //
    },
    layout::{
        need_event,
        PackedLayout, //
    },
    packed_memory::{
        PackedMemory,
        UsedDescriptor,
        AVAIL,
        EVENT_DESC,
        EVENT_DISABLE,
        EVENT_ENABLE,
        USED, //
    },
    packed_writer::{
        Cursor,
        PackedWriter, //
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

/// A packed virtqueue over the shared memory `M`, with its books in `S`, which is memory for one
/// [`Slot`] a buffer number; there are as many of those as descriptors.
///
/// # Invariants
///
/// - `layout.size()` is the number of slots.
/// - From `used` on, the ring has the descriptors of the `in_flight` buffers that the device has, and
///   from `available` on the `free` ones.
/// - If `in_order`, the number of each buffer in flight is the place of its first descriptor; else
///   the numbers that are not in flight are on a list that starts at `free_head`.
/// - `batch` is a buffer in flight, and [`None`] unless `in_order`.
pub struct Packed<M, S> {
    memory: M,
    slots: S,
    layout: PackedLayout,

    free_head: u16,
    free: u16,
    in_flight: u16,

    /// The next descriptor to be made available.
    available: Cursor,
    /// How many descriptors were made available since the last notification was decided on; it does
    /// not wrap.
    unkicked: u16,

    /// The next descriptor that the device uses.
    used: Cursor,
    /// The used descriptor that is being taken, for this buffer and all before it.
    batch: Option<UsedDescriptor>,
    /// How far beyond `used` the descriptor is for which the device was asked to interrupt.
    armed: u16,
    /// Whether that one was taken.
    passed: bool,

    event_idx: bool,
    in_order: bool,
    callbacks: bool,
    state: State,
}

impl<M, S, B> Packed<M, S>
where
    M: PackedMemory,
    S: DerefMut<Target = [Slot<B>]>,
{
    /// Makes a queue of `layout` that is live and has all descriptors free; callbacks are on.
    ///
    /// `memory` is for that layout, and zeroed. `event_idx` is whether `VIRTIO_F_EVENT_IDX` was
    /// negotiated, `in_order` whether `VIRTIO_F_IN_ORDER` was. [`None`] unless there is a slot for
    /// each descriptor.
    pub fn new(
        memory: M,
        slots: S,
        layout: PackedLayout,
        event_idx: bool,
        in_order: bool,
    ) -> Option<Self> {
        if slots.len() != usize::from(layout.size()) {
            return None;
        }

        let mut packed = Self {
            memory,
            slots,
            layout,
            free_head: 0,
            free: 0,
            in_flight: 0,
            available: Cursor::START,
            unkicked: 0,
            used: Cursor::START,
            batch: None,
            armed: 0,
            passed: false,
            event_idx,
            in_order,
            callbacks: true,
            state: State::Live,
        };
        packed.begin();
        Some(packed)
    }

    /// Returns the shared memory.
    pub fn memory(&self) -> &M {
        &self.memory
    }

    /// Makes a queue whose memory is zeroed, and in which no buffer is, what it is when it is new.
    fn begin(&mut self) {
        let mut next = 0u16;

        for slot in self.slots.iter_mut() {
            next = next.wrapping_add(1);
            slot.next = next;
        }
        self.free_head = 0;
        self.free = self.layout.size();
        self.available = Cursor::START;
        self.unkicked = 0;
        self.used = Cursor::START;
        self.batch = None;
        // Zeroes ask for an interrupt a buffer.
        self.callbacks = !self.event_idx;
        self.arm(0);
        self.state = State::Live;
    }

    /// Returns whether the device says that it has used the next descriptor.
    #[inline]
    fn is_used(&self) -> bool {
        self.is_used_at(self.used)
    }

    /// Returns whether the device says that it has used the descriptor at `place`.
    #[inline]
    fn is_used_at(&self, place: Cursor) -> bool {
        (self.memory.flags(place.at) ^ place.used()) & (AVAIL | USED) == 0
    }

    /// Returns how many descriptors the device has.
    #[inline]
    fn outstanding(&self) -> u16 {
        self.layout.size().wrapping_sub(self.free)
    }

    /// Looks for a used descriptor, and returns it if it names a buffer in flight. If there is none,
    /// the device interrupts for the next one, should callbacks be on.
    #[inline]
    fn look(&mut self) -> Option<UsedDescriptor> {
        if !self.is_used() {
            if !(self.callbacks && self.event_idx && self.passed) {
                return None;
            }
            self.arm(0);
            if !self.is_used() {
                return None;
            }
        }

        // The flags were written last.
        self.memory.read_barrier();
        let used = self.memory.used(self.used.at);
        let UsedDescriptor { id, len } = used;
        let Some(slot) = self.slots.get(usize::from(id)) else {
            let size = self.layout.size();
            self.state.poison(Poison::IdOutOfRange {
                id: id.into(),
                size,
            });
            return None;
        };
        if let Err(poison) = slot.check(id, len) {
            self.state.poison(poison);
            return None;
        }
        Some(used)
    }

    /// Asks the device to interrupt for the descriptor that is `after` those that were taken, and
    /// makes sure that whatever it used without knowing of this is seen from now on.
    #[inline]
    fn arm(&mut self, after: u16) {
        if self.event_idx {
            self.armed = after;
            self.passed = false;
            let position = self.used.plus(after, self.layout).position();
            self.memory.set_driver_position(position);
            if !self.callbacks {
                self.memory.write_barrier();
                self.memory.set_driver_flags(EVENT_DESC);
            }
        } else if !self.callbacks {
            self.memory.set_driver_flags(EVENT_ENABLE);
        }
        self.callbacks = true;
        self.memory.full_barrier();
    }
}

impl<M, S, B> Virtqueue<B> for Packed<M, S>
where
    M: PackedMemory,
    S: DerefMut<Target = [Slot<B>]>,
    B: Buffer,
{
    #[inline]
    fn add(&mut self, buffer: B) -> Result<(), Refused<B>> {
        let head = self.available;
        let id = if self.in_order {
            head.at
        } else {
            self.free_head
        };
        let written = self.state.accepts().and_then(|()| {
            PackedWriter::write(&mut self.memory, self.layout, id, head, self.free, &buffer)
        });
        let written = match written {
            Ok(written) => written,
            Err(why) => return Err(Refused { buffer, why }),
        };
        // By the type invariant there is such a slot: a buffer takes one descriptor or more, so
        // while one is free a number is.
        let Some(slot) = self.slots.get_mut(usize::from(id)) else {
            return Err(Refused {
                buffer,
                why: AddError::Full,
            });
        };

        // INVARIANT: The number leaves the list; the first `count` free descriptors are the buffer's.
        self.free_head = slot.next;
        slot.count = written.count;
        slot.limit = written.limit;
        slot.buffer = Some(buffer);
        self.free = self.free.wrapping_sub(written.count);
        self.in_flight = self.in_flight.wrapping_add(1);

        // The device sees all of that before it sees that the first descriptor is available.
        self.memory.write_barrier();
        self.memory.set_flags(head.at, written.flags);
        self.available = head.plus(written.count, self.layout);
        self.unkicked = self.unkicked.saturating_add(written.count);
        Ok(())
    }

    #[inline]
    fn get_used(&mut self) -> Option<Used<B>> {
        if !self.state.is_live() {
            return None;
        }
        let used = match self.batch.take() {
            Some(batch) => batch,
            None => self.look()?,
        };

        let mut id = used.id;
        let mut len = used.len;
        if self.in_order && id != self.used.at {
            // INVARIANT: It is in flight, and what is returned is another one.
            self.batch = Some(used);
            id = self.used.at;
            len = u32::MAX;
        }
        // By the type invariant there are both: the oldest buffer, or the one that was looked at.
        let slot = self.slots.get_mut(usize::from(id))?;
        let buffer = slot.buffer.take()?;
        let written = len.min(slot.limit);

        // INVARIANT: The buffer's descriptors are free, whose place in the ring is where the device
        // says that it has used it; and so is its number.
        let count = slot.count;
        slot.next = self.free_head;
        self.free_head = id;
        self.free = self.free.wrapping_add(count);
        self.in_flight = self.in_flight.wrapping_sub(1);
        self.used = self.used.plus(count, self.layout);
        match self.armed.checked_sub(count) {
            Some(armed) if !self.passed => self.armed = armed,
            _ => self.passed = true,
        }
        Some(Used { buffer, written })
    }

    #[inline]
    fn has_used(&self) -> bool {
        self.state.is_live() && (self.batch.is_some() || self.is_used())
    }

    #[inline]
    fn kick_needed(&mut self) -> bool {
        if self.unkicked == 0 || !self.state.is_live() {
            return false;
        }

        // The device sees the flags before we look whether it sleeps.
        self.memory.full_barrier();
        let unkicked = core::mem::replace(&mut self.unkicked, 0);
        let size = self.layout.size();
        let event = self.memory.device_event();
        match event.flags & (EVENT_DISABLE | EVENT_DESC) {
            EVENT_DISABLE => false,
            // So many that any place was passed, and nobody can tell which.
            EVENT_DESC if self.event_idx && unkicked < size => {
                let wrap = event.position >> 15 != 0;
                let mut at = event.position & !(1 << 15);
                if wrap != self.available.wrap {
                    // It is in the round before.
                    at = at.wrapping_sub(size);
                }
                need_event(
                    at,
                    self.available.at,
                    self.available.at.wrapping_sub(unkicked),
                )
            }
            _ => true,
        }
    }

    #[inline]
    fn position(&self) -> u16 {
        self.available.position()
    }

    #[inline]
    fn disable_cb(&mut self) {
        if self.callbacks {
            self.callbacks = false;
            self.memory.set_driver_flags(EVENT_DISABLE);
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
        let after = ((u32::from(self.outstanding()) * 3) >> 2) as u16;

        self.arm(after);
        // If there is a used descriptor for each, that place says whether the device was there before
        // it was asked. Else only the next one says whether it was anywhere.
        if self.event_idx && !self.in_order && self.outstanding() == self.in_flight {
            let there = self.used.plus(after, self.layout);

            // Of a device that has passed others, too, the next one is there to take.
            !(self.has_used() && self.is_used_at(there))
        } else {
            !self.has_used()
        }
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
        // Nothing came back yet. If the ring was gone round twice, all is where it was, too.
        self.state.is_live()
            && self.batch.is_none()
            && self.used == Cursor::START
            && self.available == Cursor::START.plus(self.outstanding(), self.layout)
            // The device wrote over what was made available, and would not find it.
            && !self.is_used()
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
        self.begin();
        true
    }
}
