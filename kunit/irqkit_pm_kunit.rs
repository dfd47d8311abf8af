// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: who is told when the machine sleeps ([`irqkit::pm`]).
//!
//! The machine is sent to sleep for real, and does not get there: the last one who is told refuses,
//! as a driver may. Everybody before it has been told by then, and is told that it is over.

use kernel::prelude::*;

#[path = "support/rng.rs"]
mod rng;
#[path = "support/mod.rs"]
mod support;

module! {
    type: rng::Module,
    name: "irqkit_pm_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's suspend and resume",
    license: "GPL",
}

#[kunit_tests(irqkit_pm)]
mod tests {
    use core::mem::ManuallyDrop;

    use kernel::{
        bindings,
        cpu::CpuId,
        device::Bound,
        error::to_result,
        faux,
        new_mutex,
        prelude::*,
        sync::{
            Arc,
            Mutex, //
        }, //
    };

    use irqkit::{
        context::Task,
        cpu_hotplug::{
            self,
            Watcher, //
        },
        pm::{
            Registration,
            Sleeper, //
        }, //
    };

    use crate::{
        rng::{
            rebind,
            Rng, //
        },
        support::{
            crew::with_thread,
            gate::Gate,
            two_cpus, //
        }, //
    };

    /// `PM_SUSPEND_TO_IDLE`, a macro with a cast.
    const TO_IDLE: bindings::suspend_state_t = 1;

