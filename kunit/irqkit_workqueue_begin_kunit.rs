// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: what becomes of requests at the very moment when they begin to run
//! ([`irqkit::workqueue::Item`]).
//!
//! The core's own bit says no longer pending then, and the run has not come for its request. A
//! probe of the tracepoint that stands between the two makes it as long as need be.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_workqueue_begin_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's work as it begins",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_workqueue_begin)]
mod tests {
    use kernel::{
        prelude::*,
        static_lock_class,
        sync::atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        time::Delta, //
    };

    use irqkit::{
        path::{
            Run,
            Stamp, //
        },
        workqueue::{
            ArcWork,
            Class,
            Item,
            Queue,
            Request, //
        }, //
    };

    use crate::support::{
        books::Books,
        items::{
            account,
            shared,
            task,
            Body, //
        },
        moment, //
    };

    const HOUR: Delta = Delta::from_millis(3_600_000);

    /// What came of it: how often `act` was called, what it said, and then, when all had calmed
    /// down, how often the item had run and whether it was pending.
    #[derive(Debug, PartialEq, Eq)]
    struct Outcome {
        acted: u64,
        said: bool,
        runs: u64,
        pending: bool,
        /// Scheduled, runs, coalesced, cancelled; after the item was taken back and dropped.
        account: [u64; 4],
    }

    /// Requests an item, and calls `act` when it begins.
    fn when_it_begins<C: Class>(
        queue: Result<Queue<C>>,
        books: &Books,
        act: impl Fn(&Item) -> bool + Sync,
    ) -> Result<Outcome> {
        let queue = queue?;
        let runs = shared()?;
        let count = runs.clone();
        let handler = Body(move |_: &Item, _: &mut Run<'_>| {
            count.fetch_add(1, Relaxed);
        });
        let work = ArcWork::<_, C>::new(handler, &queue, static_lock_class!(), GFP_KERNEL)?;
        let item: &Item = &work;
        let place = core::ptr::from_ref(item).addr();
        let place = place..place + size_of::<Item>();
        let [acted, said] = [const { Atomic::<u64>::new(0) }; 2];

        let calm = moment::watch(
            |begun| {
                if place.contains(&begun) && acted.fetch_add(1, Full) == 0 {
                    said.store(act(item).into(), Relaxed);
                }
            },
            || {
                item.schedule(Stamp::NONE);
                task(|task| queue.drain(task, Delta::from_millis(20_000)))
            },
        )?;
        let (runs, pending) = (runs.load(Relaxed), item.is_pending());
        item.cancel();
        drop(work);
        drop(queue);
        calm??;

        Ok(Outcome {
            acted: acted.load(Relaxed),
            said: said.load(Relaxed) == 1,
            runs,
            pending,
            account: account(books, "q")?,
        })
    }

    /// [`when_it_begins`], on a task queue and on a BH queue. Both must come out the same.
    fn on_both(act: impl Fn(&Item) -> bool + Sync) -> Result<Option<Outcome>> {
        let books = Books::new(c"kb_task")?;
        let queue = Queue::ordered(c"kb_task").build_as(&books.set, c"q");
        let in_task = when_it_begins(queue, &books, &act);
        drop(books);

        let books = Books::new(c"kb_bh")?;
        let queue = Queue::bh(c"kb_bh").build_as(&books.set, c"q");
        let in_softirq = when_it_begins(queue, &books, &act);
        drop(books);

        let (in_task, in_softirq) = (in_task?, in_softirq?);
        if in_task != in_softirq {
            pr_err!("in a task {in_task:?}, in a softirq {in_softirq:?}\n");
            return Ok(None);
        }
        Ok(Some(in_task))
    }

    /// Nothing special: this is what the others are to be compared with.
    #[test]
    fn left_alone() -> Result {
        let outcome = on_both(|item| item.is_pending())?;

        assert!(
            outcome
                == Some(Outcome {
                    acted: 1,
                    said: true,
                    runs: 1,
                    pending: false,
                    account: [1, 1, 0, 0],
                })
        );
        Ok(())
    }

    #[test]
    fn requested_again() -> Result {
        let outcome = on_both(|item| item.schedule(Stamp::NONE) == Request::Coalesced)?;

        assert!(
            outcome
                == Some(Outcome {
                    acted: 1,
                    said: true,
                    runs: 1,
                    pending: false,
                    account: [2, 1, 1, 0],
                })
        );
        Ok(())
    }

    /// Who takes it back is told the truth: it does not run.
    #[test]
    fn taken_back() -> Result {
        let outcome = on_both(|item| item.cancel() && !item.is_pending() && !item.cancel())?;

        assert!(
            outcome
                == Some(Outcome {
                    acted: 1,
                    said: true,
                    runs: 0,
                    pending: false,
                    account: [1, 0, 0, 1],
                })
        );
        Ok(())
    }

    /// Moved, it does not run before its new time.
    #[test]
    fn moved() -> Result {
        let outcome =
            on_both(|item| item.reschedule_after(HOUR, Stamp::NONE) == Request::Coalesced)?;

        assert!(
            outcome
                == Some(Outcome {
                    acted: 1,
                    said: true,
                    runs: 0,
                    pending: true,
                    account: [2, 0, 1, 1],
                })
        );
        Ok(())
    }

    /// Moved twice and to now, it runs once.
    #[test]
    fn moved_to_now() -> Result {
        let outcome = on_both(|item| {
            item.reschedule_after(HOUR, Stamp::NONE);
            item.reschedule_after(Delta::ZERO, Stamp::NONE) == Request::Coalesced
        })?;

        assert!(
            outcome
                == Some(Outcome {
                    // The run that had begun, and the one of the new time.
                    acted: 2,
                    said: true,
                    runs: 1,
                    pending: false,
                    account: [3, 1, 2, 0],
                })
        );
        Ok(())
    }

    /// Taken back and requested anew, it is the new request that runs, in its time.
    #[test]
    fn taken_back_and_requested_for_later() -> Result {
        let outcome = on_both(|item| {
            item.cancel() && item.schedule_after(HOUR, Stamp::NONE) == Request::New
        })?;

        assert!(
            outcome
                == Some(Outcome {
                    acted: 1,
                    said: true,
                    runs: 0,
                    pending: true,
                    account: [2, 0, 0, 2],
                })
        );
        Ok(())
    }

    /// The same over and over: each is a request of its own, and the last one counts.
    #[test]
    fn changed_many_times() -> Result {
        let outcome = on_both(|item| {
            (0..5).all(|_| {
                item.cancel()
                    && item.schedule_after(HOUR, Stamp::NONE) == Request::New
                    && item.reschedule_after(HOUR, Stamp::NONE) == Request::Coalesced
                    && item.cancel()
                    && item.schedule(Stamp::NONE) == Request::New
            })
        })?;

        assert!(
            outcome
                == Some(Outcome {
                    acted: 2,
                    said: true,
                    runs: 1,
                    pending: false,
                    account: [16, 1, 5, 10],
                })
        );
        Ok(())
    }
}
