// SPDX-License-Identifier: GPL-2.0
// lab-want-dmesg: 2 queue 0 is in use already

//! KUnit suite: split and packed virtqueues, the reset of one queue, and queues for commands, on a
//! real device ([`irqkit::virtio`]).

use kernel::prelude::*;

#[path = "support/rig.rs"]
mod rig;
#[path = "support/rng.rs"]
mod rng;
#[path = "support/mod.rs"]
mod support;

module! {
    type: rng::Module,
    name: "irqkit_virtio_rings_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's kinds of virtqueues",
    license: "GPL",
}

#[kunit_tests(irqkit_virtio_rings)]
mod tests {
    use kernel::{
        prelude::*,
        sync::{
            atomic::Relaxed,
            Arc, //
        }, //
    };

    use irqkit::{
        context::Task,
        virtio::{
            AddError,
            Control,
            Features,
            InBuffer,
            Live,
            PackedRings,
            Policy,
            QueueOf,
            Rings,
            SplitRings,
            Wake, //
        }, //
    };

    use crate::{
        rig::{
            Seen,
            BYTES, //
        },
        rng::Rng,
        support::{
            books::Books,
            until, //
        }, //
    };

    /// How many times bytes are asked for: the queue is gone round several times.
    const ROLLS: usize = 40;

    /// A device at work with a queue of kind `K`.
    struct Work<K: Rings> {
        queue: QueueOf<K, InBuffer>,
        buffer: Option<InBuffer>,
        live: Live<Seen>,
        seen: Arc<Seen>,
        _books: Books,
    }

    impl<K: Rings> Work<K> {
        fn new(without: Features, max: u16) -> Result<Self> {
            let rng = Rng::get()?;
            let books = Books::new(c"rings")?;
            let seen = Seen::new(Wake::No)?;
            let want = K::FEATURES.without(without);
            let mut setup = Task::with(|task| rng.device.negotiate(task, want, Features::NONE))??;
            let queue = setup.queue_of::<K, _>(rng.bound(), 0, c"input", max, 2)?;
            let region = setup.pool(rng.bound())?.alloc(BYTES, GFP_KERNEL)?;

            Ok(Self {
                live: setup.start(rng.bound(), Policy::PerQueue, &books.set, seen.clone())?,
                queue,
                buffer: Some(InBuffer::new(region)),
                seen,
                _books: books,
            })
        }

        /// Asks for random bytes, and returns them if an interrupt came with them.
        fn roll(&mut self) -> Result<[u8; BYTES]> {
            let before = self.seen.hard.load(Relaxed);
            let buffer = self.buffer.take().ok_or(EINVAL)?;
            let mut bytes = [0; BYTES];
            let mut used = None;

            self.queue.add(buffer).map_err(|refused| refused.why)?;
            self.queue.kick();
            if !until(|| self.seen.hard.load(Relaxed) > before) {
                return Err(EIO);
            }
            until(|| {
                used = self.queue.get_used();
                used.is_some()
            });
            let used = used.ok_or(ETIMEDOUT)?;
            let mut buffer = used.buffer;
            buffer.read(0, &mut bytes)?;
            buffer.clear();
            self.buffer = Some(buffer);
            if usize::try_from(used.written)? != BYTES || !self.queue.enable_cb() {
                return Err(EIO);
            }
            Ok(bytes)
        }

        /// Counts the rolls that gave bytes that the one before did not.
        fn rolls(&mut self) -> Result<usize> {
            let mut last = [0; BYTES];
            let mut good = 0;

            for _ in 0..ROLLS {
                let bytes = self.roll()?;

                good += usize::from(bytes != last);
                last = bytes;
            }
            Ok(good)
        }
    }

    fn rolls<K: Rings>() -> Result<usize> {
        let mut good = 0;

        for without in [
            Features::NONE,
            Features::RING_EVENT_IDX,
            Features::RING_INDIRECT_DESC | Features::IN_ORDER,
        ] {
            good += Work::<K>::new(without, 8)?.rolls()?;
        }
        // Only of packed queues the size is not a power of two.
        let mut work = Work::<K>::new(Features::NONE, 7)?;
        let size = work.queue.size();
        good += usize::from(size == if K::PACKED { 7 } else { 4 });
        Ok(good + work.rolls()?)
    }

