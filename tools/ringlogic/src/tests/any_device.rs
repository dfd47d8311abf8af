// SPDX-License-Identifier: GPL-2.0

//! Property: whatever a device writes, the driver's books stay right, and no buffer comes back twice or
//! is lost. What was wrong has a name: see `hostile` and `packed_hostile`.

use std::{cell::Cell, collections::HashSet, fmt::Debug, rc::Rc};

use proptest::{collection::vec, prelude::*};

use super::{
    device::{packed, DeviceMemory, Fault},
    kind::{Kind, Model, Packed, Split},
    memory::Buf,
    tries,
};
use crate::ring::{
    chain::Segment,
    memory::UsedElement,
    packed_memory::{Event, UsedDescriptor},
    virtqueue::Virtqueue,
};

/// What a device of this kind can write.
trait Hostile: Kind {
    type Write: Clone + Debug;

    fn write() -> BoxedStrategy<Self::Write>;

    /// Has the device write it; returns whether it may.
    fn obey(device: &mut Self::Device, write: Self::Write, size: u16) -> bool;

    /// Returns whether a device may find this wrong that has written what it should not.
    fn is_its_own(fault: Fault) -> bool;
}

#[derive(Clone, Debug)]
enum SplitWrite {
    /// An element.
    Element(u16, u32, u32),
    /// The used index, relative to what it should be.
    Index(i8),
    AnyIndex(u16),
    Flags(u16),
    Event(u16),
}

impl Hostile for Split {
    type Write = SplitWrite;

    fn write() -> BoxedStrategy<SplitWrite> {
        let id = prop_oneof![8 => 0u32..10, 1 => any::<u32>()];
        prop_oneof![
            20 => (any::<u16>(), id, len()).prop_map(|(slot, id, len)| SplitWrite::Element(slot, id, len)),
            10 => (-2i8..3).prop_map(SplitWrite::Index),
            1 => any::<u16>().prop_map(SplitWrite::AnyIndex),
            10 => any::<u16>().prop_map(SplitWrite::Flags),
            10 => any::<u16>().prop_map(SplitWrite::Event),
        ]
        .boxed()
    }

    fn obey(device: &mut Self::Device, write: SplitWrite, size: u16) -> bool {
        let memory = &device.memory;
        match write {
            SplitWrite::Element(slot, id, len) => {
                memory.set_used(slot % size, UsedElement { id, len })
            }
            // CAST: Modulo 2^16 is what is meant.
            SplitWrite::Index(by) => memory.set_used_index(device.used.wrapping_add(by as u16)),
            SplitWrite::AnyIndex(index) => memory.set_used_index(index),
            SplitWrite::Flags(flags) => {
                memory.set_used_flags(flags);
                return true;
            }
            SplitWrite::Event(event) => {
                memory.set_available_event(event);
                return true;
            }
        }
        false
    }

    fn is_its_own(fault: Fault) -> bool {
        // Buffers that it gave back before it took them are with it again.
        fault == Fault::AvailableIndex
    }
}

#[derive(Clone, Debug)]
enum PackedWrite {
    /// A descriptor.
    Used(u16, u16, u32),
    Flags(u16, u16),
    Event(u16, u16),
}

impl Hostile for Packed {
    type Write = PackedWrite;

    fn write() -> BoxedStrategy<PackedWrite> {
        let id = prop_oneof![8 => 0u16..10, 1 => any::<u16>()];
        prop_oneof![
            2 => (any::<u16>(), id, len()).prop_map(|(at, id, len)| PackedWrite::Used(at, id, len)),
            2 => (any::<u16>(), any::<u16>()).prop_map(|(at, flags)| PackedWrite::Flags(at, flags)),
            1 => (any::<u16>(), any::<u16>()).prop_map(|(at, flags)| PackedWrite::Event(at, flags)),
        ]
        .boxed()
    }

    fn obey(device: &mut Self::Device, write: PackedWrite, size: u16) -> bool {
        let memory = &device.memory;
        match write {
            PackedWrite::Used(at, id, len) => {
                packed::DeviceMemory::set_used(memory, at % size, UsedDescriptor { id, len });
            }
            PackedWrite::Flags(at, flags) => {
                packed::DeviceMemory::set_flags(memory, at % size, flags);
            }
            PackedWrite::Event(position, flags) => {
                packed::DeviceMemory::set_device_event(memory, Event { position, flags });
                return true;
            }
        }
        false
    }

    fn is_its_own(_fault: Fault) -> bool {
        // It finds what it has written itself.
        true
    }
}

fn len() -> impl Strategy<Value = u32> {
    prop_oneof![4 => 0u32..40, 1 => any::<u32>()]
}

#[derive(Clone, Debug)]
enum Act<W> {
    Add(u8, u8),
    GetUsed,
    Kick,
    /// Delayed or not.
    Enable(bool),
    Disable,
    Write(W),
    /// The device does what it should.
    Behave,
}

fn act<K: Hostile>() -> impl Strategy<Value = Act<K::Write>> {
    prop_oneof![
        8 => (0u8..3, 0u8..3).prop_map(|(r, w)| Act::Add(r, w)),
        8 => Just(Act::GetUsed),
        2 => Just(Act::Kick),
        2 => any::<bool>().prop_map(Act::Enable),
        1 => Just(Act::Disable),
        5 => K::write().prop_map(Act::Write),
        12 => Just(Act::Behave),
    ]
}

fn run<K: Hostile>(
    (size, table, event_idx, in_order): (u16, u16, bool, bool),
    acts: Vec<Act<K::Write>>,
) -> Result<(), TestCaseError> {
    let size = K::fit(size);
    let alive = Rc::<Cell<usize>>::default();
    let (mut driver, mut device) = K::pair(size, table, event_idx, in_order);
    let mut number = 0;
    let mut out = HashSet::new();
    let mut behaved = true;

    for act in acts {
        match act {
            Act::Add(readable, writable) => {
                let segments = |n: u8| {
                    let segment = |n: u8| Segment {
                        address: n.into(),
                        len: 10,
                    };
                    (0..n).map(segment).collect()
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
            Act::Write(write) => behaved &= K::obey(&mut device, write, size),
            Act::Behave => match device.pop() {
                Ok(Some(taken)) => device.give_one(&taken, taken.chain.room()),
                Ok(None) => {}
                Err(fault) => prop_assert!(!behaved && K::is_its_own(fault)),
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
        let buffer = Buf::new(number.into(), segment, vec![], &alive);
        prop_assert!(driver.add(buffer).is_ok());
        let taken = device.pop().unwrap().unwrap();
        device.give_one(&taken, 0);
        prop_assert_eq!(driver.get_used().unwrap().buffer.number, u64::from(number));
    }
    prop_assert_eq!(driver.free(), size);
    Ok(())
}

fn case() -> impl Strategy<Value = (u16, u16, bool, bool)> {
    (1u16..9, 0u16..4, any::<bool>(), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(4000, 4)))]

    #[test]
    fn nothing_that_a_device_writes_harms_split(
        case in case(),
        acts in vec(act::<Split>(), 0..200),
    ) {
        run::<Split>(case, acts)?;
    }

    #[test]
    fn nothing_that_a_device_writes_harms_packed(
        case in case(),
        acts in vec(act::<Packed>(), 0..200),
    ) {
        run::<Packed>(case, acts)?;
    }
}
