// SPDX-License-Identifier: GPL-2.0

//! Property: whatever a driver and a device that keep to the rules do, and in whatever order, every
//! buffer arrives as it was sent, comes back once, and nobody sleeps on what the other has done.

use std::{cell::Cell, collections::VecDeque, rc::Rc};

use proptest::{collection::vec, prelude::*};

use super::{
    device::{Chain, Device},
    memory::{pair, pair_of, Buf, Byte, Driver, Mem},
    tries,
};
use crate::ring::{
    chain::{AddError, Segment},
    virtqueue::Virtqueue,
};

#[derive(Clone, Debug)]
enum Step {
    /// Lengths of what is readable and writable.
    Add(Vec<u32>, Vec<u32>),
    Kick,
    GetUsed,
    DisableCb,
    EnableCb,
    EnableCbDelayed,
    /// The device takes a buffer.
    Take,
    /// The device gives back one of those that it took, or if that is agreed on the first of them,
    /// having written a part of the last.
    GiveBack(usize, u8),
    /// The device decides on an interrupt.
    Interrupt,
    /// The device wants to sleep.
    Sleep,
    StayAwake,
    /// The queue is emptied and starts again.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let lens = || vec(1u32..5000, 0..4);
    prop_oneof![
        8 => (lens(), lens()).prop_map(|(readable, writable)| Step::Add(readable, writable)),
        4 => Just(Step::Kick),
        6 => Just(Step::GetUsed),
        1 => Just(Step::DisableCb),
        2 => Just(Step::EnableCb),
        1 => Just(Step::EnableCbDelayed),
        8 => Just(Step::Take),
        8 => (any::<usize>(), any::<u8>()).prop_map(|(i, n)| Step::GiveBack(i, n)),
        4 => Just(Step::Interrupt),
        3 => Just(Step::Sleep),
        1 => Just(Step::StayAwake),
        1 => prop::bool::weighted(0.05)
            .prop_map(|yes| if yes { Step::Restart } else { Step::Kick }),
    ]
}

/// What the driver waits for.
#[derive(Clone, Copy, PartialEq)]
enum Waits {
    No,
    /// For the next buffer.
    Next,
    /// For as many as these, in the used index.
    Until(u16),
}

struct Exchange {
    driver: Driver<Buf>,
    device: Device<Mem>,
    alive: Rc<Cell<usize>>,
    size: u16,
    table: u16,
    event_idx: bool,
    in_order: bool,
    number: u64,
    /// Numbers and descriptors of what was added and the device has not seen.
    sent: VecDeque<(u64, Vec<Segment>, Vec<Segment>)>,
    /// What it has.
    taken: Vec<(u64, Chain)>,
    /// What it gave back.
    returned: VecDeque<(u64, u32)>,
    descriptors: u64,
    costs: std::collections::HashMap<u64, u16>,
    asleep: bool,
    callbacks: bool,
    waits: Waits,
}

impl Exchange {
    fn new((size, table, event_idx, in_order): (u16, u16, bool, bool)) -> Self {
        let (driver, device) = pair_of(size, table, event_idx, in_order);
        Self {
            driver,
            device,
            alive: Rc::default(),
            size,
            table: table.min(size),
            event_idx,
            in_order,
            number: 0,
            sent: VecDeque::new(),
            taken: Vec::new(),
            returned: VecDeque::new(),
            descriptors: 0,
            costs: Default::default(),
            asleep: false,
            callbacks: true,
            waits: Waits::Next,
        }
    }

    fn add(&mut self, readable: &[u32], writable: &[u32]) {
        self.number += 1;
        let number = self.number;
        let segments = |lens: &[u32], base: u64| -> Vec<_> {
            let address = |n: usize| (number << 32) + base + ((n as u64) << 16);
            lens.iter()
                .enumerate()
                .map(|(n, &len)| Segment {
                    address: address(n),
                    len,
                })
                .collect()
        };
        let (readable, writable) = (segments(readable, 0), segments(writable, 1 << 31));
        let count = (readable.len() + writable.len()) as u16;
        let cost = if count > 1 && count <= self.table {
            1
        } else {
            count
        };
        let expected = if count == 0 {
            Err(AddError::Empty)
        } else if count > self.size {
            Err(AddError::TooManySegments)
        } else if cost > self.driver.free() {
            Err(AddError::Full)
        } else {
            Ok(())
        };

        let buffer = Buf::new(number, readable.clone(), writable.clone(), &self.alive);
        let result = self.driver.add(buffer).map_err(|refused| {
            assert_eq!(refused.buffer.number, number);
            refused.why
        });
        assert_eq!(result, expected);
        if result.is_ok() {
            self.sent.push_back((number, readable, writable));
            self.costs.insert(number, cost);
            self.descriptors += u64::from(cost);
        }
    }

