// SPDX-License-Identifier: GPL-2.0

//! What a device of a split queue may do wrong has a name.

use std::rc::Rc;

use super::memory::{pair, pair_of, Buf, Byte};
use crate::ring::{chain::Segment, poison::Poison, virtqueue::Virtqueue};

fn poison_of(
    size: u16,
    added: u64,
    act: impl FnOnce(&mut super::device::Device<super::memory::Mem>),
) -> Option<Poison> {
    let (mut driver, mut device) = pair(size, 0, true);
    for number in 0..added {
        // All odd: one byte to write.
        assert!(driver.add(Byte(2 * number + 1)).is_ok());
    }
    act(&mut device);
    let mut back = 0;
    while driver.get_used().is_some() {
        back += 1;
    }
    assert!(back <= added);
    driver.poisoned()
}

#[test]
fn an_id_that_no_descriptor_has() {
    for id in [8, 9, 0xffff, 0x1_0000, u32::MAX] {
        assert_eq!(
            poison_of(8, 3, |device| device.push(id, 1)),
            Some(Poison::IdOutOfRange { id, size: 8 })
        );
    }
}

#[test]
fn a_buffer_that_is_not_in_flight() {
    // Never was.
    assert_eq!(
        poison_of(8, 3, |device| device.push(5, 1)),
        Some(Poison::NotInFlight { id: 5 })
    );
    // Twice.
    assert_eq!(
        poison_of(8, 3, |device| {
            device.push(1, 1);
            device.push(1, 1);
        }),
        Some(Poison::NotInFlight { id: 1 })
    );
}

#[test]
fn the_middle_of_a_chain() {
    let alive = Rc::default();
    let segments = |n: u64| (0..n).map(|n| Segment { address: n, len: 1 }).collect();

    for id in [1, 2] {
        let (mut driver, mut device) = pair(4, 0, false);
        assert!(driver.add(Buf::new(0, segments(3), vec![], &alive)).is_ok());
        device.push(id, 0);
        assert!(driver.get_used().is_none());
        assert_eq!(
            driver.poisoned(),
            Some(Poison::NotInFlight { id: id as u16 })
        );
        assert_eq!(alive.get(), 1);
    }
}

#[test]
fn more_than_the_buffer_holds() {
    for len in [2, 4097, u32::MAX] {
        assert_eq!(
            poison_of(8, 3, |device| device.push(2, len)),
            Some(Poison::LengthTooLong {
                id: 2,
                len,
                limit: 1
            })
        );
    }
}

#[test]
fn an_index_that_jumps() {
    // Forward by more than is in flight, to the other half, and back.
    for by in [4, 9, 0x7000, 0x8000, 0xffff] {
        assert_eq!(
            poison_of(8, 3, |device| device.jump(by)),
            Some(Poison::UsedIndexJump {
                from: 0,
                to: by,
                in_flight: 3
            })
        );
    }
    // Back to where it was before.
    assert_eq!(
        poison_of(8, 3, |device| {
            device.push(0, 1);
            device.jump(0xfffe);
        }),
        Some(Poison::UsedIndexJump {
            from: 0,
            to: 0xffff,
            in_flight: 3
        })
    );
}

/// An index that goes back while what it was ahead by is being taken.
#[test]
fn an_index_that_goes_back_under_way() {
    let (mut driver, mut device) = pair(8, 0, true);

    for number in 0..4 {
        assert!(driver.add(Byte(number)).is_ok());
    }
    for id in 0..3 {
        device.push(id, 0);
    }
    assert!(driver.get_used().is_some());
    device.jump(0xfffd);
    // The two that were there stay; then the index is seen again.
    assert!(driver.get_used().is_some());
    assert!(driver.get_used().is_some());
    assert!(driver.get_used().is_none());
    assert_eq!(
        driver.poisoned(),
        Some(Poison::UsedIndexJump {
            from: 3,
            to: 0,
            in_flight: 1
        })
    );
}

/// One that agreed on order names a buffer before it has used those that it was given earlier.
#[test]
fn a_buffer_out_of_order() {
    let (mut driver, mut device) = pair_of(8, 0, true, true);
    for number in 0..4 {
        assert!(driver.add(Byte(number)).is_ok());
    }
    device.push(0, 0);
    assert!(driver.get_used().is_some());
    // The last of two, it says, but it stands for three.
    device.push_all(3, 0, 2);
    assert!(driver.get_used().is_none());
    assert_eq!(
        driver.poisoned(),
        Some(Poison::OutOfOrder {
            id: 3,
            earlier: 2,
            ready: 2
        })
    );
    assert_eq!(driver.in_flight(), 3);
}
