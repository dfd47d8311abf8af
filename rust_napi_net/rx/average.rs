// SPDX-License-Identifier: GPL-2.0

//! How long frames are of late.

/// Of how many frames, roughly.
const WEIGHT: u32 = 64;

/// A moving average of lengths, in which each new one has a part of a 64th.
pub(super) struct Average {
    /// The average, [`WEIGHT`] times.
    sum: u32,
}

impl Average {
    /// Begins with `len`.
    pub(super) fn new(len: u32) -> Self {
        Self {
            sum: len.saturating_mul(WEIGHT),
        }
    }

    /// Takes in a length.
    #[inline]
    pub(super) fn add(&mut self, len: u32) {
        self.sum = (self.sum - self.sum / WEIGHT).saturating_add(len);
    }

    /// Returns the average.
    #[inline]
    pub(super) fn get(&self) -> u32 {
        self.sum / WEIGHT
    }
}
