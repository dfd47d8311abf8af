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
        NEXT, //
    },
    scheme::Written,
    slot::Slot, //
};

/// Where a chain is whose descriptors are written: the first of the free list.
pub struct Chain {
    pub(super) last: u16,
    /// The head of what remains of the free list.
    pub(super) next: u16,
}

/// Writes chains to free descriptors, which nobody looks at.
struct ChainWriter<'a, M, B> {
    memory: &'a mut M,
    slots: &'a [Slot<B>],
    head: u16,
    /// Whether the chain goes into the indirect table of `head`, else along the free list.
    table: bool,
    at: u16,
    last: u16,
}

/// Writes `buffer` to the first of the `free` descriptors that `head` leads to.
#[inline(always)]
pub(super) fn write<M: Memory, B: Buffer>(
    memory: &mut M,
    slots: &[Slot<B>],
    layout: Layout,
    head: u16,
    free: u16,
    buffer: &B,
) -> Result<Written<Chain>, AddError> {
    let Some(only) = buffer.only() else {
        return write_chain(memory, slots, layout, head, free, buffer);
    };

    let (segment, flags, limit) = only.check(free)?;
    memory.set_descriptor(
        head,
        Descriptor {
            address: segment.address,
            len: segment.len,
            flags,
            next: 0,
        },
    );
    Ok(Written {
        id: head,
        count: 1,
        limit,
        place: Chain {
            last: head,
            next: after(slots, head),
        },
    })
}

/// The same, for a buffer of any number of segments: apart, so that the way of most packets is short.
#[inline(never)]
fn write_chain<M: Memory, B: Buffer>(
    memory: &mut M,
    slots: &[Slot<B>],
    layout: Layout,
    head: u16,
    free: u16,
    buffer: &B,
) -> Result<Written<Chain>, AddError> {
    let (readable, writable) = (buffer.readable(), buffer.writable());
    let need = Need::of(
        readable.len(),
        writable.len(),
        layout.size(),
        free,
        layout.table(),
    )?;

    let mut writer = ChainWriter {
        memory,
        slots,
        head,
        table: need.table,
        at: if need.table { 0 } else { head },
        last: head,
    };
    let limit = need.each(readable, writable, |segment, flags| {
        writer.put(segment, flags)
    })?;
    if need.table {
        writer.refer(need.segments);
    }
    Ok(Written {
        id: head,
        count: need.count,
        limit,
        place: Chain {
            last: writer.last,
            next: writer.at,
        },
    })
}

impl<M: Memory, B> ChainWriter<'_, M, B> {
    /// Writes the descriptor of `segment`.
    #[inline]
    fn put(&mut self, segment: Segment, flags: u16) {
        let at = self.at;
        let next = if self.table {
            at.wrapping_add(1)
        } else {
            after(self.slots, at)
        };
        let descriptor = Descriptor {
            address: segment.address,
            len: segment.len,
            flags,
            next: if flags & NEXT != 0 { next } else { 0 },
        };
        if self.table {
            self.memory.set_table_entry(self.head, at, descriptor);
        } else {
            self.memory.set_descriptor(at, descriptor);
        }

        self.last = at;
        self.at = next;
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
        self.at = after(self.slots, self.head);
    }
}

/// Returns the descriptor after `index` in the free list.
#[inline]
fn after<B>(slots: &[Slot<B>], index: u16) -> u16 {
    slots.get(usize::from(index)).map_or(0, |slot| slot.next)
}