    fn kick(&mut self) {
        if self.driver.kick_needed() {
            self.asleep = false;
        }
        // The device's own «awake» allows it not to look; a device that sleeps has seen everything.
        assert!(!self.asleep || self.sent.is_empty(), "a lost notification");
    }

    fn take(&mut self) {
        let chain = self.device.pop().expect("the driver keeps to the rules");
        assert_eq!(chain.is_some(), !self.sent.is_empty());
        let Some(chain) = chain else { return };
        let (number, readable, writable) = self.sent.pop_front().unwrap();

        assert_eq!(chain.readable().collect::<Vec<_>>(), readable);
        assert_eq!(chain.writable().collect::<Vec<_>>(), writable);
        self.taken.push((number, chain));
    }

    fn give_back(&mut self, which: usize, part: u8) {
        if self.taken.is_empty() {
            return;
        }
        let which = which % self.taken.len();
        let (mut at, mut count) = (which, 1);
        if self.in_order {
            // All before it are with it, and completely written.
            for (number, chain) in self.taken.drain(..which) {
                self.returned.push_back((number, chain.room()));
            }
            (at, count) = (0, which as u16 + 1);
        }
        let (number, chain) = self.taken.remove(at);
        let written = (u64::from(chain.room()) * u64::from(part) / 255) as u32;

        self.device.push_all(chain.head.into(), written, count);
        self.returned.push_back((number, written));
    }

    fn interrupt(&mut self) {
        if self.device.interrupt_needed() {
            self.waits = Waits::No;
        }
        match self.waits {
            Waits::No => {}
            Waits::Next => assert!(self.returned.is_empty(), "a lost interrupt"),
            // CAST: A distance on the circle.
            Waits::Until(index) => {
                assert!(
                    (index.wrapping_sub(self.device.used) as i16) >= 0,
                    "a lost interrupt"
                );
            }
        }
    }

    fn get_used(&mut self) {
        match (self.driver.get_used(), self.returned.pop_front()) {
            (Some(used), Some((number, written))) => {
                assert_eq!((used.buffer.number, used.written), (number, written));
                assert!(used.written <= used.buffer.room());
                self.descriptors -= u64::from(self.costs.remove(&number).unwrap());
                // What it waited for it has.
                if matches!(self.waits, Waits::Until(index) if self.is_behind(index)) {
                    self.waits = Waits::No;
                }
            }
            // From here on the device calls back, if it was not asked to wait for more.
            (None, None) => {
                if self.callbacks && self.waits == Waits::No {
                    self.waits = Waits::Next;
                }
            }
            (used, returned) => panic!("{used:?} but the device returned {returned:?}"),
        }
    }

    /// Whether the driver has taken the buffer at this used index.
    fn is_behind(&self, index: u16) -> bool {
        let taken = self.device.used.wrapping_sub(self.returned.len() as u16);
        // CAST: A distance on the circle.
        (index.wrapping_sub(taken) as i16) < 0
    }

    fn enable(&mut self, delayed: bool) {
        self.callbacks = true;
        if delayed {
            let after = u32::from(self.driver.in_flight()) * 3 / 4;
            let late = self.returned.len() as u32 > after;

            assert_eq!(self.driver.enable_cb_delayed(), !late);
            self.waits = match (late, self.event_idx) {
                (true, _) => Waits::No,
                (false, true) => {
                    let back = self.returned.len() as u16;
                    Waits::Until(
                        self.device
                            .used
                            .wrapping_sub(back)
                            .wrapping_add(after as u16),
                    )
                }
                // By flags there is no later; those that are back already are not called for.
                (false, false) if self.returned.is_empty() => Waits::Next,
                (false, false) => Waits::No,
            };
        } else {
            assert_eq!(self.driver.enable_cb(), self.returned.is_empty());
            self.waits = if self.returned.is_empty() {
                Waits::Next
            } else {
                Waits::No
            };
        }
    }

