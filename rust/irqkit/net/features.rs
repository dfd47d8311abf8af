// SPDX-License-Identifier: GPL-2.0

//! What a network device can do for the stack.

use core::ops::BitOr;

use kernel::bindings;

/// A set of features: `netdev_features_t`.
///
/// C header: [`include/linux/netdev_features.h`](srctree/include/linux/netdev_features.h)
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Features(u64);

macro_rules! features {
    ($($(#[$doc:meta])* $name:ident = $bit:ident;)*) => {
        impl Features {
            $(
                $(#[$doc])*
                pub const $name: Self = Self(
                    // CAST: Numbers of bits are below 64.
                    1 << (bindings::$bit as u32)
                );
            )*

            /// All that have a name here.
            ///
            /// Others promise the core operations that a device of this module does not have.
            pub const ALL: Self = Self(0 $(| Self::$name.0)*);
        }
    };
}

features! {
    /// It sends packets that consist of fragments.
    SG = NETIF_F_SG_BIT;
    /// It computes any checksum, from a start and to an offset.
    HW_CSUM = NETIF_F_HW_CSUM_BIT;
    /// It tells which received checksums are right.
    RXCSUM = NETIF_F_RXCSUM_BIT;
    /// It cuts TCP over IPv4 into segments.
    TSO = NETIF_F_TSO_BIT;
    /// It cuts TCP over IPv6 into segments.
    TSO6 = NETIF_F_TSO6_BIT;
    /// As [`Features::TSO`], and knows about ECN.
    TSO_ECN = NETIF_F_TSO_ECN_BIT;
    /// It cuts UDP datagrams into segments.
    GSO_UDP_L4 = NETIF_F_GSO_UDP_L4_BIT;
    /// It takes packets for segmentation whose headers nobody has checked.
    GSO_ROBUST = NETIF_F_GSO_ROBUST_BIT;
    /// It reaches all of the memory.
    HIGHDMA = NETIF_F_HIGHDMA_BIT;
    /// It merges received packets so that they can be taken apart again.
    GRO_HW = NETIF_F_GRO_HW_BIT;
}

impl Features {
    /// No features.
    pub const NONE: Self = Self(0);

    /// Returns the features whose bits are set, of which the kernel has more than have a name here.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// Returns a bit for each feature.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Returns whether all of `other` are among these.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Returns these and `other`.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns those that are among `other` as well.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns these without `other`.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

impl BitOr for Features {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        self.with(other)
    }
}
