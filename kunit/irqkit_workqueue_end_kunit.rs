// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: how queues and items end ([`irqkit::workqueue`]), in whatever order and context
//! they are dropped.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_workqueue_end_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: how irqkit's work ends",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_workqueue_end)]
mod tests {
    use core::{
        cell::UnsafeCell,
        mem::ManuallyDrop, //
    };

    use kernel::{
        new_mutex,
        prelude::*,
        static_lock_class,
        sync::{
            atomic::Relaxed,
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
            Class,
            Item,
            Queue,
            Request, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::on_cpu,
        hardirq,
        items::{
            account,
            balanced,
            closed_gate,
            shared,
            task,
            work,
            Body, //
        },
        spin_until,
        two_cpus,
        until, //
    };

    const HOUR: Delta = Delta::from_millis(3_600_000);

    /// A queue that is dropped with items pending, delayed and running: the first two are taken
    /// back, the last is waited for and can't request itself any more. The items live on.
    /// Returns whether all of that is so. Nothing holds the system's pending one back: it may run.
    fn close_with_everything(name: &CStr, system: bool) -> Result<bool> {
        let books = Books::new(name)?;
        let (queue, path) = match system {
            false => (
                Queue::percpu(name)
                    .max_active(1)
                    .build_as(&books.set, c"q")?,
                "q",
            ),
            true => (system::percpu(&books.set)?, "system_percpu"),
        };
        let (here, there) = two_cpus()?;
        let gate = closed_gate()?;
        let door = gate.clone();
        let [answer, runs] = [shared()?, shared()?];
        let [one, two] = [runs.clone(), runs.clone()];
        let pending = work(&queue, move |_, _| {
            one.fetch_add(1, Relaxed);
        })?;
        let delayed = Arc::new(
            work(&queue, move |_, _| {
                two.fetch_add(1, Relaxed);
            })?,
            GFP_KERNEL,
        )?;
        let own = (answer.clone(), delayed.clone());
        // The last made is the first that is closed, so it is once another one is.
        let running = work(&queue, move |this, _| {
            let (answer, delayed) = &own;
            door.pass_spinning();
            spin_until(|| !delayed.is_pending());
            let refused = this.schedule(Stamp::NONE) == Request::Refused;
            answer.store(1 + u64::from(refused), Relaxed);
        })?;

        running.schedule_on(there, Stamp::NONE)?;
        let entered = gate.has_entered();
        pending.schedule_on(there, Stamp::NONE)?;
        delayed.schedule_after(HOUR, Stamp::NONE);
        let before = [pending.is_pending(), delayed.is_pending()];
        let left = on_cpu(here, || {
            gate.release();
            drop(queue);
            gate.has_left()
        })?;
        let after = [
            pending.is_pending(),
            delayed.is_pending(),
            running.is_pending(),
        ];
        let refused = [
            pending.schedule(Stamp::NONE),
            delayed.schedule_after(HOUR, Stamp::NONE),
            delayed.reschedule_after(Delta::ZERO, Stamp::NONE),
            running.schedule(Stamp::NONE),
        ];
        let idle = task(|task| [pending.flush(task), delayed.cancel_and_wait(task)])?;
        let took = pending.cancel();
        let account = account(&books, path)?;
        drop((running, pending, delayed, books));

        let ran = runs.load(Relaxed);
        let as_expected = [
            entered && left,
            before[1] && (before[0] || ran == 1),
            after == [false; 3],
            refused == [Request::Refused; 4],
            idle == [Ok(false); 2],
            !took,
            ran <= u64::from(system),
            answer.load(Relaxed) == 2,
            account == [8, 1 + ran, 0, 7 - ran],
        ];
        if as_expected != [true; 9] {
            pr_err!("{name:?}: {as_expected:?}, ran {ran}, {account:?}\n");
        }
        Ok(as_expected == [true; 9])
    }

    #[test]
    fn a_queue_dropped_with_everything() -> Result {
        assert!(close_with_everything(c"ke_drop", false)?);
        Ok(())
    }

    #[test]
    fn a_system_handle_dropped_with_everything() -> Result {
        assert!(close_with_everything(c"ke_drop_s", true)?);
        Ok(())
    }

    /// A queue for a handler to take.
    ///
    /// # Invariants
    ///
    /// One at a time uses it: who made it, before the handler's item was requested, and then that
    /// handler, which never runs beside itself.
    struct Held<C: Class>(UnsafeCell<Option<Queue<C>>>);

    // SAFETY: By the type invariant; a queue may be used by any thread.
    unsafe impl<C: Class> Sync for Held<C> {}

    // SAFETY: A queue may be sent.
    unsafe impl<C: Class> Send for Held<C> {}

    impl<C: Class> Held<C> {
        fn new() -> Result<Arc<Self>> {
            // INVARIANT: No handler knows it yet.
            Ok(Arc::new(Self(UnsafeCell::new(None)), GFP_KERNEL)?)
        }

        /// # Safety
        ///
        /// To be called before the handler's item was requested.
        unsafe fn put(&self, queue: Queue<C>) {
            // SAFETY: By the safety requirements and the type invariant.
            unsafe { *self.0.get() = Some(queue) };
        }

        /// # Safety
        ///
        /// To be called by the handler.
        unsafe fn take(&self) -> Option<Queue<C>> {
            // SAFETY: By the safety requirements and the type invariant.
            unsafe { (*self.0.get()).take() }
        }
    }

    /// Who can't wait for the end leaves it to the background: hard interrupts, and the queue's own
    /// handlers, in tasks and softirqs.
    #[test]
    fn a_queue_dropped_where_it_cannot_be_waited_for() -> Result {
        let books = Books::new(c"ke_anywhere")?;

        /// Has `queue` dropped by one of its own handlers, and returns whether it ends.
        fn drop_in_handler<C: Class>(queue: Queue<C>) -> Result<bool> {
            let held = Held::new()?;
            let own = held.clone();
            // SAFETY: This is the handler.
            let w = work(&queue, move |_, _| drop(unsafe { own.take() }))?;

            // SAFETY: The item is requested below.
            unsafe { held.put(queue) };
            w.schedule(Stamp::NONE);
            Ok(until(|| w.schedule(Stamp::NONE) == Request::Refused))
        }

        let set = &books.set;
        let refused = [
            drop_in_handler(Queue::ordered(c"ke_own").build_as(set, c"own")?)?,
            drop_in_handler(Queue::bh(c"ke_bh").build_as(set, c"bh")?)?,
            drop_in_handler(system::dfl(set)?)?,
        ];

        let queue = Queue::unbound(c"ke_hard").build_as(set, c"hard")?;
        let w = work(&queue, |_, _| ())?;
        let mut held = Some(queue);
        hardirq::on_cpu(two_cpus()?.0, || drop(held.take()))?;
        let in_hardirq = until(|| w.schedule(Stamp::NONE) == Request::Refused);
        drop(w);

        // It is no better where memory is to be set free.
        let reclaim = Queue::unbound(c"ke_reclaim")
            .mem_reclaim()
            .build_as(set, c"reclaim")?;
        let other = Queue::unbound(c"ke_other").build_as(set, c"other")?;
        let w = work(&other, |_, _| ())?;
        let held = Held::new()?;
        // SAFETY: The item is made, and requested, below.
        unsafe { held.put(other) };
        // SAFETY: This is the handler.
        let dropper = work(&reclaim, move |_, _| drop(unsafe { held.take() }))?;
        dropper.schedule(Stamp::NONE);
        let in_reclaim = until(|| w.schedule(Stamp::NONE) == Request::Refused);
        drop((w, dropper, reclaim));

        let mut all_balanced = true;
        for name in ["own", "bh", "system_dfl", "hard", "reclaim", "other"] {
            all_balanced &= balanced(account(&books, name)?);
        }
        drop(books);

        assert_eq!(refused, [true; 3]);
        assert!(in_hardirq);
        assert!(in_reclaim);
        assert!(all_balanced);
        Ok(())
    }

    /// Dropping the handler of one item may drop another, on the same queue.
    #[test]
    fn a_handler_drops_others() -> Result {
        let books = Books::new(c"ke_others")?;
        let queue = Queue::ordered(c"ke_others").build_as(&books.set, c"q")?;
        let runs = shared()?;
        let count = runs.clone();
        let victim = work(&queue, move |_, _| {
            count.fetch_add(1, Relaxed);
        })?;
        victim.schedule_after(HOUR, Stamp::NONE);
        let victim = Arc::pin_init(new_mutex!(Some(victim)), GFP_KERNEL)?;
        let taken = victim.clone();
        let killer = work(&queue, move |_, _| {
            let victim = taken.lock().take();
            drop(victim);
        })?;

        killer.schedule(Stamp::NONE);
        task(|task| killer.flush(task))??;
        let gone = victim.lock().is_none();
        drop((killer, victim));
        let account = account(&books, "q")?;
        drop((queue, books));

        assert!(gone);
        assert_eq!(runs.load(Relaxed), 0);
        assert_eq!(account, [2, 1, 0, 1]);
        Ok(())
    }

    /// Items and queues that were forgotten end when this module is unloaded, before its code goes.
    /// If they did not, the kernel would jump into nowhere then, and say so.
    #[test]
    fn what_is_forgotten_ends_with_the_module() -> Result {
        // For kmemleak what is forgotten is lost memory, which it is.
        if cfg!(CONFIG_DEBUG_KMEMLEAK) {
            return Ok(());
        }

        let books = Books::new(c"ke_forgotten")?;
        let own = ManuallyDrop::new(Queue::percpu(c"ke_forgotten").build_as(&books.set, c"own")?);
        let sys = ManuallyDrop::new(system::dfl(&books.set)?);
        let bh = ManuallyDrop::new(system::bh(&books.set)?);
        let runs = shared()?;

        macro_rules! forget {
            ($queue:expr) => {{
                let count = runs.clone();
                let restless = work(&$queue, move |this, _| {
                    count.fetch_add(1, Relaxed);
                    this.schedule_after(Delta::from_millis(1), Stamp::NONE);
                })?;
                restless.schedule(Stamp::NONE);
                let _ = ManuallyDrop::new(restless);

                let count = runs.clone();
                let restless = ArcWork::new(
                    Body(move |this: &Item, _: &mut Run<'_>| {
                        count.fetch_add(1, Relaxed);
                        this.schedule_after(Delta::from_millis(1), Stamp::NONE);
                    }),
                    &$queue,
                    static_lock_class!(),
                    GFP_KERNEL,
                )?;
                restless.schedule(Stamp::NONE);
            }};
        }
        forget!(own);
        forget!(sys);
        forget!(bh);
        let alive = until(|| runs.load(Relaxed) >= 30);

        assert!(alive);
        Ok(())
    }
}
