// SPDX-License-Identifier: GPL-2.0

use std::cell::{
    Cell,
    RefCell, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};

use crate::{
    common::{
        status,
        Common,
        Fault,
        Health,
        Place,
        Registers,
        TRIES,
        WITH_QUEUE_RESET, //
    },
    features::Features, //
};

const ACKED: u8 = status::ACKNOWLEDGE | status::DRIVER;
/// What a device says of a vector that it has no room for.
const NO_VECTOR: u16 = 0xffff;
const AGREED: u8 = ACKED | status::FEATURES_OK;

/// A device that keeps to the rules but for what it is told to do.
#[derive(Default)]
struct Device {
    offered: u64,
    /// Features that it says no to.
    refused: u64,
    /// How many looks a reset takes; [`None`] if it never ends.
    reset: Option<u32>,
    queues: Vec<u16>,
    vectors: u16,
    /// From which access on it is gone.
    gone_at: Option<u32>,

    accesses: Cell<u32>,
    status: Cell<u8>,
    resetting: Cell<u32>,
    /// How many looks the reset of a queue still takes.
    queue_resetting: Cell<u32>,
    generation: Cell<u8>,
    select: Cell<u32>,
    accepted: Cell<u64>,
    queue: Cell<u16>,
    /// What was written, in order.
    log: RefCell<Vec<(usize, u32)>>,
    sizes: RefCell<Vec<u16>>,
    enabled: RefCell<Vec<bool>>,
    vector: Cell<u16>,
}

impl Device {
    fn new() -> Self {
        Self {
            offered: (Features::VERSION_1 | Features::RING_EVENT_IDX | Features::bit(3)).bits(),
            reset: Some(0),
            queues: vec![256, 0, 8],
            vectors: 2,
            sizes: RefCell::new(vec![256, 0, 8]),
            enabled: RefCell::new(vec![false; 3]),
            vector: Cell::new(NO_VECTOR),
            ..Self::default()
        }
    }

    fn gone(&self) -> bool {
        self.accesses.set(self.accesses.get() + 1);
        self.gone_at.is_some_and(|at| self.accesses.get() >= at)
    }

    fn read(&self, offset: usize) -> u32 {
        let queue = usize::from(self.queue.get());
        match offset {
            4 => match self.select.get() {
                0 => self.offered as u32,
                1 => (self.offered >> 32) as u32,
                _ => 0,
            },
            16 | 26 => self.vector.get().into(),
            18 => self.queues.len() as u32,
            20 => {
                if self.resetting.get() > 0 {
                    self.resetting.set(self.resetting.get() - 1);
                    if self.resetting.get() == 0 {
                        self.status.set(0);
                    }
                }
                self.status.get().into()
            }
            21 => self.generation.get().into(),
            24 => self.sizes.borrow().get(queue).copied().unwrap_or(0).into(),
            28 => self
                .enabled
                .borrow()
                .get(queue)
                .copied()
                .unwrap_or(false)
                .into(),
            30 => queue as u32 * 7,
            58 => {
                let looks = self.queue_resetting.get();
                self.queue_resetting.set(looks.saturating_sub(1));
                if looks == 1 {
                    self.enabled.borrow_mut()[queue] = false;
                }
                (looks > 1).into()
            }
            _ => 0,
        }
    }

    fn write(&self, offset: usize, value: u32) {
        if self.gone() {
            return;
        }
        self.log.borrow_mut().push((offset, value));
        let queue = usize::from(self.queue.get());
        match offset {
            0 | 8 => self.select.set(value),
            12 => {
                let shift = 32 * self.select.get();
                self.accepted
                    .set(self.accepted.get() | (u64::from(value) << shift));
            }
            16 | 26 => self.vector.set(if value < self.vectors.into() {
                value as u16
            } else {
                NO_VECTOR
            }),
            20 if value == 0 => match self.reset {
                Some(0) => self.status.set(0),
                Some(looks) => self.resetting.set(looks),
                None => {}
            },
            20 => {
                let agreed = self.accepted.get() & self.refused == 0;
                let refused = if agreed { 0 } else { status::FEATURES_OK };
                self.status.set(value as u8 & !refused);
            }
            22 => self.queue.set(value as u16),
            24 => self.sizes.borrow_mut()[queue] = value as u16,
            28 => self.enabled.borrow_mut()[queue] = value != 0,
            58 if value == 1 => self.queue_resetting.set(3),
            _ => {}
        }
    }
}

