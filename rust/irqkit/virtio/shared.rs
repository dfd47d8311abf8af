// SPDX-License-Identifier: GPL-2.0

//! The memory of a split virtqueue, in DMA memory.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    queue::{
        Addresses,
        Order, //
    },
    regions::{
        Regions,
        Sizes, //
    },
    ring::{
        layout::{
            Layout,
            ALIGNMENT,
            RING_OFFSET, //
        },
        memory::{
            Descriptor,
            Memory,
            UsedElement, //
        }, //
    },
};
use crate::dma::{
    self,
    Pool, //
};

/// A [`Descriptor`] as it lies in memory, in little-endian order.
#[repr(C)]
struct RawDescriptor {
    address: u64,
    len: u32,
    flags: u16,
    next: u16,
}

const _: () = assert!(size_of::<RawDescriptor>() == 16 && dma::ALIGNMENT % ALIGNMENT == 0);

/// All that the hot path looks at, in one place: a cache line has room for it.
///
/// # Invariants
///
/// - `mask` is the size of the queue, a power of two, less one.
/// - The pointers are to memory, there as long as the [`Regions`] are, that is as large as
///   [`Layout`] says for that size and tables of `entries` descriptors.
#[derive(Clone, Copy)]
struct Parts {
    descriptors: *mut RawDescriptor,
    driver: *mut u8,
    device: *mut u8,
    /// Null if there are none.
    tables: *mut RawDescriptor,
    /// Where they are, as the device sees them.
    tables_address: u64,
    /// The size of the queue less one.
    mask: u16,
    /// The number of descriptors of each table.
    entries: u16,
    order: Order,
}

/// The shared memory of a split virtqueue.
///
/// # Invariants
///
/// `parts` are those of `regions`.
pub struct Shared {
    parts: Parts,
    regions: Regions,
}

// SAFETY: It owns the memory that its pointers point to.
unsafe impl Send for Shared {}

// SAFETY: By shared reference the memory is only read, and by whole accesses.
unsafe impl Sync for Shared {}

impl Shared {
    /// Allocates the memory for `layout`, zeroed. May sleep.
    pub(super) fn new(pool: &Arc<Pool>, layout: Layout, order: Order) -> Result<Self> {
        let regions = Regions::new(
            pool,
            Sizes {
                descriptors: layout.descriptor_bytes(),
                driver: layout.driver_bytes(),
                device: layout.device_bytes(),
                tables: layout.tables_bytes(),
            },
        )?;
        let (tables, tables_address) = regions.tables();

        // INVARIANT: By the invariant of `Layout` the size is a power of two. The regions are of the
        // sizes that it says, and stay where they are.
        Ok(Self {
            parts: Parts {
                descriptors: regions.descriptors.as_ptr().cast(),
                driver: regions.driver.as_ptr(),
                device: regions.device.as_ptr(),
                tables: tables.cast(),
                tables_address,
                mask: layout.size().wrapping_sub(1),
                entries: layout.table(),
                order,
            },
            regions,
        })
    }

    /// Returns where the parts are, as the device sees them.
    pub(super) fn addresses(&self) -> Addresses {
        self.regions.addresses()
    }

    /// Returns the position of `slot` in a ring.
    #[inline]
    fn slot(&self, slot: u16) -> usize {
        usize::from(slot & self.parts.mask)
    }

    /// Returns the offset of `used_event` in the driver's part.
    #[inline]
    fn used_event(&self) -> usize {
        RING_OFFSET + 2 * (usize::from(self.parts.mask) + 1)
    }

    /// Returns the offset of `avail_event` in the device's part.
    #[inline]
    fn available_event(&self) -> usize {
        RING_OFFSET + 8 * (usize::from(self.parts.mask) + 1)
    }

    /// Writes the word at `offset` of the driver's part.
    ///
    /// # Safety
    ///
    /// The part has an aligned word there.
    #[inline]
    unsafe fn write(&mut self, offset: usize, value: u16) {
        let word = self.parts.driver.wrapping_add(offset).cast::<u16>();

        // SAFETY: By the safety requirements. Nobody else writes it; that the device may be reading
        // it is what a volatile access is for.
        unsafe { word.write_volatile(value.to_le()) };
    }

    /// Reads the word at `offset` of the device's part.
    ///
    /// # Safety
    ///
    /// The part has an aligned word there.
    #[inline]
    unsafe fn read(&self, offset: usize) -> u16 {
        let word = self.parts.device.wrapping_add(offset).cast::<u16>();

        // SAFETY: By the safety requirements. The device may be writing it: a volatile access is one
        // access, and every value is a valid one.
        u16::from_le(unsafe { word.read_volatile() })
    }
}

