// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: NAPI ([`irqkit::net`]): the budget, masking, and the books.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_napi_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's NAPI",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_napi)]
mod tests {
    use kernel::{
        device::{
            Bound,
            Device, //
        },
        faux,
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Full,
                Relaxed, //
            },
            Arc, //
        },
    };

    use irqkit::{
        context::{
            SoftIrq,
            Task, //
        },
        net::{
            Budget,
            Builder,
            Link,
            Napi,
            Next,
            Poller, //
        },
        path::{
            Kind,
            Stamp, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::with_thread,
        gate::Gate,
        two_cpus,
        until, //
    };

    /// What happened, in order, as digits of a number; and what is to happen.
    struct Script {
        log: Atomic<u64>,
        polls: Atomic<u64>,
        credits: Atomic<u64>,
        gate: Gate,
    }

    const MASK: u64 = 1;
    const POLL: u64 = 2;
    const UNMASK: u64 = 3;

    impl Script {
        fn new() -> Result<Arc<Self>> {
            Ok(Arc::new(
                Self {
                    log: Atomic::new(0),
                    polls: Atomic::new(0),
                    credits: Atomic::new(0),
                    gate: Gate::open(),
                },
                GFP_KERNEL,
            )?)
        }

        /// One at a time calls this.
        fn note(&self, what: u64) {
            self.log.store(self.log.load(Relaxed) * 10 + what, Relaxed);
        }
    }

    /// Polls as `poll` says, which is given the number of the poll; unmasks as `unmask` says.
    struct Test<F, G> {
        script: Arc<Script>,
        poll: F,
        unmask: G,
    }

    impl<F, G> Poller for Test<F, G>
    where
        F: FnMut(u64, &mut Budget<'_>) -> Next + Send + 'static,
        G: FnMut(u64) -> bool + Send + 'static,
    {
        fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
            self.script.note(POLL);
            let next = (self.poll)(self.script.polls.load(Relaxed), budget);

            self.script.polls.fetch_add(1, Full);
            next
        }

        fn mask(&mut self) {
            self.script.note(MASK);
        }

        fn unmask(&mut self) -> bool {
            self.script.note(UNMASK);
            (self.unmask)(self.script.polls.load(Relaxed))
        }
    }

    /// A device that is not registered, of a parent that does nothing.
    struct Rig {
        books: Books,
        builder: Builder,
        parent: faux::Registration,
    }

    const NAME: &CStr = c"napi/test";

    impl Rig {
        fn new(name: &'static CStr) -> Result<Self> {
            let parent = faux::Registration::new(name, None)?;
            let dev: &faux::Device<Bound> = parent.as_ref();
            let dev: &Device<Bound> = dev.as_ref();
            let builder = Builder::new(dev, 2, 2)?;

            Ok(Self {
                books: Books::new(name)?,
                builder,
                parent,
            })
        }

        fn napi<F, G>(
            &self,
            link: Link,
            script: &Arc<Script>,
            poll: F,
            unmask: G,
        ) -> Result<Arc<Napi<Test<F, G>>>>
        where
            F: FnMut(u64, &mut Budget<'_>) -> Next + Send + 'static,
            G: FnMut(u64) -> bool + Send + 'static,
        {
            let path = self.books.set.path_or_existing(Kind::Napi, NAME)?;

            self.builder.device().napi(
                link,
                path,
                Test {
                    script: script.clone(),
                    poll,
                    unmask,
                },
            )
        }

        /// `[scheduled, coalesced, runs, items, cancelled, budget_exhausted, completed, rescheduled,
        /// missed, context_mismatch]`.
        fn counted(&self) -> Result<[u64; 10]> {
            self.books.stats(
                "napi/test",
                [
                    "scheduled",
                    "coalesced",
                    "runs",
                    "items",
                    "cancelled",
                    "budget_exhausted",
                    "completed",
                    "rescheduled",
                    "missed",
                    "context_mismatch",
                ],
            )
        }
    }

    fn enable<P: Poller>(napi: &Napi<P>) -> Result {
        Task::with(|task| napi.enable(task))?
    }

    fn disable<P: Poller>(napi: &Napi<P>) -> Result {
        Task::with(|task| napi.disable(task))
    }

    fn schedule<P: Poller>(napi: &Napi<P>) -> Result<bool> {
        Task::with(|task| napi.schedule_from_task(task, Stamp::NONE))
    }

    #[test]
    fn budget_cant_be_overspent() -> Result {
        let rig = Rig::new(c"budget")?;
        let script = Script::new()?;
        let credits = script.clone();
        rig.books.write("timing", "1")?;
        let napi = rig.napi(
            Link::Rx(0),
            &script,
            move |poll, budget| {
                let want = if poll == 0 { 1000 } else { 3 };
                for _ in 0..want {
                    if budget.take().is_none() {
                        break;
                    }
                    credits.credits.fetch_add(1, Relaxed);
                }
                // After the first one it is a lie, which must do no harm.
                Next::Done
            },
            |_| true,
        )?;

        enable(&napi)?;
        let idle = schedule(&napi)?;
        let polled = until(|| script.polls.load(Relaxed) == 2);
        disable(&napi)?;
        let counted = rig.counted()?;
        let packets = rig.books.read("napi/test/packets")?;
        let (credits, log) = (script.credits.load(Relaxed), script.log.load(Relaxed));
        drop(rig);

        assert!(idle);
        assert!(polled);
        // A weight of 64, then 3.
        assert_eq!(credits, 67);
        assert_eq!(counted, [2, 0, 2, 67, 0, 1, 1, 0, 0, 0]);
        // It is masked until it is done, and only then unmasked.
        assert_eq!(log, 1223);
        assert_eq!(
            packets.to_str()?,
            "3 3 1\n64 79 1\ncount 2\nsum 67\nmin 3\nmax 64\n"
        );
        Ok(())
    }

    #[test]
    fn work_without_credits_is_counted() -> Result {
        let rig = Rig::new(c"items")?;
        let script = Script::new()?;
        let napi = rig.napi(
            Link::Tx(0),
            &script,
            |_, budget| {
                budget.items(1000);
                Next::Done
            },
            |_| true,
        )?;

        enable(&napi)?;
        schedule(&napi)?;
        let polled = until(|| script.log.load(Relaxed) == 123);
        disable(&napi)?;
        let counted = rig.counted()?;
        drop(rig);

        assert!(polled);
        assert_eq!(counted, [1, 0, 1, 1000, 0, 0, 1, 0, 0, 0]);
        Ok(())
    }

    #[test]
    fn what_unmasking_finds_is_polled_for() -> Result {
        let rig = Rig::new(c"unmask")?;
        let script = Script::new()?;
        let napi = rig.napi(Link::Rx(0), &script, |_, _| Next::Done, |polls| polls == 2)?;

        enable(&napi)?;
        schedule(&napi)?;
        let polled = until(|| script.log.load(Relaxed) == 123_123);
        disable(&napi)?;
        let counted = rig.counted()?;
        drop(rig);

        assert!(polled);
        assert_eq!(counted, [2, 0, 2, 0, 0, 0, 2, 1, 0, 0]);
        Ok(())
    }

    #[test]
    fn who_wants_more_is_polled_again() -> Result {
        let rig = Rig::new(c"again")?;
        let script = Script::new()?;
        let napi = rig.napi(
            Link::Rx(0),
            &script,
            |poll, _| if poll < 2 { Next::Again } else { Next::Done },
            |_| true,
        )?;

        enable(&napi)?;
        schedule(&napi)?;
        let polled = until(|| script.log.load(Relaxed) == 12_223);
        disable(&napi)?;
        let counted = rig.counted()?;
        drop(rig);

        assert!(polled);
        assert_eq!(counted, [3, 0, 3, 0, 0, 0, 1, 2, 0, 0]);
        Ok(())
    }

    #[test]
    fn what_comes_during_a_poll_is_polled_for() -> Result {
        let rig = Rig::new(c"missed")?;
        let (_, other) = two_cpus()?;
        let script = Script::new()?;
        let gate = script.clone();
        let napi = rig.napi(
            Link::Rx(0),
            &script,
            move |_, _| {
                gate.gate.pass_spinning();
                Next::Done
            },
            |_| true,
        )?;

        enable(&napi)?;
        script.gate.close();
        // The softirq runs where it was raised, so that has to be another CPU than this.
        let answers = with_thread(
            other,
            |_| {
                let _ = schedule(&napi);
            },
            || {
                let entered = until(|| script.gate.has_entered());
                let answers = (schedule(&napi), schedule(&napi));
                script.gate.release();
                (entered, answers)
            },
        )?;
        let polled = until(|| script.polls.load(Relaxed) == 2);
        disable(&napi)?;
        let counted = rig.counted()?;
        drop(rig);

        assert!(answers.0);
        assert!(!answers.1 .0?);
        assert!(!answers.1 .1?);
        assert!(polled);
        // The first request during the poll waits for the next one, the second one is for the same.
        assert_eq!(counted, [3, 1, 2, 0, 0, 0, 1, 0, 1, 0]);
        Ok(())
    }

    #[test]
    fn disabled_is_not_polled() -> Result {
        let rig = Rig::new(c"disabled")?;
        let script = Script::new()?;
        let napi = rig.napi(Link::Rx(0), &script, |_, _| Next::Done, |_| true)?;

        let at_first = schedule(&napi)?;
        enable(&napi)?;
        enable(&napi)?;
        schedule(&napi)?;
        let polled = until(|| script.log.load(Relaxed) == 123);
        disable(&napi)?;
        disable(&napi)?;
        let disabled = schedule(&napi)?;
        let counted = rig.counted()?;
        drop(rig);

        assert!(!at_first);
        assert!(polled);
        assert!(!disabled);
        assert_eq!(counted, [3, 0, 1, 0, 2, 0, 1, 0, 0, 0]);
        assert_eq!(script.polls.load(Relaxed), 1);
        Ok(())
    }

    #[test]
    fn a_task_can_have_the_poller() -> Result {
        let rig = Rig::new(c"with")?;
        let script = Script::new()?;
        let napi = rig.napi(Link::Rx(0), &script, |_, _| Next::Done, |_| true)?;

        // While it is disabled, it stays so.
        Task::with(|task| napi.with(task, |poller, _| poller.script.note(7)))?;
        let before = script.log.load(Relaxed);
        enable(&napi)?;
        // Enabled, it is polled afterwards, because something may have come meanwhile.
        Task::with(|task| napi.with(task, |poller, _| poller.script.note(8)))?;
        let polled = until(|| script.log.load(Relaxed) == 78_123);
        disable(&napi)?;
        let counted = rig.counted()?;
        drop(rig);

        assert_eq!(before, 7);
        assert!(polled);
        assert_eq!(counted, [1, 0, 1, 0, 0, 0, 1, 0, 0, 0]);
        Ok(())
    }

    #[test]
    fn it_ends_with_its_device() -> Result {
        let rig = Rig::new(c"ends")?;
        let script = Script::new()?;
        let napi = rig.napi(Link::Rx(0), &script, |_, _| Next::Done, |_| true)?;
        let device = rig.builder.device().clone();
        let path = napi.path().clone();

        enable(&napi)?;
        // A driver that lets go of nothing: what ends it is that the parent goes.
        let late = rig.builder;
        drop(rig.parent);

        let scheduled = schedule(&napi)?;
        let enabled = enable(&napi);
        let another = device
            .napi(
                Link::Rx(1),
                path,
                Test {
                    script: script.clone(),
                    poll: |_, _: &mut Budget<'_>| Next::Done,
                    unmask: |_| true,
                },
            )
            .err();
        drop((late, device, napi));
        drop(rig.books);

        assert!(!scheduled);
        assert_eq!(enabled, Err(ENODEV));
        assert_eq!(another, Some(ENODEV));
        assert_eq!(script.polls.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn a_queue_has_one() -> Result {
        let rig = Rig::new(c"queues")?;
        let script = Script::new()?;
        let poll = |_: u64, _: &mut Budget<'_>| Next::Done;
        let unmask = |_: u64| true;

        let first = rig.napi(Link::Rx(1), &script, poll, unmask).err();
        let second = rig.napi(Link::Rx(1), &script, poll, unmask).err();
        let other = rig.napi(Link::Tx(1), &script, poll, unmask).err();
        let missing = rig.napi(Link::Tx(2), &script, poll, unmask).err();
        drop(rig);

        assert_eq!(first, None);
        assert_eq!(second, Some(EBUSY));
        assert_eq!(other, None);
        assert_eq!(missing, Some(EINVAL));
        Ok(())
    }
}
