// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: work items ([`irqkit::workqueue::Item`], [`irqkit::workqueue::Work`]).

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_workqueue_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's work items",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_workqueue)]
mod tests {
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
            Arc, //
        },
        time::Delta, //
    };

    use irqkit::{
        context::Task,
        path::{
            Run,
            Stamp, //
        },
        workqueue::{
            system,
            Item,
            Queue,
            Request, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::{
            on_cpu,
            on_cpus, //
        },
        hardirq,
        items::{
            account,
            balanced,
            closed_gate,
            shared,
            task,
            work, //
        },
        online_cpus,
        spin_for,
        two_cpus,
        until, //
    };

    /// An item that is pending takes no second request, from whatever context.
    #[test]
    fn scheduled_twice_runs_once() -> Result {
        let books = Books::new(c"twice")?;
        let queue = Queue::percpu(c"kw_twice").build_as(&books.set, c"q")?;
        let (_, cpu) = two_cpus()?;
        let runs = shared()?;
        let count = runs.clone();
        let w = work(&queue, move |_, run| {
            count.fetch_add(1, Relaxed);
            run.items(7);
        })?;
        let mut answers = [Request::Refused; 3];
        let mut pending = false;

        // No worker of this CPU begins before the interrupt has ended.
        hardirq::on_cpu(cpu, || {
            answers = [(); 3].map(|()| w.schedule(Stamp::NONE));
            pending = w.is_pending();
        })?;
        let ran = until(|| runs.load(Relaxed) == 1);
        let flushed = task(|task| w.flush(task))?.is_ok();
        let again = w.schedule(Stamp::NONE);
        task(|task| queue.flush(task))??;
        let items = books.stat("work/q.items")?;
        let account = account(&books, "q")?;
        drop((w, queue, books));

        assert_eq!(
            answers,
            [Request::New, Request::Coalesced, Request::Coalesced]
        );
        assert!(pending);
        assert!(ran && flushed);
        assert_eq!(again, Request::New);
        assert_eq!(runs.load(Relaxed), 2);
        assert_eq!(items, 14);
        assert_eq!(account, [4, 2, 2, 0]);
        Ok(())
    }

    /// Each run sees what was written before the requests that it serves, none gets lost, and none
    /// runs beside another, while all CPUs request and take back as fast as they can.
    #[test]
    fn never_beside_itself() -> Result {
        const REQUESTS: u64 = 3000;

        let books = Books::new(c"beside")?;
        let queue = Queue::unbound(c"kw_beside").build_as(&books.set, c"q")?;
        books.set.set_timing(true);
        let [inside, overlaps, posted, seen, runs] =
            [shared()?, shared()?, shared()?, shared()?, shared()?];
        let own = (
            inside.clone(),
            overlaps.clone(),
            posted.clone(),
            seen.clone(),
            runs.clone(),
        );
        let w = work(&queue, move |_, _| {
            let (inside, overlaps, posted, seen, runs) = &own;
            if inside.fetch_add(1, Full) != 0 {
                overlaps.fetch_add(1, Relaxed);
            }
            seen.store(posted.load(Relaxed), Relaxed);
            runs.fetch_add(1, Relaxed);
            for _ in 0..50 {
                cpu_relax();
            }
            inside.fetch_sub(1, Full);
        })?;
        let cpus = online_cpus()?;
        let [idle, cancelled] = [const { Atomic::<u64>::new(0) }; 2];

        on_cpus(&cpus, |_| {
            for i in 0..REQUESTS {
                posted.fetch_add(1, Relaxed);
                if w.schedule(Stamp::now()) == Request::New {
                    idle.fetch_add(1, Relaxed);
                }
                if i % 7 == 0 && w.cancel() {
                    cancelled.fetch_add(1, Relaxed);
                }
            }
        })?;
        posted.fetch_add(1, Relaxed);
        let last = w.schedule(Stamp::NONE);
        task(|task| w.flush(task))??;
        let account = account(&books, "q")?;
        let faults = books.stats("work/q", ["overlap", "context_mismatch"])?;
        drop((w, queue, books));

        let requests = REQUESTS * cpus.len() as u64 + 1;
        let idle = idle.load(Relaxed) + u64::from(last == Request::New);
        assert_eq!(overlaps.load(Relaxed), 0);
        assert_eq!(faults, [0, 0]);
        assert_eq!(account[0], requests);
        assert!(balanced(account));
        assert_eq!(account[1], runs.load(Relaxed));
        assert_eq!(account[3], cancelled.load(Relaxed));
        assert_eq!(idle, account[1] + account[3]);
        assert!(runs.load(Relaxed) > 1 && cancelled.load(Relaxed) > 0);
        assert_eq!(seen.load(Relaxed), requests);
        Ok(())
    }

    #[test]
    fn runs_on_the_cpu_that_was_named() -> Result {
        let books = Books::new(c"cpu")?;
        let task_queue = Queue::percpu(c"kw_cpu").build_as(&books.set, c"task")?;
        let bh_queue = Queue::bh(c"kw_cpu_bh").build_as(&books.set, c"bh")?;
        books.set.set_timing(true);
        let seen = shared()?;
        let cpus = online_cpus()?;
        let [in_task, in_bh] = [seen.clone(), seen.clone()];
        let t = work(&task_queue, move |_, _| {
            in_task.store(u64::from(CpuId::current().as_u32()) + 1, Relaxed)
        })?;
        let b = work(&bh_queue, move |_, _| {
            in_bh.store(u64::from(CpuId::current().as_u32()) + 1, Relaxed)
        })?;
        let mut wrong = 0;

        for round in 0..4 {
            for &cpu in &cpus {
                let item = if round % 2 == 0 { &**t } else { &**b };

                seen.store(0, Relaxed);
                item.schedule_on(cpu, Stamp::NONE)?;
                task(|task| item.flush(task))??;
                if seen.load(Relaxed) != u64::from(cpu.as_u32()) + 1 {
                    wrong += 1;
                }
            }
        }
        let offline = CpuId::from_u32(63.min(kernel::cpu::nr_cpu_ids() - 1))
            .filter(|cpu| cpus.iter().all(|online| online.as_u32() != cpu.as_u32()))
            .map(|cpu| t.schedule_on(cpu, Stamp::NONE));
        let mismatches = [
            books.stat("work/task.context_mismatch")?,
            books.stat("work/bh.context_mismatch")?,
        ];
        drop((t, b, task_queue, bh_queue, books));

        assert_eq!(wrong, 0);
        assert_eq!(mismatches, [0, 0]);
        if let Some(offline) = offline {
            assert!(offline == Err(ENXIO));
        }
        Ok(())
    }

    /// Taken back while it is pending, it does not run, and is idle.
    #[test]
    fn cancel_takes_back_what_is_pending() -> Result {
        let books = Books::new(c"cancel")?;
        let queue = Queue::ordered(c"kw_cancel").build_as(&books.set, c"q")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let runs = shared()?;
        let count = runs.clone();
        let first = work(&queue, move |_, _| door.pass_sleeping())?;
        let second = work(&queue, move |_, _| {
            count.fetch_add(1, Relaxed);
        })?;

        // The queue is ordered: the second waits for the first.
        first.schedule(Stamp::NONE);
        let entered = gate.has_entered();
        let answers = [second.schedule(Stamp::NONE), second.schedule(Stamp::NONE)];
        let cancelled = [second.cancel(), second.cancel(), first.cancel()];
        let pending = second.is_pending();
        gate.release();
        task(|task| queue.flush(task))??;
        let not_run = runs.load(Relaxed);
        second.schedule(Stamp::NONE);
        task(|task| second.flush(task))??;
        let account = account(&books, "q")?;
        drop((first, second, queue, books));

        assert!(entered);
        assert_eq!(answers, [Request::New, Request::Coalesced]);
        assert_eq!(cancelled, [true, false, false]);
        assert!(!pending);
        assert_eq!(not_run, 0);
        assert_eq!(runs.load(Relaxed), 1);
        assert_eq!(account, [4, 2, 1, 1]);
        Ok(())
    }

    /// It waits for the run in progress, which can't request itself meanwhile, nor can others.
    #[test]
    fn cancel_and_wait_against_a_running_one() -> Result {
        let books = Books::new(c"cancelwait")?;
        let queue = Queue::unbound(c"kw_cwait").build_as(&books.set, c"q")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let [runs, refused] = [shared()?, shared()?];
        let own = (runs.clone(), refused.clone());
        let w = work(&queue, move |this, run| {
            own.0.fetch_add(1, Relaxed);
            door.pass_sleeping();
            if until(|| this.schedule(run.cause()) == Request::Refused) {
                own.1.fetch_add(1, Relaxed);
            }
        })?;
        let (here, _) = two_cpus()?;

        w.schedule(Stamp::NONE);
        let entered = gate.has_entered();
        // Pending again, while it runs.
        let again = w.schedule(Stamp::NONE);
        let (was_pending, left) = on_cpu(here, || {
            task(|task| {
                gate.release();
                let was_pending = w.cancel_and_wait(task);
                (was_pending, gate.has_left())
            })
        })??;
        let idle = !w.is_pending();
        // As it was with the first run; a second one may be refused as well, when the item is dropped.
        let (runs, refused) = (runs.load(Relaxed), refused.load(Relaxed));
        // Afterwards it takes requests again.
        let after = w.schedule(Stamp::NONE);
        drop(w);
        let account = account(&books, "q")?;
        drop((queue, books));

        assert!(entered);
        assert_eq!(again, Request::New);
        assert!(was_pending == Ok(true));
        assert!(left && idle);
        assert_eq!(runs, 1);
        assert_eq!(refused, 1);
        assert_eq!(after, Request::New);
        assert!(balanced(account));
        assert!(account[3] >= 2);
        Ok(())
    }

    /// Who would wait for itself, or for its own queue, gets an error instead.
    #[test]
    fn no_handler_waits_for_itself() -> Result {
        let books = Books::new(c"self")?;
        let queue = Queue::ordered(c"kw_self").build_as(&books.set, c"q")?;
        let reclaim = Queue::unbound(c"kw_self_r")
            .mem_reclaim()
            .build_as(&books.set, c"reclaim")?;
        let sys = system::dfl(&books.set)?;
        let other = Arc::new(work(&queue, |_, _| ())?, GFP_KERNEL)?;
        let queues = Arc::new((queue, reclaim, sys), GFP_KERNEL)?;
        let wrong = shared()?;
        let ran = shared()?;

        let mut works = KVec::new();
        for (i, queue) in [&queues.0, &queues.1, &queues.2].into_iter().enumerate() {
            let own = (queues.clone(), other.clone(), wrong.clone(), ran.clone());
            let check = move |this: &Item, _: &mut Run<'_>| {
                let (queues, other, wrong, ran) = &own;
                let answers = Task::with(|task| {
                    let own = match i {
                        0 => queues.0.flush(task),
                        1 => queues.1.flush(task),
                        _ => queues.2.drain(task, Delta::from_millis(1)),
                    };
                    [
                        this.cancel_and_wait(task) == Err(EDEADLK),
                        this.flush(task) == Err(EDEADLK),
                        own == Err(EDEADLK),
                        // Another item on the same queue; one that it is not to wait for, for it is
                        // to set memory free; and one that it may wait for.
                        other.flush(task) == if i < 2 { Err(EDEADLK) } else { Ok(false) },
                    ]
                });
                if answers != Ok([true; 4]) {
                    wrong.fetch_add(1, Relaxed);
                }
                ran.fetch_add(1, Relaxed);
            };
            works.push(work(queue, check)?, GFP_KERNEL)?;
        }
        for work in &works {
            work.schedule(Stamp::NONE);
            task(|task| work.flush(task))??;
        }
        drop((works, other, queues, books));

        assert_eq!(ran.load(Relaxed), 3);
        assert_eq!(wrong.load(Relaxed), 0);
        Ok(())
    }

    /// Dropped while pending, it never runs; while running, it is waited for.
    #[test]
    fn drop_with_pending_and_running() -> Result {
        let books = Books::new(c"drop")?;
        let queue = Queue::ordered(c"kw_drop").build_as(&books.set, c"q")?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let runs = shared()?;
        let count = runs.clone();
        let first = work(&queue, move |this, _| {
            door.pass_sleeping();
            this.schedule(Stamp::NONE);
        })?;
        let second = work(&queue, move |_, _| {
            count.fetch_add(1, Relaxed);
        })?;
        let (here, _) = two_cpus()?;

        first.schedule(Stamp::NONE);
        let entered = gate.has_entered();
        second.schedule(Stamp::NONE);
        drop(second);
        let left = on_cpu(here, || {
            gate.release();
            drop(first);
            gate.has_left()
        })?;
        task(|task| queue.flush(task))??;
        let account = account(&books, "q")?;
        drop((queue, books));

        assert!(entered && left);
        assert_eq!(runs.load(Relaxed), 0);
        assert_eq!(account, [3, 1, 0, 2]);
        Ok(())
    }

    /// Dropped at any moment, on any kind of queue, while it requests itself all the time: it is
    /// never used afterwards, and the books balance.
    #[test]
    fn drop_at_any_moment() -> Result {
        let books = Books::new(c"anytime")?;
        let unbound = Queue::unbound(c"kw_any_u").build_as(&books.set, c"unbound")?;
        let percpu = Queue::percpu(c"kw_any_p").build_as(&books.set, c"percpu")?;
        let bh = Queue::bh(c"kw_any_b").build_as(&books.set, c"bh")?;
        let sys = system::percpu(&books.set)?;
        let bh_sys = system::bh(&books.set)?;
        let runs = shared()?;

        for i in 0..200 {
            macro_rules! once {
                ($queue:expr, $delay:expr) => {{
                    let count = runs.clone();
                    let w = work($queue, move |this, _| {
                        count.fetch_add(1, Relaxed);
                        if this.schedule_after($delay, Stamp::NONE) == Request::New {
                            this.reschedule_after(Delta::ZERO, Stamp::NONE);
                        }
                    })?;
                    w.schedule(Stamp::NONE);
                    spin_for(Delta::from_micros(i * 3));
                    drop(w);
                }};
            }
            once!(&unbound, Delta::ZERO);
            once!(&percpu, Delta::from_millis(1));
            once!(&bh, Delta::from_millis(1));
            once!(&sys, Delta::ZERO);
            once!(&bh_sys, Delta::from_millis(1));
        }
        let accounts = [
            account(&books, "unbound")?,
            account(&books, "percpu")?,
            account(&books, "bh")?,
            account(&books, "system_percpu")?,
            account(&books, "system_bh")?,
        ];
        drop((unbound, percpu, bh, sys, bh_sys, books));

        assert!(accounts.into_iter().all(balanced));
        assert!(accounts.iter().all(|a| a[0] >= 200));
        assert!(accounts.iter().map(|a| a[1]).sum::<u64>() == runs.load(Relaxed));
        assert!(runs.load(Relaxed) > 0);
        Ok(())
    }
}
