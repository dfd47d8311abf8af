// SPDX-License-Identifier: GPL-2.0

//! The driver's own books about the descriptors of a queue.

/// What the driver knows of one descriptor, and the device does not.
///
/// # Invariants
///
/// `buffer` is set if and only if the descriptor is the head of a chain that the device has. Then
/// the chain is this descriptor and those that `next` leads to, up to `last`: `count` of them.
pub struct Slot<B> {
    /// The next descriptor in the chain, or in the list of free ones.
    pub(super) next: u16,
    /// Of a head: the last descriptor of the chain.
    pub(super) last: u16,
    /// Of a head: how many descriptors the chain has.
    pub(super) count: u16,
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
            limit: 0,
            buffer: None,
        }
    }
}

impl<B> Default for Slot<B> {
    fn default() -> Self {
        Self::new()
    }
}
