// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: the virtio transport against devices that mean ill.
//!
//! The transport's pure logic is compiled in here, from irqkit's own source files, so that it can
//! be given configuration spaces and registers that no device of QEMU's has.

use kernel::prelude::*;

// The suite does not use all of them, and nobody else any.
#[allow(dead_code, unreachable_pub)]
#[path = "../rust/irqkit/virtio/common.rs"]
mod common;
#[allow(dead_code, unreachable_pub)]
#[path = "../rust/irqkit/virtio/features.rs"]
mod features;
#[allow(dead_code, unreachable_pub)]
#[path = "../rust/irqkit/virtio/layout.rs"]
mod layout;
#[path = "support/noise.rs"]
mod noise;

module! {
    type: Suite,
    name: "irqkit_virtio_hostile_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's virtio transport against hostile devices",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_virtio_hostile)]
mod tests {
    use core::cell::Cell;

    use crate::{
        common::{
            Common,
            Fault,
            Health,
            Place,
            Registers,
            TRIES, //
        },
        features::Features,
        layout::{
            self,
            walk,
            Area,
            Bar,
            Layout,
            Structure,
            BARS, //
        },
        noise::Noise, //
    };

    /// How many hostile devices a test makes.
    const DEVICES: u64 = 2000;

    type Space = [u8; 256];

    /// Writes `bytes` to configuration space; what does not fit is cut off.
    fn put(space: &mut Space, at: usize, bytes: &[u8]) {
        for (place, byte) in space.iter_mut().skip(at).zip(bytes) {
            *place = *byte;
        }
    }

    /// Reads a double word of configuration space.
    fn read(space: &Space, at: u8) -> u32 {
        let mut word = [0; 4];

        for (byte, place) in word.iter_mut().zip(space.iter().skip(at.into())) {
            *byte = *place;
        }
        u32::from_le_bytes(word)
    }

    /// Adds a virtio capability, which `link` points to, and returns where the next link goes.
    fn capability(
        space: &mut Space,
        link: usize,
        at: u8,
        kind: u8,
        bar: u8,
        area: (u32, u32),
    ) -> usize {
        let place = usize::from(at);

        put(space, link, &[at]);
        put(space, place, &[9, 0, 20, kind, bar]);
        put(space, place + 8, &area.0.to_le_bytes());
        put(space, place + 12, &area.1.to_le_bytes());
        put(space, place + 16, &4u32.to_le_bytes());
        place + 1
    }

    /// Returns the space of a device with these structures in BAR 4.
    fn device(structures: &[(u8, u32, u32)]) -> Space {
        let mut space = [0; 256];
        let mut link = 0x34;
        let mut at = 0x40;

        put(&mut space, 6, &[0x10]);
        for (kind, offset, len) in structures {
            link = capability(&mut space, link, at, *kind, 4, (*offset, *len));
            at += 20;
        }
        space
    }

    const GOOD: [(u8, u32, u32); 4] = [
        (1, 0, 0x1000),
        (3, 0x1000, 0x1000),
        (4, 0x2000, 0x1000),
        (2, 0x3000, 0x1000),
    ];

    fn bars() -> [Bar; BARS] {
        let mut bars = [Bar::default(); BARS];

        if let Some(bar) = bars.get_mut(4) {
            *bar = Bar {
                len: 0x4000,
                memory: true,
            };
        }
        bars
    }

    fn laid(space: &Space) -> core::result::Result<Layout, layout::Fault> {
        walk(|at| read(space, at), &bars())
    }