    /// The device must offer what is tested here.
    #[test]
    fn the_device_can_all() -> Result {
        let offered = Rng::get()?.device.offered();

        assert!(offered.contains(PackedRings::FEATURES.without(
            Features::NOTIFICATION_DATA | Features::ORDER_PLATFORM | Features::ACCESS_PLATFORM
        )));
        Ok(())
    }

    #[test]
    fn bytes_come_through_split_queues() -> Result {
        assert_eq!(rolls::<SplitRings>()?, 4 * ROLLS + 1);
        Ok(())
    }

    #[test]
    fn bytes_come_through_packed_queues() -> Result {
        assert_eq!(rolls::<PackedRings>()?, 4 * ROLLS + 1);
        Ok(())
    }

    #[test]
    fn a_queue_is_of_the_kind_that_was_agreed_on() -> Result {
        let rng = Rng::get()?;
        let mut wrong = 0;

        for want in [SplitRings::FEATURES, PackedRings::FEATURES] {
            let mut setup = Task::with(|task| rng.device.negotiate(task, want, Features::NONE))??;
            let packed = setup.is_packed();
            let dev = rng.bound();
            let split_made = setup.queue::<InBuffer>(dev, 0, c"split", 8).map(drop);
            let packed_made = setup
                .queue_of::<PackedRings, InBuffer>(dev, 0, c"packed", 8, 0)
                .map(drop);

            if packed != want.contains(Features::RING_PACKED) {
                wrong += 1;
            }
            let (good, bad) = if packed {
                (packed_made, split_made)
            } else {
                (split_made, packed_made)
            };
            if good.is_err() || bad != Err(EINVAL) {
                wrong += 1;
            }
        }
        assert_eq!(wrong, 0);
        Ok(())
    }

    /// What comes of the reset of one queue, in the order in which it happens.
    #[derive(Debug, Default, PartialEq)]
    struct Reset {
        before: usize,
        stopped_early: Option<Error>,
        missing: Option<Error>,
        reset: Option<Error>,
        again: Option<Error>,
        unemptied: Option<Error>,
        not_fresh: Option<Error>,
        add_stopped: Option<AddError>,
        detached: usize,
        twice: Option<Error>,
        after: usize,
    }

    fn reset<K: Rings>() -> Result<Reset> {
        let mut work = Work::<K>::new(Features::NONE, 8)?;
        let mut outcome = Reset {
            before: work.rolls()?,
            ..Reset::default()
        };
        let Work {
            queue,
            live,
            buffer: idle,
            ..
        } = &mut work;
        let reset = |live: &Live<Seen>, index| -> Result<Option<Error>> {
            Ok(Task::with(|task| live.reset_queue(task, index))?.err())
        };

        outcome.stopped_early = queue.stopped().map(drop).err();
        outcome.missing = reset(live, 7)?;
        outcome.reset = reset(live, 0)?;
        outcome.again = reset(live, 0)?;
        // The device does not know of it any more, whatever is rung.
        let buffer = idle.take().ok_or(EINVAL)?;
        queue.add(buffer).map_err(|refused| refused.why)?;
        queue.notify();
        outcome.unemptied = queue.stopped()?.restart().err();
        outcome.not_fresh = live.enable_queue(queue).err();
        let mut stopped = queue.stopped()?;
        while let Some(buffer) = stopped.detach() {
            *idle = Some(buffer);
            outcome.detached += 1;
        }
        let buffer = idle.take().ok_or(EINVAL)?;
        let refused = queue.add(buffer).err().ok_or(EINVAL)?;
        outcome.add_stopped = Some(refused.why);
        *idle = Some(refused.buffer);
        queue.stopped()?.restart()?;
        live.enable_queue(queue)?;
        outcome.twice = live.enable_queue(queue).err();

        outcome.after = work.rolls()?;
        Ok(outcome)
    }

    fn expected() -> Reset {
        Reset {
            before: ROLLS,
            stopped_early: Some(EBUSY),
            missing: Some(ENOENT),
            reset: None,
            again: None,
            unemptied: Some(EBUSY),
            not_fresh: Some(EINVAL),
            add_stopped: Some(AddError::Stopped),
            detached: 1,
            twice: Some(EBUSY),
            after: ROLLS,
        }
    }

