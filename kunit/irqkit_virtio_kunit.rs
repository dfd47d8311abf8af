// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: the virtio transport on a real device ([`irqkit::virtio`]).

use kernel::prelude::*;

#[path = "support/rig.rs"]
mod rig;
#[path = "support/rng.rs"]
mod rng;
#[path = "support/mod.rs"]
mod support;

module! {
    type: rng::Module,
    name: "irqkit_virtio_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's virtio transport",
    license: "GPL",
}

#[kunit_tests(irqkit_virtio)]
mod tests {
    use core::mem::ManuallyDrop;

    use kernel::{
        prelude::*,
        str::CString,
        sync::atomic::Relaxed, //
    };

    use irqkit::{
        context::Task,
        virtio::{
            Features,
            Health,
            Policy,
            State,
            Wake,
            RING_FEATURES, //
        }, //
    };

    use crate::{
        rig::{
            Queue,
            Rig,
            Seen, //
        },
        rng::{
            rebind,
            Rng, //
        },
        support::{
            books::Books,
            until, //
        }, //
    };

    /// Virtio's number for a source of entropy.
    const ENTROPY: u16 = 4;

    /// How many times bytes are asked for.
    const ROLLS: usize = 20;

    #[test]
    fn the_device_is_what_it_should_be() -> Result {
        let rng = Rng::get()?;
        let device = &rng.device;

        assert_eq!(device.id(), ENTROPY);
        assert_eq!(device.queues(), 1);
        assert!(device.offered().contains(Features::VERSION_1));
        assert_eq!(device.state(), State::Idle);
        Ok(())
    }

    #[test]
    fn features_are_agreed_on_by_one_at_a_time() -> Result {
        let rng = Rng::get()?;
        let device = &rng.device;

        let lacking = Task::with(|task| device.negotiate(task, Features::NONE, Features::bit(63)));
        let setup =
            Task::with(|task| device.negotiate(task, Features::RING_EVENT_IDX, Features::NONE))??;
        let features = setup.features();
        let second = Task::with(|task| device.negotiate(task, Features::NONE, Features::NONE))?;
        let state = device.state();
        drop(setup);
        let after = device.state();
        let third = Task::with(|task| device.negotiate(task, Features::NONE, Features::NONE))?;
        let third = third.map(drop);

        assert_eq!(lacking?.err(), Some(EOPNOTSUPP));
        assert_eq!(
            features.without(Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM),
            Features::VERSION_1 | Features::RING_EVENT_IDX
        );
        assert_eq!(second.err(), Some(EBUSY));
        assert_eq!((state, after), (State::Setup, State::Idle));
        assert_eq!(third, Ok(()));
        Ok(())
    }

    #[test]
    fn queues_are_made_once_and_of_sizes_that_both_can_have() -> Result {
        let rng = Rng::get()?;
        let mut setup = Task::with(|task| {
            rng.device
                .negotiate(task, RING_FEATURES, Features::VERSION_1)
        })??;
        let max = setup.queue_size(0);
        let missing = setup.queue_size(1);

        let none = setup.queue(rng.bound(), 0, c"input", 0).map(|_: Queue| ());
        let queue: Queue = setup.queue(rng.bound(), 0, c"input", 7)?;
        let size = queue.size();
        let again = setup.queue(rng.bound(), 0, c"input", 8).map(|_: Queue| ());
        let beyond = setup.queue(rng.bound(), 1, c"other", 8).map(|_: Queue| ());
        // A queue that goes takes the session with it.
        drop(queue);
        let books = Books::new(c"sizes")?;
        let start = setup
            .start(rng.bound(), Policy::Best, &books.set, Seen::new(Wake::No)?)
            .map(drop);
        drop(books);

        assert!(max.is_ok_and(|max| max >= 8));
        assert_eq!(missing, Err(ENOENT));
        assert_eq!(none, Err(EINVAL));
        assert_eq!(size, 4);
        assert_eq!(again, Err(EBUSY));
        assert_eq!(beyond, Err(ENOENT));
        assert_eq!(start, Err(ENODEV));
        assert_eq!(rng.device.state(), State::Idle);
        Ok(())
    }