    /// What a sleeper was told, in order.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Told {
        Sleep,
        Wake,
        Dropped,
    }

    #[pin_data]
    struct Seen {
        #[pin]
        told: Mutex<KVec<Told>>,
        gate: Gate,
    }

    impl Seen {
        fn new() -> Result<Arc<Self>> {
            Arc::pin_init(
                pin_init!(Self {
                    told <- new_mutex!(KVec::new()),
                    gate: Gate::open(),
                }),
                GFP_KERNEL,
            )
        }

        fn note(&self, what: Told) {
            // What is not noted makes the test fail.
            let _ = self.told.lock().push(what, GFP_KERNEL);
        }

        fn was_told(&self, what: &[Told]) -> bool {
            self.told.lock().as_slice() == what
        }
    }

    /// It sleeps, or has `answer` for who wants that.
    struct Fake {
        seen: Arc<Seen>,
        answer: Result,
    }

    impl Sleeper for Fake {
        fn sleep(&self, _task: Task<'_>) -> Result {
            self.seen.gate.pass_sleeping();
            self.seen.note(Told::Sleep);
            self.answer
        }

        fn wake(&self, _task: Task<'_>) {
            self.seen.note(Told::Wake);
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.seen.note(Told::Dropped);
        }
    }

    fn register(rng: &Rng, seen: &Arc<Seen>, answer: Result) -> Result<Registration<Fake>> {
        let fake = Fake {
            seen: seen.clone(),
            answer,
        };
        Registration::new(rng.bound().as_ref(), Ok::<_, Error>(fake))
    }

    /// One who refuses, and who is told last because it was registered last: the machine must not
    /// sleep in the middle of the tests. To be made after all others.
    struct Insomnia {
        seen: Arc<Seen>,
        _registration: Registration<Fake>,
    }

    impl Insomnia {
        fn new(rng: &Rng) -> Result<Self> {
            let seen = Seen::new()?;

            Ok(Self {
                _registration: register(rng, &seen, Err(EBUSY))?,
                seen,
            })
        }

        /// Sends the machine to sleep, and returns what came of it.
        fn suspend(&self) -> Result {
            // SAFETY: There are no requirements; this is a task that holds no lock.
            to_result(unsafe { bindings::pm_suspend(TO_IDLE) })
        }
    }

    #[test]
    fn told_once_each_way() -> Result {
        let rng = Rng::get()?;
        let (one, other) = (Seen::new()?, Seen::new()?);
        let first = register(&rng, &one, Ok(()))?;
        let second = register(&rng, &other, Ok(()))?;
        let insomnia = Insomnia::new(&rng)?;

        let refused = insomnia.suspend();
        let once = one.was_told(&[Told::Sleep, Told::Wake]);
        drop(second);
        let again = insomnia.suspend();
        drop(first);
        let never = insomnia.suspend();
        let who = insomnia.seen.clone();
        drop(insomnia);

        assert_eq!(
            (refused, again, never),
            (Err(EBUSY), Err(EBUSY), Err(EBUSY))
        );
        assert!(once);
        assert!(one.was_told(&[
            Told::Sleep,
            Told::Wake,
            Told::Sleep,
            Told::Wake,
            Told::Dropped
        ]));
        assert!(other.was_told(&[Told::Sleep, Told::Wake, Told::Dropped]));
        // Who refuses is not told that it is over.
        assert!(who.was_told(&[Told::Sleep, Told::Sleep, Told::Sleep, Told::Dropped]));
        Ok(())
    }

    /// Those who come after the one who refuses are not told at all.
    #[test]
    fn told_until_one_refuses() -> Result {
        let rng = Rng::get()?;
        let late = Seen::new()?;
        let insomnia = Insomnia::new(&rng)?;
        let registration = register(&rng, &late, Ok(()))?;
        let refused = insomnia.suspend();
        drop(registration);
        drop(insomnia);

        assert_eq!(refused, Err(EBUSY));
        assert!(late.was_told(&[Told::Dropped]));
        Ok(())
    }

    /// Dropping the registration waits for who is being told.
    #[test]
    fn dropped_while_told() -> Result {
        let rng = Rng::get()?;
        let (cpu, _) = two_cpus()?;
        let seen = Seen::new()?;
        let registration = register(&rng, &seen, Ok(()))?;
        let insomnia = Insomnia::new(&rng)?;

        seen.gate.close();
        let (entered, left) = with_thread(
            cpu,
            |_| {
                let _ = insomnia.suspend();
            },
            || {
                let entered = seen.gate.has_entered();
                seen.gate.release();
                drop(registration);
                (entered, seen.gate.has_left())
            },
        )?;
        drop(insomnia);

        assert!(entered);
        assert!(left);
        assert!(seen.was_told(&[Told::Sleep, Told::Wake, Told::Dropped]));
        Ok(())
    }

    /// Who forgets the registration is told no more when the device is unbound.
    #[test]
    fn kept_over_unbind() -> Result {
        let rng = Rng::get()?;
        let seen = Seen::new()?;
        let mut kept = ManuallyDrop::new(register(&rng, &seen, Ok(()))?);
        let mut gone = false;
        rebind(rng, || gone = seen.was_told(&[Told::Dropped]))?;
        // SAFETY: It is not used any more. All that is left of it is its memory.
        unsafe { ManuallyDrop::drop(&mut kept) };

        let rng = Rng::get()?;
        let insomnia = Insomnia::new(&rng)?;
        let refused = insomnia.suspend();
        drop(insomnia);

        assert!(gone);
        assert_eq!(refused, Err(EBUSY));
        assert!(seen.was_told(&[Told::Dropped]));
        Ok(())
    }

    /// One who watches CPUs that come and go.
    struct Idler;

    impl Watcher for Idler {
        fn online(&self, _cpu: CpuId, _task: Task<'_>) {}
    }

    /// What a device with another driver keeps would be called when this module is gone.
    #[test]
    fn devices_of_other_drivers_are_refused() -> Result {
        let parent = faux::Registration::new(c"irqkit_foreign", None)?;
        let dev: &faux::Device<Bound> = parent.as_ref();
        let seen = Seen::new()?;
        let fake = Fake {
            seen: seen.clone(),
            answer: Ok(()),
        };
        let fake = Ok::<_, Error>(fake);
        let idler = Ok::<_, Error>(Idler);
        let sleeper = Registration::<Fake>::new(dev.as_ref(), fake).map(drop);
        let watcher = cpu_hotplug::Registration::<Idler>::new(dev.as_ref(), idler).map(drop);
        drop(parent);

        assert_eq!(sleeper, Err(EXDEV));
        assert_eq!(watcher, Err(EXDEV));
        assert!(seen.was_told(&[Told::Dropped]));
        Ok(())
    }
}
