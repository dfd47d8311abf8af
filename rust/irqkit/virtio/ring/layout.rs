// SPDX-License-Identifier: GPL-2.0

//! The sizes of the parts of a virtqueue: sections 2.7 and 2.8.
//!
//! The three parts are apart: the device is told of each by its own address (section 4.1.4.3). So
//! none has to be larger than it is, and what the device writes is on no page with what it only
//! reads.

use super::memory::DESCRIPTOR_SIZE;

/// The largest size of a virtqueue of either kind: sections 2.7 and 2.8.10.1.
pub const MAX_SIZE: u16 = 1 << 15;

/// The alignment that the device may expect of the descriptor table; the other two parts need less.
pub const ALIGNMENT: usize = 16;

/// Where the entries of the available and the used ring begin.
pub const RING_OFFSET: usize = 4;

/// The sizes of a split queue.
///
/// # Invariants
///
/// `size` is a power of two, and at most [`MAX_SIZE`]. `table` is at most `size`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Layout {
    size: u16,
    table: u16,
}

impl Layout {
    /// Returns the layout of a queue of `size` descriptors, with an indirect table of `table`
    /// descriptors for each of them; none, if `table` is 0.
    ///
    /// A table never needs to be larger than the queue, which is the longest that a chain may be
    /// (section 2.7.5.3.1). [`None`] if `size` is 0, not a power of two, or above [`MAX_SIZE`].
    pub const fn new(size: u16, table: u16) -> Option<Self> {
        if !size.is_power_of_two() || size > MAX_SIZE {
            return None;
        }

        // INVARIANT: Just checked; and the smaller of the two.
        Some(Self {
            size,
            table: if table < size { table } else { size },
        })
    }

    /// Returns the number of descriptors.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Returns the number of descriptors of an indirect table.
    pub const fn table(&self) -> u16 {
        self.table
    }

    /// Returns the bytes of the descriptor table.
    pub const fn descriptor_bytes(&self) -> usize {
        // CAST: No loss, on any architecture.
        DESCRIPTOR_SIZE as usize * self.size as usize
    }

    /// Returns the bytes of the available ring: flags, index, entries, `used_event`.
    pub const fn driver_bytes(&self) -> usize {
        RING_OFFSET + 2 * self.size as usize + 2
    }

    /// Returns the bytes of the used ring: flags, index, elements, `avail_event`.
    pub const fn device_bytes(&self) -> usize {
        RING_OFFSET + 8 * self.size as usize + 2
    }

    /// Returns the bytes of one indirect table.
    pub const fn table_bytes(&self) -> usize {
        // CAST: As above.
        DESCRIPTOR_SIZE as usize * self.table as usize
    }

    /// Returns the bytes of all indirect tables.
    pub const fn tables_bytes(&self) -> usize {
        self.table_bytes() * self.size as usize
    }
}

/// The bytes of an event suppression structure: section 2.8.14.
pub const EVENT_BYTES: usize = 4;

/// The sizes of a packed queue.
///
/// # Invariants
///
/// `size` is not 0, and at most [`MAX_SIZE`]. `table` is at most `size`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PackedLayout {
    size: u16,
    table: u16,
}

impl PackedLayout {
    /// Returns the layout of a queue of `size` descriptors, with an indirect table of `table`
    /// descriptors for each buffer in it; none, if `table` is 0.
    ///
    /// [`None`] if `size` is 0 or above [`MAX_SIZE`]; it need not be a power of two.
    pub const fn new(size: u16, table: u16) -> Option<Self> {
        if size == 0 || size > MAX_SIZE {
            return None;
        }

        // INVARIANT: Just checked; and the smaller of the two.
        Some(Self {
            size,
            table: if table < size { table } else { size },
        })
    }

    /// Returns the number of descriptors.
    pub const fn size(&self) -> u16 {
        self.size
    }

    /// Returns the number of descriptors of an indirect table.
    pub const fn table(&self) -> u16 {
        self.table
    }

    /// Returns the bytes of the descriptor ring.
    pub const fn descriptor_bytes(&self) -> usize {
        // CAST: No loss, on any architecture.
        DESCRIPTOR_SIZE as usize * self.size as usize
    }

    /// Returns the bytes of all indirect tables.
    pub const fn tables_bytes(&self) -> usize {
        // CAST: As above.
        DESCRIPTOR_SIZE as usize * self.table as usize * self.size as usize
    }
}

/// Returns whether the other side wants an event, now that an index has gone from `old` to `new`,
/// when it asked for one at the step beyond `event` (`vring_need_event()`): section 2.7.7.
///
/// All three are free running and wrap at 2^16.
#[inline]
pub const fn need_event(event: u16, new: u16, old: u16) -> bool {
    new.wrapping_sub(event).wrapping_sub(1) < new.wrapping_sub(old)
}

/// Returns what to write to the notification address of a split queue whose available index is
/// `available`, if `VIRTIO_F_NOTIFICATION_DATA` was negotiated: section 4.1.5.2, `vqn` in the low
/// half, `next_off` and `next_wrap` together the index.
///
/// `vqn` is the number of the queue, or with `VIRTIO_F_NOTIF_CONFIG_DATA` what the device gave for
/// it.
#[inline]
pub const fn notification_data(vqn: u16, available: u16) -> u32 {
    // CAST: No loss.
    ((available as u32) << 16) | vqn as u32
}