    /// What is to be seen of a policy at work: rolls with new bytes, interrupts, those that the
    /// thread went on with, wrong things, and the books of its path.
    struct Outcome {
        policy: Policy,
        rolls: usize,
        hard: u64,
        thread: u64,
        wrong: u64,
        handled: u64,
        runs: u64,
        balanced: bool,
        state: State,
    }

    fn outcome(name: &CStr, policy: Policy, wake: Wake, vector: &str) -> Result<Outcome> {
        let mut rig = Rig::new(name, policy, wake)?;
        let rolls = rig.rolls(ROLLS)?;
        let state = rig.rng.device.state();
        let policy = rig.live.policy();
        let Rig {
            live, seen, books, ..
        } = rig;

        // Waits for the handlers.
        drop(live);
        let hard = CString::try_from_fmt(fmt!("hardirq{vector}"))?;
        let thread = CString::try_from_fmt(fmt!("thread{vector}"))?;
        let [handled, woke, hard_wrong, overlap] = books.stats(
            hard.to_str()?,
            ["handled", "wake_thread", "context_mismatch", "overlap"],
        )?;
        let [scheduled, runs, coalesced, cancelled, thread_wrong] = books.stats(
            thread.to_str()?,
            [
                "scheduled",
                "runs",
                "coalesced",
                "cancelled",
                "context_mismatch",
            ],
        )?;
        Ok(Outcome {
            policy,
            rolls,
            hard: seen.hard.load(Relaxed),
            thread: seen.thread.load(Relaxed),
            wrong: hard_wrong + overlap + thread_wrong + seen.wrong_queue.load(Relaxed),
            handled: handled + woke,
            runs,
            balanced: scheduled == woke && scheduled == runs + coalesced + cancelled,
            state,
        })
    }

    #[test]
    fn a_vector_a_queue() -> Result {
        let o = outcome(c"per-queue", Policy::PerQueue, Wake::No, "/input")?;

        assert_eq!(o.policy, Policy::PerQueue);
        assert_eq!(o.rolls, ROLLS);
        assert!(o.hard >= ROLLS as u64);
        assert_eq!((o.handled, o.thread, o.runs), (o.hard, 0, 0));
        assert_eq!(o.wrong, 0);
        assert_eq!(o.state, State::Live(Health::Good));
        Ok(())
    }

    #[test]
    fn one_vector_for_all_queues() -> Result {
        let o = outcome(c"shared", Policy::Shared, Wake::Thread, "/queues")?;

        assert_eq!(o.policy, Policy::Shared);
        assert_eq!(o.rolls, ROLLS);
        assert!(o.hard >= ROLLS as u64);
        assert_eq!(o.handled, o.hard);
        // An interrupt that comes while the thread begins has its queue looked at by that run; the next
        // one, which it asked for, finds nothing.
        assert!(o.thread > 0 && o.thread <= o.runs && o.balanced);
        assert_eq!(o.wrong, 0);
        Ok(())
    }

    #[test]
    fn the_pin() -> Result {
        let o = outcome(c"intx", Policy::Intx, Wake::Thread, "")?;

        assert_eq!(o.policy, Policy::Intx);
        assert_eq!(o.rolls, ROLLS);
        assert!(o.hard >= ROLLS as u64);
        assert_eq!(o.handled, o.hard);
        assert!(o.thread > 0 && o.balanced);
        assert_eq!(o.wrong, 0);
        Ok(())
    }

    /// The best that two vectors are enough for.
    #[test]
    fn the_best_policy() -> Result {
        let o = outcome(c"best", Policy::Best, Wake::Thread, "/input")?;

        assert_eq!(o.policy, Policy::PerQueue);
        assert_eq!(o.rolls, ROLLS);
        assert_eq!(o.thread, o.runs);
        assert!(o.thread > 0 && o.balanced);
        Ok(())
    }

