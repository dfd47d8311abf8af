// SPDX-License-Identifier: GPL-2.0

//! The memory of a packed virtqueue, in DMA memory.

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
            PackedLayout,
            ALIGNMENT,
            EVENT_BYTES, //
        },
        packed_memory::{
            Body,
            Event,
            PackedMemory,
            UsedDescriptor, //
        }, //
    },
};
use crate::dma::{
    self,
    Pool, //
};

/// A descriptor as it lies in memory, in little-endian order.
#[repr(C)]
struct RawDescriptor {
    address: u64,
    len: u32,
    id: u16,
    flags: u16,
}

const _: () = assert!(size_of::<RawDescriptor>() == 16 && dma::ALIGNMENT % ALIGNMENT == 0);

/// All that the hot path looks at, in one place: a cache line has room for it.
///
/// # Invariants
///
/// - `last` is the size of the queue less one.
/// - The pointers are to memory, there as long as the [`Regions`] are: `descriptors` to as many as
///   the queue has, `driver` and `device` to one event suppression structure each, and `tables` to
///   `entries` descriptors for each descriptor of the queue.
#[derive(Clone, Copy)]
struct Parts {
    descriptors: *mut RawDescriptor,
    driver: *mut u16,
    device: *mut u32,
    /// Null if there are none.
    tables: *mut RawDescriptor,
    /// Where they are, as the device sees them.
    tables_address: u64,
    last: u16,
    /// The number of descriptors of each table.
    entries: u16,
    order: Order,
}

/// The shared memory of a packed virtqueue.
///
/// # Invariants
///
/// `parts` are those of `regions`.
pub struct SharedPacked {
    parts: Parts,
    regions: Regions,
}

// SAFETY: It owns the memory that its pointers point to.
unsafe impl Send for SharedPacked {}

// SAFETY: By shared reference the memory is only read, and by whole accesses.
unsafe impl Sync for SharedPacked {}

impl SharedPacked {
    /// Allocates the memory for `layout`, zeroed. May sleep.
    pub(super) fn new(pool: &Arc<Pool>, layout: PackedLayout, order: Order) -> Result<Self> {
        let regions = Regions::new(
            pool,
            Sizes {
                descriptors: layout.descriptor_bytes(),
                driver: EVENT_BYTES,
                device: EVENT_BYTES,
                tables: layout.tables_bytes(),
            },
        )?;
        let (tables, tables_address) = regions.tables();

        // INVARIANT: By the invariant of `PackedLayout` the size is not 0. The regions are of the
        // sizes that it says, and stay where they are.
        Ok(Self {
            parts: Parts {
                descriptors: regions.descriptors.as_ptr().cast(),
                driver: regions.driver.as_ptr().cast(),
                device: regions.device.as_ptr().cast(),
                tables: tables.cast(),
                tables_address,
                last: layout.size().wrapping_sub(1),
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

    /// Returns the descriptor at `index`, or the last one if there is none.
    #[inline]
    fn descriptor(&self, index: u16) -> *mut RawDescriptor {
        self.parts
            .descriptors
            .wrapping_add(usize::from(index.min(self.parts.last)))
    }

    /// Returns how many descriptors are in front of table `table`.
    #[inline]
    fn table(&self, table: u16) -> usize {
        usize::from(table.min(self.parts.last)) * usize::from(self.parts.entries)
    }
}

/// Writes all of a descriptor but the flags.
///
/// # Safety
///
/// `descriptor` points to one, which nobody else writes.
#[inline]
unsafe fn write_body(descriptor: *mut RawDescriptor, body: Body) {
    // SAFETY: By the safety requirements. That the device may be reading is what volatile accesses
    // are for.
    unsafe {
        (&raw mut (*descriptor).address).write_volatile(body.address.to_le());
        (&raw mut (*descriptor).len).write_volatile(body.len.to_le());
        (&raw mut (*descriptor).id).write_volatile(body.id.to_le());
    }
}

impl PackedMemory for SharedPacked {
    #[inline]
    fn set_body(&mut self, index: u16, body: Body) {
        // SAFETY: By the type invariant there is a descriptor for each index up to `last`. The device
        // has given it back.
        unsafe { write_body(self.descriptor(index), body) };
    }

    #[inline]
    fn set_flags(&mut self, index: u16, flags: u16) {
        let descriptor = self.descriptor(index);

        // SAFETY: As above.
        unsafe { (&raw mut (*descriptor).flags).write_volatile(flags.to_le()) };
    }

    #[inline]
    fn flags(&self, index: u16) -> u16 {
        let descriptor = self.descriptor(index);

        // SAFETY: By the type invariant there is a descriptor for each index up to `last`. The device
        // may be writing it: this is one access, and every value is a valid one.
        u16::from_le(unsafe { (&raw const (*descriptor).flags).read_volatile() })
    }

    #[inline]
    fn used(&self, index: u16) -> UsedDescriptor {
        let descriptor = self.descriptor(index);

        // SAFETY: As above, each of the two.
        let (id, len) = unsafe {
            (
                (&raw const (*descriptor).id).read_volatile(),
                (&raw const (*descriptor).len).read_volatile(),
            )
        };
        UsedDescriptor {
            id: u16::from_le(id),
            len: u32::from_le(len),
        }
    }

    #[inline]
    fn set_table_entry(&mut self, table: u16, entry: u16, body: Body, flags: u16) {
        if entry >= self.parts.entries {
            return;
        }
        let index = self.table(table) + usize::from(entry);
        let descriptor = self.parts.tables.wrapping_add(index);

        // SAFETY: By the type invariant there are `entries` descriptors for each index up to `last`,
        // and more than none here. The device reads no table that is not available to it.
        unsafe {
            write_body(descriptor, body);
            (&raw mut (*descriptor).flags).write_volatile(flags.to_le());
        }
    }

    #[inline]
    fn table_address(&self, table: u16) -> u64 {
        // CAST: No loss; it is within the region.
        let offset = (self.table(table) * size_of::<RawDescriptor>()) as u64;

        self.parts.tables_address.wrapping_add(offset)
    }

    #[inline]
    fn set_driver_position(&mut self, position: u16) {
        // SAFETY: By the type invariant there is an event suppression structure, two words. Nobody
        // else writes it; that the device may be reading it is what a volatile access is for.
        unsafe { self.parts.driver.write_volatile(position.to_le()) };
    }

    #[inline]
    fn set_driver_flags(&mut self, flags: u16) {
        let word = self.parts.driver.wrapping_add(1);

        // SAFETY: As above.
        unsafe { word.write_volatile(flags.to_le()) };
    }

    #[inline]
    fn device_event(&self) -> Event {
        // SAFETY: By the type invariant there is an event suppression structure, two words. The
        // device may be writing it: this is one access, and every value is a valid one.
        let both = u32::from_le(unsafe { self.parts.device.read_volatile() });

        // CAST: One half each.
        Event {
            position: both as u16,
            flags: (both >> 16) as u16,
        }
    }

    fn clear(&mut self) {
        let regions = &mut self.regions;

        for part in [
            &mut regions.descriptors,
            &mut regions.driver,
            &mut regions.device,
        ] {
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
