// SPDX-License-Identifier: GPL-2.0

//! What memory for received packets is like.

use irqkit_bindings as raw;
use kernel::prelude::*;

/// What a page is at most cut into.
const PAGE: u32 = raw::irqkit_net_layout_IRQKIT_PAGE_SIZE;

/// What a packet that is built around memory takes of it at the end.
const TAIL: u32 = raw::irqkit_net_layout_IRQKIT_SKB_TAIL;

/// What fragments are aligned to.
const ALIGN: u32 = raw::irqkit_net_layout_IRQKIT_CACHE_BYTES;

/// What memory is to be like.
///
/// # Invariants
///
/// `headroom + len + tail <= size <= PAGE`, and `len` is not 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    headroom: u32,
    len: u32,
    tail: u32,
    size: u32,
}

impl Shape {
    /// The largest `len` of memory that a packet can be built around behind so much headroom.
    pub const fn most(headroom: u32) -> u32 {
        (PAGE - TAIL).saturating_sub(headroom)
    }

    /// As [`Shape::packet`], with the largest `len`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no room behind so much headroom.
    pub const fn largest(headroom: u32) -> Result<Self> {
        Self::packet(headroom, Self::most(headroom))
    }

    /// Memory of which the device gets `len` bytes, behind `headroom` bytes, and around which a packet
    /// can be built: [`Received::into_skb`].
    ///
    /// # Errors
    ///
    /// `EINVAL` if `len` is 0, or all of that is more than a page.
    pub const fn packet(headroom: u32, len: u32) -> Result<Self> {
        Self::new(headroom, len, TAIL)
    }

    /// Memory of which the device gets `len` bytes, and that becomes fragments of packets.
    ///
    /// # Errors
    ///
    /// As [`Shape::packet`].
    pub const fn fragment(len: u32) -> Result<Self> {
        Self::new(0, len, 0)
    }

    const fn new(headroom: u32, len: u32, tail: u32) -> Result<Self> {
        if len == 0 || len > PAGE || headroom > PAGE {
            return Err(EINVAL);
        }
        let size = (headroom + len).next_multiple_of(ALIGN) + tail;
        if size > PAGE {
            return Err(EINVAL);
        }
        Ok(Self {
            headroom,
            len,
            tail,
            size,
        })
    }

    /// Returns how many bytes the device gets.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Returns how many bytes in front of that it does not get.
    pub(super) const fn headroom(&self) -> u32 {
        self.headroom
    }

    /// Returns how much memory it takes.
    pub(super) const fn size(&self) -> u32 {
        self.size
    }

    /// Returns whether a packet can be built around it.
    pub(super) const fn is_for_packets(&self) -> bool {
        self.tail != 0
    }

    /// Returns false: the device gets something.
    pub const fn is_empty(&self) -> bool {
        false
    }
}
