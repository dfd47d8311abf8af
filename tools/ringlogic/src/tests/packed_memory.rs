// SPDX-License-Identifier: GPL-2.0

//! A packed queue's shared memory, in ordinary memory of atomics.

use std::sync::{
    atomic::{
        fence, AtomicU16, AtomicU32, AtomicU64,
        Ordering::{Acquire, Relaxed, Release, SeqCst},
    },
    Arc,
};

use super::{
    device::packed::{Device, DeviceMemory},
    memory::slots,
};
use crate::ring::{
    chain::Buffer,
    layout::PackedLayout,
    packed::Packed,
    packed_memory::{Body, Event, PackedMemory, UsedDescriptor},
    slot::Slot,
};

/// Where the first indirect table is.
const TABLES: u64 = 0x7000_0000_0000;

#[derive(Default)]
struct Cells {
    address: AtomicU64,
    len: AtomicU32,
    id: AtomicU16,
    flags: AtomicU16,
}

impl Cells {
    fn set(&self, body: Body) {
        self.address.store(body.address, Relaxed);
        self.len.store(body.len, Relaxed);
        self.id.store(body.id, Relaxed);
    }

    fn get(&self) -> Body {
        Body {
            address: self.address.load(Relaxed),
            len: self.len.load(Relaxed),
            id: self.id.load(Relaxed),
        }
    }
}

#[derive(Default)]
struct Shared {
    descriptors: Vec<Cells>,
    tables: Vec<Cells>,
    table: u16,
    position: AtomicU16,
    flags: AtomicU16,
    device: AtomicU32,
}

/// One side's view of it.
#[derive(Clone)]
pub struct Mem(Arc<Shared>);

impl Mem {
    pub fn new(layout: PackedLayout) -> Self {
        let many = |n| std::iter::repeat_with(Cells::default).take(n).collect();
        let size = usize::from(layout.size());

        Self(Arc::new(Shared {
            descriptors: many(size),
            tables: many(size * usize::from(layout.table())),
            table: layout.table(),
            ..Shared::default()
        }))
    }

    fn at(&self, index: u16) -> &Cells {
        &self.0.descriptors[usize::from(index)]
    }
}

impl PackedMemory for Mem {
    fn set_body(&mut self, index: u16, body: Body) {
        self.at(index).set(body);
    }

    fn set_flags(&mut self, index: u16, flags: u16) {
        self.at(index).flags.store(flags, Relaxed);
    }

    fn flags(&self, index: u16) -> u16 {
        self.at(index).flags.load(Relaxed)
    }

    fn used(&self, index: u16) -> UsedDescriptor {
        let Body { id, len, .. } = self.at(index).get();
        UsedDescriptor { id, len }
    }

    fn set_table_entry(&mut self, table: u16, entry: u16, body: Body, flags: u16) {
        assert!(entry < self.0.table);
        let index = usize::from(table) * usize::from(self.0.table) + usize::from(entry);
        self.0.tables[index].set(body);
        self.0.tables[index].flags.store(flags, Relaxed);
    }

    fn table_address(&self, table: u16) -> u64 {
        TABLES + u64::from(table) * u64::from(self.0.table) * 16
    }

    fn set_driver_position(&mut self, position: u16) {
        self.0.position.store(position, Relaxed);
    }

    fn set_driver_flags(&mut self, flags: u16) {
        self.0.flags.store(flags, Relaxed);
    }

    fn device_event(&self) -> Event {
        let both = self.0.device.load(Relaxed);
        Event {
            position: both as u16,
            flags: (both >> 16) as u16,
        }
    }

    fn clear(&mut self) {
        for cells in &self.0.descriptors {
            cells.set(Body::default());
            cells.flags.store(0, Relaxed);
        }
        self.0.position.store(0, Relaxed);
        self.0.flags.store(0, Relaxed);
        self.0.device.store(0, Relaxed);
    }

    fn read_barrier(&self) {
        fence(Acquire);
    }

    fn write_barrier(&self) {
        fence(Release);
    }

    fn full_barrier(&self) {
        fence(SeqCst);
    }
}

impl DeviceMemory for Mem {
    fn flags(&self, index: u16) -> u16 {
        self.at(index).flags.load(Relaxed)
    }

    fn body(&self, index: u16) -> Body {
        self.at(index).get()
    }

    fn table_entry(&self, address: u64, entry: u16) -> Option<(Body, u16)> {
        let bytes = 16 * u64::from(self.0.table);
        let at = address.checked_sub(TABLES)?;
        if bytes == 0 || at % bytes != 0 || entry >= self.0.table {
            return None;
        }
        let index = usize::try_from(at / 16).ok()? + usize::from(entry);
        let cells = self.0.tables.get(index)?;
        Some((cells.get(), cells.flags.load(Relaxed)))
    }

    fn driver_event(&self) -> Event {
        // In this order: the driver writes the flags last.
        let flags = self.0.flags.load(Relaxed);
        fence(Acquire);
        Event {
            position: self.0.position.load(Relaxed),
            flags,
        }
    }

    fn set_used(&self, index: u16, used: UsedDescriptor) {
        self.at(index).id.store(used.id, Relaxed);
        self.at(index).len.store(used.len, Relaxed);
    }

    fn set_flags(&self, index: u16, flags: u16) {
        self.at(index).flags.store(flags, Relaxed);
    }

    fn set_device_event(&self, event: Event) {
        let both = u32::from(event.position) | (u32::from(event.flags) << 16);
        self.0.device.store(both, Relaxed);
    }

    fn read_barrier(&self) {
        fence(Acquire);
    }

    fn write_barrier(&self) {
        fence(Release);
    }

    fn full_barrier(&self) {
        fence(SeqCst);
    }
}

pub type Driver<B> = Packed<Mem, Vec<Slot<B>>>;

/// The two sides of a queue.
pub fn pair<B: Buffer>(
    size: u16,
    table: u16,
    event_idx: bool,
    in_order: bool,
) -> (Driver<B>, Device<Mem>) {
    let layout = PackedLayout::new(size, table).expect("a good size");
    let mem = Mem::new(layout);
    let device = Device::new(mem.clone(), size, event_idx);
    let driver = Packed::new(mem, slots(size), layout, event_idx, in_order);

    (driver.expect("as many slots"), device)
}
