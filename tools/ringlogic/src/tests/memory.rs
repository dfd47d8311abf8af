// SPDX-License-Identifier: GPL-2.0

//! A queue's shared memory, in ordinary memory of atomics: the driver and the device may use it on
//! different threads.

use std::{
    cell::Cell,
    rc::Rc,
    sync::{
        atomic::{
            fence, AtomicU16, AtomicU32, AtomicU64,
            Ordering::{Acquire, Relaxed, Release, SeqCst},
        },
        Arc,
    },
};

use super::device::{Device, DeviceMemory};
use crate::ring::{
    chain::{Buffer, Only, Segment, Space},
    layout::Layout,
    memory::{Descriptor, Memory, UsedElement},
    slot::Slot,
    split::Split,
};

/// Where the first indirect table is.
const TABLES: u64 = 0x7000_0000_0000;

#[derive(Default)]
struct Cells([AtomicU64; 2]);

impl Cells {
    fn set(&self, d: Descriptor) {
        let rest = u64::from(d.len) | (u64::from(d.flags) << 32) | (u64::from(d.next) << 48);
        self.0[0].store(d.address, Relaxed);
        self.0[1].store(rest, Relaxed);
    }

    fn get(&self) -> Descriptor {
        let rest = self.0[1].load(Relaxed);
        Descriptor {
            address: self.0[0].load(Relaxed),
            len: rest as u32,
            flags: (rest >> 32) as u16,
            next: (rest >> 48) as u16,
        }
    }
}

#[derive(Default)]
struct Shared {
    descriptors: Vec<Cells>,
    tables: Vec<Cells>,
    table: u16,
    available_flags: AtomicU16,
    available_index: AtomicU16,
    available: Vec<AtomicU16>,
    used_event: AtomicU16,
    used_flags: AtomicU16,
    used_index: AtomicU16,
    used: Vec<(AtomicU32, AtomicU32)>,
    available_event: AtomicU16,
}

/// One side's view of it.
#[derive(Clone)]
pub struct Mem(Arc<Shared>);

impl Mem {
    pub fn new(layout: Layout) -> Self {
        fn many<T: Default>(n: usize) -> Vec<T> {
            std::iter::repeat_with(T::default).take(n).collect()
        }

        let size = usize::from(layout.size());
        Self(Arc::new(Shared {
            descriptors: many(size),
            tables: many(size * usize::from(layout.table())),
            table: layout.table(),
            available: many(size),
            used: many(size),
            ..Shared::default()
        }))
    }

    /// What the driver may have asked the device for.
    pub fn flags_and_event(&self) -> (u16, u16) {
        (self.available_flags(), self.used_event())
    }
}

impl Memory for Mem {
    fn set_descriptor(&mut self, index: u16, descriptor: Descriptor) {
        self.0.descriptors[usize::from(index)].set(descriptor);
    }

    fn set_table_entry(&mut self, table: u16, entry: u16, descriptor: Descriptor) {
        assert!(entry < self.0.table);
        self.0.tables[usize::from(table) * usize::from(self.0.table) + usize::from(entry)]
            .set(descriptor);
    }

    fn table_address(&self, table: u16) -> u64 {
        TABLES + u64::from(table) * u64::from(self.0.table) * 16
    }

    fn set_available(&mut self, slot: u16, head: u16) {
        self.0.available[usize::from(slot)].store(head, Relaxed);
    }

    fn set_available_index(&mut self, index: u16) {
        self.0.available_index.store(index, Relaxed);
    }

    fn set_available_flags(&mut self, flags: u16) {
        self.0.available_flags.store(flags, Relaxed);
    }

    fn set_used_event(&mut self, index: u16) {
        self.0.used_event.store(index, Relaxed);
    }

    fn used_index(&self) -> u16 {
        self.0.used_index.load(Relaxed)
    }

    fn used_flags(&self) -> u16 {
        self.0.used_flags.load(Relaxed)
    }

    fn used(&self, slot: u16) -> UsedElement {
        let (id, len) = &self.0.used[usize::from(slot)];
        UsedElement {
            id: id.load(Relaxed),
            len: len.load(Relaxed),
        }
    }

    fn available_event(&self) -> u16 {
        self.0.available_event.load(Relaxed)
    }

