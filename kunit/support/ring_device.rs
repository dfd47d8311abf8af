// SPDX-License-Identifier: GPL-2.0

//! A model of a virtio device: the other side of a split virtqueue, written from the specification
//! alone (VIRTIO 1.2, section 2.7).
//!
//! It holds the driver to every «MUST» that a device can see, and, where the test says so, breaks
//! its own. The same source is compiled into the host tests of the ring (`tools/ringlogic`), where
//! its memory is an array, and into the KUnit suite, where it is what a real device would find at
//! the addresses that it is given.

use crate::ring::{
    chain::Segment,
    layout::need_event,
    memory::{
        Descriptor,
        UsedElement,
        DESCRIPTOR_SIZE,
        INDIRECT,
        NEXT,
        NO_INTERRUPT,
        NO_NOTIFY,
        WRITE, //
    }, //
};

#[path = "packed_device.rs"]
pub(crate) mod packed;

/// The most segments that the model takes of a chain.
pub(crate) const MAX_SEGMENTS: usize = 64;

/// The device's side of the shared memory. Slots and descriptors are below the size of the queue.
pub(crate) trait DeviceMemory {
    fn descriptor(&self, index: u16) -> Descriptor;

    /// Reads a descriptor of the indirect table at `address`; [`None`] if no table is there.
    fn table_entry(&self, address: u64, entry: u16) -> Option<Descriptor>;

    fn available_index(&self) -> u16;
    fn available_flags(&self) -> u16;
    fn available(&self, slot: u16) -> u16;
    fn used_event(&self) -> u16;

    fn set_used(&self, slot: u16, element: UsedElement);
    fn set_used_index(&self, index: u16);
    fn set_used_flags(&self, flags: u16);
    fn set_available_event(&self, index: u16);

    fn read_barrier(&self);
    fn write_barrier(&self);
    fn full_barrier(&self);
}

/// What a driver did wrong.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Fault {
    /// More buffers than the queue has descriptors.
    AvailableIndex,
    /// A head, or a `next`, that is no descriptor.
    Descriptor,
    /// A chain longer than the queue, which is how a loop looks.
    ChainTooLong,
    /// A segment that the device reads after one that it writes.
    Order,
    /// A segment of no length.
    EmptySegment,
    /// An indirect table that is not alone, is within another one, or has a bad size or place.
    Table,
    /// Flags in the available ring although the event index was negotiated; or descriptors behind the
    /// first of an available chain that are not available.
    Flags,
}

/// A chain that the device has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chain {
    pub(crate) head: u16,
    pub(crate) readable: usize,
    pub(crate) count: usize,
    segments: [Segment; MAX_SEGMENTS],
}

impl Chain {
    pub(crate) fn new(head: u16) -> Self {
        Self {
            head,
            readable: 0,
            count: 0,
            segments: [Segment { address: 0, len: 0 }; MAX_SEGMENTS],
        }
    }

    pub(crate) fn readable(&self) -> impl Iterator<Item = Segment> + '_ {
        self.segments.iter().copied().take(self.readable)
    }

    pub(crate) fn writable(&self) -> impl Iterator<Item = Segment> + '_ {
        self.segments
            .iter()
            .copied()
            .take(self.count)
            .skip(self.readable)
    }

    /// Returns how many bytes the device may write.
    pub(crate) fn room(&self) -> u32 {
        self.writable()
            .fold(0, |room, segment| segment.len.wrapping_add(room))
    }

    pub(crate) fn push(&mut self, descriptor: Descriptor) -> Result<(), Fault> {
        let segment = Segment {
            address: descriptor.address,
            len: descriptor.len,
        };
        if segment.len == 0 {
            return Err(Fault::EmptySegment);
        }
        if descriptor.flags & WRITE == 0 {
            if self.count != self.readable {
                return Err(Fault::Order);
            }
            self.readable += 1;
        }
        *self
            .segments
            .get_mut(self.count)
            .ok_or(Fault::ChainTooLong)? = segment;
        self.count += 1;
        Ok(())
    }
}

/// A device with one split virtqueue.
pub(crate) struct Device<M> {
    pub(crate) memory: M,
    size: u16,
    event_idx: bool,
    /// How far it has taken buffers.
    pub(crate) taken: u16,
    /// How far it has given them back.
    pub(crate) used: u16,
    /// How far it had when it last decided on an interrupt.
    signalled: u16,
}

impl<M: DeviceMemory> Device<M> {
    pub(crate) fn new(memory: M, size: u16, event_idx: bool) -> Self {
        Self {
            memory,
            size,
            event_idx,
            taken: 0,
            used: 0,
            signalled: 0,
        }
    }

