// SPDX-License-Identifier: GPL-2.0

//! Writing the descriptors of a buffer to a packed ring: sections 2.8.5 to 2.8.8.

use super::{
    chain::{
        AddError,
        Buffer,
        Need,
        Segment, //
    },
    cursor::Cursor,
    layout::PackedLayout,
    memory::{
        DESCRIPTOR_SIZE,
        INDIRECT,
        WRITE, //
    },
    packed_memory::{
        Body,
        PackedMemory, //
    },
    scheme::Written, //
};

/// What is left to write of a buffer: the flags of the first descriptor, which make it available.
pub struct First {
    pub(super) flags: u16,
}

/// Writes buffers to free descriptors, which the device does not look at before the first of them is
/// available.
struct PackedWriter<'a, M> {
    memory: &'a mut M,
    layout: PackedLayout,
    id: u16,
    head: Cursor,
    at: Cursor,
    /// The next entry of the indirect table, if the buffer goes into one.
    entry: Option<u16>,
    /// The flags of the first descriptor.
    flags: u16,
}

/// Writes `buffer`, by the number `id`, to the first of the `free` descriptors, which is at `head`.
#[inline(always)]
pub(super) fn write<M: PackedMemory, B: Buffer>(
    memory: &mut M,
    layout: PackedLayout,
    id: u16,
    head: Cursor,
    free: u16,
    buffer: &B,
) -> Result<Written<First>, AddError> {
    let Some(only) = buffer.only() else {
        return write_all(memory, layout, id, head, free, buffer);
    };

    let (segment, flags, limit) = only.check(free)?;
    memory.set_body(
        head.at,
        Body {
            address: segment.address,
            len: segment.len,
            id,
        },
    );
    Ok(Written {
        id,
        count: 1,
        limit,
        place: First {
            flags: flags | head.available(),
        },
    })
}

/// The same, for a buffer of any number of segments: apart, so that the way of most packets is short.
#[inline(never)]
fn write_all<M: PackedMemory, B: Buffer>(
    memory: &mut M,
    layout: PackedLayout,
    id: u16,
    head: Cursor,
    free: u16,
    buffer: &B,
) -> Result<Written<First>, AddError> {
    let (readable, writable) = (buffer.readable(), buffer.writable());
    let need = Need::of(
        readable.len(),
        writable.len(),
        layout.size(),
        free,
        layout.table(),
    )?;

    let mut writer = PackedWriter {
        memory,
        layout,
        id,
        head,
        at: head,
        entry: need.table.then_some(0),
        flags: 0,
    };
    let limit = need
        .each(readable, writable, |segment, flags| {
            writer.put(segment, flags)
        })
        .inspect_err(|_| writer.undo())?;
    if need.table {
        writer.refer(need.segments);
    }
    Ok(Written {
        id,
        count: need.count,
        limit,
        place: First {
            flags: writer.flags,
        },
    })
}

impl<M: PackedMemory> PackedWriter<'_, M> {
    /// Writes the descriptor of `segment`.
    #[inline]
    fn put(&mut self, segment: Segment, flags: u16) {
        let body = Body {
            address: segment.address,
            len: segment.len,
            id: self.id,
        };

        match self.entry {
            Some(entry) => {
                // The order of a table's entries is their place: no other flag has a meaning.
                self.memory
                    .set_table_entry(self.id, entry, body, flags & WRITE);
                self.entry = Some(entry.wrapping_add(1));
            }
            None => self.place(body, flags),
        }
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