    #[test]
    fn a_split_queue_is_reset_alone() -> Result {
        assert_eq!(reset::<SplitRings>()?, expected());
        Ok(())
    }

    #[test]
    fn a_packed_queue_is_reset_alone() -> Result {
        assert_eq!(reset::<PackedRings>()?, expected());
        Ok(())
    }

    #[test]
    fn without_the_feature_no_queue_is_reset_alone() -> Result {
        let work = Work::<SplitRings>::new(Features::RING_RESET, 8)?;
        let result = Task::with(|task| work.live.reset_queue(task, 0))?;

        assert_eq!(result, Err(EOPNOTSUPP));
        Ok(())
    }

    /// A queue that was reset alone, and then all of the device was.
    #[test]
    fn a_queue_that_was_reset_goes_on_with_its_device() -> Result {
        let mut work = Work::<PackedRings>::new(Features::NONE, 8)?;
        let before = work.rolls()?;

        Task::with(|task| work.live.reset_queue(task, 0))??;
        Task::with(|task| work.live.suspend(task))??;
        work.queue.stopped()?.restart()?;
        let idle = work.live.enable_queue(&mut work.queue);
        let resume = Task::with(|task| work.live.resume(task))??;
        resume.queue(&mut work.queue)?;
        resume.start()?;
        let after = work.rolls()?;

        assert_eq!((before, idle, after), (ROLLS, Err(ENODEV), ROLLS));
        Ok(())
    }

    /// What a command brings: a source of entropy writes to what it is given, and reads nothing.
    fn ask(control: &mut Control, request: &[&[u8]], answer: &mut [u8]) -> Result<usize> {
        Task::with(|task| control.command(task, request, answer))?
    }

    /// Commands, their answers, and what is wrong with some: as many things as are not right.
    fn commands(want: Features) -> Result<u32> {
        let rng = Rng::get()?;
        let books = Books::new(c"control")?;
        let mut setup = Task::with(|task| rng.device.negotiate(task, want, Features::NONE))??;
        let mut control = setup.control(rng.bound(), 0, c"control", 64, 32)?;
        let early = ask(&mut control, &[&[1; 65]], &mut [0; 1]);
        let live = setup.start(
            rng.bound(),
            Policy::Shared,
            &books.set,
            Seen::new(Wake::No)?,
        )?;
        let (mut last, mut wrong) = ([0; 16], 0);

        wrong += u32::from(early != Err(EMSGSIZE));
        for round in 0..ROLLS {
            let mut answer = [0; 16];
            let asked = ask(&mut control, &[&[1, 2], &[3; 20]], &mut answer)?;

            wrong += u32::from(asked != answer.len() || answer == last);
            last = answer;
            if round == ROLLS / 2 {
                Task::with(|task| live.suspend(task))??;
                let asleep = ask(&mut control, &[&[1]], &mut answer);
                let resume = Task::with(|task| live.resume(task))??;
                resume.control(&mut control)?;
                resume.start()?;
                wrong += u32::from(asleep != Err(ENODEV));
            }
        }
        for (request, len, error) in [
            (&[1u8; 65][..], 1, EMSGSIZE),
            (&[1; 1], 33, EMSGSIZE),
            (&[], 1, EINVAL),
            (&[1; 1], 0, EINVAL),
        ] {
            let mut answer = [0; 33];
            let answer = answer.get_mut(..len).ok_or(EINVAL)?;

            wrong += u32::from(ask(&mut control, &[request], answer) != Err(error));
        }
        // The longest of both.
        wrong += u32::from(ask(&mut control, &[&[1; 64]], &mut [0; 32]) != Ok(32));
        drop(control);
        Ok(wrong)
    }

    #[test]
    fn commands_are_answered_by_split_queues() -> Result {
        assert_eq!(commands(SplitRings::FEATURES)?, 0);
        Ok(())
    }

    #[test]
    fn commands_are_answered_by_packed_queues() -> Result {
        assert_eq!(commands(PackedRings::FEATURES)?, 0);
        Ok(())
    }
}
