// SPDX-License-Identifier: GPL-2.0

//! Property, for packed queues: whatever a driver and a device that keep to the rules do, and in
//! whatever order, every buffer arrives as it was sent, comes back once, and nobody sleeps on what
//! the other has done.

use std::{
    cell::Cell,
    collections::{HashMap, VecDeque},
    rc::Rc,
};

use proptest::{collection::vec, prelude::*};

use super::{
    device::packed::{Device, Taken},
    memory::{Buf, Byte},
    packed_memory::{pair, Driver, Mem},
    tries,
};
use crate::ring::{
    chain::{AddError, Buffer, Segment},
    layout::PackedLayout,
    packed::Packed,
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
    Interrupt,
    Sleep,
    StayAwake,
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

struct Exchange {
    driver: Driver<Buf>,
    device: Device<Mem>,
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
    /// Descriptors that the device gave back, and those that the driver took, since the beginning.
    given: u64,
    got: u64,
    asleep: bool,
    callbacks: bool,
    event_idx: bool,
    /// The driver is called when the device has given back more descriptors than this.
    waits: Option<u64>,
}

impl Exchange {
    fn new((size, table, event_idx, in_order): (u16, u16, bool, bool)) -> Self {
        let (driver, device) = pair(size, table, event_idx, in_order);
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
        assert_eq!(taken.count, self.costs[&number]);
        assert_eq!(
            self.device.taken.position(),
            if self.sent.is_empty() {
                self.driver.position()
            } else {
                self.device.taken.position()
            }
        );
        self.taken.push((number, taken));
    }

    fn give_back(&mut self, which: usize, part: u8) {
        if self.taken.is_empty() {
            return;
        }
        let which = which % self.taken.len();
        let mut count = 0;
        if self.in_order {
            // All before it are with it, and completely written.
            for (number, taken) in self.taken.drain(..which) {
                self.returned.push_back((number, taken.chain.room()));
                count += taken.count;
            }
        }
        let at = if self.in_order { 0 } else { which };
        let (number, taken) = self.taken.remove(at);
        let written = (u64::from(taken.chain.room()) * u64::from(part) / 255) as u32;
        count += taken.count;

        self.device.push(taken.chain.head, written, count);
        self.returned.push_back((number, written));
        self.given += u64::from(count);
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
                let cost = u64::from(self.costs.remove(&number).unwrap());
                self.descriptors -= cost;
                self.got += cost;
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
        let after = match delayed && self.event_idx {
            true => self.descriptors * 3 / 4,
            // By flags there is no later.
            false => 0,
        };

        self.callbacks = true;
        // If a buffer takes one descriptor each, the ring says how many came back.
        let each = !self.in_order && self.descriptors == self.costs.len() as u64;
        let allowed = if each { after } else { 0 };
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
        assert!(!self.driver.is_fresh() || self.returned.is_empty());
    }
}

fn case() -> impl Strategy<Value = (u16, u16, bool, bool)> {
    // Not only powers of two.
    (1u16..40, 0u16..8, any::<bool>(), any::<bool>())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(tries(3000, 4)))]

    #[test]
    fn all_buffers_arrive_and_come_back(case in case(), steps in vec(step(), 0..300)) {
        let mut exchange = Exchange::new(case);

        for step in steps {
            exchange.run(step);
        }
    }
}

/// A buffer that says one number of segments and has another.
struct Liar(usize, usize);

struct Count(usize, usize);

impl Iterator for Count {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        self.0 = self.0.checked_sub(1)?;
        Some(Segment { address: 1, len: 1 })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.1, Some(self.1))
    }
}

impl ExactSizeIterator for Count {
    fn len(&self) -> usize {
        self.1
    }
}

// SAFETY: There is no memory that a device could reach.
unsafe impl Buffer for Liar {
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        Count(self.0, self.1)
    }

    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        Count(0, 0)
    }
}

