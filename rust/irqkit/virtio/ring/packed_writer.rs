// SPDX-License-Identifier: GPL-2.0

//! Writing the descriptors of a buffer to a packed ring: sections 2.8.5 to 2.8.8.

use super::{
    chain::{
        AddError,
        Buffer,
        Need,
        Segment, //
    },
    layout::PackedLayout,
    memory::{
        DESCRIPTOR_SIZE,
        INDIRECT,
        NEXT,
        WRITE, //
    },
    packed_memory::{
        Body,
        PackedMemory,
        AVAIL,
        USED, //
    }, //
};

/// A place in a packed ring, and how often it was gone round, modulo 2: section 2.8.1.
///
/// # Invariants
///
/// `at` is below the size of the ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cursor {
    pub(super) at: u16,
    pub(super) wrap: bool,
}

impl Cursor {
    /// Where both sides begin.
    pub(super) const START: Self = Self { at: 0, wrap: true };

    /// Returns the place that is `count` descriptors further, which is at most once around.
    #[inline]
    pub(super) fn plus(self, count: u16, layout: PackedLayout) -> Self {
        // At most 2^15 - 1 and 2^15.
        let at = self.at.wrapping_add(count);

        match at.checked_sub(layout.size()) {
            // INVARIANT: Both were at most the size, and one less than that.
            Some(at) => Self {
                at,
                wrap: !self.wrap,
            },
            // INVARIANT: It is less than the size.
            None => Self { at, ..self },
        }
    }

    /// Returns it as it is told to the device.
    #[inline]
    pub(super) fn position(self) -> u16 {
        self.at | (u16::from(self.wrap) << 15)
    }

    /// Returns the flags that make a descriptor here available.
    #[inline]
    pub(super) fn available(self) -> u16 {
        if self.wrap {
            AVAIL
        } else {
            USED
        }
    }

    /// Returns the flags of a descriptor here that is used.
    #[inline]
    pub(super) fn used(self) -> u16 {
        if self.wrap {
            AVAIL | USED
        } else {
            0
        }
    }
}

/// A buffer whose descriptors are written; the flags of the first, which make it available, are not.
pub(super) struct Written {
    /// The flags of the first descriptor.
    pub(super) flags: u16,
    /// How many descriptors it takes.
    pub(super) count: u16,
    /// How many bytes the device may write.
    pub(super) limit: u32,
}

/// Writes buffers to free descriptors, which the device does not look at before the first of them is
/// available.
pub(super) struct PackedWriter<'a, M> {
    memory: &'a mut M,
    layout: PackedLayout,
    id: u16,
    head: Cursor,
    at: Cursor,
    /// The next entry of the indirect table, if the buffer goes into one.
    entry: Option<u16>,
    /// The flags of the first descriptor.
    flags: u16,
    /// How many segments are to come.
    left: u16,
    bytes: u32,
}

impl<'a, M: PackedMemory> PackedWriter<'a, M> {
    /// Writes `buffer`, by the number `id`, to the first of the `free` descriptors, which is at
    /// `head`.
    #[inline]
    pub(super) fn write<B: Buffer>(
        memory: &'a mut M,
        layout: PackedLayout,
        id: u16,
        head: Cursor,
        free: u16,
        buffer: &B,
    ) -> Result<Written, AddError> {
        let (readable, writable) = (buffer.readable(), buffer.writable());
        let Need {
            segments,
            table,
            count,
        } = Need::of(
            readable.len(),
            writable.len(),
            layout.size(),
            free,
            layout.table(),
        )?;

        let mut writer = Self {
            memory,
            layout,
            id,
            head,
            at: head,
            entry: table.then_some(0),
            flags: 0,
            left: segments,
            bytes: 0,
        };
        match writer.put_all(readable, writable) {
            Ok(limit) => {
                if table {
                    writer.refer(segments);
                }
                Ok(Written {
                    flags: writer.flags,
                    count,
                    limit,
                })
            }
            Err(why) => {
                writer.undo();
                Err(why)
            }
        }
    }

    /// Writes all segments, and returns how many bytes are writable.
    #[inline]
    fn put_all(
        &mut self,
        readable: impl Iterator<Item = Segment>,
        writable: impl Iterator<Item = Segment>,
    ) -> Result<u32, AddError> {
        for segment in readable {
            self.put(segment, 0)?;
        }
        let read = self.bytes;
        for segment in writable {
            self.put(segment, WRITE)?;
        }
        // More were announced.
        if self.left != 0 {
            return Err(AddError::TooManySegments);
        }
        Ok(self.bytes.wrapping_sub(read))
    }

    /// Writes the descriptor of `segment`.
    #[inline]
    fn put(&mut self, segment: Segment, flags: u16) -> Result<(), AddError> {
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
        let body = Body {
            address: segment.address,
            len: segment.len,
            id: self.id,
        };

        match self.entry {
            Some(entry) => {
                // The order of a table's entries is their place: no other flag has a meaning.
                self.memory.set_table_entry(self.id, entry, body, flags);
                self.entry = Some(entry.wrapping_add(1));
            }
            None => self.place(body, flags | if left != 0 { NEXT } else { 0 }),
        }
        self.left = left;
        self.bytes = bytes;
        Ok(())
    }

    /// Writes the next descriptor of the ring, without the flags if it is the first one.
    #[inline]
    fn place(&mut self, body: Body, flags: u16) {
        let flags = flags | self.at.available();

        self.memory.set_body(self.at.at, body);
        if self.at == self.head {
            self.flags = flags;
        } else {
            self.memory.set_flags(self.at.at, flags);
        }
        self.at = self.at.plus(1, self.layout);
    }

    /// Writes the one descriptor that refers to the indirect table of so many segments.
    #[inline]
    fn refer(&mut self, segments: u16) {
        let body = Body {
            address: self.memory.table_address(self.id),
            // At most 2^15 entries of 16 bytes.
            len: DESCRIPTOR_SIZE.wrapping_mul(u32::from(segments)),
            id: self.id,
        };

        self.place(body, INDIRECT);
    }

    /// Takes back what was written behind the first descriptor. It is not available, but would be as
    /// soon as another buffer is that ends before it.
    #[cold]
    fn undo(&mut self) {
        if self.entry.is_some() {
            return;
        }

        let mut at = self.head;
        while at != self.at {
            let wrap = !at.wrap;
            // As it was left behind in the round before.
            self.memory.set_flags(at.at, Cursor { wrap, ..at }.used());
            at = at.plus(1, self.layout);
        }
    }
}
