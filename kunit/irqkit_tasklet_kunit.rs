// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: tasklets ([`irqkit::tasklet`]).

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_tasklet_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's tasklets",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_tasklet)]
mod tests {
    use core::mem::{
        forget,
        ManuallyDrop, //
    };

    use kernel::{
        cpu::CpuId,
        prelude::*,
        processor::cpu_relax,
        sync::{
            atomic::{
                Atomic,
                Full,
                Relaxed, //
            },
            Arc,
            SetOnce, //
        },
    };

    use irqkit::{
        context::{
            SoftIrq,
            Task, //
        },
        path::{
            Kind,
            Path,
            Run,
            Stamp, //
        },
        tasklet::{
            State,
            Tasklet,
            TaskletHandler, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::{
            on_cpu,
            on_cpus, //
        },
        gate::Gate,
        hardirq,
        online_cpus,
        two_cpus,
        until, //
    };

    /// A handler made of a closure.
    struct Handler<F>(F);

    impl<F: Fn(&mut Run<'_>) + Send + Sync + 'static> TaskletHandler for Handler<F> {
        fn run(&self, _ctx: SoftIrq<'_>, run: &mut Run<'_>) {
            self.0(run);
        }
    }

    /// Creates a tasklet.
    fn tasklet<F: Fn(&mut Run<'_>) + Send + Sync + 'static>(
        path: &Arc<Path>,
        state: State,
        body: F,
    ) -> Result<Pin<KBox<Tasklet<Handler<F>>>>> {
        KBox::pin_init(Tasklet::new(Handler(body), path.clone(), state), GFP_KERNEL)
    }

    /// A number that handlers and tests share.
    fn shared() -> Result<Arc<Atomic<u64>>> {
        Ok(Arc::new(Atomic::new(0), GFP_KERNEL)?)
    }

    /// Creates a gate that is closed.
    fn closed_gate() -> Result<Arc<Gate>> {
        let gate = Arc::new(Gate::open(), GFP_KERNEL)?;

        gate.close();
        Ok(gate)
    }

    /// Schedules `tasklet`, whose handler passes `gate`, on `cpu`, which must not be the current
    /// one, and waits until it is inside.
    fn let_in<T: TaskletHandler>(gate: &Gate, cpu: CpuId, tasklet: &Tasklet<T>) -> Result<bool> {
        hardirq::on_cpu(cpu, || {
            tasklet.schedule(Stamp::NONE);
        })?;
        Ok(gate.has_entered())
    }

    /// Passes a tasklet through the normal vector of `cpu`, and so waits until that has visited all
    /// that were queued before. `path` counts it.
    fn flush(path: &Arc<Path>, cpu: CpuId) -> Result<bool> {
        let ran = shared()?;
        let count = ran.clone();
        let flush = tasklet(path, State::Enabled, move |_| {
            count.fetch_add(1, Relaxed);
        })?;

        hardirq::on_cpu(cpu, || {
            flush.schedule(Stamp::NONE);
        })?;
        Ok(until(|| ran.load(Relaxed) == 1))
    }

    #[test]
    fn scheduled_twice_runs_once() -> Result {
        let books = Books::new(c"twice")?;
        let (_, cpu) = two_cpus()?;
        let runs = shared()?;
        let count = runs.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |run| {
            count.fetch_add(1, Relaxed);
            run.items(7);
        })?;
        let mut answers = [false; 3];
        let mut pending = false;

        // No softirq of this CPU begins before the interrupt has ended.
        hardirq::on_cpu(cpu, || {
            answers = [(); 3].map(|()| t.schedule(Stamp::NONE));
            pending = t.is_pending();
        })?;
        let ran = until(|| runs.load(Relaxed) != 0);
        let again = t.schedule(Stamp::NONE);
        drop(t);
        let stats = books.stats(
            "tasklet",
            ["scheduled", "coalesced", "runs", "items", "cancelled"],
        )?;
        let runs = runs.load(Relaxed);
        drop(books);

        assert_eq!(answers, [true, false, false]);
        assert!(pending);
        assert!(ran);
        assert!(again);
        assert_eq!(runs, 2);
        assert_eq!(stats, [4, 2, 2, 14, 0]);
        Ok(())
    }

    #[test]
    fn runs_on_the_cpu_that_scheduled_it() -> Result {
        let books = Books::new(c"cpu")?;
        let cpus = online_cpus()?;
        let seen = shared()?;
        let report = seen.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            report.store(u64::from(CpuId::current().as_u32()) + 1, Relaxed);
        })?;
        let mut wrong = 0;

        for (i, &cpu) in cpus.iter().enumerate() {
            hardirq::on_cpu(cpu, || {
                if i % 2 == 0 {
                    t.schedule(Stamp::NONE);
                } else {
                    t.schedule_hi(Stamp::NONE);
                }
            })?;
            if !until(|| seen.load(Relaxed) == u64::from(cpu.as_u32()) + 1) {
                wrong += 1;
            }
        }
        drop((t, books));

        assert_eq!(wrong, 0);
        Ok(())
    }

