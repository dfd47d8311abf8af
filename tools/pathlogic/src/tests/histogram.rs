// SPDX-License-Identifier: GPL-2.0

use std::{
    array,
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use proptest::prelude::*;

use crate::histogram::*;

/// A word of ordinary memory, in the place of the kernel's.
#[derive(Default)]
struct Mem(AtomicU64);

impl Word for Mem {
    fn load(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn load_acquire(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed)
    }

    fn store_release(&self, value: u64) {
        self.0.store(value, Ordering::Release)
    }
}

/// A zeroed cell, as per-CPU memory is.
fn cell() -> Cell<Mem> {
    // SAFETY: `Cell` consists of `Mem`s alone, for which all zeroes are valid.
    unsafe { std::mem::zeroed() }
}

fn text(epoch: u64, cells: &[Cell<Mem>]) -> String {
    let mut out = String::new();
    write(&mut out, epoch, cells.iter()).unwrap();
    out
}

/// What the text says: the buckets, then count, sum, min, max.
fn parse(text: &str) -> (Vec<[u64; 3]>, [u64; 4]) {
    let mut buckets = Vec::new();
    let mut totals = Vec::new();

    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        match words[..] {
            [low, high, count] => {
                assert!(totals.is_empty(), "a bucket after the totals");
                buckets.push([low, high, count].map(|word| word.parse().unwrap()));
            }
            [name, value] => {
                assert_eq!(name, ["count", "sum", "min", "max"][totals.len()]);
                totals.push(value.parse().unwrap());
            }
            _ => panic!("{line:?}"),
        }
    }
    (buckets, totals.try_into().unwrap())
}

#[test]
fn buckets_join_without_gap_or_overlap() {
    assert_eq!(low(0), 0);
    for i in 0..BUCKETS - 1 {
        assert!(low(i) <= high(i));
        assert_eq!(high(i) + 1, low(i + 1), "bucket {i}");
    }
    assert_eq!(high(BUCKETS - 1), u64::MAX);
    assert_eq!(low(BUCKETS), LAST_LOW, "beyond the end is the last bucket");
    assert_eq!(high(BUCKETS), u64::MAX);
}

#[test]
fn both_bounds_of_each_bucket_are_in_it() {
    for i in 0..BUCKETS {
        assert_eq!(index(low(i)), i);
        assert_eq!(index(high(i)), i);
    }
}

#[test]
fn four_equal_sub_buckets_an_octave() {
    for octave in 2..40 {
        let start = 1u64 << octave;
        let width = start / 4;
        for sub in 0..4 {
            let i = index(start + sub * width);
            assert_eq!(low(i), start + sub * width);
            assert_eq!(high(i), start + (sub + 1) * width - 1);
        }
        assert_eq!(index(2 * start) - index(start), 4);
    }
}

#[test]
fn the_ends() {
    assert_eq!(
        [0, 1, 2, 3, 4, 7, 8, 9, 10].map(index),
        [0, 1, 2, 3, 4, 7, 8, 8, 9]
    );
    assert_eq!(LAST_LOW, 7 << 38);
    assert_eq!(index(LAST_LOW - 1), BUCKETS - 2);
    assert_eq!(index(LAST_LOW), BUCKETS - 1);
    assert_eq!(index(u64::MAX), BUCKETS - 1);
}

