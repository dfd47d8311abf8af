// SPDX-License-Identifier: GPL-2.0

//! The split virtqueue: section 2.7.
//!
//! # Whose is what
//!
//! The descriptor table, the available ring and the indirect tables are written and never read. Of
//! the used ring two things are read: its index, once a batch, and each of its elements, once. All
//! else that is known is in [`SplitScheme`], [`Books`] and [`Slot`]s, which the device can't see.
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

use super::{
    books::{
        Books,
        Element, //
    },
    chain::{
        AddError,
        Buffer, //
    },
    chain_writer::{
        self,
        Chain, //
    },
    generic::Ring,
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
    scheme::{
        Scheme,
        Written, //
    },
    slot::Slot, //
};

/// A split virtqueue over the shared memory `M`, with its books in `S`.
pub type Split<M, S> = Ring<SplitScheme<M>, S>;

/// How a split virtqueue works.
///
/// # Invariants
///
/// - `mask` is `layout.size()` less one.
/// - The free descriptors are on a list, and all others in the chains of the buffers that the device
///   has. If these are used in order, each descriptor is followed by the next one in the table, and
///   `oldest` is the head of the first of those chains.
/// - `seen` is `last_used` or beyond it, by not more than there are buffers in flight: as many elements
///   of the used ring were there when it was read, and are not taken yet. Before the buffer that is
///   taken with others there are not more than those.
pub struct SplitScheme<M> {
    memory: M,
    layout: Layout,
    mask: u16,

    /// The available index.
    available: u16,

    /// The index in the used ring up to which buffers were taken.
    last_used: u16,
    /// The used index that was read last.
    seen: u16,
    /// If buffers are used in order: the head of the first chain that the device has.
    oldest: u16,
    /// The element of the used ring for which the device was asked to interrupt.
    armed: u16,
}

impl<M: Memory> SplitScheme<M> {
    /// Returns how many elements of the used ring there are that were not taken yet, as the device
    /// says.
    #[inline]
    fn ready(&self) -> u16 {
        self.memory.used_index().wrapping_sub(self.last_used)
    }

