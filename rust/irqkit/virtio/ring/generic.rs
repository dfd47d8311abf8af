// SPDX-License-Identifier: GPL-2.0

//! A virtqueue of either kind.

use core::ops::DerefMut;

use super::{
    books::{
        Books,
        Element,
        State, //
    },
    chain::{
        AddError,
        Buffer,
        Refused,
        Used, //
    },
    poison::Poison,
    scheme::Scheme,
    slot::{
        self,
        Slot, //
    },
    virtqueue::Virtqueue, //
};

/// A virtqueue of the kind `C`, with its books in `S`, which is memory for one [`Slot`] a descriptor.
///
/// # Invariants
///
/// - There are as many slots as the queue has descriptors.
/// - `books.in_flight` slots have a buffer, which the device has; their descriptors and the `books.free`
///   ones are all that there are.
/// - `books.batch` is a buffer in flight, and [`None`] unless `books.in_order`.
pub struct Ring<C, S> {
    scheme: C,
    books: Books,
    slots: S,
}

impl<C, S, B> Ring<C, S>
where
    C: Scheme,
    S: DerefMut<Target = [Slot<B>]>,
{
    /// Makes a queue of `layout` that is live and has all descriptors free; callbacks are on.
    ///
    /// `memory` is for that layout, and zeroed. `event_idx` is whether `VIRTIO_F_EVENT_IDX` was
    /// negotiated, `in_order` whether `VIRTIO_F_IN_ORDER` was. [`None`] unless there is a slot for
    /// each descriptor.
    pub fn new(
        memory: C::Memory,
        slots: S,
        layout: C::Layout,
        event_idx: bool,
        in_order: bool,
    ) -> Option<Self> {
        let scheme = C::new(memory, layout);
        if slots.len() != usize::from(scheme.size()) {
            return None;
        }

        // INVARIANT: Just checked; and no slot has a buffer.
        let mut ring = Self {
            books: Books::new(scheme.size(), event_idx, in_order),
            scheme,
            slots,
        };
        ring.begin();
        Some(ring)
    }

    /// Returns the shared memory.
    pub fn memory(&self) -> &C::Memory {
        self.scheme.memory()
    }

    /// Makes a queue whose memory is zeroed, and in which no buffer is, what it is when it is new.
    fn begin(&mut self) {
        let size = self.scheme.size();
        let Books {
            event_idx,
            in_order,
            ..
        } = self.books;

        // All descriptors, or numbers, are on the list of free ones, in order, the last before the first.
        for (slot, next) in self.slots.iter_mut().zip(1..) {
            slot.next = if next == size { 0 } else { next };
        }
        self.books = Books::new(size, event_idx, in_order);
        self.scheme.begin(&mut self.books);
    }
}