/// Where the flags and the index are, in both rings.
const FLAGS: usize = 0;
const INDEX: usize = 2;

/// Writes a descriptor.
///
/// # Safety
///
/// `entry` points to one, which nobody else writes.
#[inline]
unsafe fn write_descriptor(entry: *mut RawDescriptor, descriptor: Descriptor) {
    // SAFETY: By the safety requirements. That the device may be reading is what volatile accesses
    // are for.
    unsafe {
        (&raw mut (*entry).address).write_volatile(descriptor.address.to_le());
        (&raw mut (*entry).len).write_volatile(descriptor.len.to_le());
        (&raw mut (*entry).flags).write_volatile(descriptor.flags.to_le());
        (&raw mut (*entry).next).write_volatile(descriptor.next.to_le());
    }
}

impl Memory for Shared {
    #[inline]
    fn set_descriptor(&mut self, index: u16, descriptor: Descriptor) {
        let entry = self.parts.descriptors.wrapping_add(self.slot(index));

        // SAFETY: By the type invariant there is a descriptor for each index up to `mask`. Nobody
        // else writes it, and the device reads no descriptor that is not available to it.
        unsafe { write_descriptor(entry, descriptor) };
    }

    #[inline]
    fn set_table_entry(&mut self, table: u16, entry: u16, descriptor: Descriptor) {
        if entry >= self.parts.entries {
            return;
        }
        let index = self.slot(table) * usize::from(self.parts.entries) + usize::from(entry);
        let entry = self.parts.tables.wrapping_add(index);

        // SAFETY: By the type invariant there are `entries` descriptors for each index up to `mask`,
        // and more than none here. The rest as above.
        unsafe { write_descriptor(entry, descriptor) };
    }

    #[inline]
    fn table_address(&self, table: u16) -> u64 {
        let index = self.slot(table) * usize::from(self.parts.entries);
        // CAST: No loss; it is within the region.
        let offset = (index * size_of::<RawDescriptor>()) as u64;

        self.parts.tables_address.wrapping_add(offset)
    }

    #[inline]
    fn set_available(&mut self, slot: u16, head: u16) {
        let offset = RING_OFFSET + 2 * self.slot(slot);

        // SAFETY: By the type invariant there is an entry for each slot up to `mask`.
        unsafe { self.write(offset, head) };
    }

    #[inline]
    fn set_available_index(&mut self, index: u16) {
        // SAFETY: By the type invariant the part begins with the flags and the index.
        unsafe { self.write(INDEX, index) };
    }

    #[inline]
    fn set_available_flags(&mut self, flags: u16) {
        // SAFETY: As above.
        unsafe { self.write(FLAGS, flags) };
    }

    #[inline]
    fn set_used_event(&mut self, index: u16) {
        let offset = self.used_event();

        // SAFETY: By the type invariant there is a word behind the entries.
        unsafe { self.write(offset, index) };
    }

    #[inline]
    fn used_index(&self) -> u16 {
        // SAFETY: By the type invariant the part begins with the flags and the index.
        unsafe { self.read(INDEX) }
    }

    #[inline]
    fn used_flags(&self) -> u16 {
        // SAFETY: As above.
        unsafe { self.read(FLAGS) }
    }

    #[inline]
    fn used(&self, slot: u16) -> UsedElement {
        let offset = RING_OFFSET + 8 * self.slot(slot);
        let words = self.parts.device.wrapping_add(offset).cast::<u32>();

        // SAFETY: By the type invariant there is an element of two words for each slot up to `mask`.
        // The device may be writing it: each is read once, and every value is a valid one.
        let (id, len) = unsafe { (words.read_volatile(), words.wrapping_add(1).read_volatile()) };
        UsedElement {
            id: u32::from_le(id),
            len: u32::from_le(len),
        }
    }

    #[inline]
    fn available_event(&self) -> u16 {
        let offset = self.available_event();

        // SAFETY: By the type invariant there is a word behind the elements.
        unsafe { self.read(offset) }
    }

    fn clear(&mut self) {
        for part in [&mut self.regions.driver, &mut self.regions.device] {
            let len = part.len();
            // It can't fail: it is all of it.
            let _ = part.clear(0, len);
        }
    }

    #[inline]
    fn read_barrier(&self) {
        self.parts.order.read_barrier();
    }

    #[inline]
    fn write_barrier(&self) {
        self.parts.order.write_barrier();
    }

    #[inline]
    fn full_barrier(&self) {
        self.parts.order.full_barrier();
    }
}
