// SPDX-License-Identifier: GPL-2.0

//! Feature bits of virtio devices, as a set.
//!
//! Pure logic, compiled and tested on the host as well (`tools/virtiologic`).

use core::{
    fmt,
    ops::{
        BitAnd,
        BitOr, //
    }, //
};

/// A set of features: bits 0 to 63.
///
/// Bits 24 to 42 mean the same for every kind of device and have names here; the others belong to
/// the kind, and its driver makes them with [`Features::bit`].
///
/// Virtio 1.3, sections 2.2 and 6.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Features(u64);

impl Features {
    /// No feature.
    pub const NONE: Self = Self(0);
    /// Descriptors may refer to tables of descriptors (`VIRTIO_F_INDIRECT_DESC`).
    pub const RING_INDIRECT_DESC: Self = Self::bit(28);
    /// Each side says at which index it wants to hear of the other (`VIRTIO_F_EVENT_IDX`).
    pub const RING_EVENT_IDX: Self = Self::bit(29);
    /// The device follows version 1 of the specification (`VIRTIO_F_VERSION_1`).
    pub const VERSION_1: Self = Self::bit(32);
    /// The device's addresses are those of the platform's DMA, and so behind the IOMMU if there is
    /// one (`VIRTIO_F_ACCESS_PLATFORM`). Without it they are physical addresses.
    pub const ACCESS_PLATFORM: Self = Self::bit(33);
    /// Packed virtqueues (`VIRTIO_F_RING_PACKED`).
    pub const RING_PACKED: Self = Self::bit(34);
    /// Buffers are used in the order in which they were made available (`VIRTIO_F_IN_ORDER`).
    pub const IN_ORDER: Self = Self::bit(35);
    /// Memory is ordered as the platform orders it for real devices, not as between CPUs
    /// (`VIRTIO_F_ORDER_PLATFORM`).
    pub const ORDER_PLATFORM: Self = Self::bit(36);
    /// Single root I/O virtualization (`VIRTIO_F_SR_IOV`).
    pub const SR_IOV: Self = Self::bit(37);
    /// A notification carries more than the queue's number (`VIRTIO_F_NOTIFICATION_DATA`).
    pub const NOTIFICATION_DATA: Self = Self::bit(38);
    /// What a notification carries is the device's choice (`VIRTIO_F_NOTIF_CONFIG_DATA`).
    pub const NOTIF_CONFIG_DATA: Self = Self::bit(39);
    /// A queue can be reset on its own (`VIRTIO_F_RING_RESET`).
    pub const RING_RESET: Self = Self::bit(40);

    /// Returns the set of feature `n` alone; of none if `n` is above 63.
    #[inline]
    pub const fn bit(n: u32) -> Self {
        match 1u64.checked_shl(n) {
            Some(bits) => Self(bits),
            None => Self::NONE,
        }
    }

    /// Returns the set as bits.
    #[inline]
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns the set that has these bits.
    #[inline]
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns whether all of `other` is in the set.
    #[inline]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns the set with `other` added.
    #[inline]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the set with `other` taken away.
    #[inline]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Features {
    type Output = Self;

    #[inline]
    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}

impl BitAnd for Features {
    type Output = Self;

    #[inline]
    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl fmt::Debug for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for Features {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}