impl<C, S, B> Virtqueue<B> for Ring<C, S>
where
    C: Scheme,
    S: DerefMut<Target = [Slot<B>]>,
    B: Buffer,
{
    // The buffer need not go through memory on its way to its slot.
    #[inline(always)]
    fn add(&mut self, buffer: B) -> Result<(), Refused<B>> {
        let Self {
            scheme,
            books,
            slots,
        } = self;
        if let Some(why) = books.state.refusal() {
            return Err(Refused { buffer, why });
        }
        let written = match scheme.write(books, slots, &buffer) {
            Ok(written) => written,
            Err(why) => return Err(Refused { buffer, why }),
        };
        // By the type invariant there is such a slot, without a buffer: a buffer takes one descriptor or
        // more, so while one is free the head of the list is.
        let Some(slot) = slots
            .get_mut(usize::from(written.id))
            .filter(|slot| slot.buffer.is_none())
        else {
            return Err(Refused {
                buffer,
                why: AddError::Full,
            });
        };

        // INVARIANT: The slot leaves the list, with its `count` descriptors, and has the buffer.
        books.free_head = scheme.claim(slot, &written.place);
        slot.count = written.count;
        slot.limit = written.limit;
        // There is nothing to be dropped, which the compiler does not see.
        core::mem::forget(slot.buffer.replace(buffer));
        books.free = books.free.wrapping_sub(written.count);
        books.in_flight = books.in_flight.wrapping_add(1);

        let steps = scheme.publish(&written);
        books.unkicked = books.unkicked.saturating_add(steps);
        Ok(())
    }

    #[inline]
    fn get_used(&mut self) -> Option<Used<B>> {
        let Self {
            scheme,
            books,
            slots,
        } = self;
        if !books.state.is_live() {
            return None;
        }
        let element = match books.batch.take() {
            Some(batch) => batch,
            None => scheme.next(books, slots)?,
        };

        let Element { mut id, mut len } = element;
        if books.in_order && id != scheme.oldest() {
            // INVARIANT: It is in flight, and what is returned is another one.
            books.batch = Some(element);
            id = scheme.oldest();
            len = u32::MAX;
        }
        // By the type invariant there are both: the oldest buffer, or the one that was looked at.
        let slot = slots.get_mut(usize::from(id))?;
        let buffer = slot.buffer.take()?;
        let written = len.min(slot.limit);

        // INVARIANT: The slot has no buffer any more, and its descriptors are free.
        let (last, count) = (slot.last, slot.count);
        scheme.release(books, slots, id, last, count);
        books.free = books.free.wrapping_add(count);
        books.in_flight = books.in_flight.wrapping_sub(1);
        Some(Used { buffer, written })
    }

    #[inline]
    fn has_used(&self) -> bool {
        self.books.state.is_live() && self.scheme.has_used(&self.books)
    }

    #[inline]
    fn kick_needed(&mut self) -> bool {
        if self.books.unkicked == 0 || !self.books.state.is_live() {
            return false;
        }

        // The device sees what is available before we look whether it sleeps.
        self.scheme.full_barrier();
        let steps = core::mem::replace(&mut self.books.unkicked, 0);
        self.scheme.wants_kick(&self.books, steps)
    }

    #[inline]
    fn position(&self) -> u16 {
        self.scheme.position()
    }

    #[inline]
    fn disable_cb(&mut self) {
        if self.books.callbacks {
            self.books.callbacks = false;
            self.scheme.mute(&self.books);
        }
    }

    #[inline]
    fn enable_cb(&mut self) -> bool {
        self.scheme.arm(&mut self.books, 0);
        !self.has_used()
    }

    #[inline]
    fn enable_cb_delayed(&mut self) -> bool {
        let all = u32::from(self.scheme.outstanding(&self.books));
        // CAST: No loss, three quarters of a `u16`.
        let after = ((all * 3) >> 2) as u16;

        self.scheme.arm(&mut self.books, after);
        !self.books.state.is_live() || self.scheme.is_in_time(&self.books, after)
    }

    fn poisoned(&self) -> Option<Poison> {
        self.books.state.poisoned()
    }

    fn give_up(&mut self) {
        self.books.state.poison(Poison::DeviceFailed);
    }

    #[inline]
    fn free(&self) -> u16 {
        self.books.free
    }

    #[inline]
    fn in_flight(&self) -> u16 {
        self.books.in_flight
    }

    #[inline]
    fn size(&self) -> u16 {
        self.scheme.size()
    }

    fn is_fresh(&self) -> bool {
        self.books.state.is_live()
            && self.books.batch.is_none()
            && self.scheme.is_fresh(&self.books)
    }

    fn stop(&mut self) {
        self.books.batch = None;
        self.books.state = State::Stopped;
    }

    fn take(&mut self, from: usize) -> Option<(B, usize)> {
        if self.books.state != State::Stopped {
            return None;
        }

        let taken = slot::take(&mut self.slots, from)?;

        self.books.in_flight = self.books.in_flight.wrapping_sub(1);
        Some(taken)
    }

    fn restart(&mut self) -> bool {
        if self.books.state != State::Stopped || self.books.in_flight != 0 {
            return false;
        }

        self.scheme.clear();
        self.begin();
        true
    }
}
