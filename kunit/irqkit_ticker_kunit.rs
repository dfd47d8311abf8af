// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: timers that tick in hard interrupt context ([`irqkit::ticker`]).

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_ticker_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's tickers",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_ticker)]
mod tests {
    use core::mem::ManuallyDrop;

    use kernel::{
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        },
        time::Delta, //
    };

    use irqkit::{
        context::{
            is_here,
            HardIrq,
            Task, //
        },
        path::{
            Kind,
            Path,
            Run, //
        },
        ticker::{
            TickHandler,
            Ticker, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::on_cpu,
        gate::Gate,
        spin_for,
        two_cpus,
        until, //
    };

    /// A handler made of a closure.
    struct Handler<F>(F);

    impl<F: Fn(&mut Run<'_>) + Send + Sync + 'static> TickHandler for Handler<F> {
        fn tick(&self, _ctx: HardIrq<'_>, run: &mut Run<'_>) {
            self.0(run);
        }
    }

    /// Creates a ticker.
    fn ticker<F: Fn(&mut Run<'_>) + Send + Sync + 'static>(
        path: &Arc<Path>,
        body: F,
    ) -> Result<Pin<KBox<Ticker<Handler<F>>>>> {
        KBox::pin_init(Ticker::new(Handler(body), path.clone()), GFP_KERNEL)
    }

    /// A number that handlers and tests share.
    fn shared() -> Result<Arc<Atomic<u64>>> {
        Ok(Arc::new(Atomic::new(0), GFP_KERNEL)?)
    }

    #[test]
    fn ticks_in_hard_interrupts_until_it_is_stopped() -> Result {
        let books = Books::new(c"ticks")?;
        let elsewhere = shared()?;
        let misplaced = elsewhere.clone();
        let t = ticker(&books.path(Kind::HardIrq)?, move |run| {
            run.items(3);
            if !is_here::<HardIrq<'_>>() {
                misplaced.fetch_add(1, Relaxed);
            }
        })?;
        let idle = t.is_ticking();

        Task::with(|task| t.start(task, Delta::from_micros(500)))??;
        let ticking = t.is_ticking();
        let ticked = until(|| books.stat("hardirq.runs").is_ok_and(|runs| runs >= 20));
        Task::with(|task| t.stop(task))?;
        let stopped = !t.is_ticking();
        let keys = ["scheduled", "runs", "items", "handled", "overlap"];
        let first = books.stats("hardirq", keys)?;
        // Four ticks' time.
        spin_for(Delta::from_millis(2));
        let second = books.stats("hardirq", keys)?;
        drop((t, books));

        assert!(!idle);
        assert!(ticking);
        assert!(ticked);
        assert!(stopped);
        assert_eq!(first, second);
        let [scheduled, runs, items, handled, overlap] = first;
        assert_eq!(scheduled, runs);
        assert_eq!(items, 3 * runs);
        assert_eq!(handled, runs);
        assert_eq!(overlap, 0);
        assert_eq!(elsewhere.load(Relaxed), 0);
        Ok(())
    }

    #[test]
    fn refuses_periods_that_leave_no_time_for_anything_else() -> Result {
        let books = Books::new(c"short")?;
        let t = ticker(&books.path(Kind::HardIrq)?, |_| ())?;
        let shortest = Ticker::<Handler<fn(&mut Run<'_>)>>::SHORTEST_US;
        let mut answers = [Ok(()); 4];

        for (answer, us) in answers
            .iter_mut()
            .zip([shortest - 1, 0, -1, i64::MIN / 1000])
        {
            *answer = Task::with(|task| t.start(task, Delta::from_micros(us)))?;
        }
        let ticking = t.is_ticking();
        drop((t, books));

        assert!(answers.iter().all(|answer| *answer == Err(EINVAL)));
        assert!(!ticking);
        Ok(())
    }

    #[test]
    fn stopped_it_can_be_started_again() -> Result {
        let books = Books::new(c"again")?;
        let ticks = shared()?;
        let count = ticks.clone();
        let t = ticker(&books.path(Kind::HardIrq)?, move |_| {
            count.fetch_add(1, Relaxed);
        })?;
        let mut rounds = 0;

        for _ in 0..20 {
            ticks.store(0, Relaxed);
            Task::with(|task| t.start(task, Delta::from_micros(200)))??;
            rounds += u32::from(until(|| ticks.load(Relaxed) != 0));
            Task::with(|task| t.stop(task))?;
        }
        drop((t, books));

        assert_eq!(rounds, 20);
        Ok(())
    }

    /// A new period while a tick runs elsewhere: the timer core warns if a timer is put into its queue
    /// while its own callback moves it, and any warning fails the run.
    #[test]
    fn the_period_may_change_while_a_tick_runs() -> Result {
        let books = Books::new(c"period")?;
        let (here, there) = two_cpus()?;
        let gate = Arc::new(Gate::open(), GFP_KERNEL)?;
        let door = gate.clone();
        let t = ticker(&books.path(Kind::HardIrq)?, move |_| door.pass_spinning())?;

        gate.close();
        let (inside, left) = on_cpu(here, || -> Result<_> {
            on_cpu(there, || {
                Task::with(|task| t.start(task, Delta::from_millis(200)))
            })???;
            let inside = gate.has_entered();

            // It takes its time.
            gate.release();
            Task::with(|task| t.start(task, Delta::from_millis(1)))??;
            Ok((inside, gate.has_left()))
        })??;
        let goes_on = until(|| books.stat("hardirq.runs").is_ok_and(|runs| runs >= 3));
        let overlap = books.stat("hardirq.overlap")?;
        drop((t, books));

        assert!(inside);
        assert!(left);
        assert!(goes_on);
        assert_eq!(overlap, 0);
        Ok(())
    }

    #[test]
    fn stop_and_drop_wait_for_a_tick_that_runs() -> Result {
        let books = Books::new(c"waits")?;
        let (here, there) = two_cpus()?;
        let path = books.path(Kind::HardIrq)?;
        let mut waited = [false; 2];

        for (waited, dropped) in waited.iter_mut().zip([false, true]) {
            let gate = Arc::new(Gate::open(), GFP_KERNEL)?;
            let door = gate.clone();

            gate.close();
            let t = ticker(&path, move |_| door.pass_spinning())?;
            // Nothing else runs there while the tick is inside, so this must be elsewhere; and the one
            // who starts it needs the time to go.
            *waited = on_cpu(here, || -> Result<bool> {
                on_cpu(there, || {
                    Task::with(|task| t.start(task, Delta::from_millis(200)))
                })???;
                let inside = gate.has_entered();

                gate.release();
                if dropped {
                    drop(t);
                } else {
                    Task::with(|task| t.stop(task))?;
                }
                Ok(inside && gate.has_left())
            })??;
        }
        drop((path, books));

        assert_eq!(waited, [true, true]);
        Ok(())
    }

    /// A ticker that was forgotten ends when this module is unloaded, before its code goes. If it did
    /// not, the kernel would jump into nowhere then, and say so.
    #[test]
    fn what_is_forgotten_ends_with_the_module() -> Result {
        // For kmemleak what is forgotten is lost memory, which it is.
        if cfg!(CONFIG_DEBUG_KMEMLEAK) {
            return Ok(());
        }

        let books = Books::new(c"forgotten")?;
        let t = ManuallyDrop::new(ticker(&books.path(Kind::HardIrq)?, |_| ())?);

        Task::with(|task| t.start(task, Delta::from_micros(200)))??;
        let ticked = until(|| books.stat("hardirq.runs").is_ok_and(|runs| runs >= 3));

        assert!(ticked);
        Ok(())
    }

    /// A tick's cause is when it was due, so its waiting time is how late the timer was: some, and
    /// less than it took all in all.
    #[test]
    fn waits_are_how_late_ticks_are() -> Result {
        let books = Books::new(c"late")?;
        let t = ticker(&books.path(Kind::HardIrq)?, |_| ())?;

        books.write("timing", "1")?;
        Task::with(|task| t.start(task, Delta::from_millis(1)))??;
        let ticked = until(|| books.stat("hardirq.runs").is_ok_and(|runs| runs >= 10));
        Task::with(|task| t.stop(task))?;
        let text = books.read("hardirq/wait_ns")?;
        let runs = books.stat("hardirq.runs")?;
        let count = crate::support::file::value(&text, "count");
        let least = crate::support::file::value(&text, "min");
        drop((t, books));

        assert!(ticked);
        assert_eq!(count, Some(runs));
        // A timer is never early.
        assert!(least.is_some_and(|ns| ns > 0 && ns < 10_000_000_000));
        Ok(())
    }
}