    fn restart(&mut self) {
        let mut from = 0;
        let mut back = 0;

        self.driver.stop();
        while let Some((buffer, next)) = self.driver.take(from) {
            assert!(self.costs.remove(&buffer.number).is_some());
            from = next;
            back += 1;
        }
        assert_eq!(
            back,
            self.sent.len() + self.taken.len() + self.returned.len()
        );
        assert!(self.driver.restart());
        self.device.reset();
        self.sent.clear();
        self.taken.clear();
        self.returned.clear();
        self.descriptors = 0;
        self.asleep = false;
        self.callbacks = true;
        self.waits = Waits::Next;
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Add(readable, writable) => self.add(&readable, &writable),
            Step::Kick => self.kick(),
            Step::GetUsed => self.get_used(),
            Step::DisableCb => {
                self.driver.disable_cb();
                self.callbacks = false;
                self.waits = Waits::No;
            }
            Step::EnableCb => self.enable(false),
            Step::EnableCbDelayed => self.enable(true),
            Step::Take => self.take(),
            Step::GiveBack(which, part) => self.give_back(which, part),
            Step::Interrupt => self.interrupt(),
            Step::Sleep => {
                // A kick that the driver owes may come after this: it decides then.
                self.asleep = self.device.sleep();
                assert_eq!(self.asleep, self.sent.is_empty());
            }
            Step::StayAwake => {
                self.device.stay_awake();
                self.asleep = false;
            }
            Step::Restart => self.restart(),
        }

        assert_eq!(self.driver.poisoned(), None);
        let in_flight = self.sent.len() + self.taken.len() + self.returned.len();
        assert_eq!(usize::from(self.driver.in_flight()), in_flight);
        assert_eq!(self.alive.get(), in_flight);
        assert_eq!(
            u64::from(self.driver.free()) + self.descriptors,
            u64::from(self.size)
        );
        assert_eq!(self.driver.has_used(), !self.returned.is_empty());
    }
}

fn case() -> impl Strategy<Value = (u16, u16, bool, bool)> {
    (0u32..8, 0u16..8, any::<bool>(), any::<bool>())
        .prop_map(|(order, table, event_idx, in_order)| (1 << order, table, event_idx, in_order))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(2000, 4)))]

    #[test]
    fn all_buffers_arrive_and_come_back(case in case(), steps in vec(step(), 0..300)) {
        let mut exchange = Exchange::new(case);

        for step in steps {
            exchange.run(step);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(60, 0)))]

    /// The same around the wrap of the 16-bit indices.
    #[test]
    fn also_where_the_indices_wrap(
        case in case(),
        before in 65_400u32..65_540,
        steps in vec(step(), 100..600),
    ) {
        let mut exchange = Exchange::new(case);

        for _ in 0..before {
            exchange.add(&[1], &[]);
            exchange.take();
            exchange.give_back(0, 0);
            exchange.get_used();
            exchange.kick();
            exchange.interrupt();
        }
        for step in steps {
            exchange.run(step);
        }
    }
}

/// The model device must see what it is there to see.
#[test]
fn the_device_tells_a_bad_driver() {
    use super::device::Fault;
    use crate::ring::memory::{Descriptor, Memory, INDIRECT, NEXT, WRITE};

    fn faulty(len: u32, chain: &[(u16, u16, u16)], event_idx: bool, flags: u16) -> Option<Fault> {
        let (driver, mut device) = pair::<Byte>(4, 2, event_idx);
        let mut memory = driver.memory().clone();
        for &(index, flags, next) in chain {
            let address = memory.table_address(0);
            memory.set_descriptor(
                index,
                Descriptor {
                    address,
                    len,
                    flags,
                    next,
                },
            );
        }
        memory.set_table_entry(
            0,
            0,
            Descriptor {
                address: 1,
                len,
                flags: NEXT,
                next: 5,
            },
        );
        memory.set_available_flags(flags);
        memory.set_available_index(1);
        device.pop().err()
    }

    assert_eq!(faulty(1, &[(0, 0, 0)], true, 0), None);
    assert_eq!(faulty(0, &[(0, 0, 0)], true, 0), Some(Fault::EmptySegment));
    assert_eq!(faulty(1, &[(0, NEXT, 4)], true, 0), Some(Fault::Descriptor));
    assert_eq!(
        faulty(1, &[(0, NEXT, 0)], true, 0),
        Some(Fault::ChainTooLong)
    );
    assert_eq!(
        faulty(1, &[(0, WRITE | NEXT, 1), (1, 0, 0)], true, 0),
        Some(Fault::Order)
    );
    assert_eq!(faulty(1, &[(0, INDIRECT, 0)], true, 0), Some(Fault::Table));
    assert_eq!(
        faulty(32, &[(0, INDIRECT | NEXT, 0)], true, 0),
        Some(Fault::Table)
    );
    assert_eq!(
        faulty(32, &[(0, INDIRECT, 0)], true, 0),
        Some(Fault::Descriptor)
    );
    assert_eq!(faulty(1, &[(0, 0, 0)], true, 1), Some(Fault::Flags));
    assert_eq!(faulty(1, &[(0, 0, 0)], false, 1), None);

    let (driver, mut device) = pair::<Byte>(4, 0, false);
    driver.memory().clone().set_available_index(5);
    assert_eq!(device.pop().err(), Some(Fault::AvailableIndex));
}