impl Registers for &Device {
    fn read8(&self, offset: usize) -> u8 {
        if self.gone() {
            0xff
        } else {
            self.read(offset) as u8
        }
    }

    fn read16(&self, offset: usize) -> u16 {
        assert_eq!(offset % 2, 0);
        if self.gone() {
            0xffff
        } else {
            self.read(offset) as u16
        }
    }

    fn read32(&self, offset: usize) -> u32 {
        assert_eq!(offset % 4, 0);
        if self.gone() {
            u32::MAX
        } else {
            self.read(offset)
        }
    }

    fn write8(&self, offset: usize, value: u8) {
        self.write(offset, value.into());
    }

    fn write16(&self, offset: usize, value: u16) {
        assert_eq!(offset % 2, 0);
        self.write(offset, value.into());
    }

    fn write32(&self, offset: usize, value: u32) {
        assert_eq!(offset % 4, 0);
        self.write(offset, value);
    }
}

#[test]
fn health_is_in_the_status() {
    use status::*;
    for (seen, health) in [
        (AGREED | DRIVER_OK, Health::Good),
        (AGREED | DRIVER_OK | NEEDS_RESET, Health::NeedsReset),
        (NEEDS_RESET, Health::NeedsReset),
        (AGREED, Health::Lost),
        (0, Health::Lost),
        (AGREED | DRIVER_OK | 128, Health::Good),
        (GONE, Health::Gone),
    ] {
        assert_eq!(Health::of(seen, AGREED | DRIVER_OK), health, "{seen:#x}");
    }
}

#[test]
fn a_reset_is_waited_for_but_not_for_ever() {
    for (needed, tries, pauses, result) in [
        (Some(0), 10, 0, Ok(())),
        (Some(3), 10, 2, Ok(())),
        (Some(11), 10, 10, Ok(())),
        (Some(12), 10, 10, Err(Fault::Reset(AGREED))),
        (None, 10, 10, Err(Fault::Reset(AGREED))),
        (None, 0, 0, Err(Fault::Reset(AGREED))),
    ] {
        let device = Device {
            reset: needed,
            status: Cell::new(AGREED),
            ..Device::new()
        };
        let mut paused = 0;

        assert_eq!(Common::new(&device).reset(tries, || paused += 1), result);
        assert_eq!(paused, pauses, "{needed:?} of {tries}");
    }
}

#[test]
fn a_reset_ends_when_the_device_is_gone() {
    for at in 1..4 {
        let device = Device {
            reset: None,
            status: Cell::new(AGREED),
            gone_at: Some(at),
            ..Device::new()
        };
        assert_eq!(Common::new(&device).reset(1000, || ()), Err(Fault::Gone));
    }
}

#[test]
fn what_both_have_is_agreed_on() {
    let device = Device::new();
    let want = Features::RING_EVENT_IDX | Features::RING_RESET;
    let need = Features::VERSION_1 | Features::bit(3);

    let agreed = Common::new(&device).negotiate(want, need);

    let both = Features::VERSION_1 | Features::bit(3) | Features::RING_EVENT_IDX;
    assert_eq!(agreed, Ok(both));
    assert_eq!(device.accepted.get(), both.bits());
    assert_eq!(device.status.get(), AGREED);
    let statuses: Vec<_> = device
        .log
        .borrow()
        .iter()
        .filter(|write| write.0 == 20)
        .map(|write| write.1)
        .collect();
    assert_eq!(statuses, [1, 3, 11]);
}

