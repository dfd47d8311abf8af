// SPDX-License-Identifier: GPL-2.0

//! The driver's own books about the descriptors of a queue.

use super::poison::Poison;

/// What the driver knows of one descriptor of a split queue, or of one buffer number of a packed
/// one, and the device does not.
///
/// # Invariants
///
/// `buffer` is set if and only if the descriptor is the head of a chain that the device has, or the
/// number that of a buffer which it has. In a split queue the chain is this descriptor and those
/// that `next` leads to, up to `last`: `count` of them.
pub struct Slot<B> {
    /// The next descriptor in the chain, or the next one in the list of free ones.
    pub(super) next: u16,
    /// Of a head: the last descriptor of the chain.
    pub(super) last: u16,
    /// Of a head: how many descriptors the chain has.
    pub(super) count: u16,
    /// Of a head, if buffers are used in order: the available index that made it available.
    pub(super) order: u16,
    /// Of a head: how many bytes the device may write.
    pub(super) limit: u32,
    /// Of a head: the buffer.
    pub(super) buffer: Option<B>,
}

impl<B> Slot<B> {
    /// Returns a slot for a queue that is not made yet.
    pub const fn new() -> Self {
        Self {
            next: 0,
            last: 0,
            count: 0,
            order: 0,
            limit: 0,
            buffer: None,
        }
    }

    /// Checks what the device says of the descriptor or number, `id`: that it is done with the buffer,
    /// and has written `len` bytes to it.
    #[inline]
    pub(super) fn check(&self, id: u16, len: u32) -> Result<(), Poison> {
        let limit = self.limit;

        if self.buffer.is_none() {
            return Err(Poison::NotInFlight { id });
        }
        // A device without anything to write to may say what it likes: some always have.
        if len > limit && limit != 0 {
            return Err(Poison::LengthTooLong { id, len, limit });
        }
        Ok(())
    }
}

/// Takes a buffer out of the first of `slots`, from the place `from` on, that has one; returns it and
/// the place behind.
pub(super) fn take<B>(slots: &mut [Slot<B>], from: usize) -> Option<(B, usize)> {
    slots
        .iter_mut()
        .enumerate()
        .skip(from)
        .find_map(|(index, slot)| Some((slot.buffer.take()?, index.wrapping_add(1))))
}

impl<B> Default for Slot<B> {
    fn default() -> Self {
        Self::new()
    }
}
