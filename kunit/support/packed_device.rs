// SPDX-License-Identifier: GPL-2.0

//! A model of a virtio device: the other side of a packed virtqueue, written from the specification
//! alone (VIRTIO 1.2, section 2.8).

use super::{
    Chain,
    Fault, //
};
use crate::ring::{
    layout::need_event,
    memory::{
        Descriptor,
        DESCRIPTOR_SIZE,
        INDIRECT,
        NEXT,
        WRITE, //
    },
    packed_memory::{
        Body,
        Event,
        UsedDescriptor,
        AVAIL,
        EVENT_DESC,
        EVENT_DISABLE,
        EVENT_ENABLE,
        USED, //
    }, //
};

/// The device's side of the shared memory. Indices are below the size of the queue.
pub(crate) trait DeviceMemory {
    fn flags(&self, index: u16) -> u16;
    fn body(&self, index: u16) -> Body;

    /// Reads a descriptor of the indirect table at `address`, and its flags; [`None`] if no table is
    /// there.
    fn table_entry(&self, address: u64, entry: u16) -> Option<(Body, u16)>;

    fn driver_event(&self) -> Event;

    fn set_used(&self, index: u16, used: UsedDescriptor);
    fn set_flags(&self, index: u16, flags: u16);
    fn set_device_event(&self, event: Event);

    fn read_barrier(&self);
    fn write_barrier(&self);
    fn full_barrier(&self);
}

/// A place in the ring, and the wrap counter there.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Place {
    pub(crate) at: u16,
    pub(crate) wrap: bool,
}

impl Place {
    const START: Self = Self { at: 0, wrap: true };

    fn forward(&mut self, count: u16, size: u16) {
        for _ in 0..count {
            self.at += 1;
            if self.at == size {
                self.at = 0;
                self.wrap = !self.wrap;
            }
        }
    }

    pub(crate) fn position(&self) -> u16 {
        self.at | if self.wrap { 1 << 15 } else { 0 }
    }

    fn flags(&self, avail: bool, used: bool) -> u16 {
        (if avail { AVAIL } else { 0 }) | (if used { USED } else { 0 })
    }
}

/// A buffer that the device has: its head is its number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) chain: Chain,
    /// How many descriptors of the ring it takes.
    pub(crate) count: u16,
}

/// A device with one packed virtqueue.
pub(crate) struct Device<M> {
    pub(crate) memory: M,
    size: u16,
    event_idx: bool,
    /// How far it has taken buffers.
    pub(crate) taken: Place,
    /// How far it has given them back.
    pub(crate) used: Place,
    /// How many descriptors it has given back since it last decided on an interrupt.
    unsignalled: u16,
}

impl<M: DeviceMemory> Device<M> {
    pub(crate) fn new(memory: M, size: u16, event_idx: bool) -> Self {
        Self {
            memory,
            size,
            event_idx,
            taken: Place::START,
            used: Place::START,
            unsignalled: 0,
        }
    }

    /// Returns whether the descriptor at `place` is available.
    fn is_available(&self, place: Place) -> bool {
        self.memory.flags(place.at) & (AVAIL | USED) == place.flags(place.wrap, !place.wrap)
    }

    /// Takes the next buffer: section 2.8.21.
    pub(crate) fn pop(&mut self) -> Result<Option<Taken>, Fault> {
        if !self.is_available(self.taken) {
            return Ok(None);
        }
        self.memory.read_barrier();

        let mut chain = Chain::new(0);
        let mut place = self.taken;
        for count in 1..=self.size {
            if !self.is_available(place) {
                return Err(Fault::Flags);
            }
            let flags = self.memory.flags(place.at) & !(AVAIL | USED);
            let body = self.memory.body(place.at);
            if flags & INDIRECT != 0 {
                if count != 1 || flags != INDIRECT {
                    return Err(Fault::Table);
                }
                self.walk_table(&mut chain, body)?;
            } else {
                chain.push(descriptor(body, flags))?;
            }
            place.forward(1, self.size);
            if flags & NEXT == 0 {
                // The number is in the last descriptor.
                chain.head = body.id;
                self.taken = place;
                return Ok(Some(Taken { chain, count }));
            }
        }
        Err(Fault::ChainTooLong)
    }

    fn walk_table(&self, chain: &mut Chain, table: Body) -> Result<(), Fault> {
        let entries = table.len / DESCRIPTOR_SIZE;
        if entries == 0 || table.len % DESCRIPTOR_SIZE != 0 || entries > u32::from(self.size) {
            return Err(Fault::Table);
        }
        for entry in 0..entries {
            // CAST: Not above the size.
            let (body, flags) = self
                .memory
                .table_entry(table.address, entry as u16)
                .ok_or(Fault::Table)?;
            if flags & !WRITE != 0 {
                return Err(Fault::Table);
            }
            chain.push(descriptor(body, flags))?;
        }
        Ok(())
    }

    /// Gives buffers back that take `count` descriptors together, of which `id` is the last one:
    /// section 2.8.22. What it says of it may be false.
    pub(crate) fn push(&mut self, id: u16, len: u32, count: u16) {
        let place = self.used;

        self.memory.set_used(place.at, UsedDescriptor { id, len });
        self.memory.write_barrier();
        self.memory
            .set_flags(place.at, place.flags(place.wrap, place.wrap));
        self.used.forward(count, self.size);
        self.unsignalled = self.unsignalled.saturating_add(count);
    }

    /// Returns whether the driver wants an interrupt for what was given back since the last call:
    /// section 2.8.10.
    pub(crate) fn interrupt_needed(&mut self) -> bool {
        self.memory.full_barrier();
        let count = core::mem::take(&mut self.unsignalled);
        let event = self.memory.driver_event();

        match event.flags {
            _ if count == 0 => false,
            EVENT_ENABLE => true,
            EVENT_DESC if self.event_idx => {
                let wrap = event.position >> 15 != 0;
                let mut at = event.position & !(1 << 15);
                if wrap != self.used.wrap {
                    at = at.wrapping_sub(self.size);
                }
                need_event(at, self.used.at, self.used.at.wrapping_sub(count))
            }
            _ => false,
        }
    }

    /// Asks to be notified of the next buffer, and returns whether it may sleep until then, as
    /// nothing has come meanwhile.
    pub(crate) fn sleep(&mut self) -> bool {
        self.memory.set_device_event(if self.event_idx {
            Event {
                position: self.taken.position(),
                flags: EVENT_DESC,
            }
        } else {
            Event::default()
        });
        self.memory.full_barrier();
        !self.is_available(self.taken)
    }

    /// Asks not to be notified.
    pub(crate) fn stay_awake(&mut self) {
        self.memory.set_device_event(Event {
            position: 0,
            flags: EVENT_DISABLE,
        });
    }

    /// Forgets everything: the device was reset.
    pub(crate) fn reset(&mut self) {
        self.taken = Place::START;
        self.used = Place::START;
        self.unsignalled = 0;
    }
}

fn descriptor(body: Body, flags: u16) -> Descriptor {
    Descriptor {
        address: body.address,
        len: body.len,
        flags,
        next: 0,
    }
}