proptest! {
    /// Uniform in the exponent, so that every octave is met.
    #[test]
    fn a_value_is_within_its_bounds(bits in any::<u64>(), shift in 0u32..64) {
        let value = bits >> shift;
        let i = index(value);
        prop_assert!(i < BUCKETS);
        prop_assert!(low(i) <= value && value <= high(i));
    }

    #[test]
    fn index_is_monotone(a in any::<u64>(), b in any::<u64>(), s in 0u32..64, t in 0u32..64) {
        let (a, b) = (a >> s, b >> t);
        prop_assert!((a <= b) == (index(a) <= index(b)) || index(a) == index(b));
    }

    #[test]
    fn a_bucket_is_at_most_a_quarter_of_its_low_bound_wide(i in 4usize..BUCKETS - 1) {
        prop_assert!((high(i) - low(i) + 1) * 4 <= low(i));
    }

    /// The text of any recording, spread over CPUs, says what was recorded.
    #[test]
    fn the_text_tells_what_was_recorded(
        values in prop::collection::vec((0usize..3, any::<u64>(), 0u32..64), 0..200)
    ) {
        let cells: [_; 3] = array::from_fn(|_| cell());
        let values: Vec<_> = values.into_iter().map(|(cpu, bits, s)| (cpu, bits >> s)).collect();
        for &(cpu, value) in &values {
            cells[cpu].record(1, value);
        }

        let (buckets, [count, sum, min, max]) = parse(&text(1, &cells));
        let all = || values.iter().map(|&(_, value)| value);
        prop_assert_eq!(count, values.len() as u64);
        prop_assert_eq!(sum, all().fold(0, u64::wrapping_add));
        prop_assert_eq!(min, all().min().unwrap_or(0));
        prop_assert_eq!(max, all().max().unwrap_or(0));
        prop_assert!(buckets.windows(2).all(|pair| pair[0][1] < pair[1][0]));
        for [low, high, n] in buckets {
            prop_assert_eq!(n, all().filter(|v| (low..=high).contains(v)).count() as u64);
        }
    }
}

#[test]
fn empty() {
    let nothing = "count 0\nsum 0\nmin 0\nmax 0\n";
    assert_eq!(text(1, &[]), nothing);
    assert_eq!(text(1, &[cell(), cell()]), nothing);
}

#[test]
fn zero_and_the_largest() {
    let c = cell();
    c.record(1, 0);
    assert_eq!(text(1, &[c]), "0 0 1\ncount 1\nsum 0\nmin 0\nmax 0\n");

    let c = cell();
    c.record(1, u64::MAX);
    c.record(1, LAST_LOW);
    let sum = u64::MAX.wrapping_add(LAST_LOW);
    assert_eq!(
        text(1, &[c]),
        format!(
            "{LAST_LOW} {0} 2\ncount 2\nsum {sum}\nmin {LAST_LOW}\nmax {0}\n",
            u64::MAX
        )
    );
}

#[test]
fn a_reset_forgets_on_every_cpu_whether_or_not_it_records_again() {
    let cells = [cell(), cell()];
    cells[0].record(1, 10);
    cells[1].record(1, 1000);

    assert_eq!(text(2, &cells), "count 0\nsum 0\nmin 0\nmax 0\n");
    cells[0].record(2, 50);
    assert_eq!(
        text(2, &cells),
        "48 55 1\ncount 1\nsum 50\nmin 50\nmax 50\n"
    );
    // A straggler that had looked up the epoch before the reset belongs to the old one.
    cells[1].record(1, 7);
    assert_eq!(
        text(2, &cells),
        "48 55 1\ncount 1\nsum 50\nmin 50\nmax 50\n"
    );
}

/// Two recorders, resets and a reader at once: no reading is torn over a reset.
#[test]
fn resets_race_with_recording() {
    let cells = [cell(), cell()];
    let epoch = AtomicU64::new(1);
    let stop = AtomicU64::new(0);

    thread::scope(|scope| {
        for cell in &cells {
            scope.spawn(|| {
                while stop.load(Ordering::Relaxed) == 0 {
                    // In an epoch, only its own number is recorded.
                    let now = epoch.load(Ordering::Relaxed);
                    cell.record(now, now);
                }
            });
        }
        for now in 1..=2000 {
            epoch.store(now, Ordering::Relaxed);
            let (buckets, _) = parse(&text(now, &cells));
            for [low, high, _] in buckets {
                assert!(
                    (low..=high).contains(&now),
                    "epoch {now} shows {low} to {high}"
                );
            }
        }
        stop.store(1, Ordering::Relaxed);
    });
}