/// What was written of a buffer that is refused half way never becomes available.
#[test]
fn a_buffer_that_miscounts_is_refused() {
    for table in [0, 4] {
        for (has, says) in [(2, 3), (3, 2), (0, 1), (1, 0)] {
            let (mut driver, mut device) = pair(8, table, true, false);
            assert!(driver.add(Liar(has, says)).is_err());
            assert_eq!(driver.free(), 8);
            assert!(driver.add(Liar(1, 1)).is_ok());
            assert_eq!(device.pop().unwrap().unwrap().count, 1);
            assert!(device.pop().unwrap().is_none());
        }
    }
}

#[test]
fn the_largest_queue_is_filled_and_emptied() {
    for in_order in [false, true] {
        let (mut driver, mut device) = pair(32768, 0, true, in_order);
        for round in 0..3 {
            for number in 0..32768 {
                assert!(driver.add(Byte(number)).is_ok());
            }
            assert_eq!(driver.add(Byte(0)).unwrap_err().why, AddError::Full);
            assert!(driver.kick_needed() || round > 0);
            while let Some(taken) = device.pop().unwrap() {
                device.push(taken.chain.head, 0, 1);
            }
            for number in 0..32768 {
                assert_eq!(driver.get_used().unwrap().buffer, Byte(number));
            }
            assert!(driver.get_used().is_none());
        }
        assert_eq!(driver.poisoned(), None);
    }
}

#[test]
fn sizes_and_slots() {
    for size in [0, 32769, u16::MAX] {
        assert!(PackedLayout::new(size, 0).is_none());
    }
    for size in [1, 3, 255, 32768] {
        let layout = PackedLayout::new(size, 9).unwrap();
        assert_eq!((layout.size(), layout.table()), (size, size.min(9)));
        assert_eq!(layout.descriptor_bytes(), 16 * usize::from(size));
        let slots = super::memory::slots::<Byte>(size - 1);
        assert!(Packed::new(Mem::new(layout), slots, layout, false, false).is_none());
    }
}

/// The model device must see what it is there to see.
#[test]
fn the_device_tells_a_bad_driver() {
    use super::device::Fault;
    use crate::ring::{
        memory::{INDIRECT, NEXT, WRITE},
        packed_memory::{Body, PackedMemory, AVAIL, USED},
    };

    fn faulty(len: u32, ring: &[u16], table: u16) -> Option<Fault> {
        let (driver, mut device) = pair::<Byte>(4, 2, true, false);
        let mut memory = driver.memory().clone();
        let address = memory.table_address(0);
        let body = Body {
            address,
            len,
            id: 0,
        };
        for (index, &flags) in ring.iter().enumerate() {
            memory.set_body(index as u16, body);
            PackedMemory::set_flags(&mut memory, index as u16, flags);
        }
        memory.set_table_entry(0, 0, Body { len: 1, ..body }, table);
        device.pop().err()
    }

    assert_eq!(faulty(1, &[AVAIL], 0), None);
    assert_eq!(faulty(1, &[AVAIL | USED], 0), None);
    assert_eq!(faulty(0, &[AVAIL], 0), Some(Fault::EmptySegment));
    assert_eq!(faulty(1, &[AVAIL | NEXT], 0), Some(Fault::Flags));
    assert_eq!(faulty(1, &[AVAIL | NEXT; 4], 0), Some(Fault::ChainTooLong));
    assert_eq!(
        faulty(1, &[AVAIL | WRITE | NEXT, AVAIL], 0),
        Some(Fault::Order)
    );
    assert_eq!(faulty(1, &[AVAIL | INDIRECT], 0), Some(Fault::Table));
    assert_eq!(faulty(16, &[AVAIL | INDIRECT], 0), None);
    assert_eq!(faulty(16, &[AVAIL | INDIRECT], NEXT), Some(Fault::Table));
    assert_eq!(
        faulty(16, &[AVAIL | INDIRECT | NEXT], 0),
        Some(Fault::Table)
    );
}
