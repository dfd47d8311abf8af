// SPDX-License-Identifier: GPL-2.0

//! Places in a packed ring.

use super::{
    layout::PackedLayout,
    packed_memory::{
        AVAIL,
        USED, //
    }, //
};

/// A place in a packed ring, and how often it was gone round, modulo 2: section 2.8.1.
///
/// # Invariants
///
/// `at` is below the size of the ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Cursor {
    pub(super) at: u16,
    pub(super) wrap: bool,
}

impl Cursor {
    /// Where both sides begin.
    pub(super) const START: Self = Self { at: 0, wrap: true };

    /// Returns the place that is `count` descriptors further, which is at most once around.
    #[inline]
    pub(super) fn plus(self, count: u16, layout: PackedLayout) -> Self {
        // At most 2^15 - 1 and 2^15.
        let at = self.at.wrapping_add(count);

        match at.checked_sub(layout.size()) {
            // INVARIANT: Both were at most the size, and one less than that.
            Some(at) => Self {
                at,
                wrap: !self.wrap,
            },
            // INVARIANT: It is less than the size.
            None => Self { at, ..self },
        }
    }

    /// Returns it as it is told to the device.
    #[inline]
    pub(super) fn position(self) -> u16 {
        self.at | (u16::from(self.wrap) << 15)
    }

    /// Returns the flags that make a descriptor here available.
    #[inline]
    pub(super) fn available(self) -> u16 {
        if self.wrap {
            AVAIL
        } else {
            USED
        }
    }

    /// Returns the flags of a descriptor here that is used.
    #[inline]
    pub(super) fn used(self) -> u16 {
        if self.wrap {
            AVAIL | USED
        } else {
            0
        }
    }
}
