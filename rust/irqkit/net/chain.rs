// SPDX-License-Identifier: GPL-2.0

//! Several pieces of memory as one buffer.

use kernel::{
    alloc::Flags,
    prelude::*, //
};

use super::{
    frag::{
        PoolFrag,
        Received, //
    },
    skb::MAX_FRAGS, //
};
use crate::virtio::ring::chain::{
    Buffer,
    Segment,
    Space, //
};

/// Pieces of a pool's memory that a device writes one after the other, for packets that are longer
/// than a page.
///
/// It keeps the room for its pieces, so that filling it anew allocates nothing.
///
/// # Invariants
///
/// It has room for `most` pieces, and not more than that.
pub struct PoolChain {
    /// The first one to be written is the last.
    frags: KVec<PoolFrag>,
    most: usize,
}

impl PoolChain {
    /// Makes an empty chain of up to `most` pieces. The contexts are those of `flags`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that are none, or more than a packet can have, with its linear part; `ENOMEM`.
    pub fn with_room(most: usize, flags: Flags) -> Result<Self> {
        if most == 0 || most > MAX_FRAGS + 1 {
            return Err(EINVAL);
        }
        // INVARIANT: It has.
        Ok(Self {
            frags: KVec::with_capacity(most, flags)?,
            most,
        })
    }

    /// Adds a piece, which is written before those that there are.
    ///
    /// # Errors
    ///
    /// With the piece, if there is no more room.
    pub fn push(&mut self, frag: PoolFrag) -> Result<(), PoolFrag> {
        if self.is_full() {
            return Err(frag);
        }
        // There is room, so that it does not allocate; and it can't be lost.
        let _ = self.frags.push_within_capacity(frag);
        Ok(())
    }

    /// Returns whether there is no room for another piece.
    pub fn is_full(&self) -> bool {
        self.frags.len() >= self.most
    }

    /// Returns how many bytes the device may write to all of them.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> u32 {
        // It is a few pages.
        self.frags.iter().map(PoolFrag::len).sum()
    }

    /// The device has written so many bytes, and is done with it: takes out the pieces that it has
    /// written to, in that order. The others stay. Task context or softirqs.
    pub fn received(&mut self, written: u32) -> impl Iterator<Item = Received> + '_ {
        let mut left = written;

        core::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let received = self.frags.pop()?.received(left);
            left -= received.len();
            Some(received)
        })
    }
}

// SAFETY: Each segment is one that a piece names, of which this is the owner, and all of them have to be
// in a space.
unsafe impl Buffer for PoolChain {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        None.into_iter()
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.frags.iter().rev().map(PoolFrag::segment)
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        self.frags.iter().all(|frag| frag.is_in(space))
    }
}
