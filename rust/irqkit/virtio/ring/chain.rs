// SPDX-License-Identifier: GPL-2.0

//! Buffers as chains of segments.

use core::fmt;

use super::memory::{
    NEXT,
    WRITE, //
};

/// A contiguous part of a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Segment {
    /// Where it begins, as the device sees it.
    pub address: u64,
    /// Its length in bytes; not 0.
    pub len: u32,
}

/// An address space: two segments with the same address are the same memory if they are in the same one.
///
/// That of a device behind an IOMMU is its own: what was mapped for another is nowhere in it, or, worse,
/// somewhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Space(usize);

impl Space {
    /// Memory as it is: that of all devices which are not behind an IOMMU.
    pub const PHYSICAL: Self = Self(0);

    /// Returns the address space that `owner` stands for, as long as that is neither moved nor dropped.
    #[inline]
    pub fn of<T>(owner: &T) -> Self {
        Self(core::ptr::from_ref(owner).addr())
    }
}

/// A buffer: segments that the device reads, followed by segments that it writes.
///
/// A virtqueue takes it whole and gives it back when the device is done with it.
///
/// # Safety
///
/// From the call of [`Buffer::readable`], [`Buffer::writable`] or [`Buffer::only`] on, and as long as the value is
/// neither dropped nor reachable for anyone else, even if it is moved:
///
/// - the device may read the memory that the segments name, and may write it where they are
///   writable, at any time: it is mapped for that, nobody else's, and no Rust reference to it
///   exists;
/// - the functions name the same segments each time;
/// - their addresses are ones in each space that [`Buffer::is_in`] returns true for.
///
/// The queue sees to the rest: it neither drops the value nor hands it out before the device is done
/// with it, or was stopped.
pub unsafe trait Buffer {
    /// Returns the segments that the device reads.
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment>;

    /// Returns the segments that the device writes.
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment>;

    /// Returns the only segment, if there is but one and it is cheap to tell: most buffers are added that
    /// way. It is the one that [`Buffer::readable`] or [`Buffer::writable`] names.
    #[inline]
    fn only(&self) -> Option<Only> {
        None
    }

    /// Returns whether its addresses are ones in `space`.
    fn is_in(&self, space: Space) -> bool;
}

/// The only segment of a buffer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Only {
    /// The device reads it.
    Readable(Segment),
    /// The device writes it.
    Writable(Segment),
}

impl Only {
    /// Returns the segment, the flags of its descriptor, and how many bytes the device may write, if the
    /// buffer may be added to a queue with `free` descriptors. It takes one of them, and never a table.
    #[inline]
    pub(super) fn check(self, free: u16) -> Result<(Segment, u16, u32), AddError> {
        let (segment, flags, limit) = match self {
            Self::Readable(segment) => (segment, 0, 0),
            Self::Writable(segment) => (segment, WRITE, segment.len),
        };

        if free == 0 {
            return Err(AddError::Full);
        }
        if segment.len == 0 {
            return Err(AddError::EmptySegment);
        }
        Ok((segment, flags, limit))
    }
}

/// What a buffer needs of a queue.
#[derive(Clone, Copy)]
pub(super) struct Need {
    /// How many segments it says that it has; not 0.
    pub(super) segments: u16,
    /// Whether they go into an indirect table.
    pub(super) table: bool,
    /// How many descriptors it takes.
    pub(super) count: u16,
}

impl Need {
    /// Returns that of a buffer with so many `readable` and `writable` segments, in a queue of `size`
    /// descriptors, `free` of which are free, with indirect tables of `entries`.
    #[inline]
    pub(super) fn of(
        readable: usize,
        writable: usize,
        size: u16,
        free: u16,
        entries: u16,
    ) -> Result<Self, AddError> {
        let Some(segments) = readable
            .checked_add(writable)
            .and_then(|count| u16::try_from(count).ok())
            .filter(|&count| count <= size)
        else {
            return Err(AddError::TooManySegments);
        };
        if segments == 0 {
            return Err(AddError::Empty);
        }

        let table = segments > 1 && segments <= entries;
        let count = if table { 1 } else { segments };
        if count > free {
            return Err(AddError::Full);
        }
        Ok(Self {
            segments,
            table,
            count,
        })
    }