#[test]
fn what_is_needed_and_not_offered_is_said() {
    let device = Device::new();
    let need = Features::VERSION_1 | Features::RING_RESET | Features::bit(63);

    assert_eq!(
        Common::new(&device).negotiate(Features::NONE, need),
        Err(Fault::Lacks(Features::RING_RESET | Features::bit(63)))
    );
    assert_eq!(device.accepted.get(), 0);
}

#[test]
fn a_device_may_refuse() {
    let device = Device {
        refused: Features::RING_EVENT_IDX.bits(),
        ..Device::new()
    };
    let common = Common::new(&device);
    let all = Features::VERSION_1 | Features::RING_EVENT_IDX;

    assert_eq!(
        common.negotiate(Features::NONE, all),
        Err(Fault::Refuses(all))
    );
    common.reset(1, || ()).unwrap();
    device.accepted.set(0);
    assert_eq!(
        common.negotiate(Features::NONE, Features::VERSION_1),
        Ok(Features::VERSION_1)
    );
}

#[test]
fn queues() {
    let device = Device::new();
    let common = Common::new(&device);
    let place = |size| Place {
        size,
        descriptors: 0x1_2345_6000,
        driver: 0x2_3456_7000,
        device: 0x3_4567_8000,
    };

    assert_eq!(common.select(0), Ok(256));
    assert_eq!(common.notify_off(2), Ok(14));
    assert_eq!(common.notify_off(1), Err(Fault::NoQueue(1)));
    assert_eq!(common.select(1), Err(Fault::NoQueue(1)));
    assert_eq!(common.select(3), Err(Fault::NoQueue(3)));
    assert_eq!(common.select(u16::MAX), Err(Fault::NoQueue(u16::MAX)));

    assert_eq!(common.place(2, &place(16)), Err(Fault::Size(16)));
    device.log.borrow_mut().clear();
    assert_eq!(common.place(2, &place(4)), Ok(()));
    assert_eq!(
        *device.log.borrow(),
        [
            (22, 2),
            (24, 4),
            (32, 0x2345_6000),
            (36, 1),
            (40, 0x3456_7000),
            (44, 2),
            (48, 0x4567_8000),
            (52, 3)
        ]
    );

    common.enable(2).unwrap();
    assert_eq!(*device.enabled.borrow(), [false, false, true]);
    assert_eq!(common.place(2, &place(4)), Err(Fault::Enabled(2)));
}

#[test]
fn a_queue_is_reset_on_its_own() {
    // Virtio 1.3, section 4.1.4.3: 16 bits at offset 58.
    assert_eq!(WITH_QUEUE_RESET, 60);
    let device = Device::new();
    let common = Common::new(&device);
    common.enable(0).unwrap();
    common.enable(2).unwrap();

    assert_eq!(common.begin_queue_reset(1), Err(Fault::NoQueue(1)));
    common.begin_queue_reset(2).unwrap();
    // The device is at it, twice; then it is done, and only with this one.
    assert_eq!(common.is_queue_reset(2), Ok(false));
    assert_eq!(common.is_queue_reset(2), Ok(false));
    assert_eq!(common.is_queue_reset(2), Ok(true));
    assert_eq!(*device.enabled.borrow(), [true, false, false]);
    // One that says that it is done, and still uses the queue, is not done.
    assert_eq!(common.is_queue_reset(0), Ok(false));
    assert_eq!(
        Fault::QueueReset(2).to_string(),
        "reset of queue 2 not finished in time"
    );
}

#[test]
fn vectors_are_read_back() {
    let device = Device::new();
    let common = Common::new(&device);

    assert_eq!(common.set_config_vector(0), Ok(()));
    assert_eq!(common.set_queue_vector(0, 1), Ok(()));
    assert_eq!(common.set_queue_vector(2, 2), Err(Fault::Vector(2)));
    assert_eq!(common.set_queue_vector(1, 1), Err(Fault::NoQueue(1)));
}