    /// What is started again is counted on the same paths.
    #[test]
    fn stopped_and_begun_anew() -> Result {
        let mut books = Books::new(c"anew")?;
        let mut counts = [0; 3];
        let mut rolls = 0;

        for count in &mut counts {
            let mut rig = Rig::with(books, Policy::PerQueue, Wake::No, RING_FEATURES)?;
            rolls += rig.rolls(5)?;
            rig.leave()?;
            // The queue first, with a buffer in it; its drop stops the device.
            drop(rig.queue);
            drop(rig.live);
            books = rig.books;
            *count = books.stat("hardirq/input.runs")?;
        }
        drop(books);

        assert_eq!(rolls, 15);
        assert!(counts.is_sorted_by(|one, next| *next >= *one + 5));
        Ok(())
    }

    #[test]
    fn without_any_feature_of_rings() -> Result {
        let books = Books::new(c"plain")?;
        let mut rig = Rig::with(books, Policy::PerQueue, Wake::No, Features::NONE)?;
        let rolls = rig.rolls(ROLLS)?;
        let features = rig.live.features();
        drop(rig);

        assert_eq!(rolls, ROLLS);
        assert!(!features.contains(Features::RING_EVENT_IDX));
        Ok(())
    }

    #[test]
    fn suspended_and_resumed() -> Result {
        let mut rig = Rig::new(c"suspend", Policy::PerQueue, Wake::No)?;
        let before = rig.rolls(5)?;
        rig.leave()?;

        let busy = Task::with(|task| rig.live.resume(task).map(drop))?;
        Task::with(|task| rig.live.suspend(task))??;
        let state = rig.rng.device.state();
        let other = Task::with(|task| {
            rig.rng
                .device
                .negotiate(task, Features::NONE, Features::NONE)
                .map(drop)
        })?;
        // Without its queue, and with one that is not as new.
        let without = Task::with(|task| rig.live.resume(task)?.start())?;
        let stale = Task::with(|task| rig.live.resume(task)?.queue(&mut rig.queue))?;

        let mut stopped = rig.queue.stop()?;
        let buffer = stopped.detach();
        let more = stopped.detach().is_some();
        stopped.restart()?;
        let resume = Task::with(|task| rig.live.resume(task))??;
        resume.queue(&mut rig.queue)?;
        resume.start()?;
        rig.buffer = buffer;
        let after = rig.rolls(5)?;
        let health = rig.rng.device.state();
        drop(rig);

        assert_eq!((before, after), (5, 5));
        assert_eq!(busy, Err(EBUSY));
        assert_eq!(state, State::Idle);
        assert_eq!(other, Err(EBUSY));
        assert_eq!(without, Err(EINVAL));
        assert_eq!(stale, Err(EINVAL));
        assert!(!more);
        assert_eq!(health, State::Live(Health::Good));
        Ok(())
    }

    /// Whoever forgets everything still has a device that is reset when it is unbound, and memory
    /// that the device does not use any more.
    #[test]
    fn kept_over_unbind() -> Result {
        let mut rig = Rig::new(c"kept", Policy::PerQueue, Wake::No)?;
        let before = rig.rolls(5)?;
        rig.leave()?;
        let Rig {
            live,
            mut queue,
            seen,
            books,
            rng,
            ..
        } = rig;
        let device = rng.device.clone();
        let mut live = ManuallyDrop::new(live);
        let mut rang = true;

        rebind(rng, || rang = queue.kick())?;
        let state = device.state();
        let dead = Task::with(|task| {
            device
                .negotiate(task, Features::NONE, Features::NONE)
                .map(drop)
        })?;
        let resume = Task::with(|task| live.resume(task).map(drop))?;
        let config = device.config().read_u8(0);
        let interrupts = seen.hard.load(Relaxed);
        // SAFETY: It is not used any more.
        unsafe { ManuallyDrop::drop(&mut live) };
        drop((queue, books));

        let mut rig = Rig::new(c"kept", Policy::PerQueue, Wake::No)?;
        let after = rig.rolls(5)?;
        drop(rig);

        assert_eq!((before, after), (5, 5));
        assert_eq!(state, State::Idle);
        assert_eq!(dead, Err(ENODEV));
        assert_eq!(resume, Err(ENODEV));
        assert!(config.is_err());
        assert_eq!(interrupts, seen.hard.load(Relaxed));
        Ok(())
    }

