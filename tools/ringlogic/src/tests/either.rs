// SPDX-License-Identifier: GPL-2.0

//! One thing at a time, with queues of either kind.

use super::{
    kind::{Kind, Model, Packed, Split},
    memory::Byte,
};
use crate::ring::{
    chain::{AddError, Buffer, Segment, Space},
    virtqueue::Virtqueue,
};

fn fill_the_largest<K: Kind>() {
    for in_order in [false, true] {
        let (mut driver, mut device) = K::pair(32768, 0, true, in_order);
        for round in 0..4 {
            for number in 0..32768 {
                assert!(driver.add(Byte(number + round)).is_ok());
            }
            assert_eq!(driver.free(), 0);
            assert_eq!(driver.add(Byte(0)).unwrap_err().why, AddError::Full);
            assert!(driver.kick_needed() || round > 0);
            while let Some(taken) = device.pop().unwrap() {
                device.give_one(&taken, taken.chain.room());
            }
            for number in 0..32768 {
                assert_eq!(driver.get_used().unwrap().buffer, Byte(number + round));
            }
            assert!(driver.get_used().is_none());
            assert_eq!(driver.free(), 32768);
        }
        assert_eq!(driver.poisoned(), None);
    }
}

#[test]
fn the_largest_queue_is_filled_and_emptied_split() {
    fill_the_largest::<Split>();
}

#[test]
fn the_largest_queue_is_filled_and_emptied_packed() {
    fill_the_largest::<Packed>();
}

/// A buffer that says one number of segments and has another: its author's bug.
struct Liar {
    says: usize,
    has: usize,
}

struct Segments(Liar);

impl Iterator for Segments {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        self.0.has = self.0.has.checked_sub(1)?;
        Some(Segment { address: 1, len: 1 })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.0.says, Some(self.0.says))
    }
}

impl ExactSizeIterator for Segments {
    fn len(&self) -> usize {
        self.0.says
    }
}

// SAFETY: There is no memory that a device could reach.
unsafe impl Buffer for Liar {
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        Segments(Self { ..*self })
    }

    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        Segments(Self { says: 0, has: 0 })
    }

    fn is_in(&self, space: Space) -> bool {
        space == Space::PHYSICAL
    }
}

/// What was written of a buffer that is refused half way never becomes available.
fn refuse_the_liar<K: Kind>() {
    let lies = [
        (1, 2),
        (2, 1),
        (3, 4),
        (4, 3),
        (1, 0),
        (0, 1),
        (4, 9),
        (2, 3),
        (3, 2),
    ];

    for table in [0, 4] {
        for honest in [1, 3] {
            for (says, has) in lies {
                let (mut driver, mut device) = K::pair(8, table, true, false);
                assert!(driver.add(Liar { says, has }).is_err(), "{says} {has}");
                assert_eq!(driver.free(), 8);
                assert!(device.pop().unwrap().is_none());
                let (says, has) = (honest, honest);
                assert!(driver.add(Liar { says, has }).is_ok());
                assert_eq!(device.pop().unwrap().unwrap().chain.count, honest);
                assert!(device.pop().unwrap().is_none());
            }
        }
    }
}

#[test]
fn a_buffer_that_miscounts_is_refused_split() {
    refuse_the_liar::<Split>();
}

#[test]
fn a_buffer_that_miscounts_is_refused_packed() {
    refuse_the_liar::<Packed>();
}
