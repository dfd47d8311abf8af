// SPDX-License-Identifier: GPL-2.0

//! Property: whatever a device writes, the driver's books stay right, no buffer comes back twice or
//! is lost, and what was wrong has a name.

use std::{cell::Cell, collections::HashSet, rc::Rc};

use proptest::{collection::vec, prelude::*};

use super::{
    device::{DeviceMemory, Fault},
    memory::{pair, pair_of, Buf, Byte},
    tries,
};
use crate::ring::{chain::Segment, memory::UsedElement, poison::Poison, virtqueue::Virtqueue};

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

#[derive(Clone, Debug)]
enum Act {
    Add(u8, u8),
    GetUsed,
    Kick,
    Enable,
    Disable,
    /// The device writes an element.
    Element(u16, u32, u32),
    /// The device writes the used index, relative to what it should be.
    Index(i8),
    AnyIndex(u16),
    Flags(u16),
    Event(u16),
    /// It does what it should.
    Behave,
}

fn act() -> impl Strategy<Value = Act> {
    let id = || prop_oneof![8 => 0u32..10, 1 => any::<u32>()];
    let len = || prop_oneof![4 => 0u32..40, 1 => any::<u32>()];
    prop_oneof![
        8 => (0u8..3, 0u8..3).prop_map(|(r, w)| Act::Add(r, w)),
        8 => Just(Act::GetUsed),
        2 => Just(Act::Kick),
        2 => Just(Act::Enable),
        1 => Just(Act::Disable),
        2 => (any::<u16>(), id(), len()).prop_map(|(slot, id, len)| Act::Element(slot, id, len)),
        1 => (-2i8..3).prop_map(Act::Index),
        1 => prop::bool::weighted(0.1).prop_flat_map(|any_index| {
            if any_index { any::<u16>().prop_map(Act::AnyIndex).boxed() } else { Just(Act::Behave).boxed() }
        }),
        1 => any::<u16>().prop_map(Act::Flags),
        1 => any::<u16>().prop_map(Act::Event),
        12 => Just(Act::Behave),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(4000, 4)))]

    #[test]
    fn nothing_that_a_device_writes_harms(
        order in 0u32..4,
        table in 0u16..4,
        event_idx: bool,
        in_order: bool,
        acts in vec(act(), 0..200),
    ) {
        let size = 1u16 << order;
        let alive = Rc::<Cell<usize>>::default();
        let (mut driver, mut device) = pair_of(size, table, event_idx, in_order);
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
                Act::Enable => {
                    // Nobody goes on for ever: at the latest the queue is poisoned.
                    let mut rounds = 0;
                    while !driver.enable_cb() {
                        while let Some(used) = driver.get_used() {
                            prop_assert!(out.remove(&used.buffer.number), "came back twice");
                        }
                        rounds += 1;
                        prop_assert!(rounds < 3);
                    }
                }
                Act::Disable => driver.disable_cb(),
                Act::Element(slot, id, len) => {
                    device.memory.set_used(slot % size, UsedElement { id, len });
                    behaved = false;
                }
                Act::Index(by) => {
                    // CAST: Modulo 2^16 is what is meant.
                    device.memory.set_used_index(device.used.wrapping_add(by as u16));
                    behaved = false;
                }
                Act::AnyIndex(index) => {
                    device.memory.set_used_index(index);
                    behaved = false;
                }
                Act::Flags(flags) => device.memory.set_used_flags(flags),
                Act::Event(event) => device.memory.set_available_event(event),
                Act::Behave => match device.pop() {
                    Ok(Some(chain)) => device.push(chain.head.into(), chain.room()),
                    Ok(None) => {}
                    // Buffers that it gave back before it took them are with it again.
                    Err(fault) => prop_assert!(!behaved && fault == Fault::AvailableIndex),
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
        for number in 0..size {
            let segment = vec![Segment { address: 1, len: 1 }];
            prop_assert!(driver.add(Buf::new(number.into(), segment, vec![], &alive)).is_ok());
            let chain = device.pop().unwrap().unwrap();
            device.push(chain.head.into(), 0);
            prop_assert_eq!(driver.get_used().unwrap().buffer.number, u64::from(number));
        }
        prop_assert_eq!(driver.free(), size);
    }
}