    /// What was agreed on with a device does not hold for its next binding, where it may address memory in
    /// another way: whoever kept it has no memory of that by it.
    #[test]
    fn an_agreement_ends_with_the_binding() -> Result {
        let rng = Rng::get()?;
        let negotiate = |task: Task<'_>| rng.device.negotiate(task, RING_FEATURES, Features::NONE);
        let kept = Task::with(negotiate)??;
        let own = kept.pool(rng.bound()).err();

        rebind(rng, || ())?;
        let again = Rng::get()?;
        let stale = kept.pool(again.bound()).err();
        drop(kept);
        let device = again.device.clone();
        let fresh = Task::with(|task| device.negotiate(task, RING_FEATURES, Features::NONE))??;
        let pool = fresh.pool(again.bound()).err();
        drop(fresh);

        assert_eq!(own, None);
        assert_eq!(stale, Some(ENODEV));
        assert_eq!(pool, None);
        Ok(())
    }

    /// A device that has failed says so, in the IRQ thread, and works again after a reset.
    #[test]
    fn a_failed_device_wants_to_be_reset() -> Result {
        let mut outcomes = [None; 2];

        for (outcome, policy) in outcomes.iter_mut().zip([Policy::PerQueue, Policy::Intx]) {
            let mut rig = Rig::new(c"failed", policy, Wake::No)?;
            let before = rig.rolls(3)?;

            rig.lie()?;
            let told = until(|| rig.seen.needs_reset.load(Relaxed) > 0);
            let state = rig.rng.device.state();
            rig.again()?;
            let after = rig.rolls(3)?;
            let others = rig.seen.lost.load(Relaxed) + rig.seen.gone.load(Relaxed);
            let health = rig.rng.device.state();
            drop(rig);
            *outcome = Some((before, told, state, after, others, health));
        }

        let failed = State::Live(Health::NeedsReset);
        let good = State::Live(Health::Good);
        assert_eq!(outcomes, [Some((3, true, failed, 3, 0, good)); 2]);
        Ok(())
    }

    #[test]
    fn reset_by_somebody_else() -> Result {
        let mut rig = Rig::new(c"lost", Policy::PerQueue, Wake::No)?;
        let before = rig.rolls(3)?;

        rig.rng.write_status(0)?;
        let state = rig.rng.device.state();
        rig.again()?;
        let after = rig.rolls(3)?;
        drop(rig);

        assert_eq!((before, after), (3, 3));
        assert_eq!(state, State::Live(Health::Lost));
        Ok(())
    }

    /// A device that does not answer is noticed, is done with in a bounded time, and works again
    /// when it is back.
    #[test]
    fn out_of_reach() -> Result {
        let mut rig = Rig::new(c"unreachable", Policy::PerQueue, Wake::No)?;
        let rng = rig.rng.clone();
        let before = rig.rolls(3)?;
        rig.leave()?;

        rng.decode(false)?;
        let state = rng.device.state();
        let rang = rig.queue.kick();
        drop(rig);
        rng.decode(true)?;
        let mut rig = Rig::new(c"unreachable", Policy::PerQueue, Wake::No)?;
        let after = rig.rolls(3)?;
        drop(rig);

        assert_eq!((before, after), (3, 3));
        // What is not there reads as all ones or, on some machines, as 0.
        assert!(matches!(state, State::Live(Health::Gone | Health::Lost)));
        assert!(!rang);
        Ok(())
    }
}
