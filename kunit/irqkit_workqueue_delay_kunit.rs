// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: delayed work ([`irqkit::workqueue::Item::schedule_after`] and its like), and how
//! late it runs.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_workqueue_delay_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's delayed work",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_workqueue_delay)]
mod tests {
    use kernel::{
        cpu::CpuId,
        prelude::*,
        str::CString,
        sync::atomic::Relaxed,
        time::{
            Delta,
            Instant,
            Monotonic, //
        }, //
    };

    use irqkit::{
        path::{
            Kind,
            Stamp, //
        },
        workqueue::{
            system,
            Class,
            Queue,
            Request, //
        }, //
    };

    use crate::support::{
        books::Books,
        file::value,
        hardirq,
        items::{
            account,
            balanced,
            shared,
            task,
            work, //
        },
        online_cpus,
        two_cpus,
        until, //
    };

    const HOUR: Delta = Delta::from_millis(3_600_000);

    /// A tick, at the lowest rate that there is.
    const TICK_NS: u64 = 10_000_000;

    /// By how much the count of ticks may be behind the clock on such a machine.
    const EARLY_NS: u64 = 2 * TICK_NS;

    /// What may come between a timer and its work on a busy machine that is emulated.
    const SLACK_NS: u64 = 2_000_000_000;

    /// The lines `count`, `sum`, `min` and `max` of a histogram.
    fn histogram(books: &Books, file: &str) -> Result<[u64; 4]> {
        let text = books.read(file)?;
        let mut values = [0; 4];

        for (slot, key) in values.iter_mut().zip(["count", "sum", "min", "max"]) {
            *slot = value(&text, key).ok_or(ENOENT)?;
        }
        Ok(values)
    }

