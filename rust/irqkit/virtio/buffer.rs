// SPDX-License-Identifier: GPL-2.0

//! What a virtqueue takes to the device and back.
//!
//! Each owns its memory, and can be reached by the CPU only while it is not in a queue: the queue
//! owns it then. So nobody writes what the device reads, or reads what it is writing.

use kernel::prelude::*;

use super::ring::chain::{
    Buffer,
    Only,
    Segment,
    Space, //
};
use crate::dma::Region;

/// The first `len` bytes of `region`.
fn whole(region: &Region) -> u32 {
    // A segment has a length of 32 bits; what is beyond that is not used.
    u32::try_from(region.len()).unwrap_or(u32::MAX)
}

/// A buffer that the device writes.
///
/// # Invariants
///
/// `len` is not 0, and not more than the region has.
pub struct InBuffer {
    region: Region,
    len: u32,
}

impl InBuffer {
    /// Makes a buffer of all of `region`, or of its first 4 GiB.
    pub fn new(region: Region) -> Self {
        // INVARIANT: A region is not empty.
        Self {
            len: whole(&region),
            region,
        }
    }

    /// Returns how many bytes the device may write.
    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns false: a buffer has room.
    #[inline]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Lets the device write the first `len` bytes only.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `len` is 0, or more than there is memory.
    pub fn set_len(&mut self, len: u32) -> Result {
        if len == 0 || len > whole(&self.region) {
            return Err(EINVAL);
        }
        // INVARIANT: Just checked.
        self.len = len;
        Ok(())
    }

    /// Copies what the device wrote at `offset` to `to`. Any context.
    ///
    /// How much of it is new, [`Used::written`](super::Used) says.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not all within the buffer's memory.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        self.region.read(offset, to)
    }

    /// Zeroes the memory, so that what the device wrote is there no longer. Any context.
    pub fn clear(&mut self) {
        let len = self.region.len();
        // It can't fail: it is all of it.
        let _ = self.region.clear(0, len);
    }

    /// Returns the memory.
    pub fn into_region(self) -> Region {
        self.region
    }
}

/// A buffer that the device reads.
///
/// # Invariants
///
/// `len` is not 0, and not more than the region has.
pub struct OutBuffer {
    region: Region,
    len: u32,
}

impl OutBuffer {
    /// Makes a buffer of all of `region`, or of its first 4 GiB.
    pub fn new(region: Region) -> Self {
        // INVARIANT: A region is not empty.
        Self {
            len: whole(&region),
            region,
        }
    }

    /// Returns how many bytes the device may read.
    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns false: a buffer has something to read.
    #[inline]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// Lets the device read the first `len` bytes only.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `len` is 0, or more than there is memory.
    pub fn set_len(&mut self, len: u32) -> Result {
        if len == 0 || len > whole(&self.region) {
            return Err(EINVAL);
        }
        // INVARIANT: Just checked.
        self.len = len;
        Ok(())
    }

    /// Copies `from` to `offset`, for the device to read. Any context.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not all within the buffer's memory.
    pub fn write(&mut self, offset: usize, from: &[u8]) -> Result {
        self.region.write(offset, from)
    }

    /// Returns the memory.
    pub fn into_region(self) -> Region {
        self.region
    }
}

/// Returns an iterator over one segment, or none.
#[inline]
fn segments(one: Option<Segment>) -> impl ExactSizeIterator<Item = Segment> {
    one.into_iter()
}

// SAFETY: The segment is memory that the region owns, which stays where it is, is mapped for the
// device until the region is dropped, and to which no references exist. The region knows in which
// address space it is.
unsafe impl Buffer for InBuffer {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        segments(None)
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        segments(Some(Segment {
            address: self.region.address(),
            len: self.len,
        }))
    }

    #[inline]
    fn only(&self) -> Option<Only> {
        Some(Only::Writable(Segment {
            address: self.region.address(),
            len: self.len,
        }))
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        self.region.space() == space
    }
}

// SAFETY: As above.
unsafe impl Buffer for OutBuffer {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        segments(Some(Segment {
            address: self.region.address(),
            len: self.len,
        }))
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        segments(None)
    }

    #[inline]
    fn only(&self) -> Option<Only> {
        Some(Only::Readable(Segment {
            address: self.region.address(),
            len: self.len,
        }))
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        self.region.space() == space
    }
}

// SAFETY: Each names its own memory, which is that of both for as long as they are together; and both
// have to be in a space.
//
/// A request and the room for its answer.
unsafe impl Buffer for (OutBuffer, InBuffer) {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.0.readable()
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.1.writable()
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        self.0.is_in(space) && self.1.is_in(space)
    }
}