    /// Looks for new elements in the used ring, and returns whether there are any. If not, the
    /// device interrupts for the next one, should callbacks be on.
    #[inline]
    fn look(&mut self, books: &mut Books) -> bool {
        let mut ready = self.ready();
        if ready == 0 && books.is_unarmed() {
            self.arm(books, 0);
            ready = self.ready();
        }
        if ready == 0 {
            return false;
        }

        let to = self.last_used.wrapping_add(ready);
        if ready > books.in_flight {
            books.state.poison(Poison::UsedIndexJump {
                from: self.last_used,
                to,
                in_flight: books.in_flight,
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
    fn element<B>(&mut self, books: &mut Books, slots: &[Slot<B>]) -> Option<Element> {
        let UsedElement { id, len } = self.memory.used(self.last_used & self.mask);
        let size = self.layout.size();
        let slot = slots.get(usize::try_from(id).unwrap_or(usize::MAX));
        // There is a slot for each id below the size.
        let (Some(slot), Ok(id)) = (slot, u16::try_from(id)) else {
            books.state.poison(Poison::IdOutOfRange { id, size });
            return None;
        };

        if let Err(poison) = slot.check(id, len) {
            books.state.poison(poison);
            return None;
        }
        let earlier = slot.order.wrapping_sub(self.last_used);
        let ready = self.seen.wrapping_sub(self.last_used);
        if books.in_order && earlier >= ready {
            books
                .state
                .poison(Poison::OutOfOrder { id, earlier, ready });
            return None;
        }
        Some(Element { id, len })
    }
}

impl<M: Memory> Scheme for SplitScheme<M> {
    type Memory = M;
    type Layout = Layout;
    type Place = Chain;

    fn new(memory: M, layout: Layout) -> Self {
        // INVARIANT: Nothing is in flight, or was used.
        Self {
            memory,
            layout,
            // The invariant of `Layout`: it is not 0.
            mask: layout.size().wrapping_sub(1),
            available: 0,
            last_used: 0,
            seen: 0,
            oldest: 0,
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

    fn begin(&mut self, _books: &mut Books) {
        // INVARIANT: As in `new`. Zeroes ask for an interrupt a buffer.
        self.available = 0;
        self.last_used = 0;
        self.seen = 0;
        self.oldest = 0;
        self.armed = 0;
    }

    fn clear(&mut self) {
        self.memory.clear();
    }

    #[inline(always)]
    fn write<B: Buffer>(
        &mut self,
        books: &Books,
        slots: &[Slot<B>],
        buffer: &B,
    ) -> Result<Written<Chain>, AddError> {
        chain_writer::write(
            &mut self.memory,
            slots,
            self.layout,
            books.free_head,
            books.free,
            buffer,
        )
    }

    #[inline]
    fn claim<B>(&self, slot: &mut Slot<B>, place: &Chain) -> u16 {
        slot.last = place.last;
        slot.order = self.available;
        place.next
    }

    #[inline]
    fn publish(&mut self, written: &Written<Chain>) -> u16 {
        self.memory
            .set_available(self.available & self.mask, written.id);
        // The device sees all of that before it sees the index.
        self.memory.write_barrier();
        self.available = self.available.wrapping_add(1);
        self.memory.set_available_index(self.available);
        1
    }

    #[inline]
    fn next<B>(&mut self, books: &mut Books, slots: &[Slot<B>]) -> Option<Element> {
        if self.seen == self.last_used && !self.look(books) {
            return None;
        }
        self.element(books, slots)
    }

    #[inline]
    fn oldest(&self) -> u16 {
        self.oldest
    }

    #[inline]
    fn release<B>(
        &mut self,
        books: &mut Books,
        slots: &mut [Slot<B>],
        id: u16,
        last: u16,
        count: u16,
    ) {
        if books.in_order {
            // INVARIANT: The list ends before the chain, which is linked to it as the table is.
            self.oldest = id.wrapping_add(count) & self.mask;
        } else {
            // INVARIANT: The chain goes to the front of the free list as it is: its descriptors are
            // still linked, from `id` to `last`.
            if let Some(slot) = slots.get_mut(usize::from(last)) {
                slot.next = books.free_head;
            }
            books.free_head = id;
        }
        books.passed |= self.last_used == self.armed;
        self.last_used = self.last_used.wrapping_add(1);
    }

    #[inline]
    fn has_used(&self, _books: &Books) -> bool {
        self.ready() != 0
    }

    #[inline]
    fn outstanding(&self, books: &Books) -> u16 {
        books.in_flight
    }

    #[inline]
    fn is_in_time(&self, _books: &Books, after: u16) -> bool {
        self.ready() <= after
    }

    #[inline]
    fn ask(&mut self, books: &Books, after: u16) {
        if books.event_idx {
            self.armed = self.last_used.wrapping_add(after);
            self.memory.set_used_event(self.armed);
        } else if !books.callbacks {
            self.memory.set_available_flags(0);
        }
    }

    #[inline]
    fn mute(&mut self, books: &Books) {
        if books.event_idx {
            // The index is as far from there as it can be. The flags must stay 0 (section 2.7.7.1).
            self.memory.set_used_event(self.last_used.wrapping_sub(1));
        } else {
            self.memory.set_available_flags(NO_INTERRUPT);
        }
    }

    #[inline]
    fn wants_kick(&self, books: &Books, steps: u16) -> bool {
        if books.event_idx {
            // So many that the index may have come round: nobody can tell what was passed.
            steps == u16::MAX
                || need_event(
                    self.memory.available_event(),
                    self.available,
                    self.available.wrapping_sub(steps),
                )
        } else {
            self.memory.used_flags() & NO_NOTIFY == 0
        }
    }

    #[inline]
    fn position(&self) -> u16 {
        self.available
    }

    fn is_fresh(&self, books: &Books) -> bool {
        // If 2^16 buffers came back, the indices are where they were, too.
        self.last_used == 0 && self.available == books.in_flight
    }

    #[inline]
    fn full_barrier(&self) {
        self.memory.full_barrier();
    }
}
