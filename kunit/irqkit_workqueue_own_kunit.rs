// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: items that own themselves ([`irqkit::workqueue::ArcWork`],
//! [`irqkit::workqueue::BoxWork`]), and all of them under load while their queue ends.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_workqueue_own_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's work that owns itself",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_workqueue_own)]
mod tests {
    use kernel::{
        new_mutex,
        prelude::*,
        static_lock_class,
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
        path::{
            Run,
            Stamp, //
        },
        workqueue::{
            system,
            ArcWork,
            BoxWork,
            Class,
            Handler,
            Item,
            Job,
            Queue,
            Request,
            SoftIrqs,
            Tasks,
            Token, //
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
            task, //
        },
        online_cpus,
        two_cpus,
        until, //
    };

    const HOUR: Delta = Delta::from_millis(3_600_000);

    /// What a handler that owns itself counts, and when it is gone.
    struct Counted<F> {
        body: F,
        gone: Arc<Atomic<u64>>,
    }

    impl<F> Drop for Counted<F> {
        fn drop(&mut self) {
            self.gone.fetch_add(1, Full);
        }
    }

    impl<C: Class, F> Handler<C> for Counted<F>
    where
        F: Fn(&Item, &mut Run<'_>) + Send + Sync + 'static,
    {
        fn run(&self, _ctx: Token<'_, C>, this: &Item, run: &mut Run<'_>) {
            (self.body)(this, run);
        }
    }

    impl<C: Class, F> Job<C> for Counted<F>
    where
        F: Fn() + Send + 'static,
    {
        fn run(self, _ctx: Token<'_, C>, _run: &mut Run<'_>) {
            (self.body)();
        }
    }

    fn arc_work<C: Class, F>(
        queue: &Queue<C>,
        gone: &Arc<Atomic<u64>>,
        body: F,
    ) -> Result<ArcWork<Counted<F>, C>>
    where
        F: Fn(&Item, &mut Run<'_>) + Send + Sync + 'static,
    {
        let handler = Counted {
            body,
            gone: gone.clone(),
        };
        ArcWork::new(handler, queue, static_lock_class!(), GFP_KERNEL)
    }

    fn box_work<C: Class, F: Fn() + Send + 'static>(
        queue: &Queue<C>,
        gone: &Arc<Atomic<u64>>,
        body: F,
    ) -> Result<BoxWork<Counted<F>, C>> {
        let job = Counted {
            body,
            gone: gone.clone(),
        };
        BoxWork::new(job, queue, static_lock_class!(), GFP_KERNEL)
    }

    /// A request keeps it alive, its run as well, and the last to let go of it frees it.
    fn arc_lives_as_long_as_needed<C: Class>(queue: Queue<C>, spins: bool) -> Result<bool> {
        let [runs, gone] = [shared()?, shared()?];
        let gate = closed_gate()?;
        let (door, count) = (gate.clone(), runs.clone());
        let w = arc_work(&queue, &gone, move |this, run| {
            if spins {
                door.pass_spinning();
            } else {
                door.pass_sleeping();
            }
            if count.fetch_add(1, Relaxed) < 4 {
                this.schedule(run.cause());
            }
        })?;
        let (here, there) = two_cpus()?;

        // Away from the CPU on which it may spin.
        let (entered, alive) = on_cpu(here, || -> Result<_> {
            let other = w.clone();
            w.schedule_on(there, Stamp::NONE)?;
            let entered = gate.has_entered();
            drop((w, other));
            // It runs, and then again and again, without anyone but itself.
            let alive = gone.load(Relaxed) == 0;
            gate.release();
            Ok((entered, alive))
        })??;
        let freed = until(|| gone.load(Relaxed) == 1);
        let runs = runs.load(Relaxed);

        // Delayed for long, it is the queue that ends it.
        let w = arc_work(&queue, &gone, |_, _| ())?;
        w.schedule_after(HOUR, Stamp::NONE);
        drop(w);
        let delayed = gone.load(Relaxed) == 1;
        // Never requested, it goes at once.
        drop(arc_work(&queue, &gone, |_, _| ())?);
        let unused = gone.load(Relaxed) == 2;
        // Taken back, as well.
        let w = arc_work(&queue, &gone, |_, _| ())?;
        w.schedule_after(HOUR, Stamp::NONE);
        w.reschedule_after(HOUR, Stamp::NONE);
        let taken_back = w.cancel();
        drop(w);
        let cancelled = gone.load(Relaxed) == 3;
        drop(queue);
        let all = gone.load(Relaxed) == 4;

        let as_expected = [
            entered,
            alive,
            freed,
            runs == 5,
            delayed,
            unused,
            taken_back,
            cancelled,
            all,
        ];
        if as_expected != [true; 9] {
            pr_err!("an item in an Arc: {as_expected:?}, {runs} runs\n");
        }
        Ok(as_expected == [true; 9])
    }

    #[test]
    fn an_arc_lives_as_long_as_needed() -> Result {
        let books = Books::new(c"ke_arc")?;

        let set = &books.set;
        let right = [
            arc_lives_as_long_as_needed(Queue::unbound(c"ke_arc").build(set)?, false)?,
            arc_lives_as_long_as_needed(Queue::bh(c"ke_arc_bh").build(set)?, true)?,
            arc_lives_as_long_as_needed(system::percpu(set)?, false)?,
            arc_lives_as_long_as_needed(system::bh_highpri(set)?, true)?,
        ];
        let accounts = [
            account(&books, "ke_arc")?,
            account(&books, "ke_arc_bh")?,
            account(&books, "system_percpu")?,
            account(&books, "system_bh_highpri")?,
        ];
        drop(books);

        assert_eq!(right, [true; 4]);
        assert_eq!(accounts, [[8, 5, 1, 2]; 4]);
        Ok(())
    }

    /// A box runs once and is gone, or is given back, or ends with the queue.
    #[test]
    fn a_box_runs_once() -> Result {
        let books = Books::new(c"ke_box")?;
        let queue: Queue<Tasks> = Queue::percpu(c"ke_box").build_as(&books.set, c"q")?;
        let bh: Queue<SoftIrqs> = Queue::bh(c"ke_box_bh").build_as(&books.set, c"bh")?;
        let [runs, gone] = [shared()?, shared()?];
        let body = || {
            let count = runs.clone();
            move || {
                count.fetch_add(1, Relaxed);
            }
        };
        let (here, there) = two_cpus()?;
        let mut scheduled = 0;
        let mut count = |ok: bool| scheduled += u32::from(ok);

        count(
            box_work(&queue, &gone, body())?
                .schedule(Stamp::NONE)
                .is_ok(),
        );
        count(
            box_work(&queue, &gone, body())?
                .schedule_on(there, Stamp::NONE)
                .is_ok(),
        );
        count(
            box_work(&queue, &gone, body())?
                .schedule_after(Delta::from_millis(1), Stamp::NONE)
                .is_ok(),
        );
        let mut in_interrupt = Some(box_work(&bh, &gone, body())?);
        hardirq::on_cpu(here, || {
            if let Some(work) = in_interrupt.take() {
                count(work.schedule(Stamp::NONE).is_ok());
            }
        })?;
        let ran = until(|| gone.load(Relaxed) == 4);
        let runs_then = runs.load(Relaxed);

        drop(box_work(&queue, &gone, body())?);
        let unused = gone.load(Relaxed) == 5;
        count(
            box_work(&queue, &gone, body())?
                .schedule_after(HOUR, Stamp::NONE)
                .is_ok(),
        );
        let late = box_work(&queue, &gone, body())?;
        drop(queue);
        let ended = gone.load(Relaxed) == 6;
        let refused = late.schedule(Stamp::NONE);
        let kept = gone.load(Relaxed) == 6;
        let error = refused.err().map(|(_, error)| error);
        let freed = gone.load(Relaxed) == 7;
        let accounts = [account(&books, "q")?, account(&books, "bh")?];
        drop((bh, books));

        assert_eq!(scheduled, 5);
        assert!(ran);
        assert_eq!(runs_then, 4);
        assert_eq!(runs.load(Relaxed), 4);
        assert!(unused && ended && kept && freed);
        assert!(error == Some(ESHUTDOWN));
        assert_eq!(accounts, [[5, 3, 0, 2], [1, 1, 0, 0]]);
        Ok(())
    }

    /// Everything at once: CPUs that make, request, move, take back, wait for and drop items while
    /// their queue ends. Nothing is lost, left over, or used after it is gone.
    ///
    /// Returns whether that is so.
    fn storm<C: Class>(make: impl Fn(&Books) -> Result<Queue<C>>) -> Result<bool> {
        const ROUNDS: usize = 12;

        let cpus = online_cpus()?;
        let [made, gone, runs] = [shared()?, shared()?, shared()?];
        let [failed, refused] = [const { Atomic::<u64>::new(0) }; 2];
        let mut unbalanced = 0;

        for _ in 0..ROUNDS {
            let books = Books::new(c"ke_storm")?;
            let queue = Arc::new(make(&books)?, GFP_KERNEL)?;
            // One for each thread: the last to have made its items closes the queue.
            let mut owners = KVec::new();
            for _ in &cpus {
                owners.push(queue.clone(), GFP_KERNEL)?;
            }
            drop(queue);
            let owners = KBox::pin_init(new_mutex!(owners), GFP_KERNEL)?;

            on_cpus(&cpus, |cpu| {
                let mine = owners.lock().pop();
                let body = || -> Result {
                    let queue = mine.ok_or(EINVAL)?;
                    let mut items = KVec::new();
                    for i in 0..6 {
                        let count = runs.clone();
                        let item = arc_work(&queue, &gone, move |this, _| {
                            if count.fetch_add(1, Relaxed) % 3 == 0 {
                                this.schedule_after(Delta::from_millis(i % 2), Stamp::NONE);
                            }
                        })?;
                        made.fetch_add(1, Relaxed);
                        items.push(item, GFP_KERNEL)?;
                    }

                    let mut queue = Some(queue);
                    for i in 0..160 {
                        for (k, item) in items.iter().enumerate() {
                            let answer = match (i + k) % 6 {
                                0 => item.schedule(Stamp::NONE),
                                1 => item.schedule_after(Delta::from_millis(1), Stamp::NONE),
                                2 => item.reschedule_after(Delta::ZERO, Stamp::NONE),
                                3 if item.cancel() => Request::New,
                                3 | 4 => item.schedule_on(cpu, Stamp::NONE)?,
                                _ => item.reschedule_after(HOUR, Stamp::NONE),
                            };
                            if answer == Request::Refused {
                                refused.fetch_add(1, Relaxed);
                            }
                        }
                        if i % 40 == 20 {
                            task(|task| {
                                for item in &items {
                                    item.flush(task)?;
                                    item.cancel_and_wait(task)?;
                                }
                                Ok::<_, Error>(())
                            })??;
                        }
                        if i == 100 {
                            drop(queue.take());
                        }
                    }
                    Ok(())
                };
                if body().is_err() {
                    failed.fetch_add(1, Relaxed);
                }
            })?;
            // The queue is closed, so that no item is left.
            if made.load(Relaxed) != gone.load(Relaxed) || !balanced(account(&books, "q")?) {
                unbalanced += 1;
            }
        }

        let [failed, refused] = [failed.load(Relaxed), refused.load(Relaxed)];
        let runs = runs.load(Relaxed);
        pr_info!(
            "storm: {runs} runs, {refused} refused, {failed} failed, {unbalanced} unbalanced\n"
        );
        Ok(failed == 0 && unbalanced == 0 && runs > 0 && refused > 0)
    }

    #[test]
    fn storm_on_a_percpu_queue() -> Result {
        assert!(storm(
            |books| Queue::percpu(c"ke_storm_p").build_as(&books.set, c"q")
        )?);
        Ok(())
    }

    #[test]
    fn storm_on_an_unbound_queue() -> Result {
        assert!(storm(
            |books| Queue::unbound(c"ke_storm_u").build_as(&books.set, c"q")
        )?);
        Ok(())
    }

    #[test]
    fn storm_on_an_ordered_queue() -> Result {
        assert!(storm(
            |books| Queue::ordered(c"ke_storm_o").build_as(&books.set, c"q")
        )?);
        Ok(())
    }

    #[test]
    fn storm_on_a_bh_queue() -> Result {
        assert!(storm(
            |books| Queue::bh(c"ke_storm_b").build_as(&books.set, c"q")
        )?);
        Ok(())
    }
}