#[test]
fn configuration_that_changes_is_read_again() {
    let device = Device::new();
    let common = Common::new(&device);
    let changes = |times: u32| {
        let mut reads = 0;
        let result = common.consistent(|| {
            reads += 1;
            if reads <= times {
                device
                    .generation
                    .set(device.generation.get().wrapping_add(1));
            }
            reads
        });
        (result, reads)
    };

    assert_eq!(changes(0), (Ok(1), 1));
    assert_eq!(changes(1), (Ok(2), 2));
    assert_eq!(changes(TRIES - 1), (Ok(TRIES), TRIES));
    assert_eq!(changes(TRIES), (Err(Fault::Unsteady), TRIES));
    assert_eq!(changes(u32::MAX), (Err(Fault::Unsteady), TRIES));

    // All ones is a generation like the others, as long as the device is there.
    device.generation.set(0xff);
    assert_eq!(changes(0), (Ok(1), 1));
}

#[test]
fn configuration_of_a_missing_device_is_refused() {
    for at in 1..4 {
        let device = Device {
            gone_at: Some(at),
            ..Device::new()
        };
        let result = Common::new(&device).consistent(|| (&&device).read32(0));

        assert_eq!(result, Err(Fault::Gone), "gone at access {at}");
    }
}

/// Registers that answer anything.
struct Noise {
    answers: Vec<u32>,
    next: Cell<usize>,
}

impl Noise {
    fn answer(&self) -> u32 {
        let next = self.next.get();

        self.next.set(next + 1);
        self.answers[next % self.answers.len()]
    }
}

impl Registers for &Noise {
    fn read8(&self, _: usize) -> u8 {
        self.answer() as u8
    }
    fn read16(&self, _: usize) -> u16 {
        self.answer() as u16
    }
    fn read32(&self, _: usize) -> u32 {
        self.answer()
    }
    fn write8(&self, _: usize, _: u8) {}
    fn write16(&self, _: usize, _: u16) {}
    fn write32(&self, _: usize, _: u32) {}
}

proptest! {
    /// Whatever is read, everything comes to an end, and what comes out is within what was asked.
    #[test]
    fn noise(answers in vec(any::<u32>(), 1..64), want in any::<u64>(), need in any::<u64>(), size in any::<u16>()) {
        let noise = Noise { answers, next: Cell::new(0) };
        let common = Common::new(&noise);
        let (want, need) = (Features::from_bits(want), Features::from_bits(need));

        let mut pauses = 0;
        let _ = common.reset(20, || pauses += 1);
        prop_assert!(pauses <= 20);

        if let Ok(agreed) = common.negotiate(want, need) {
            prop_assert!(agreed.contains(need));
            prop_assert!((want | need).contains(agreed));
        }
        if let Ok(max) = common.select(0) {
            prop_assert!(max != 0);
        }
        let _ = common.place(0, &Place { size, descriptors: 0, driver: 0, device: 0 });

        let mut reads = 0;
        let _ = common.consistent(|| reads += 1);
        prop_assert!(reads <= TRIES);
    }

    /// A device that goes at any moment is noticed, or was done with before.
    #[test]
    fn gone_at_any_moment(at in 1u32..80) {
        let device = Device { gone_at: Some(at), ..Device::new() };
        let common = Common::new(&device);

        let done = common.reset(3, || ()).is_ok()
            && common.negotiate(Features::NONE, Features::VERSION_1).is_ok()
            && common.place(0, &Place { size: 8, descriptors: 0, driver: 0, device: 0 }).is_ok()
            && common.set_queue_vector(0, 0).is_ok()
            && common.enable(0).is_ok();
        if done {
            prop_assert_eq!(&*device.enabled.borrow(), &[true, false, false]);
        } else {
            prop_assert_eq!(Health::of((&&device).read8(20), 0), Health::Gone);
        }
    }
}
