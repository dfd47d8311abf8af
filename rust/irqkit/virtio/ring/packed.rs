// SPDX-License-Identifier: GPL-2.0

//! The packed virtqueue: section 2.8.
//!
//! # Whose is what
//!
//! There is one ring of descriptors, which both sides write: the driver a buffer that it makes
//! available, the device over it, in the order in which it uses them, which buffer it is done with.
//! Of what the device may write, the flags of the next descriptor to be used are read to find out
//! whether it is, and then its number and length, once each. All else that is known is in
//! [`PackedScheme`], [`Books`] and [`Slot`]s, which the device can't see: how many descriptors a buffer takes, too.
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

use super::{
    books::{
        Books,
        Element, //
    },
    chain::{
        AddError,
        Buffer, //
    },
    cursor::Cursor,
    generic::Ring,
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
        self,
        First, //
    },
    poison::Poison,
    scheme::{
        Scheme,
        Written, //
    },
    slot::Slot, //
};

/// A packed virtqueue over the shared memory `M`, with its books in `S`.
pub type Packed<M, S> = Ring<PackedScheme<M>, S>;

/// How a packed virtqueue works.
///
/// # Invariants
///
/// - From `used` on, the ring has the descriptors of the buffers that the device has, and from
///   `available` on the free ones.
/// - If buffers are used in order, the number of each in flight is the place of its first descriptor;
///   else the numbers that are not in flight are on the list of free ones.
pub struct PackedScheme<M> {
    memory: M,
    layout: PackedLayout,

    /// The next descriptor to be made available.
    available: Cursor,
    /// The next descriptor that the device uses.
    used: Cursor,
    /// How far beyond `used` the descriptor is for which the device was asked to interrupt.
    armed: u16,
}

impl<M: PackedMemory> PackedScheme<M> {
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
}

impl<M: PackedMemory> Scheme for PackedScheme<M> {
    type Memory = M;
    type Layout = PackedLayout;
    type Place = First;

    fn new(memory: M, layout: PackedLayout) -> Self {
        // INVARIANT: Nothing is in flight, or was used.
        Self {
            memory,
            layout,
            available: Cursor::START,
            used: Cursor::START,
            armed: 0,
        }
    }

    fn memory(&self) -> &M {
        &self.memory
    }

    #[inline]
    fn size(&self) -> u16 {
        self.layout.size()
    }

    fn begin(&mut self, books: &mut Books) {
        // INVARIANT: As in `new`.
        self.available = Cursor::START;
        self.used = Cursor::START;
        // Zeroes ask for an interrupt a buffer.
        books.callbacks = !books.event_idx;
        self.arm(books, 0);
    }

    fn clear(&mut self) {
        self.memory.clear();
    }

    #[inline(always)]
    fn write<B: Buffer>(
        &mut self,
        books: &Books,
        _slots: &[Slot<B>],
        buffer: &B,
    ) -> Result<Written<First>, AddError> {
        let head = self.available;
        let id = if books.in_order {
            head.at
        } else {
            books.free_head
        };

        packed_writer::write(&mut self.memory, self.layout, id, head, books.free, buffer)
    }

    #[inline]
    fn claim<B>(&self, slot: &mut Slot<B>, _place: &First) -> u16 {
        slot.next
    }

    #[inline]
    fn publish(&mut self, written: &Written<First>) -> u16 {
        // The device sees all of the buffer before it sees that its first descriptor is available.
        self.memory.write_barrier();
        self.memory
            .set_flags(self.available.at, written.place.flags);
        self.available = self.available.plus(written.count, self.layout);
        written.count
    }

    #[inline]
    fn next<B>(&mut self, books: &mut Books, slots: &[Slot<B>]) -> Option<Element> {
        if !self.is_used() {
            if !books.is_unarmed() {
                return None;
            }
            self.arm(books, 0);
            if !self.is_used() {
                return None;
            }
        }

        // The flags were written last.
        self.memory.read_barrier();
        let UsedDescriptor { id, len } = self.memory.used(self.used.at);
        let Some(slot) = slots.get(usize::from(id)) else {
            books.state.poison(Poison::IdOutOfRange {
                id: id.into(),
                size: self.layout.size(),
            });
            return None;
        };
        if let Err(poison) = slot.check(id, len) {
            books.state.poison(poison);
            return None;
        }
        Some(Element { id, len })
    }

    #[inline]
    fn oldest(&self) -> u16 {
        self.used.at
    }

    #[inline]
    fn release<B>(
        &mut self,
        books: &mut Books,
        slots: &mut [Slot<B>],
        id: u16,
        _last: u16,
        count: u16,
    ) {
        // INVARIANT: The buffer's descriptors are free, whose place in the ring is where the device
        // says that it has used it; and so is its number.
        if let Some(slot) = slots.get_mut(usize::from(id)) {
            slot.next = books.free_head;
        }
        books.free_head = id;
        self.used = self.used.plus(count, self.layout);
        match self.armed.checked_sub(count) {
            Some(armed) if !books.passed => self.armed = armed,
            _ => books.passed = true,
        }
    }

    #[inline]
    fn has_used(&self, books: &Books) -> bool {
        books.batch.is_some() || self.is_used()
    }

    #[inline]
    fn outstanding(&self, books: &Books) -> u16 {
        self.layout.size().wrapping_sub(books.free)
    }

    #[inline]
    fn is_in_time(&self, books: &Books, after: u16) -> bool {
        // If there is a used descriptor for each, that place says whether the device was there before
        // it was asked. Else only the next one says whether it was anywhere.
        if books.event_idx && !books.in_order && self.outstanding(books) == books.in_flight {
            let there = self.used.plus(after, self.layout);

            // Of a device that has passed others, too, the next one is there to take.
            !(self.has_used(books) && self.is_used_at(there))
        } else {
            !self.has_used(books)
        }
    }

    #[inline]
    fn ask(&mut self, books: &Books, after: u16) {
        if books.event_idx {
            self.armed = after;
            let position = self.used.plus(after, self.layout).position();
            self.memory.set_driver_position(position);
            if !books.callbacks {
                self.memory.write_barrier();
                self.memory.set_driver_flags(EVENT_DESC);
            }
        } else if !books.callbacks {
            self.memory.set_driver_flags(EVENT_ENABLE);
        }
    }

    #[inline]
    fn mute(&mut self, _books: &Books) {
        self.memory.set_driver_flags(EVENT_DISABLE);
    }

    #[inline]
    fn wants_kick(&self, books: &Books, steps: u16) -> bool {
        let size = self.layout.size();
        let event = self.memory.device_event();

        match event.flags & (EVENT_DISABLE | EVENT_DESC) {
            EVENT_DISABLE => false,
            // So many that any place was passed, and nobody can tell which.
            EVENT_DESC if books.event_idx && steps < size => {
                let wrap = event.position >> 15 != 0;
                let mut at = event.position & !(1 << 15);
                if wrap != self.available.wrap {
                    // It is in the round before.
                    at = at.wrapping_sub(size);
                }
                need_event(at, self.available.at, self.available.at.wrapping_sub(steps))
            }
            _ => true,
        }
    }

    #[inline]
    fn position(&self) -> u16 {
        self.available.position()
    }

    fn is_fresh(&self, books: &Books) -> bool {
        // If the ring was gone round twice, all is where it was, too.
        self.used == Cursor::START
            && self.available == Cursor::START.plus(self.outstanding(books), self.layout)
            // The device wrote over what was made available, and would not find it.
            && !self.is_used()
    }

    #[inline]
    fn full_barrier(&self) {
        self.memory.full_barrier();
    }
}