    /// Scheduled while it runs, it runs again.
    #[test]
    fn scheduled_while_it_runs_it_runs_again() -> Result {
        let books = Books::new(c"again")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let runs = shared()?;
        let count = runs.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            if count.fetch_add(1, Relaxed) == 0 {
                door.pass_spinning();
            }
        })?;
        let (here, there) = two_cpus()?;

        let (entered, answers) = on_cpu(here, || -> Result<_> {
            let entered = let_in(&gate, there, &t)?;
            // It is running, so it is not pending, and becomes so.
            let answers = [(); 2].map(|()| t.schedule(Stamp::NONE));

            gate.release();
            Ok((entered, answers))
        })??;
        let twice = until(|| runs.load(Relaxed) == 2);
        drop((t, books));

        assert!(entered);
        assert_eq!(answers, [true, false]);
        assert!(twice);
        assert_eq!(runs.load(Relaxed), 2);
        Ok(())
    }

    /// All CPUs schedule one tasklet, on both vectors, as fast as they can. It never runs beside
    /// itself, no request gets lost, and each run sees what was written before the requests that it
    /// serves.
    #[test]
    fn never_beside_itself() -> Result {
        const REQUESTS: u64 = 4000;

        /// What the handler looks at.
        struct Look {
            inside: Atomic<u32>,
            overlaps: Atomic<u64>,
            runs: Atomic<u64>,
            posted: Atomic<u64>,
            seen: Atomic<u64>,
        }

        let books = Books::new(c"beside")?;
        let path = books.path(Kind::Tasklet)?;
        books.set.set_timing(true);
        let look = Arc::new(
            Look {
                inside: Atomic::new(0),
                overlaps: Atomic::new(0),
                runs: Atomic::new(0),
                posted: Atomic::new(0),
                seen: Atomic::new(0),
            },
            GFP_KERNEL,
        )?;
        let own = look.clone();
        let t = tasklet(&path, State::Enabled, move |_| {
            if own.inside.fetch_add(1, Full) != 0 {
                own.overlaps.fetch_add(1, Relaxed);
            }
            own.seen.store(own.posted.load(Relaxed), Relaxed);
            own.runs.fetch_add(1, Relaxed);
            for _ in 0..50 {
                cpu_relax();
            }
            own.inside.fetch_sub(1, Full);
        })?;
        let cpus = online_cpus()?;
        let idle = Atomic::<u64>::new(0);

        on_cpus(&cpus, |_| {
            for i in 0..REQUESTS {
                let before = look.runs.load(Relaxed);
                look.posted.fetch_add(1, Relaxed);
                let first = if i % 3 == 0 {
                    t.schedule_hi(path.stamp())
                } else {
                    t.schedule(path.stamp())
                };
                if first {
                    idle.fetch_add(1, Relaxed);
                }
                // From a task the softirq runs in ksoftirqd, which wants its turn.
                if i % 256 == 255 {
                    until(|| look.runs.load(Relaxed) != before);
                }
            }
        })?;
        drop(t);

        let [scheduled, coalesced, runs, cancelled, overlap, mismatch] = books.stats(
            "tasklet",
            [
                "scheduled",
                "coalesced",
                "runs",
                "cancelled",
                "overlap",
                "context_mismatch",
            ],
        )?;
        let requests = REQUESTS * cpus.len() as u64;
        drop(books);

        assert_eq!(look.overlaps.load(Relaxed), 0);
        assert_eq!(overlap, 0);
        assert_eq!(mismatch, 0);
        assert_eq!(scheduled, requests);
        assert_eq!(scheduled, runs + coalesced);
        assert_eq!(cancelled, 0);
        assert_eq!(runs, look.runs.load(Relaxed));
        assert_eq!(runs, idle.load(Relaxed));
        assert!(runs > 1);
        assert_eq!(look.seen.load(Relaxed), requests);
        Ok(())
    }

    #[test]
    fn disable_waits_for_a_running_one() -> Result {
        let books = Books::new(c"disable")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            door.pass_spinning()
        })?;
        let (here, there) = two_cpus()?;

        let (entered, left) = on_cpu(here, || -> Result<_> {
            let entered = let_in(&gate, there, &t)?;

            Task::with(|task| {
                gate.release();
                let guard = t.disable(task);
                let left = gate.has_left();
                drop(guard);
                (entered, left)
            })
        })??;
        drop((t, books));

        assert!(entered);
        assert!(left);
        Ok(())
    }

    #[test]
    fn disable_nosync_does_not_wait() -> Result {
        let books = Books::new(c"nosync")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            door.pass_spinning()
        })?;
        let (here, there) = two_cpus()?;

        let (entered, left) = on_cpu(here, || -> Result<_> {
            let entered = let_in(&gate, there, &t)?;
            let guard = t.disable_nosync();
            let left = gate.has_left();

            gate.release();
            drop(guard);
            Ok((entered, left))
        })??;
        drop(t);
        let finally = gate.has_left();
        drop(books);

        assert!(entered);
        assert!(!left);
        assert!(finally);
        Ok(())
    }

    #[test]
    fn guards_nest() -> Result {
        let books = Books::new(c"nest")?;
        let side = books.set.path(Kind::Tasklet, c"flush")?;
        let (_, cpu) = two_cpus()?;
        let runs = shared()?;
        let count = runs.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            count.fetch_add(1, Relaxed);
        })?;

        let outer = Task::with(|task| t.disable(task))?;
        let inner = t.disable_nosync();
        hardirq::on_cpu(cpu, || {
            t.schedule(Stamp::NONE);
        })?;
        drop(inner);
        let visited = flush(&side, cpu)?;
        let disabled = (runs.load(Relaxed), t.is_pending());
        drop(outer);
        let ran = until(|| runs.load(Relaxed) == 1);
        drop((t, books));

        assert!(visited);
        assert_eq!(disabled, (0, true));
        assert!(ran);
        Ok(())
    }

    #[test]
    fn initially_disabled() -> Result {
        let books = Books::new(c"initially")?;
        let side = books.set.path(Kind::Tasklet, c"flush")?;
        let (_, cpu) = two_cpus()?;
        let runs = shared()?;
        let count = runs.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Disabled, move |_| {
            count.fetch_add(1, Relaxed);
        })?;

        hardirq::on_cpu(cpu, || {
            t.schedule(Stamp::NONE);
        })?;
        let visited = flush(&side, cpu)?;
        let before = runs.load(Relaxed);
        let first = t.enable();
        let second = t.enable();
        let ran = until(|| runs.load(Relaxed) == 1);

        // The second call must not have made up for a guard.
        let guard = t.disable_nosync();
        let third = t.enable();
        hardirq::on_cpu(cpu, || {
            t.schedule(Stamp::NONE);
        })?;
        let visited_2 = flush(&side, cpu)?;
        let guarded = runs.load(Relaxed);
        drop(guard);
        drop((t, books));

        assert!(visited && visited_2);
        assert_eq!(before, 0);
        assert_eq!((first, second, third), (true, false, false));
        assert!(ran);
        assert_eq!(guarded, 1);
        Ok(())
    }

    #[test]
    fn drop_waits_for_a_running_one() -> Result {
        let books = Books::new(c"drop")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            door.pass_spinning()
        })?;
        let (here, there) = two_cpus()?;

        let (entered, left) = on_cpu(here, || -> Result<_> {
            let entered = let_in(&gate, there, &t)?;

            gate.release();
            drop(t);
            Ok((entered, gate.has_left()))
        })??;
        drop(books);

        assert!(entered);
        assert!(left);
        Ok(())
    }

    #[test]
    fn pending_run_is_made_before_drop_and_none_after() -> Result {
        let books = Books::new(c"last")?;
        let side = books.set.path(Kind::Tasklet, c"flush")?;
        let path = books.path(Kind::Tasklet)?;
        let (_, cpu) = two_cpus()?;
        let runs = shared()?;
        let mut missed = 0;

        for i in 0..200 {
            let count = runs.clone();
            let t = tasklet(&path, State::Enabled, move |_| {
                count.fetch_add(1, Relaxed);
            })?;

            hardirq::on_cpu(cpu, || {
                if i % 2 == 0 {
                    t.schedule(Stamp::NONE);
                } else {
                    t.schedule_hi(Stamp::NONE);
                }
            })?;
            drop(t);
            if runs.load(Relaxed) != i + 1 {
                missed += 1;
            }
        }
        // What might still run late would have run by now.
        let visited = flush(&side, cpu)?;
        let stats = books.stats("tasklet", ["scheduled", "runs", "coalesced", "cancelled"])?;
        let runs = runs.load(Relaxed);
        drop(books);

        assert_eq!(missed, 0);
        assert!(visited);
        assert_eq!(runs, 200);
        assert_eq!(stats, [200, 200, 0, 0]);
        Ok(())
    }

    #[test]
    fn drop_cancels_what_is_pending_while_disabled() -> Result {
        let books = Books::new(c"cancel")?;
        let side = books.set.path(Kind::Tasklet, c"flush")?;
        let path = books.path(Kind::Tasklet)?;
        let (_, cpu) = two_cpus()?;
        let runs = shared()?;

        // One that was never enabled, and one whose guards were forgotten.
        for state in [State::Disabled, State::Enabled] {
            let count = runs.clone();
            let t = tasklet(&path, state, move |_| {
                count.fetch_add(1, Relaxed);
            })?;

            if state == State::Enabled {
                forget(t.disable_nosync());
                forget(t.disable_nosync());
            }
            hardirq::on_cpu(cpu, || {
                t.schedule(Stamp::NONE);
                t.schedule(Stamp::NONE);
            })?;
            drop(t);
        }
        let visited = flush(&side, cpu)?;
        let stats = books.stats("tasklet", ["scheduled", "runs", "coalesced", "cancelled"])?;
        let runs = runs.load(Relaxed);
        drop(books);

        assert!(visited);
        assert_eq!(runs, 0);
        assert_eq!(stats, [4, 0, 2, 2]);
        Ok(())
    }

    /// A leaked tasklet still runs, and nothing is freed under it.
    #[test]
    fn leaked_still_runs() -> Result {
        let books = Books::new(c"leak")?;
        let runs = shared()?;
        let count = runs.clone();
        let t = tasklet(&books.path(Kind::Tasklet)?, State::Enabled, move |_| {
            count.fetch_add(1, Relaxed);
        })?;

        t.schedule(Stamp::NONE);
        let address = &raw const *t;
        forget(t);
        let ran = until(|| runs.load(Relaxed) == 1);

        // SAFETY: It was just leaked, so nobody else has it. A leak in the test itself would hide
        // others.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(address.cast_mut())) });
        drop(books);

        assert!(ran);
        Ok(())
    }

    #[test]
    fn high_priority_runs_first() -> Result {
        let books = Books::new(c"order")?;
        let normal_path = books.path(Kind::Tasklet)?;
        let high_path = books.path(Kind::TaskletHi)?;
        let (_, cpu) = two_cpus()?;
        let order = shared()?;
        let mut wrong = 0;

        for _ in 0..50 {
            // Digits, in the order of the runs, which are on one CPU.
            let note = |digit| {
                let order = order.clone();
                move |_: &mut Run<'_>| order.store(order.load(Relaxed) * 10 + digit, Relaxed)
            };
            let normal = tasklet(&normal_path, State::Enabled, note(1))?;
            let high = tasklet(&high_path, State::Enabled, note(2))?;

            order.store(0, Relaxed);
            hardirq::on_cpu(cpu, || {
                normal.schedule(Stamp::NONE);
                high.schedule_hi(Stamp::NONE);
            })?;
            drop((normal, high));
            if order.load(Relaxed) != 21 {
                wrong += 1;
            }
        }
        drop(books);

        assert_eq!(wrong, 0);
        Ok(())
    }

    /// A tasklet that schedules itself each time, and another one as well.
    struct Restless {
        me: SetOnce<Arc<Tasklet<Restless>>>,
        other: SetOnce<Arc<Tasklet<Restless>>>,
        runs: Arc<Atomic<u64>>,
    }

    impl TaskletHandler for Restless {
        fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
            self.runs.fetch_add(1, Relaxed);
            for tasklet in [self.me.as_ref(), self.other.as_ref()]
                .into_iter()
                .flatten()
            {
                tasklet.schedule(Stamp::NONE);
            }
        }
    }

    /// Tasklets that were forgotten end when this module is unloaded, before its code goes. If they
    /// did not, the kernel would jump into nowhere then, and say so; or the unloading would wait
    /// for ever for one that is disabled. The last test, as they keep a CPU busy until then.
    #[test]
    fn what_is_forgotten_ends_with_the_module() -> Result {
        // For kmemleak what is forgotten is lost memory, which it is.
        if cfg!(CONFIG_DEBUG_KMEMLEAK) {
            return Ok(());
        }

        let books = Books::new(c"kt_forgotten")?;
        let path = books.path(Kind::Tasklet)?;
        let runs = shared()?;
        let restless = |state| -> Result<_> {
            let handler = Restless {
                me: SetOnce::new(),
                other: SetOnce::new(),
                runs: runs.clone(),
            };
            Arc::pin_init(Tasklet::new(handler, path.clone(), state), GFP_KERNEL)
        };

        let (one, two) = (restless(State::Enabled)?, restless(State::Enabled)?);
        for (tasklet, other) in [(&one, &two), (&two, &one)] {
            tasklet.handler().me.populate(tasklet.clone());
            tasklet.handler().other.populate(other.clone());
        }
        one.schedule(Stamp::NONE);
        let ran = until(|| runs.load(Relaxed) >= 10);

        // Scheduled and disabled, from the beginning and by a guard that was forgotten.
        let unborn = ManuallyDrop::new(restless(State::Disabled)?);
        let silenced = ManuallyDrop::new(restless(State::Enabled)?);
        forget(silenced.disable_nosync());
        unborn.schedule(Stamp::NONE);
        silenced.schedule_hi(Stamp::NONE);

        assert!(ran);
        Ok(())
    }
}