    /// Returns whether all of a layout is where it is allowed to be.
    fn holds(layout: &Layout, bars: &[Bar; BARS]) -> bool {
        let inside = |area: Area| {
            bars.get(area.bar()).is_some_and(|bar| {
                let end = area.offset() as u64 + area.len() as u64;

                bar.memory && area.len() != 0 && end <= bar.len
            })
        };
        let apart = |one: Area, other: Area| {
            one.bar() != other.bar()
                || one.offset() + one.len() <= other.offset()
                || other.offset() + other.len() <= one.offset()
        };
        let common = layout.common();
        let others = [Some(layout.isr()), layout.device(), layout.doorbell(0, 2)];

        inside(common)
            && common.len() >= 56
            && others
                .into_iter()
                .flatten()
                .all(|area| inside(area) && apart(area, common))
            && [1, 77, u16::MAX]
                .into_iter()
                .filter_map(|off| layout.doorbell(off, 4))
                .all(|bell| inside(bell) && bell.offset() % 4 == 0)
    }

    #[test]
    fn a_good_device_is_accepted() {
        let layout = laid(&device(&GOOD));

        assert!(layout.is_ok_and(|layout| holds(&layout, &bars())));
    }

    #[test]
    fn lists_without_an_end_or_a_beginning() {
        let mut looping = device(&GOOD);
        put(&mut looping, 0x41, &[0x40]);
        let mut header = device(&GOOD);
        put(&mut header, 0x34, &[0x10]);
        let mut none = device(&GOOD);
        put(&mut none, 6, &[0]);

        assert_eq!(laid(&looping), Err(layout::Fault::Loop(0x40)));
        assert_eq!(laid(&header), Err(layout::Fault::Pointer(0x10)));
        assert_eq!(laid(&none), Err(layout::Fault::NoList));
        assert_eq!(walk(|_| u32::MAX, &bars()), Err(layout::Fault::Gone));
        assert_eq!(
            laid(&device(&[])),
            Err(layout::Fault::Missing(Structure::Common))
        );
    }

    #[test]
    fn structures_out_of_bounds_or_one_upon_the_other() {
        use layout::Fault;

        let with = |kind: u8, offset: u32, len: u32| {
            let mut structures = GOOD;

            for structure in &mut structures {
                if structure.0 == kind {
                    *structure = (kind, offset, len);
                }
            }
            laid(&device(&structures)).map(drop)
        };

        assert_eq!(with(1, 0, 55), Err(Fault::Small(Structure::Common, 55)));
        assert_eq!(with(1, 2, 56), Err(Fault::Alignment(Structure::Common, 2)));
        assert_eq!(
            with(2, 0x3000, 0x1001),
            Err(Fault::Outside(Structure::Notify))
        );
        assert_eq!(
            with(3, u32::MAX, u32::MAX),
            Err(Fault::Outside(Structure::Isr))
        );
        assert_eq!(
            with(3, 0xfff, 1),
            Err(Fault::Overlap(Structure::Common, Structure::Isr))
        );
        assert_eq!(
            with(4, 0x2ffc, 8),
            Err(Fault::Overlap(Structure::Notify, Structure::Device))
        );
        assert_eq!(with(3, 0x2000, 0), Err(Fault::Small(Structure::Isr, 0)));
    }

    /// Whatever is in configuration space, what is accepted is sound.
    #[test]
    fn noise_in_configuration_space() {
        let mut noise = Noise::new();
        let mut accepted = 0;
        let mut wrong = 0;

        for _ in 0..DEVICES {
            // Nearly right: a good device with a few bytes changed.
            let mut space = device(&GOOD);
            for _ in 0..noise.below(4) {
                let at = noise.below(0x60) + 0x34;
                put(&mut space, at as usize, &[noise.next() as u8]);
            }
            if let Ok(layout) = laid(&space) {
                accepted += 1;
                wrong += u64::from(!holds(&layout, &bars()));
            }
            // All wrong, and different with each read.
            if let Ok(layout) = walk(|_| noise.next() as u32, &bars()) {
                wrong += u64::from(!holds(&layout, &bars()));
            }
        }
        assert_eq!(wrong, 0);
        // The test is worth something.
        assert!(accepted > DEVICES / 20);
        assert!(accepted < DEVICES);
    }

    /// Registers that answer what they like, or nothing.
    struct Registry {
        noise: Cell<Noise>,
        /// What every read gives, unless it is noise.
        answer: Option<u32>,
        accesses: Cell<u32>,
    }

