// SPDX-License-Identifier: GPL-2.0

//! Property, for packed queues: whatever a device writes, the driver's books stay right, no buffer
//! comes back twice or is lost, and what was wrong has a name.

use std::{cell::Cell, collections::HashSet, rc::Rc};

use proptest::{collection::vec, prelude::*};

use super::{
    device::packed::{Device, DeviceMemory},
    memory::{Buf, Byte},
    packed_memory::{pair, Mem},
    tries,
};
use crate::ring::{
    chain::Segment,
    packed_memory::{Event, UsedDescriptor},
    poison::Poison,
    virtqueue::Virtqueue,
};

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

#[derive(Clone, Debug)]
enum Act {
    Add(u8, u8),
    GetUsed,
    Kick,
    Enable(bool),
    Disable,
    /// The device writes a descriptor, and flags.
    Used(u16, u16, u32),
    Flags(u16, u16),
    Event(u16, u16),
    /// It does what it should.
    Behave,
}

fn act() -> impl Strategy<Value = Act> {
    let id = || prop_oneof![8 => 0u16..10, 1 => any::<u16>()];
    let len = || prop_oneof![4 => 0u32..40, 1 => any::<u32>()];
    prop_oneof![
        8 => (0u8..3, 0u8..3).prop_map(|(r, w)| Act::Add(r, w)),
        8 => Just(Act::GetUsed),
        2 => Just(Act::Kick),
        2 => any::<bool>().prop_map(Act::Enable),
        1 => Just(Act::Disable),
        2 => (any::<u16>(), id(), len()).prop_map(|(at, id, len)| Act::Used(at, id, len)),
        2 => (any::<u16>(), any::<u16>()).prop_map(|(at, flags)| Act::Flags(at, flags)),
        1 => (any::<u16>(), any::<u16>()).prop_map(|(at, flags)| Act::Event(at, flags)),
        12 => Just(Act::Behave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(4000, 4)))]

    #[test]
    fn nothing_that_a_device_writes_harms(
        size in 1u16..9,
        table in 0u16..4,
        event_idx: bool,
        in_order: bool,
        acts in vec(act(), 0..200),
    ) {
        let alive = Rc::<Cell<usize>>::default();
        let (mut driver, mut device) = pair(size, table, event_idx, in_order);
        let mut number = 0;
        let mut out = HashSet::new();
        let mut behaved = true;

        for act in acts {
            match act {
                Act::Add(readable, writable) => {
                    let segments = |n: u8| {
                        (0..n).map(|n| Segment { address: n.into(), len: 10 }).collect()
                    };
                    number += 1;
                    let buffer = Buf::new(number, segments(readable), segments(writable), &alive);
                    if driver.add(buffer).is_ok() {
                        out.insert(number);
                    }
                }
                Act::GetUsed => {
                    if let Some(used) = driver.get_used() {
                        prop_assert!(out.remove(&used.buffer.number), "came back twice");
                        prop_assert!(used.written <= used.buffer.room());
                    }
                }
                Act::Kick => {
                    let _ = driver.kick_needed();
                }
                Act::Enable(delayed) => {
                    // Nobody goes on for ever: at the latest the queue is poisoned.
                    let mut rounds = 0;
                    let mut again = true;
                    while again {
                        again = !if delayed {
                            driver.enable_cb_delayed()
                        } else {
                            driver.enable_cb()
                        };
                        while let Some(used) = driver.get_used() {
                            prop_assert!(out.remove(&used.buffer.number), "came back twice");
                        }
                        rounds += 1;
                        prop_assert!(rounds < 4);
                    }
                }
                Act::Disable => driver.disable_cb(),
                Act::Used(at, id, len) => {
                    device.memory.set_used(at % size, UsedDescriptor { id, len });
                    behaved = false;
                }
                Act::Flags(at, flags) => {
                    DeviceMemory::set_flags(&device.memory, at % size, flags);
                    behaved = false;
                }
                Act::Event(position, flags) => {
                    device.memory.set_device_event(Event { position, flags });
                }
                Act::Behave => match device.pop() {
                    Ok(Some(taken)) => {
                        device.push(taken.chain.head, taken.chain.room(), taken.count);
                    }
                    Ok(None) => {}
                    // It finds what it has written itself.
                    Err(_) => prop_assert!(!behaved),
                },
            }
            // The books are the driver's own.
            prop_assert_eq!(usize::from(driver.in_flight()), out.len());
            prop_assert_eq!(alive.get(), out.len());
            prop_assert!(driver.free() <= size);
            prop_assert!(!behaved || driver.poisoned().is_none());
        }

        // All that did not come back is there, once, and the queue works again.
        driver.stop();
        let mut from = 0;
        while let Some((buffer, next)) = driver.take(from) {
            prop_assert!(out.remove(&buffer.number));
            from = next;
        }
        prop_assert!(out.is_empty());
        prop_assert!(driver.restart());
        device.reset();
        for number in 0..3 * size {
            let segment = vec![Segment { address: 1, len: 1 }];
            prop_assert!(driver.add(Buf::new(number.into(), segment, vec![], &alive)).is_ok());
            let taken = device.pop().unwrap().unwrap();
            device.push(taken.chain.head, 0, taken.count);
            prop_assert_eq!(driver.get_used().unwrap().buffer.number, u64::from(number));
        }
        prop_assert_eq!(driver.free(), size);
    }
}