    /// How exactly a delay was kept.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    enum Kept {
        InTime,
        /// By no more than [`EARLY_NS`].
        Early,
        /// Too late, much too early, or not as the histograms say.
        Wrong,
    }

    /// Has an item run after a delay of `ms` milliseconds, and compares that with the histograms.
    fn try_delay<C: Class>(books: &Books, queue: &Queue<C>, path: &str, ms: u32) -> Result<Kept> {
        let late = CString::try_from_fmt(fmt!("{path}/late_ns"))?;
        let wait = CString::try_from_fmt(fmt!("{path}/wait_ns"))?;
        let ns = u64::from(ms) * 1_000_000;
        let bound = ns / 8 + 3 * TICK_NS + SLACK_NS;
        let after = shared()?;
        let report = after.clone();
        let began = Instant::<Monotonic>::now();
        let w = work(queue, move |_, _| {
            report.store(began.elapsed().as_nanos().try_into().unwrap_or(0), Relaxed);
        })?;

        books.set.reset();
        w.schedule_after(Delta::from_millis(ms.into()), Stamp::now());
        let ran = until(|| after.load(Relaxed) != 0);
        drop(w);
        let after = after.load(Relaxed);
        let [late_count, late_sum, late_min, late_max] = histogram(books, late.to_str()?)?;
        let [wait_count, _, wait_min, _] = histogram(books, wait.to_str()?)?;
        // The item was made, and the test began to count, before the request.
        let agree = (late_count, wait_count) == (1, 1)
            && (late_sum, late_min) == (late_max, late_max)
            && (late_max == 0 || wait_min >= ns + late_max && after >= ns + late_max)
            && wait_min <= after;

        if !ran || !agree || late_max > bound || after > ns + bound || wait_min + EARLY_NS < ns {
            pr_err!(
                "{path}: {ms} ms: ran after {after} ns, late {late_max}, waited {wait_min} ns\n"
            );
            return Ok(Kept::Wrong);
        }
        Ok(if wait_min < ns {
            Kept::Early
        } else {
            Kept::InTime
        })
    }

    /// Neither early nor later than the timer wheel's resolution allows; `late_ns` says so too.
    ///
    /// Ticks that are late when the request is made let it be early, which does not happen often.
    fn accuracy<C: Class>(books: &Books, queue: &Queue<C>, path: &str) -> Result<bool> {
        let mut all = true;

        books.set.set_timing(true);
        for ms in [1, 4, 30, 70, 300] {
            let mut kept = Kept::Early;
            for _ in 0..5 {
                kept = try_delay(books, queue, path, ms)?;
                if kept != Kept::Early {
                    break;
                }
            }
            if kept != Kept::InTime {
                pr_err!("{path}: {ms} ms: {kept:?}\n");
                all = false;
            }
        }
        Ok(all)
    }

    #[test]
    fn neither_early_nor_late_in_tasks() -> Result {
        let books = Books::new(c"kd_task")?;
        let queue = Queue::percpu(c"kd_task").build(&books.set)?;
        let accurate = accuracy(&books, &queue, "work/kd_task")?;
        drop((queue, books));

        assert!(accurate);
        Ok(())
    }

    #[test]
    fn neither_early_nor_late_in_softirqs() -> Result {
        let books = Books::new(c"kd_bh")?;
        let queue = Queue::bh(c"kd_bh").build(&books.set)?;
        let accurate = accuracy(&books, &queue, "work/kd_bh")?;
        drop((queue, books));

        assert!(accurate);
        Ok(())
    }

    #[test]
    fn neither_early_nor_late_on_a_system_queue() -> Result {
        let books = Books::new(c"kd_sys")?;
        let queue = system::dfl(&books.set)?;
        let accurate = accuracy(&books, &queue, "work/system_dfl")?;
        drop((queue, books));

        assert!(accurate);
        Ok(())
    }

    /// Lateness is of requests that were made with a delay, and of queues.
    #[test]
    fn only_what_is_delayed_is_late() -> Result {
        let books = Books::new(c"kd_only")?;
        let queue = Queue::unbound(c"kd_only").build_as(&books.set, c"q")?;
        books.set.path(Kind::Tasklet, c"tasklet")?;
        books.set.set_timing(true);
        let w = work(&queue, |_, _| ())?;

        w.schedule(Stamp::now());
        task(|task| w.flush(task))??;
        let at_once = histogram(&books, "work/q/late_ns")?;
        // A delayed one that runs early, because it was asked to, is in time.
        w.schedule_after(HOUR, Stamp::now());
        let flushed = task(|task| w.flush(task))??;
        let in_time = histogram(&books, "work/q/late_ns")?;
        // Without a delay worth mentioning it is due when it is requested.
        for delay in [Delta::ZERO, Delta::from_millis(-5)] {
            w.schedule_after(delay, Stamp::now());
            task(|task| w.flush(task))??;
        }
        let [count, _, _, max] = histogram(&books, "work/q/late_ns")?;
        books.set.reset();
        let empty = histogram(&books, "work/q/late_ns")?;
        let waits = histogram(&books, "work/q/wait_ns")?;
        // Off, nothing is recorded.
        books.set.set_timing(false);
        w.schedule_after(Delta::ZERO, Stamp::now());
        task(|task| w.flush(task))??;
        let off = histogram(&books, "work/q/late_ns")?;
        let tasklet = books.read("tasklet/late_ns").err();
        drop((w, queue, books));

        assert_eq!(at_once, [0; 4]);
        assert!(flushed);
        assert_eq!(in_time, [1, 0, 0, 0]);
        assert_eq!(count, 3);
        assert!(max > 0 && max < SLACK_NS);
        assert_eq!(empty, [0; 4]);
        assert_eq!(waits, [0; 4]);
        assert_eq!(off, [0; 4]);
        assert!(tasklet == Some(ENOENT));
        Ok(())
    }

    /// A request that is delayed keeps its time, whatever is requested; moved, it does not.
    #[test]
    fn delays_are_kept_and_moved() -> Result {
        let books = Books::new(c"kd_move")?;
        let queue = Queue::unbound(c"kd_move").build_as(&books.set, c"q")?;
        let [runs, others] = [shared()?, shared()?];
        let [one, two] = [runs.clone(), others.clone()];
        let w = work(&queue, move |_, _| {
            one.fetch_add(1, Relaxed);
        })?;
        let other = work(&queue, move |_, _| {
            two.fetch_add(1, Relaxed);
        })?;

        let far = w.schedule_after(HOUR, Stamp::NONE);
        let kept = [
            w.schedule(Stamp::NONE),
            w.schedule_after(Delta::ZERO, Stamp::NONE),
        ];
        // Whoever did not keep it would run before this.
        other.schedule_after(Delta::from_millis(20), Stamp::NONE);
        let passed = until(|| others.load(Relaxed) == 1);
        let not_run = runs.load(Relaxed);
        let nearer = w.reschedule_after(Delta::from_millis(2), Stamp::NONE);
        let ran = until(|| runs.load(Relaxed) == 1);

        // From near to far, and from far to now; and from idle, as if new.
        let near = w.schedule_after(Delta::from_millis(10), Stamp::NONE);
        let farther = w.reschedule_after(HOUR, Stamp::NONE);
        other.schedule_after(Delta::from_millis(60), Stamp::NONE);
        let passed_2 = until(|| others.load(Relaxed) == 2);
        let still_pending = (runs.load(Relaxed), w.is_pending());
        let now = w.reschedule_after(Delta::ZERO, Stamp::NONE);
        let ran_2 = until(|| runs.load(Relaxed) == 2);
        let idle = w.reschedule_after(Delta::from_millis(1), Stamp::NONE);
        let ran_3 = until(|| runs.load(Relaxed) == 3);
        drop((w, other));
        let account = account(&books, "q")?;
        drop((queue, books));

        assert_eq!(far, Request::New);
        assert_eq!(kept, [Request::Coalesced; 2]);
        assert!(passed && passed_2);
        assert_eq!(not_run, 0);
        assert_eq!(nearer, Request::Coalesced);
        assert!(ran && ran_2 && ran_3);
        assert_eq!((near, farther), (Request::New, Request::Coalesced));
        assert_eq!(still_pending, (1, true));
        assert_eq!((now, idle), (Request::Coalesced, Request::New));
        assert_eq!(account, [10, 5, 5, 0]);
        Ok(())
    }

    /// Delayed, it is taken back as if it were pending; a flush does not wait for its time.
    #[test]
    fn delayed_is_cancelled_and_flushed() -> Result {
        let books = Books::new(c"kd_cancel")?;
        let queue = Queue::percpu(c"kd_cancel").build_as(&books.set, c"q")?;
        let runs = shared()?;
        let count = runs.clone();
        let w = work(&queue, move |_, _| {
            count.fetch_add(1, Relaxed);
        })?;

        w.schedule_after(HOUR, Stamp::NONE);
        let cancelled = [w.cancel(), w.cancel()];
        w.schedule_after(HOUR, Stamp::NONE);
        let waited = task(|task| {
            [
                w.cancel_and_wait(task),
                w.cancel_and_wait(task),
                w.flush(task),
            ]
        })?;
        let not_run = runs.load(Relaxed);
        w.schedule_after(HOUR, Stamp::NONE);
        let queue_flush = task(|task| queue.flush(task))?;
        let untouched = runs.load(Relaxed);
        let flushed = task(|task| [w.flush(task), w.flush(task)])?;
        let ran = runs.load(Relaxed);
        let account = account(&books, "q")?;
        drop((w, queue, books));

        assert_eq!(cancelled, [true, false]);
        assert!(waited == [Ok(true), Ok(false), Ok(false)]);
        assert_eq!(not_run, 0);
        assert!(queue_flush.is_ok());
        assert_eq!(untouched, 0);
        assert!(flushed == [Ok(true), Ok(false)]);
        assert_eq!(ran, 1);
        assert_eq!(account, [3, 1, 0, 2]);
        Ok(())
    }

    /// From a hard interrupt, to each CPU.
    #[test]
    fn delayed_to_a_cpu() -> Result {
        let books = Books::new(c"kd_cpu")?;
        let queue = Queue::percpu(c"kd_cpu").build_as(&books.set, c"q")?;
        let cpus = online_cpus()?;
        let seen = shared()?;
        let report = seen.clone();
        let w = work(&queue, move |_, _| {
            report.store(u64::from(CpuId::current().as_u32()) + 1, Relaxed);
        })?;
        let (here, _) = two_cpus()?;
        let mut wrong = 0;

        for &cpu in &cpus {
            let mut answer = Err(EINVAL);
            hardirq::on_cpu(here, || {
                answer = w.schedule_after_on(cpu, Delta::from_millis(2), Stamp::NONE);
            })?;
            let there = u64::from(cpu.as_u32()) + 1;
            if answer != Ok(Request::New) || !until(|| seen.load(Relaxed) == there) {
                wrong += 1;
            }
        }
        drop((w, queue, books));

        assert_eq!(wrong, 0);
        Ok(())
    }

    /// Moved, from several CPUs and at the very moment when it begins, as often as can be: it runs
    /// when it was last told to, and all requests are accounted for.
    #[test]
    fn moved_while_it_begins() -> Result {
        let books = Books::new(c"kd_begin")?;
        let queue = Queue::unbound(c"kd_begin").build_as(&books.set, c"q")?;
        let runs = shared()?;
        let count = runs.clone();
        let w = work(&queue, move |_, _| {
            count.fetch_add(1, Relaxed);
        })?;
        let cpus = online_cpus()?;

        crate::support::crew::on_cpus(&cpus, |_| {
            for i in 0..2000 {
                w.reschedule_after(Delta::ZERO, Stamp::NONE);
                if i % 3 == 0 {
                    w.reschedule_after(HOUR, Stamp::NONE);
                }
                if i % 5 == 0 {
                    w.cancel();
                }
            }
        })?;
        w.reschedule_after(HOUR, Stamp::NONE);
        task(|task| queue.flush(task))??;
        let before = runs.load(Relaxed);
        let pending = w.is_pending();
        let drained = task(|task| queue.drain(task, Delta::from_millis(10_000)))?;
        w.reschedule_after(Delta::ZERO, Stamp::NONE);
        task(|task| w.flush(task))??;
        let after = runs.load(Relaxed);
        let account = account(&books, "q")?;
        drop((w, queue, books));

        assert!(pending);
        assert!(drained.is_ok());
        assert_eq!(after, before + 1);
        assert!(balanced(account));
        assert_eq!(account[1], after);
        Ok(())
    }
}