    impl Registry {
        fn new(answer: Option<u32>) -> Self {
            Self {
                noise: Cell::new(Noise::new()),
                answer,
                accesses: Cell::new(0),
            }
        }

        fn answer(&self) -> u32 {
            let mut noise = self.noise.get();
            let random = noise.next() as u32;

            self.noise.set(noise);
            self.accesses.set(self.accesses.get() + 1);
            self.answer.unwrap_or(random)
        }
    }

    impl Registers for &Registry {
        fn read8(&self, _offset: usize) -> u8 {
            self.answer() as u8
        }
        fn read16(&self, _offset: usize) -> u16 {
            self.answer() as u16
        }
        fn read32(&self, _offset: usize) -> u32 {
            self.answer()
        }
        fn write8(&self, _offset: usize, _value: u8) {}
        fn write16(&self, _offset: usize, _value: u16) {}
        fn write32(&self, _offset: usize, _value: u32) {}
    }

    const PLACE: Place = Place {
        size: 8,
        descriptors: 0,
        driver: 0,
        device: 0,
    };

    #[test]
    fn a_device_that_never_finishes_its_reset() {
        let registry = Registry::new(Some(0x0f));
        let mut pauses = 0;
        let result = Common::new(&registry).reset(50, || pauses += 1);

        assert_eq!(result, Err(Fault::Reset(0x0f)));
        assert_eq!(pauses, 50);
    }

    #[test]
    fn a_device_that_is_gone_is_found_out_by_everything() {
        let registry = Registry::new(Some(u32::MAX));
        let common = Common::new(&registry);

        assert_eq!(common.reset(50, || ()), Err(Fault::Gone));
        assert_eq!(
            common.negotiate(Features::NONE, Features::VERSION_1),
            Err(Fault::Gone)
        );
        assert_eq!(common.select(0), Err(Fault::Gone));
        assert_eq!(common.place(0, &PLACE), Err(Fault::Gone));
        assert_eq!(common.enable(0), Err(Fault::Gone));
        assert_eq!(common.consistent(|| 0), Err(Fault::Gone));
        assert_eq!(Health::of(common.status(), 0), Health::Gone);
    }

    #[test]
    fn a_device_that_offers_nothing_and_has_nothing() {
        let registry = Registry::new(Some(0));
        let common = Common::new(&registry);

        assert_eq!(
            common.negotiate(Features::NONE, Features::VERSION_1),
            Err(Fault::Lacks(Features::VERSION_1))
        );
        // It forgets its status at once.
        assert_eq!(
            common.negotiate(Features::NONE, Features::NONE),
            Err(Fault::Refuses(Features::NONE))
        );
        assert_eq!(common.select(0), Err(Fault::NoQueue(0)));
        assert_eq!(common.set_config_vector(1), Err(Fault::Vector(1)));
    }

    /// Whatever registers say, everything ends, after few accesses.
    #[test]
    fn noise_in_registers() {
        let registry = Registry::new(None);
        let common = Common::new(&registry);
        let mut wrong = 0;
        let mut reads = 0;
        let mut most = 0;

        for _ in 0..DEVICES {
            let before = registry.accesses.get();
            let need = Features::bit(32);

            let _ = common.reset(20, || ());
            if let Ok(agreed) = common.negotiate(Features::bit(1), need) {
                wrong += u32::from(!agreed.contains(need) || agreed.bits() & !(1 << 32 | 2) != 0);
            }
            let _ = common.select(3);
            let _ = common.place(3, &PLACE);
            let _ = common.set_queue_vector(3, 1);
            let _ = common.enable(3);
            reads = 0;
            let _ = common.consistent(|| reads += 1);
            wrong += u32::from(reads > TRIES);
            most = most.max(registry.accesses.get() - before);
        }
        assert_eq!(wrong, 0);
        assert!(reads > 0);
        assert!(most < 150);
    }
}
