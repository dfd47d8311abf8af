// SPDX-License-Identifier: GPL-2.0

//! What split and packed virtqueues do each in its own way.

use super::{
    books::{
        Books,
        Element, //
    },
    chain::{
        AddError,
        Buffer, //
    },
    slot::Slot, //
};

/// A buffer whose descriptors are written, and which is not available yet.
pub struct Written<P> {
    /// Its number: that of its slot.
    pub(super) id: u16,
    /// How many descriptors it takes.
    pub(super) count: u16,
    /// How many bytes the device may write.
    pub(super) limit: u32,
    /// Where it is.
    pub(super) place: P,
}

/// How buffers are made available, and found to be used.
///
/// [`Ring`](super::generic::Ring) does the rest. It calls these functions where they are, compiled for
/// the one kind: none is called by way of a pointer.
pub trait Scheme {
    /// The memory that is shared with the device.
    type Memory;

    /// The sizes of it.
    type Layout: Copy;

    /// Where a buffer is that was written.
    type Place;

    /// Makes what a queue with nothing in it has, with the device not told of anything yet.
    fn new(memory: Self::Memory, layout: Self::Layout) -> Self;

    /// Returns the shared memory.
    fn memory(&self) -> &Self::Memory;

    /// Returns the number of descriptors.
    fn size(&self) -> u16;

    /// Makes a queue whose memory is zeroed, and whose books are new, what it is when it is new.
    fn begin(&mut self, books: &mut Books);

    /// Zeroes the memory. The device must not be using it.
    fn clear(&mut self);

    /// Writes `buffer` to free descriptors, which nobody looks at.
    fn write<B: Buffer>(
        &mut self,
        books: &Books,
        slots: &[Slot<B>],
        buffer: &B,
    ) -> Result<Written<Self::Place>, AddError>;

    /// Notes in the buffer's slot where it is, and returns what is free next.
    fn claim<B>(&self, slot: &mut Slot<B>, place: &Self::Place) -> u16;

    /// Makes a buffer available, and returns by how much the position went on.
    fn publish(&mut self, written: &Written<Self::Place>) -> u16;

    /// Returns the next of what the device says it is done with, if that is a buffer in flight; else
    /// the queue is poisoned. If there is none, the device interrupts for it, should callbacks be on.
    fn next<B>(&mut self, books: &mut Books, slots: &[Slot<B>]) -> Option<Element>;

    /// Returns the number of the first buffer that the device has. With `in_order` only.
    fn oldest(&self) -> u16;

    /// Frees the descriptors of the buffer `id`, `count` of them up to `last`, which is the next that
    /// the device was done with.
    fn release<B>(
        &mut self,
        books: &mut Books,
        slots: &mut [Slot<B>],
        id: u16,
        last: u16,
        count: u16,
    );

    /// Returns whether the device says that it is done with buffers that were not taken yet.
    fn has_used(&self, books: &Books) -> bool;

    /// Returns how many steps of the device's are to come, in what [`Scheme::ask`] counts.
    fn outstanding(&self, books: &Books) -> u16;

    /// Returns whether the device can't have used more than `after` steps before it was asked, which was
    /// just done.
    fn is_in_time(&self, books: &Books, after: u16) -> bool;

    /// Asks the device to interrupt for what is `after` that which was taken.
    fn ask(&mut self, books: &Books, after: u16);

    /// Asks the device not to interrupt.
    fn mute(&mut self, books: &Books);

    /// Returns whether the device wants to be notified, now that the position went on by `steps`.
    fn wants_kick(&self, books: &Books, steps: u16) -> bool;

    /// Returns the position that a notification carries.
    fn position(&self) -> u16;

    /// Returns whether no buffer ever came back.
    fn is_fresh(&self, books: &Books) -> bool;

    /// All that is before it happens before all that is after it, as the device sees it.
    fn full_barrier(&self);

    /// Asks the device to interrupt for what is `after` that which was taken, and makes sure that
    /// whatever it used without knowing of this is seen from now on.
    #[inline]
    fn arm(&mut self, books: &mut Books, after: u16) {
        self.ask(books, after);
        books.passed = false;
        books.callbacks = true;
        self.full_barrier();
    }
}
