// SPDX-License-Identifier: GPL-2.0

//! Log2 histograms with four linear sub-buckets an octave: bounds, recording and text.
//!
//! This file is pure logic over [`Word`]s of memory. It knows neither the kernel nor per-CPU
//! memory, so that the very same source is compiled and tested on the host
//! (`tools/pathlogic`).
//!
//! # Buckets
//!
//! The values 0 to 3 have a bucket each. From 4 on, every octave `[2^k, 2^(k+1))` is cut into four
//! equal parts, so that a bucket is never wider than a quarter of its low bound. The last of the
//! [`BUCKETS`] takes everything from [`LAST_LOW`] on (in nanoseconds, 32 minutes), whatever its
//! size: a value is never lost, and the table has a fixed size.

use core::fmt;

/// Bits of linear resolution within an octave: four sub-buckets.
const SUB_BITS: u32 = 2;

/// Sub-buckets an octave, and the number of exact buckets at the bottom.
const SUB: usize = 1 << SUB_BITS;

/// The number of buckets of a histogram.
pub const BUCKETS: usize = 160;

/// The lowest value that goes to the last bucket, whose high bound is [`u64::MAX`].
pub const LAST_LOW: u64 = low(BUCKETS - 1);

/// Returns the bucket that `value` belongs to, always below [`BUCKETS`].
///
/// It takes a count of leading zeros, a shift and a comparison: no division, no loop.
#[inline]
pub const fn index(value: u64) -> usize {
    // CAST: `value` is below `SUB`.
    if value < SUB as u64 {
        return value as usize;
    }

    let octave = value.ilog2();
    // CAST: the mask leaves `SUB_BITS` bits.
    let sub = (value >> (octave - SUB_BITS)) as usize & (SUB - 1);
    let index = SUB * (octave as usize - 1) + sub;

    if index < BUCKETS {
        index
    } else {
        BUCKETS - 1
    }
}

/// Returns the lowest value of bucket `index`; that of the last bucket, if there is no such bucket.
pub const fn low(index: usize) -> u64 {
    let index = if index < BUCKETS { index } else { BUCKETS - 1 };

    if index < SUB {
        return index as u64;
    }

    let octave = index / SUB + 1;
    let sub = index % SUB;

    ((SUB + sub) as u64) << (octave - SUB_BITS as usize)
}

/// Returns the highest value of bucket `index`: its bounds are both inclusive.
pub const fn high(index: usize) -> u64 {
    if index + 1 < BUCKETS {
        low(index + 1) - 1
    } else {
        u64::MAX
    }
}

/// A 64-bit word of memory that one CPU writes and any CPU may read meanwhile, without tearing.
pub trait Word {
    /// Loads the word.
    fn load(&self) -> u64;

    /// Loads the word; what was written before the store it sees is seen afterwards.
    fn load_acquire(&self) -> u64;

    /// Stores to the word.
    fn store(&self, value: u64);

    /// Stores to the word, after everything that was written before.
    fn store_release(&self, value: u64);
}

/// One CPU's part of a histogram.
///
/// # Epochs
///
/// A histogram is reset by raising its epoch, a number that starts at 1. No other CPU writes to a
/// `Cell`: its own CPU empties it when it records its first value of the new epoch, and until then
/// readers, who compare the epochs, take it as empty. So a value belongs to exactly one epoch, the
/// one that [`Cell::record`] was called with, and a reset can neither lose a later value nor keep
/// an earlier one, however it races with recording.
#[repr(C)]
pub struct Cell<W> {
    epoch: W,
    sum: W,
    min: W,
    max: W,
    buckets: [W; BUCKETS],
}

impl<W: Word> Cell<W> {
    /// Records `value` in `epoch`.
    ///
    /// There must be one call at a time for one cell, with epochs that never fall. It is wait-free:
    /// the work is constant, save for the first value of an epoch, which empties the table.
    #[inline]
    pub fn record(&self, epoch: u64, value: u64) {
        if self.epoch.load() != epoch {
            self.empty(epoch);
        }

        if let Some(bucket) = self.buckets.get(index(value)) {
            bucket.store(bucket.load().wrapping_add(1));
        }
        self.sum.store(self.sum.load().wrapping_add(value));
        if value < self.min.load() {
            self.min.store(value);
        }
        if value > self.max.load() {
            self.max.store(value);
        }
    }

    /// Empties the cell and puts it into `epoch`.
    #[cold]
    fn empty(&self, epoch: u64) {
        for bucket in &self.buckets {
            bucket.store(0);
        }
        self.sum.store(0);
        self.min.store(u64::MAX);
        self.max.store(0);
        // Whoever sees the new epoch sees the emptied cell.
        self.epoch.store_release(epoch);
    }

    /// Returns whether the cell has something to say about `epoch`.
    fn is_in(&self, epoch: u64) -> bool {
        self.epoch.load_acquire() == epoch
    }
}

/// Writes the histogram that consists of `cells` as text: a line `low high count` for each bucket
/// that is not empty, both bounds inclusive, then `count`, `sum`, `min` and `max` (0 when empty).
///
/// `count` is the sum of the lines above it, always. `epoch` must not change during the call. The
/// sum, minimum and maximum are read first, so while values are being recorded the table may be
/// ahead of them; at rest they agree.
pub fn write<'a, W, C, O>(out: &mut O, epoch: u64, cells: C) -> fmt::Result
where
    W: Word + 'a,
    C: Iterator<Item = &'a Cell<W>> + Clone,
    O: fmt::Write,
{
    let cells = cells.filter(move |cell| cell.is_in(epoch));

    let mut sum = 0u64;
    let mut min = u64::MAX;
    let mut max = 0;
    for cell in cells.clone() {
        sum = sum.wrapping_add(cell.sum.load());
        min = min.min(cell.min.load());
        max = max.max(cell.max.load());
    }

    let mut count = 0u64;
    for bucket in 0..BUCKETS {
        let n = cells
            .clone()
            .filter_map(|cell| cell.buckets.get(bucket))
            .fold(0u64, |n, word| n.wrapping_add(word.load()));
        if n != 0 {
            count = count.wrapping_add(n);
            writeln!(out, "{} {} {}", low(bucket), high(bucket), n)?;
        }
    }

    writeln!(out, "count {count}")?;
    writeln!(out, "sum {sum}")?;
    // Nothing recorded: `min` is still the neutral element.
    writeln!(out, "min {}", if min > max { 0 } else { min })?;
    writeln!(out, "max {max}")
}
