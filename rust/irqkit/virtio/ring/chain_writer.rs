// SPDX-License-Identifier: GPL-2.0

//! Writing the descriptors of a buffer: section 2.7.5.

use super::{
    chain::{
        AddError,
        Buffer,
        Need,
        Segment, //
    },
    layout::Layout,
    memory::{
        Descriptor,
        Memory,
        DESCRIPTOR_SIZE,
        INDIRECT,
        NEXT,
        WRITE, //
    },
    slot::Slot, //
};

/// A chain whose descriptors are written: the first of the free list.
pub(super) struct Written {
    pub(super) head: u16,
    pub(super) last: u16,
    /// The head of what remains of the free list.
    pub(super) next: u16,
    /// How many descriptors it takes.
    pub(super) count: u16,
    /// How many bytes the device may write.
    pub(super) limit: u32,
}

/// Writes chains to free descriptors, which nobody looks at.
pub(super) struct ChainWriter<'a, M, B> {
    memory: &'a mut M,
    slots: &'a [Slot<B>],
    head: u16,
    /// Whether the chain goes into the indirect table of `head`, else along the free list.
    table: bool,
    at: u16,
    last: u16,
    /// How many segments are to come.
    left: u16,
    bytes: u32,
}

impl<'a, M: Memory, B: Buffer> ChainWriter<'a, M, B> {
    /// Writes `buffer` to the first of the `free` descriptors that `head` leads to.
    #[inline]
    pub(super) fn write(
        memory: &'a mut M,
        slots: &'a [Slot<B>],
        layout: Layout,
        head: u16,
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
            slots,
            head,
            table,
            at: if table { 0 } else { head },
            last: head,
            left: segments,
            bytes: 0,
        };
        for segment in readable {
            writer.put(segment, 0)?;
        }
        let read = writer.bytes;
        for segment in writable {
            writer.put(segment, WRITE)?;
        }
        // More were announced.
        if writer.left != 0 {
            return Err(AddError::TooManySegments);
        }

        let limit = writer.bytes.wrapping_sub(read);
        if table {
            writer.refer(segments);
        }
        Ok(Written {
            head,
            last: writer.last,
            next: writer.at,
            count,
            limit,
        })
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

        let at = self.at;
        let next = if self.table {
            at.wrapping_add(1)
        } else {
            self.next(at)
        };
        let descriptor = Descriptor {
            address: segment.address,
            len: segment.len,
            flags: flags | if left != 0 { NEXT } else { 0 },
            next: if left != 0 { next } else { 0 },
        };
        if self.table {
            self.memory.set_table_entry(self.head, at, descriptor);
        } else {
            self.memory.set_descriptor(at, descriptor);
        }

        self.left = left;
        self.bytes = bytes;
        self.last = at;
        self.at = next;
        Ok(())
    }

    /// Writes the one descriptor that refers to the indirect table of so many segments.
    #[inline]
    fn refer(&mut self, segments: u16) {
        let descriptor = Descriptor {
            address: self.memory.table_address(self.head),
            // At most 2^15 entries of 16 bytes.
            len: DESCRIPTOR_SIZE.wrapping_mul(u32::from(segments)),
            flags: INDIRECT,
            next: 0,
        };

        self.memory.set_descriptor(self.head, descriptor);
        self.last = self.head;
        self.at = self.next(self.head);
    }

    /// Returns the descriptor after `index` in the free list.
    #[inline]
    fn next(&self, index: u16) -> u16 {
        self.slots
            .get(usize::from(index))
            .map_or(0, |slot| slot.next)
    }
}
