// SPDX-License-Identifier: GPL-2.0

//! The memory that a packed virtqueue shares with its device.

/// In a descriptor's flags: what the driver's wrap counter was (`VIRTQ_DESC_F_AVAIL`).
pub const AVAIL: u16 = 1 << 7;

/// In a descriptor's flags: what the device's wrap counter was, or the opposite of [`AVAIL`] as long
/// as the device did not use it (`VIRTQ_DESC_F_USED`).
pub const USED: u16 = 1 << 15;

/// In an event suppression structure: tell of everything (`RING_EVENT_FLAGS_ENABLE`).
pub const EVENT_ENABLE: u16 = 0;

/// Tell of nothing (`RING_EVENT_FLAGS_DISABLE`).
pub const EVENT_DISABLE: u16 = 1;

/// Tell when a certain descriptor is reached (`RING_EVENT_FLAGS_DESC`); with
/// `VIRTIO_F_EVENT_IDX` only.
pub const EVENT_DESC: u16 = 2;

/// A descriptor without its flags (`struct pvirtq_desc`): section 2.8.13.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Body {
    /// Where the segment or the indirect table is, as the device sees it.
    pub address: u64,
    /// Its length in bytes.
    pub len: u32,
    /// The number of the buffer.
    pub id: u16,
}

/// What the device writes when it is done with a buffer: section 2.8.4.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct UsedDescriptor {
    /// The number of the buffer, it says.
    pub id: u16,
    /// How many bytes it has written to it, it says.
    pub len: u32,
}

/// An event suppression structure (`struct pvirtq_event_suppress`): section 2.8.14.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Event {
    /// A position in the ring: the descriptor in bits 0 to 14, the wrap counter in bit 15.
    pub position: u16,
    /// [`EVENT_ENABLE`], [`EVENT_DISABLE`] or [`EVENT_DESC`], in bits 0 and 1; the others are
    /// reserved.
    pub flags: u16,
}

/// The driver's side of the memory of a packed virtqueue.
///
/// Indices may have any value: an implementation takes those that are beyond the end of the ring or
/// of a table for some that are not. So nobody can reach beyond the memory, whatever the ring or the
/// device does.
///
/// Every access of a field is one whole access: what is read is what was there at one time, and is
/// read again by the next call only. Accesses are not ordered but by the barriers, which order them
/// as the device sees them.
pub trait PackedMemory {
    /// Writes descriptor `index` but for its flags.
    fn set_body(&mut self, index: u16, body: Body);

    /// Writes the flags of descriptor `index`.
    fn set_flags(&mut self, index: u16, flags: u16);

    /// Reads the flags of descriptor `index`.
    fn flags(&self, index: u16) -> u16;

    /// Reads what else the device wrote to descriptor `index`.
    fn used(&self, index: u16) -> UsedDescriptor;

    /// Writes descriptor `entry` of indirect table `table`, of which there is one for each buffer
    /// number, if there are any.
    fn set_table_entry(&mut self, table: u16, entry: u16, body: Body, flags: u16);

    /// Returns the address of indirect table `table`, as the device sees it.
    fn table_address(&self, table: u16) -> u64;

    /// Writes the position at which the device is to interrupt.
    fn set_driver_position(&mut self, position: u16);

    /// Writes whether the device is to interrupt: one of the flags of [`Event`].
    fn set_driver_flags(&mut self, flags: u16);

    /// Reads when the device wants to be notified, in one access.
    fn device_event(&self) -> Event;

    /// Zeroes the descriptors and both event suppression structures. The device must not be using
    /// them.
    fn clear(&mut self);

    /// Reads before it happen before reads after it.
    fn read_barrier(&self);

    /// Writes before it happen before writes after it.
    fn write_barrier(&self);

    /// All that is before it happens before all that is after it.
    fn full_barrier(&self);
}
