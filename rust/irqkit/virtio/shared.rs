// SPDX-License-Identifier: GPL-2.0

//! The memory of a split virtqueue, in DMA memory.

use kernel::{
    prelude::*,
    sync::{
        barrier::{
            dma_mb,
            mb,
            Full,
            Read,
            Write, //
        },
        Arc, //
    }, //
};

use super::{
    queue::{
        Addresses,
        Order, //
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
    Pool,
    Region, //
};

/// A [`Descriptor`] as it lies in memory, in little-endian order.
#[repr(C)]
#[derive(Clone, Copy)]
struct RawDescriptor {
    address: u64,
    len: u32,
    flags: u16,
    next: u16,
}

const _: () = assert!(size_of::<RawDescriptor>() == 16 && dma::ALIGNMENT % ALIGNMENT == 0);

impl From<Descriptor> for RawDescriptor {
    #[inline]
    fn from(descriptor: Descriptor) -> Self {
        Self {
            address: descriptor.address.to_le(),
            len: descriptor.len.to_le(),
            flags: descriptor.flags.to_le(),
            next: descriptor.next.to_le(),
        }
    }
}

/// The indirect tables.
struct Tables {
    region: Region,
    /// The number of descriptors of each.
    entries: u16,
}

/// The shared memory of a split virtqueue.
///
/// # Invariants
///
/// - `mask` is the size of the queue, a power of two, less one.
/// - The three regions are as large as [`Layout`] says for that size; `tables` has `entries`
///   descriptors, not 0, for each descriptor of the queue.
pub struct Shared {
    mask: u16,
    order: Order,
    descriptors: Region,
    driver: Region,
    device: Region,
    tables: Option<Tables>,
}

impl Shared {
    /// Allocates the memory for `layout`, zeroed. May sleep.
    pub(super) fn new(pool: &Arc<Pool>, layout: Layout, order: Order) -> Result<Self> {
        let tables = match layout.tables_bytes() {
            0 => None,
            bytes => Some(Tables {
                region: pool.alloc(bytes, GFP_KERNEL)?,
                entries: layout.table(),
            }),
        };

        // INVARIANT: By the invariant of `Layout` the size is a power of two. The regions are of
        // the sizes that it says.
        Ok(Self {
            mask: layout.size().wrapping_sub(1),
            order,
            descriptors: pool.alloc(layout.descriptor_bytes(), GFP_KERNEL)?,
            driver: pool.alloc(layout.driver_bytes(), GFP_KERNEL)?,
            device: pool.alloc(layout.device_bytes(), GFP_KERNEL)?,
            tables,
        })
    }

    /// Returns where the parts are, as the device sees them.
    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            descriptors: self.descriptors.address(),
            driver: self.driver.address(),
            device: self.device.address(),
        }
    }

    /// Returns the position of `slot` in a ring.
    #[inline]
    fn slot(&self, slot: u16) -> usize {
        usize::from(slot & self.mask)
    }

    /// Returns the offset of `used_event` in the driver's part.
    #[inline]
    fn used_event(&self) -> usize {
        RING_OFFSET + 2 * (usize::from(self.mask) + 1)
    }

    /// Returns the offset of `avail_event` in the device's part.
    #[inline]
    fn available_event(&self) -> usize {
        RING_OFFSET + 8 * (usize::from(self.mask) + 1)
    }

    /// Writes the word at `offset` of the driver's part.
    ///
    /// # Safety
    ///
    /// The part has an aligned word there.
    #[inline]
    unsafe fn write(&mut self, offset: usize, value: u16) {
        let word = self.driver.as_ptr().wrapping_add(offset).cast::<u16>();

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
        let word = self.device.as_ptr().wrapping_add(offset).cast::<u16>();

        // SAFETY: By the safety requirements. The device may be writing it: a volatile access is one
        // access, and every value is a valid one.
        u16::from_le(unsafe { word.read_volatile() })
    }
}

/// Where the flags and the index are, in both rings.
const FLAGS: usize = 0;
const INDEX: usize = 2;