    /// Calls `put` for each segment: with the flags of its descriptor, which are `WRITE` if the device
    /// writes it and `NEXT` if another one follows. Returns how many bytes the device may write.
    ///
    /// There are as many as were announced, or it is an error.
    #[inline]
    pub(super) fn each(
        &self,
        readable: impl Iterator<Item = Segment>,
        writable: impl Iterator<Item = Segment>,
        mut put: impl FnMut(Segment, u16),
    ) -> Result<u32, AddError> {
        let mut tally = Tally {
            left: self.segments,
            bytes: 0,
        };

        for segment in readable {
            let next = tally.count(segment)?;
            put(segment, next);
        }
        let read = tally.bytes;
        for segment in writable {
            let next = tally.count(segment)?;
            put(segment, WRITE | next);
        }
        // More were announced.
        if tally.left != 0 {
            return Err(AddError::TooManySegments);
        }
        Ok(tally.bytes.wrapping_sub(read))
    }
}

/// What a buffer has turned out to have so far.
struct Tally {
    /// How many segments are to come.
    left: u16,
    bytes: u32,
}

impl Tally {
    /// Checks and counts a segment; returns `NEXT` if another one is to follow.
    #[inline]
    fn count(&mut self, segment: Segment) -> Result<u16, AddError> {
        // Fewer were announced.
        let Some(left) = self.left.checked_sub(1) else {
            return Err(AddError::TooManySegments);
        };
        if segment.len == 0 {
            return Err(AddError::EmptySegment);
        }
        let Some(bytes) = self.bytes.checked_add(segment.len) else {
            return Err(AddError::TooLong);
        };

        self.left = left;
        self.bytes = bytes;
        Ok(if left != 0 { NEXT } else { 0 })
    }
}

/// Why a buffer can't be added to a virtqueue.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum AddError {
    /// There are not enough free descriptors: some must come back first.
    Full,
    /// It has no segments.
    Empty,
    /// It has a segment of length 0.
    EmptySegment,
    /// It has more segments than the queue has descriptors, or not as many as it says.
    TooManySegments,
    /// It has more than `u32::MAX` bytes.
    TooLong,
    /// It is memory that another device sees.
    Foreign,
    /// The device broke the rules ([`poison`](super::poison)), and the queue is out of use.
    Poisoned,
    /// The queue was stopped.
    Stopped,
}

impl AddError {
    /// Returns what is wrong, in words.
    pub const fn what(self) -> &'static str {
        match self {
            Self::Full => "not enough free descriptors",
            Self::Empty => "a buffer without segments",
            Self::EmptySegment => "a buffer with an empty segment",
            Self::TooManySegments => "a buffer with too many segments",
            Self::TooLong => "a buffer of more than 4 GiB",
            Self::Foreign => "a buffer that is mapped for another device",
            Self::Poisoned => "the queue is poisoned",
            Self::Stopped => "the queue is stopped",
        }
    }
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.what())
    }
}

/// A buffer that was not added, and why.
#[derive(Debug)]
pub struct Refused<B> {
    /// It is the caller's again.
    pub buffer: B,
    /// What was wrong with it, or with the queue.
    pub why: AddError,
}

/// A buffer that the device is done with.
#[derive(Debug)]
pub struct Used<B> {
    /// It is the caller's again.
    pub buffer: B,
    /// How many bytes the device has written, it says, from the beginning of the writable part on.
    /// Never more than there is room in it; 0 if the device had nothing to write to.
    pub written: u32,
}

/// Up to `N` segments, for a buffer that keeps them until the queue asks.
///
/// # Invariants
///
/// `len` is at most `N`.
#[derive(Clone, Copy, Debug)]
pub struct Segments<const N: usize> {
    list: [Segment; N],
    len: usize,
}

impl<const N: usize> Segments<N> {
    /// Returns none.
    #[inline]
    pub const fn new() -> Self {
        const EMPTY: Segment = Segment { address: 0, len: 0 };

        // INVARIANT: 0 is at most anything.
        Self {
            list: [EMPTY; N],
            len: 0,
        }
    }

    /// Adds a segment behind those that there are.
    ///
    /// # Errors
    ///
    /// [`AddError::TooManySegments`] if there are `N` already, [`AddError::EmptySegment`] if it is
    /// empty.
    #[inline]
    pub fn push(&mut self, segment: Segment) -> Result<(), AddError> {
        if segment.len == 0 {
            return Err(AddError::EmptySegment);
        }
        let slot = self
            .list
            .get_mut(self.len)
            .ok_or(AddError::TooManySegments)?;

        *slot = segment;
        // INVARIANT: It was less than `N`: there was a place for it.
        self.len += 1;
        Ok(())
    }

    /// Returns how many there are.
    #[inline]
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Returns whether there are none.
    #[inline]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns them, in order.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Segment> + '_ {
        // By the type invariant that is as many as there are.
        self.list.get(..self.len).unwrap_or(&[]).iter().copied()
    }
}

impl<const N: usize> Default for Segments<N> {
    fn default() -> Self {
        Self::new()
    }
}
