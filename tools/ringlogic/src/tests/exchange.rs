// SPDX-License-Identifier: GPL-2.0

//! Property: whatever a driver and a device that keep to the rules do, and in whatever order, every
//! buffer arrives as it was sent, comes back once, and nobody sleeps on what the other has done.

use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use proptest::{collection::vec, prelude::*};

use super::{
    kind::{Kind, Model, Packed, Split, Taken},
    memory::{pair, Buf, Byte},
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
    let lens = || vec(0u32..5000, 0..4);
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

struct Exchange<K: Kind> {
    driver: K::Driver<Buf>,
    device: K::Device,
    in_order: bool,
    alive: Rc<Cell<usize>>,
    size: u16,
    table: u16,
    number: u64,
    /// Numbers and descriptors of what was added and the device has not seen.
    sent: VecDeque<(u64, Vec<Segment>, Vec<Segment>)>,
    /// What it has.
    taken: Vec<(u64, Taken)>,
    /// What it gave back.
    returned: VecDeque<(u64, u32)>,
    descriptors: u64,
    costs: HashMap<u64, u16>,
    /// Steps that the device gave back, and those that the driver took, since the beginning.
    given: u64,
    got: u64,
    asleep: bool,
    callbacks: bool,
    event_idx: bool,
    /// The driver is called when the device has given back more steps than this.
    waits: Option<u64>,
}

impl<K: Kind> Exchange<K> {
    fn new((size, table, event_idx, in_order): (u16, u16, bool, bool)) -> Self {
        let size = K::fit(size);
        let (driver, device) = K::pair(size, table, event_idx, in_order);
        Self {
            driver,
            device,
            in_order,
            alive: Rc::default(),
            size,
            table: table.min(size),
            number: 0,
            sent: VecDeque::new(),
            taken: Vec::new(),
            returned: VecDeque::new(),
            descriptors: 0,
            costs: HashMap::new(),
            given: 0,
            got: 0,
            asleep: false,
            callbacks: true,
            event_idx,
            waits: Some(0),
        }
    }

    /// Returns how many steps a buffer takes that costs so many descriptors.
    fn steps(cost: u16) -> u64 {
        if K::PACKED {
            cost.into()
        } else {
            1
        }
    }

    /// Returns how many steps the device has to make until all that it has is back.
    fn outstanding(&self) -> u64 {
        if K::PACKED {
            self.descriptors
        } else {
            self.costs.len() as u64
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
        } else if readable.iter().chain(&writable).any(|s| s.len == 0) {
            Err(AddError::EmptySegment)
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
        let taken = self.device.pop().expect("the driver keeps to the rules");
        assert_eq!(taken.is_some(), !self.sent.is_empty());
        let Some(taken) = taken else { return };
        let (number, readable, writable) = self.sent.pop_front().unwrap();

        assert_eq!(taken.chain.readable().collect::<Vec<_>>(), readable);
        assert_eq!(taken.chain.writable().collect::<Vec<_>>(), writable);
        assert_eq!(u64::from(taken.steps), Self::steps(self.costs[&number]));
        if self.sent.is_empty() {
            assert_eq!(self.device.position(), self.driver.position());
        }
        self.taken.push((number, taken));
    }

    fn give_back(&mut self, which: usize, part: u8) {
        if self.taken.is_empty() {
            return;
        }
        let which = which % self.taken.len();
        let mut steps = 0;
        if self.in_order {
            // All before it are with it, and completely written.
            for (number, taken) in self.taken.drain(..which) {
                self.returned.push_back((number, taken.chain.room()));
                steps += taken.steps;
            }
        }
        let at = if self.in_order { 0 } else { which };
        let (number, taken) = self.taken.remove(at);
        let written = (u64::from(taken.chain.room()) * u64::from(part) / 255) as u32;
        steps += taken.steps;

        self.device.give(taken.chain.head, written, steps);
        self.returned.push_back((number, written));
        self.given += u64::from(steps);
    }

    fn interrupt(&mut self) {
        let late = self.waits.is_some_and(|after| self.given > after);
        if self.device.interrupt_needed() {
            self.waits = None;
        } else {
            assert!(!late, "a lost interrupt");
        }
    }

    fn get_used(&mut self) {
        match (self.driver.get_used(), self.returned.pop_front()) {
            (Some(used), Some((number, written))) => {
                assert_eq!((used.buffer.number, used.written), (number, written));
                assert!(used.written <= used.buffer.room());
                let cost = self.costs.remove(&number).unwrap();
                self.descriptors -= u64::from(cost);
                self.got += Self::steps(cost);
                // What it waited for it has.
                if self.waits.is_some_and(|after| self.got > after) {
                    self.waits = None;
                }
            }
            // From here on the device calls back, if it was not asked to wait for more.
            (None, None) => {
                if self.callbacks && self.waits.is_none() {
                    self.waits = Some(self.given);
                }
            }
            (used, returned) => panic!("{used:?} but the device returned {returned:?}"),
        }
    }

    fn enable(&mut self, delayed: bool) {
        let safe = if delayed {
            self.driver.enable_cb_delayed()
        } else {
            self.driver.enable_cb()
        };
        let later = if delayed {
            self.outstanding() * 3 / 4
        } else {
            0
        };
        // By flags there is no later.
        let after = if self.event_idx { later } else { 0 };

        self.callbacks = true;
        // A split ring says how many came back. A packed one does if a buffer takes one descriptor each.
        let allowed = if !K::PACKED {
            later
        } else if !self.in_order && self.descriptors == self.costs.len() as u64 {
            after
        } else {
            0
        };
        assert_eq!(safe, self.returned.len() as u64 <= allowed);
        // What the device had passed by then, it does not call for; the driver finds it.
        self.waits = Some(self.got + after).filter(|&after| self.given <= after);
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
        let there = self.sent.len() + self.taken.len() + self.returned.len();
        assert_eq!(back, there);
        assert!(!self.driver.is_fresh());
        assert!(self.driver.restart());
        assert!(self.driver.is_fresh());
        self.device.reset();
        self.sent.clear();
        self.taken.clear();
        self.returned.clear();
        self.descriptors = 0;
        (self.given, self.got) = (0, 0);
        self.asleep = false;
        self.callbacks = true;
        self.waits = Some(0);
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Add(readable, writable) => self.add(&readable, &writable),
            Step::Kick => self.kick(),
            Step::GetUsed => self.get_used(),
            Step::DisableCb => {
                self.driver.disable_cb();
                self.callbacks = false;
                self.waits = None;
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
        let all = u64::from(self.driver.free()) + self.descriptors;
        assert_eq!(all, u64::from(self.size));
        assert_eq!(self.driver.has_used(), !self.returned.is_empty());
        // What came back shows in a packed ring itself.
        assert!(!K::PACKED || !self.driver.is_fresh() || self.returned.is_empty());
    }
}

fn case() -> impl Strategy<Value = (u16, u16, bool, bool)> {
    // A packed queue's need be no power of two.
    let size = prop_oneof![1u16..40, 100u16..129];

    (size, 0u16..8, any::<bool>(), any::<bool>())
}

fn run<K: Kind>(case: (u16, u16, bool, bool), steps: Vec<Step>) {
    let mut exchange = Exchange::<K>::new(case);

    for step in steps {
        exchange.run(step);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(3000, 4)))]

    #[test]
    fn all_buffers_arrive_and_come_back_split(case in case(), steps in vec(step(), 0..300)) {
        run::<Split>(case, steps);
    }

    #[test]
    fn all_buffers_arrive_and_come_back_packed(case in case(), steps in vec(step(), 0..300)) {
        run::<Packed>(case, steps);
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
        let mut exchange = Exchange::<Split>::new(case);

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
