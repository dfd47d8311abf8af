// SPDX-License-Identifier: GPL-2.0

//! What a device of a packed queue may do wrong has a name.

use super::{
    device::packed::Device,
    memory::Byte,
    packed_memory::{pair, Mem},
};
use crate::ring::{poison::Poison, virtqueue::Virtqueue};

fn poison_of(in_order: bool, act: impl FnOnce(&mut Device<Mem>)) -> Option<Poison> {
    let (mut driver, mut device) = pair(6, 0, true, in_order);
    for number in 0..3 {
        // All odd: one byte to write.
        assert!(driver.add(Byte(2 * number + 1)).is_ok());
    }
    act(&mut device);
    let mut back = 0;
    while driver.get_used().is_some() {
        back += 1;
    }
    assert!(back <= 3);
    driver.poisoned()
}

#[test]
fn what_is_wrong_has_a_name() {
    for in_order in [false, true] {
        for id in [6, 7, 0x7fff, u16::MAX] {
            assert_eq!(
                poison_of(in_order, |device| device.push(id, 1, 1)),
                Some(Poison::IdOutOfRange {
                    id: id.into(),
                    size: 6
                })
            );
        }
        // Never was in flight.
        assert_eq!(
            poison_of(in_order, |device| device.push(4, 1, 1)),
            Some(Poison::NotInFlight { id: 4 })
        );
        // Twice.
        assert_eq!(
            poison_of(in_order, |device| {
                device.push(0, 1, 1);
                device.push(0, 1, 1);
            }),
            Some(Poison::NotInFlight { id: 0 })
        );
        for len in [2, 4097, u32::MAX] {
            assert_eq!(
                poison_of(in_order, |device| device.push(0, len, 1)),
                Some(Poison::LengthTooLong {
                    id: 0,
                    len,
                    limit: 1
                })
            );
        }
    }
}

/// More come back than there were.
#[test]
fn used_with_nothing_in_flight() {
    let (mut driver, mut device) = pair::<Byte>(4, 0, true, false);
    device.push(0, 0, 1);
    assert!(driver.get_used().is_none());
    assert_eq!(driver.poisoned(), Some(Poison::NotInFlight { id: 0 }));
}

/// One that agreed on order names a later buffer, and that stands for those before it. Then it names
/// one of those.
#[test]
fn a_batch_is_not_returned_again() {
    let (mut driver, mut device) = pair(4, 0, true, true);
    for number in 0..4 {
        assert!(driver.add(Byte(number)).is_ok());
    }
    device.push(2, 0, 3);
    device.push(1, 0, 1);
    for number in 0..3 {
        assert_eq!(driver.get_used().unwrap().buffer, Byte(number));
    }
    assert!(driver.get_used().is_none());
    assert_eq!(driver.poisoned(), Some(Poison::NotInFlight { id: 1 }));
}