    fn slot(&self, index: u16) -> u16 {
        // It is a power of two.
        index & self.size.wrapping_sub(1)
    }

    /// Takes the next buffer: section 2.7.13.
    pub(crate) fn pop(&mut self) -> Result<Option<Chain>, Fault> {
        let available = self.memory.available_index().wrapping_sub(self.taken);
        if available == 0 {
            return Ok(None);
        }
        if available > self.size {
            return Err(Fault::AvailableIndex);
        }
        self.memory.read_barrier();

        if self.event_idx && self.memory.available_flags() != 0 {
            return Err(Fault::Flags);
        }
        let head = self.memory.available(self.slot(self.taken));
        let chain = self.walk(head)?;
        self.taken = self.taken.wrapping_add(1);
        Ok(Some(chain))
    }

    fn walk(&self, head: u16) -> Result<Chain, Fault> {
        let mut chain = Chain::new(head);
        let mut index = head;

        for position in 0..self.size {
            if index >= self.size {
                return Err(Fault::Descriptor);
            }
            let descriptor = self.memory.descriptor(index);
            if descriptor.flags & INDIRECT != 0 {
                if position != 0 || descriptor.flags != INDIRECT {
                    return Err(Fault::Table);
                }
                self.walk_table(&mut chain, descriptor)?;
                return Ok(chain);
            }
            chain.push(descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(chain);
            }
            index = descriptor.next;
        }
        Err(Fault::ChainTooLong)
    }

    fn walk_table(&self, chain: &mut Chain, table: Descriptor) -> Result<(), Fault> {
        let entries = table.len / DESCRIPTOR_SIZE;
        if entries == 0 || table.len % DESCRIPTOR_SIZE != 0 || entries > u32::from(self.size) {
            return Err(Fault::Table);
        }

        let mut index = 0;
        for _ in 0..entries {
            if u32::from(index) >= entries {
                return Err(Fault::Descriptor);
            }
            let descriptor = self
                .memory
                .table_entry(table.address, index)
                .ok_or(Fault::Table)?;
            if descriptor.flags & INDIRECT != 0 {
                return Err(Fault::Table);
            }
            chain.push(descriptor)?;
            if descriptor.flags & NEXT == 0 {
                return Ok(());
            }
            index = descriptor.next;
        }
        Err(Fault::ChainTooLong)
    }

    /// Gives a buffer back: section 2.7.14. What it says of it may be false.
    pub(crate) fn push(&mut self, id: u32, len: u32) {
        self.push_all(id, len, 1);
    }

    /// Gives as many buffers back as `count` says, in order, of which this is the last: section 2.7.9.
    pub(crate) fn push_all(&mut self, id: u32, len: u32, count: u16) {
        self.memory
            .set_used(self.slot(self.used), UsedElement { id, len });
        self.memory.write_barrier();
        self.used = self.used.wrapping_add(count);
        self.memory.set_used_index(self.used);
    }

    /// Sets the used index to what it is not.
    pub(crate) fn jump(&mut self, by: u16) {
        self.used = self.used.wrapping_add(by);
        self.memory.set_used_index(self.used);
    }

    /// Returns whether the driver wants an interrupt for what was given back since the last call:
    /// section 2.7.7.2.
    pub(crate) fn interrupt_needed(&mut self) -> bool {
        self.memory.full_barrier();
        let old = core::mem::replace(&mut self.signalled, self.used);

        if self.event_idx {
            need_event(self.memory.used_event(), self.used, old)
        } else {
            old != self.used && self.memory.available_flags() & NO_INTERRUPT == 0
        }
    }

    /// Asks to be notified of the next buffer, and returns whether it may sleep until then, as
    /// nothing has come meanwhile: section 2.7.10.
    pub(crate) fn sleep(&mut self) -> bool {
        if self.event_idx {
            self.memory.set_available_event(self.taken);
        } else {
            self.memory.set_used_flags(0);
        }
        self.memory.full_barrier();
        self.memory.available_index() == self.taken
    }

    /// Asks not to be notified.
    pub(crate) fn stay_awake(&mut self) {
        if self.event_idx {
            self.memory.set_available_event(self.taken.wrapping_sub(1));
        } else {
            self.memory.set_used_flags(NO_NOTIFY);
        }
    }

    /// Forgets everything: the device was reset.
    pub(crate) fn reset(&mut self) {
        self.taken = 0;
        self.used = 0;
        self.signalled = 0;
    }
}