impl Memory for Shared {
    #[inline]
    fn set_descriptor(&mut self, index: u16, descriptor: Descriptor) {
        let table = self.descriptors.as_ptr().cast::<RawDescriptor>();
        let entry = table.wrapping_add(self.slot(index));

        // SAFETY: By the type invariant there is a descriptor for each index up to `mask`. Nobody
        // else writes it, and the device reads no descriptor that is not available to it.
        unsafe { entry.write_volatile(descriptor.into()) };
    }

    #[inline]
    fn set_table_entry(&mut self, table: u16, entry: u16, descriptor: Descriptor) {
        let table = self.slot(table);
        let Some(tables) = &self.tables else { return };
        if entry >= tables.entries {
            return;
        }
        let index = table * usize::from(tables.entries) + usize::from(entry);
        let entry = tables
            .region
            .as_ptr()
            .cast::<RawDescriptor>()
            .wrapping_add(index);

        // SAFETY: By the type invariant there are `entries` descriptors for each index up to `mask`.
        // The rest as above.
        unsafe { entry.write_volatile(descriptor.into()) };
    }

    #[inline]
    fn table_address(&self, table: u16) -> u64 {
        self.tables.as_ref().map_or(0, |tables| {
            let index = self.slot(table) * usize::from(tables.entries);
            // CAST: No loss; it is within the region.
            let offset = (index * size_of::<RawDescriptor>()) as u64;

            tables.region.address().wrapping_add(offset)
        })
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
        let words = self.device.as_ptr().wrapping_add(offset).cast::<u32>();

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
        for part in [&mut self.driver, &mut self.device] {
            let len = part.len();
            // It can't fail: it is all of it.
            let _ = part.clear(0, len);
        }
    }

    #[inline]
    fn read_barrier(&self) {
        match self.order {
            Order::Smp => virt::read(),
            Order::Platform => dma_mb(Read),
        }
    }

    #[inline]
    fn write_barrier(&self) {
        match self.order {
            Order::Smp => virt::write(),
            Order::Platform => dma_mb(Write),
        }
    }

    #[inline]
    fn full_barrier(&self) {
        match self.order {
            Order::Smp => virt::full(),
            Order::Platform => mb(Full),
        }
    }
}

/// Barriers against another CPU that is there even if this kernel has only one: the device's
/// (`virt_mb()` and its like). `kernel::sync::barrier::smp_mb()` is none then.
mod virt {
    /// On x86 the CPU keeps reads in order, and writes; the compiler has to. Here these are no
    /// calls, as they are in every buffer's way.
    #[cfg(CONFIG_X86_64)]
    mod arch {
        use core::arch::asm;

        #[inline(always)]
        pub(in super::super) fn read() {
            // SAFETY: No instruction. As far as the compiler knows, it accesses any memory.
            unsafe { asm!("", options(nostack, preserves_flags)) };
        }

        #[inline(always)]
        pub(in super::super) fn write() {
            read();
        }

        #[inline(always)]
        pub(in super::super) fn full() {
            // The kernel's own choice (`__smp_mb()`), faster than `mfence`.
            //
            // SAFETY: It adds 0 to a word of the stack, below its pointer, where nobody keeps
            // anything: the kernel is compiled without a red zone.
            unsafe { asm!("lock add dword ptr [rsp - 4], 0") };
        }
    }

    #[cfg(not(CONFIG_X86_64))]
    mod arch {
        #[inline(always)]
        pub(in super::super) fn read() {
            // SAFETY: Without requirements.
            unsafe { irqkit_bindings::virt_rmb() };
        }

        #[inline(always)]
        pub(in super::super) fn write() {
            // SAFETY: Without requirements.
            unsafe { irqkit_bindings::virt_wmb() };
        }

        #[inline(always)]
        pub(in super::super) fn full() {
            // SAFETY: Without requirements.
            unsafe { irqkit_bindings::virt_mb() };
        }
    }

    pub(super) use arch::{
        full,
        read,
        write, //
    };
}
