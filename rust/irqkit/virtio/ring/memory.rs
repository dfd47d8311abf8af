// SPDX-License-Identifier: GPL-2.0

//! The memory that a split virtqueue shares with its device.

/// This descriptor is followed by the one that `next` names (`VIRTQ_DESC_F_NEXT`).
pub const NEXT: u16 = 1;

/// The device writes to this buffer, else it reads from it (`VIRTQ_DESC_F_WRITE`).
pub const WRITE: u16 = 2;

/// The buffer is a table of descriptors (`VIRTQ_DESC_F_INDIRECT`).
pub const INDIRECT: u16 = 4;

/// To the device: no interrupt when a buffer was used (`VIRTQ_AVAIL_F_NO_INTERRUPT`).
pub const NO_INTERRUPT: u16 = 1;

/// From the device: no notification when a buffer is made available (`VIRTQ_USED_F_NO_NOTIFY`).
pub const NO_NOTIFY: u16 = 1;

/// The size of a [`Descriptor`] in memory, in bytes.
pub const DESCRIPTOR_SIZE: u32 = 16;

/// A descriptor (`struct virtq_desc`): section 2.7.5.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Descriptor {
    /// Where the segment or the indirect table is, as the device sees it.
    pub address: u64,
    /// Its length in bytes.
    pub len: u32,
    /// [`NEXT`], [`WRITE`], [`INDIRECT`].
    pub flags: u16,
    /// The next descriptor of the chain, if there is one.
    pub next: u16,
}

/// An element of the used ring (`struct virtq_used_elem`): section 2.7.8.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UsedElement {
    /// The head of the chain that the device is done with, it says.
    pub id: u32,
    /// How many bytes it has written to it, it says.
    pub len: u32,
}

/// The driver's side of the memory of a split virtqueue.
///
/// Indices may have any value: an implementation takes them modulo the size of the queue, or of an
/// indirect table. So nobody can reach beyond the memory, whatever the ring or the device does.
///
/// Every access is one whole access: what is read is what was there at one time, and is read again
/// by the next call only. Accesses are not ordered but by the barriers, which order them as the
/// device sees them.
pub trait Memory {
    /// Writes descriptor `index` of the descriptor table.
    fn set_descriptor(&mut self, index: u16, descriptor: Descriptor);

    /// Writes descriptor `entry` of indirect table `table`. There is one for each descriptor of the
    /// queue, if there are any.
    fn set_table_entry(&mut self, table: u16, entry: u16, descriptor: Descriptor);

    /// Returns the address of indirect table `table`, as the device sees it.
    fn table_address(&self, table: u16) -> u64;

    /// Writes entry `slot` of the available ring: the head of a chain.
    fn set_available(&mut self, slot: u16, head: u16);

    /// Writes the index of the available ring.
    fn set_available_index(&mut self, index: u16);

    /// Writes the flags of the available ring: [`NO_INTERRUPT`].
    fn set_available_flags(&mut self, flags: u16);

    /// Writes `used_event`: the used index from which on the device is to interrupt.
    fn set_used_event(&mut self, index: u16);

    /// Reads the index of the used ring.
    fn used_index(&self) -> u16;

    /// Reads the flags of the used ring: [`NO_NOTIFY`].
    fn used_flags(&self) -> u16;

    /// Reads element `slot` of the used ring.
    fn used(&self, slot: u16) -> UsedElement;

    /// Reads `avail_event`: the available index from which on the device wants to be notified.
    fn available_event(&self) -> u16;

    /// Zeroes the available ring and the used ring. The device must not be using them.
    fn clear(&mut self);

    /// Reads before it happen before reads after it.
    fn read_barrier(&self);

    /// Writes before it happen before writes after it.
    fn write_barrier(&self);

    /// All that is before it happens before all that is after it.
    fn full_barrier(&self);
}