    fn clear(&mut self) {
        let shared = &self.0;
        for cell in shared.available.iter().chain([
            &shared.available_flags,
            &shared.available_index,
            &shared.used_event,
            &shared.used_flags,
            &shared.used_index,
            &shared.available_event,
        ]) {
            cell.store(0, Relaxed);
        }
        for (id, len) in &shared.used {
            id.store(0, Relaxed);
            len.store(0, Relaxed);
        }
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
    fn descriptor(&self, index: u16) -> Descriptor {
        self.0.descriptors[usize::from(index)].get()
    }

    fn table_entry(&self, address: u64, entry: u16) -> Option<Descriptor> {
        let bytes = 16 * u64::from(self.0.table);
        let at = address.checked_sub(TABLES)?;
        if bytes == 0 || at % bytes != 0 || entry >= self.0.table {
            return None;
        }
        let index = usize::try_from(at / 16).ok()? + usize::from(entry);
        Some(self.0.tables.get(index)?.get())
    }

    fn available_index(&self) -> u16 {
        self.0.available_index.load(Relaxed)
    }

    fn available_flags(&self) -> u16 {
        self.0.available_flags.load(Relaxed)
    }

    fn available(&self, slot: u16) -> u16 {
        self.0.available[usize::from(slot)].load(Relaxed)
    }

    fn used_event(&self) -> u16 {
        self.0.used_event.load(Relaxed)
    }

    fn set_used(&self, slot: u16, element: UsedElement) {
        let (id, len) = &self.0.used[usize::from(slot)];
        id.store(element.id, Relaxed);
        len.store(element.len, Relaxed);
    }

    fn set_used_index(&self, index: u16) {
        self.0.used_index.store(index, Relaxed);
    }

    fn set_used_flags(&self, flags: u16) {
        self.0.used_flags.store(flags, Relaxed);
    }

    fn set_available_event(&self, index: u16) {
        self.0.available_event.store(index, Relaxed);
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

/// A buffer that remembers who it is, and counts how many there are.
#[derive(Debug)]
pub struct Buf {
    pub number: u64,
    pub readable: Vec<Segment>,
    pub writable: Vec<Segment>,
    alive: Rc<Cell<usize>>,
}

impl Buf {
    pub fn new(
        number: u64,
        readable: Vec<Segment>,
        writable: Vec<Segment>,
        alive: &Rc<Cell<usize>>,
    ) -> Self {
        alive.set(alive.get() + 1);
        Self {
            number,
            readable,
            writable,
            alive: alive.clone(),
        }
    }

    pub fn room(&self) -> u32 {
        self.writable.iter().map(|s| s.len).sum()
    }
}

impl Drop for Buf {
    fn drop(&mut self) {
        self.alive.set(self.alive.get() - 1);
    }
}

// SAFETY: There is no memory that a device could reach.
unsafe impl Buffer for Buf {
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.readable.iter().copied()
    }

    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.writable.iter().copied()
    }

    // Some that could say so do not.
    fn only(&self) -> Option<Only> {
        match (&self.readable[..], &self.writable[..]) {
            ([one], []) if (one.address >> 32) % 2 == 0 => Some(Only::Readable(*one)),
            ([], [one]) if (one.address >> 32) % 2 == 0 => Some(Only::Writable(*one)),
            _ => None,
        }
    }

    fn is_in(&self, space: Space) -> bool {
        space == Space::PHYSICAL
    }
}

/// A buffer for tests that need no more than a number: one byte, readable if it is even.
#[derive(Debug, Eq, PartialEq)]
pub struct Byte(pub u64);

// SAFETY: There is no memory that a device could reach.
unsafe impl Buffer for Byte {
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.segment(self.0 % 2 == 0)
    }

    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.segment(self.0 % 2 != 0)
    }

    fn only(&self) -> Option<Only> {
        let segment = self.segment(self.0 % 4 < 2).next()?;

        match self.0 % 2 {
            0 => Some(Only::Readable(segment)),
            _ => Some(Only::Writable(segment)),
        }
    }

    fn is_in(&self, space: Space) -> bool {
        space == Space::PHYSICAL
    }
}

impl Byte {
    fn segment(&self, there: bool) -> std::option::IntoIter<Segment> {
        there
            .then_some(Segment {
                address: self.0 << 12,
                len: 1,
            })
            .into_iter()
    }
}

pub type Driver<B> = Split<Mem, Vec<Slot<B>>>;

pub fn slots<B>(n: u16) -> Vec<Slot<B>> {
    std::iter::repeat_with(Slot::new)
        .take(usize::from(n))
        .collect()
}

/// The two sides of a queue.
pub fn pair<B: Buffer>(size: u16, table: u16, event_idx: bool) -> (Driver<B>, Device<Mem>) {
    pair_of(size, table, event_idx, false)
}

/// The two sides of a queue whose device may use buffers in order.
pub fn pair_of<B: Buffer>(
    size: u16,
    table: u16,
    event_idx: bool,
    in_order: bool,
) -> (Driver<B>, Device<Mem>) {
    let layout = Layout::new(size, table).expect("a good size");
    let mem = Mem::new(layout);
    let device = Device::new(mem.clone(), size, event_idx);
    let driver = Split::new(mem, slots(size), layout, event_idx, in_order).expect("as many slots");

    (driver, device)
}
