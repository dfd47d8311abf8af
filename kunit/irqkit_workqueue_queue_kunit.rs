// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: queues ([`irqkit::workqueue::Queue`]), how they are made, what their kinds do, and
//! how they are flushed and drained.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_workqueue_queue_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's work queues",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_workqueue_queue)]
mod tests {
    use kernel::{
        prelude::*,
        str::CString,
        sync::{
            atomic::{
                Atomic,
                Full,
                Relaxed, //
            },
            Arc, //
        },
        time::{
            Delta,
            Instant,
            Monotonic, //
        }, //
    };

    use irqkit::{
        context::{
            is_here,
            SoftIrq,
            Task, //
        },
        path::{
            PathSet,
            Stamp, //
        },
        workqueue::{
            system,
            Class,
            Queue,
            Request,
            Tasks, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::on_cpus,
        gate::Gate,
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
        other::Other,
        two_cpus,
        until, //
    };

    #[test]
    fn the_builder_refuses() -> Result {
        let books = Books::new(c"refuse")?;
        let set = &books.set;
        let long = c"a_queue_whose_name_has_32_letter";
        let mut errors = KVec::new();

        for name in [c"", c"two words", c"a/b", c"..", c"a.b"] {
            errors.push(Queue::percpu(name).build(set).err(), GFP_KERNEL)?;
        }
        let too_long = Queue::bh(long).build(set).err();
        let fits = Queue::bh(c"a_queue_whose_name_has_31_lette").build(set);
        let limits = [0, 2049, u32::MAX].map(|n| {
            let queue = Queue::unbound(c"kq_limit").max_active(n);
            queue.build(set).err()
        });
        // What failed has left nothing behind.
        let again = Queue::unbound(c"kq_limit").max_active(2048).build(set);
        let taken = Queue::unbound(c"kq_other").build_as(set, c"kq_limit").err();
        let shown = Queue::percpu(c"kq_shown").sysfs().build(set);
        let shown_twice = Queue::unbound(c"kq_shown")
            .sysfs()
            .build_as(set, c"other")
            .err();
        let hidden = Queue::unbound(c"kq_shown").build_as(set, c"hidden");
        let built = [fits.is_ok(), again.is_ok(), shown.is_ok(), hidden.is_ok()];
        drop((fits, again, shown, hidden, books));

        assert!(errors.into_iter().all(|error| error == Some(EINVAL)));
        assert!(too_long == Some(ENAMETOOLONG));
        assert!(limits == [Some(EINVAL); 3]);
        assert_eq!(built, [true; 4]);
        assert!(taken == Some(EEXIST));
        assert!(shown_twice == Some(EEXIST));
        Ok(())
    }

    /// Runs an item on `queue`, and returns whether it was in a task and whether in a softirq.
    fn where_it_runs<C: Class>(queue: &Queue<C>) -> Result<(bool, bool)> {
        let seen = shared()?;
        let report = seen.clone();
        let w = work(queue, move |_, _| {
            let task = u64::from(is_here::<Task<'_>>());
            let softirq = u64::from(is_here::<SoftIrq<'_>>());
            report.store(4 + 2 * task + softirq, Relaxed);
        })?;

        w.schedule(Stamp::NONE);
        task(|task| w.flush(task))??;
        let seen = seen.load(Relaxed);
        Ok((seen == 6, seen == 5))
    }

    /// Every kind with every option that it has, and every queue of the system's.
    #[test]
    fn every_kind_runs_in_its_context() -> Result {
        let books = Books::new(c"kinds")?;
        let set = &books.set;
        let tasks: [Result<Queue<Tasks>>; 13] = [
            Queue::percpu(c"kq_p").build(set),
            Queue::percpu(c"kq_p_all")
                .freezable()
                .mem_reclaim()
                .highpri()
                .cpu_intensive()
                .power_efficient()
                .sysfs()
                .max_active(3)
                .build(set),
            Queue::unbound(c"kq_u").build(set),
            Queue::unbound(c"kq_u_all")
                .freezable()
                .mem_reclaim()
                .highpri()
                .sysfs()
                .max_active(1)
                .build(set),
            Queue::ordered(c"kq_o").freezable().mem_reclaim().build(set),
            system::percpu(set),
            system::highpri(set),
            system::long(set),
            system::dfl(set),
            system::dfl_long(set),
            system::freezable(set),
            system::power_efficient(set),
            system::freezable_power_efficient(set),
        ];
        let softirqs = [
            Queue::bh(c"kq_b").build(set),
            Queue::bh_highpri(c"kq_bh").build(set),
            system::bh(set),
            system::bh_highpri(set),
        ];
        let mut wrong = 0;
        let mut unbound = 0;

        for queue in &tasks {
            let queue = queue.as_ref().map_err(|error| *error)?;
            if where_it_runs(queue)? != (true, false) {
                wrong += 1;
            }
            unbound += u32::from(queue.is_unbound());
        }
        for queue in &softirqs {
            let queue = queue.as_ref().map_err(|error| *error)?;
            if where_it_runs(queue)? != (false, true) {
                wrong += 1;
            }
            unbound += u32::from(queue.is_unbound());
        }
        drop((tasks, softirqs, books));

        assert_eq!(wrong, 0);
        assert_eq!(unbound, 5);
        Ok(())
    }

    /// How many are inside at a time, and the most that there were.
    struct Room {
        inside: Atomic<u64>,
        most: Atomic<u64>,
        gate: Gate,
    }

    impl Room {
        fn new() -> Result<Arc<Self>> {
            let room = Self {
                inside: Atomic::new(0),
                most: Atomic::new(0),
                gate: Gate::open(),
            };
            room.gate.close();
            Ok(Arc::new(room, GFP_KERNEL)?)
        }

        /// Stays inside until the gate is opened.
        fn visit(&self) {
            let inside = self.inside.fetch_add(1, Full) + 1;
            if inside > self.most.load(Relaxed) {
                self.most.store(inside, Relaxed);
            }
            self.gate.pass_sleeping();
            self.inside.fetch_sub(1, Full);
        }
    }

    /// `max_active` is how many are inside; raised, more come in.
    #[test]
    fn max_active_is_the_greatest_concurrency() -> Result {
        let books = Books::new(c"active")?;
        let queue = Queue::unbound(c"kq_active")
            .max_active(2)
            .build_as(&books.set, c"q")?;
        let room = Room::new()?;
        let mut works = KVec::new();
        for _ in 0..6 {
            let room = room.clone();
            works.push(work(&queue, move |_, _| room.visit())?, GFP_KERNEL)?;
        }

        for work in &works {
            work.schedule(Stamp::NONE);
        }
        let two = until(|| room.inside.load(Relaxed) == 2);
        // Those who wait do so until the limit is raised, which lets in two more.
        let waiting = room.most.load(Relaxed);
        let raised = task(|task| queue.set_max_active(task, 4))?;
        let four = until(|| room.inside.load(Relaxed) == 4);
        room.gate.release();
        task(|task| queue.flush(task))??;
        let refused = task(|task| {
            [
                queue.set_max_active(task, 0),
                queue.set_max_active(task, 2049),
            ]
        })?;
        drop((works, queue, books));

        assert!(two && four);
        assert_eq!(waiting, 2);
        assert!(raised.is_ok());
        assert_eq!(room.most.load(Relaxed), 4);
        assert!(refused == [Err(EINVAL); 2]);
        Ok(())
    }

    /// One by one, in the order of the requests, whatever CPU they come from.
    #[test]
    fn an_ordered_queue_keeps_the_order() -> Result {
        const ITEMS: u64 = 64;

        let books = Books::new(c"order")?;
        let queue = Queue::ordered(c"kq_order").build_as(&books.set, c"q")?;
        let [next, wrong, inside] = [shared()?, shared()?, shared()?];
        let gate = closed_gate()?;
        let door = gate.clone();
        let first = work(&queue, move |_, _| door.pass_sleeping())?;
        let mut works = KVec::new();
        for i in 0..ITEMS {
            let own = (next.clone(), wrong.clone(), inside.clone());
            let body = move || {
                let (next, wrong, inside) = &own;
                if inside.fetch_add(1, Full) != 0 || next.fetch_add(1, Full) != i {
                    wrong.fetch_add(1, Relaxed);
                }
                inside.fetch_sub(1, Full);
            };
            works.push(work(&queue, move |_, _| body())?, GFP_KERNEL)?;
        }
        let cpus = online_cpus()?;

        first.schedule(Stamp::NONE);
        for (i, work) in works.iter().enumerate() {
            let cpu = cpus.get(i % cpus.len()).copied().ok_or(EINVAL)?;
            on_cpus(&[cpu], |_| {
                work.schedule(Stamp::NONE);
            })?;
        }
        gate.release();
        task(|task| queue.flush(task))??;
        let refused = task(|task| queue.set_max_active(task, 2))?;
        let account = account(&books, "q")?;
        drop((first, works, queue, books));

        assert_eq!(wrong.load(Relaxed), 0);
        assert_eq!(next.load(Relaxed), ITEMS);
        assert_eq!(account, [ITEMS + 1, ITEMS + 1, 0, 0]);
        assert!(refused == Err(EOPNOTSUPP));
        Ok(())
    }

    /// On a CPU, an item that sleeps lets the next one start, and one that computes does not; that
    /// of a queue for computing does.
    #[test]
    fn concurrency_is_managed() -> Result {
        let books = Books::new(c"managed")?;
        let normal = Queue::percpu(c"kq_managed").build_as(&books.set, c"normal")?;
        let intensive = Queue::percpu(c"kq_intensive")
            .cpu_intensive()
            .build_as(&books.set, c"intensive")?;
        let (_, cpu) = two_cpus()?;
        // Whether an item starts beside one that sleeps or computes.
        let starts = |queue: &Queue, sleeps: bool, wait: Delta| -> Result<bool> {
            let gate = closed_gate()?;
            let door = gate.clone();
            let next = shared()?;
            let count = next.clone();
            let holder = work(queue, move |_, _| {
                if sleeps {
                    door.pass_sleeping();
                } else {
                    door.pass_spinning();
                }
            })?;
            let other = work(&normal, move |_, _| {
                count.fetch_add(1, Relaxed);
            })?;

            holder.schedule_on(cpu, Stamp::NONE)?;
            let entered = gate.has_entered();
            other.schedule_on(cpu, Stamp::NONE)?;
            let began = Instant::<Monotonic>::now();
            while next.load(Relaxed) == 0 && began.elapsed() < wait {
                kernel::processor::cpu_relax();
            }
            let started = entered && next.load(Relaxed) == 1;
            gate.release();
            task(|task| other.flush(task))??;
            drop((holder, other));
            Ok(started)
        };

        let long = Delta::from_millis(10_000);
        let beside_sleeper = starts(&normal, true, long)?;
        let beside_intensive = starts(&intensive, false, long)?;
        // The kernel itself lets others start beside one that computes for too long
        // (`workqueue.cpu_intensive_thresh_us`, 10 ms and more): look before that, and anew where
        // this CPU was not there in time.
        let mut beside_computer = true;
        for _ in 0..10 {
            if beside_computer {
                beside_computer = starts(&normal, false, Delta::from_millis(2))?;
            }
        }
        drop((normal, intensive, books));

        assert_eq!(
            [beside_sleeper, beside_computer, beside_intensive],
            [true, false, true]
        );
        Ok(())
    }

    /// A flush waits for what was requested before, on all CPUs, and not for what comes later.
    #[test]
    fn flush_waits_for_what_came_before() -> Result {
        let books = Books::new(c"flush")?;
        let queue = Queue::percpu(c"kq_flush").build_as(&books.set, c"q")?;
        let runs = shared()?;
        let mut works = KVec::new();
        for _ in 0..32 {
            let count = runs.clone();
            works.push(
                work(&queue, move |_, _| {
                    kernel::time::delay::fsleep(Delta::from_micros(300));
                    count.fetch_add(1, Relaxed);
                })?,
                GFP_KERNEL,
            )?;
        }
        let again = shared()?;
        let count = again.clone();
        let perpetual = work(&queue, move |this, _| {
            count.fetch_add(1, Relaxed);
            this.schedule_after(Delta::from_millis(1), Stamp::NONE);
        })?;
        let cpus = online_cpus()?;
        let mut missed = 0;

        perpetual.schedule(Stamp::NONE);
        for round in 1..=5 {
            for (i, work) in works.iter().enumerate() {
                let cpu = cpus.get(i % cpus.len()).copied().ok_or(EINVAL)?;
                work.schedule_on(cpu, Stamp::NONE)?;
            }
            task(|task| queue.flush(task))??;
            if runs.load(Relaxed) != round * 32 {
                missed += 1;
            }
        }
        drop((perpetual, works));
        let account = account(&books, "q")?;
        drop((queue, books));

        assert_eq!(missed, 0);
        assert!(again.load(Relaxed) > 0);
        assert!(balanced(account));
        Ok(())
    }

    /// A drain waits for what handlers request in the meantime; of what never ends it gets tired,
    /// and what is not due is left alone.
    #[test]
    fn drain_with_requeueing_items() -> Result {
        let books = Books::new(c"drain")?;
        let own = Queue::unbound(c"kq_drain").build_as(&books.set, c"own")?;
        let bh = Queue::bh(c"kq_drain_bh").build_as(&books.set, c"bh")?;
        let sys = system::dfl(&books.set)?;
        let mut left = [0; 3];
        let mut drained = [Err(EINVAL); 3];

        for i in 0..3 {
            let todo = Arc::new(Atomic::<u64>::new(50), GFP_KERNEL)?;
            macro_rules! try_it {
                ($queue:expr) => {{
                    let own = todo.clone();
                    let w = work($queue, move |this, _| {
                        if own.fetch_sub(1, Full) > 1 {
                            this.schedule(Stamp::NONE);
                        }
                    })?;
                    w.schedule(Stamp::NONE);
                    drained[i] = task(|task| $queue.drain(task, Delta::from_millis(20_000)))?;
                    left[i] = todo.load(Relaxed);
                    drop(w);
                }};
            }
            match i {
                0 => try_it!(&own),
                1 => try_it!(&bh),
                _ => try_it!(&sys),
            }
        }

        let endless = work(&own, |this, _| {
            this.schedule(Stamp::NONE);
        })?;
        let later = work(&own, |_, _| ())?;
        later.schedule_after(Delta::from_millis(3_600_000), Stamp::NONE);
        let idle = task(|task| own.drain(task, Delta::from_millis(20_000)))?;
        endless.schedule(Stamp::NONE);
        let tired = task(|task| own.drain(task, Delta::from_millis(20)))?;
        task(|task| endless.cancel_and_wait(task))??;
        let idle_again = task(|task| own.drain(task, Delta::from_millis(20_000)))?;
        let delayed = later.is_pending();
        drop((endless, later));
        let accounts = [
            account(&books, "own")?,
            account(&books, "bh")?,
            account(&books, "system_dfl")?,
        ];
        let system_flush = task(|task| sys.flush(task))?;
        drop((own, bh, sys, books));

        assert!(drained == [Ok(()); 3]);
        assert_eq!(left, [0; 3]);
        assert!(idle.is_ok() && idle_again.is_ok());
        assert!(tired == Err(ETIMEDOUT));
        assert!(delayed);
        assert!(accounts.into_iter().all(balanced));
        assert_eq!(accounts[1], [50, 50, 0, 0]);
        assert!(system_flush == Err(EOPNOTSUPP));
        Ok(())
    }

    /// The items of one NUMA node; on a queue that is bound there is no such thing.
    #[test]
    fn near_a_node() -> Result {
        let books = Books::new(c"node")?;
        let unbound = Queue::unbound(c"kq_node").build_as(&books.set, c"unbound")?;
        let percpu = Queue::percpu(c"kq_node_p").build_as(&books.set, c"percpu")?;
        let runs = shared()?;
        let [one, two] = [runs.clone(), runs.clone()];
        let w = work(&unbound, move |_, _| {
            one.fetch_add(1, Relaxed);
        })?;
        let bound = work(&percpu, move |_, _| {
            two.fetch_add(1, Relaxed);
        })?;

        let mut answer = Err(EINVAL);
        hardirq::on_cpu(two_cpus()?.0, || {
            answer = w.schedule_near(0, Stamp::NONE);
        })?;
        task(|task| w.flush(task))??;
        let nowhere = w.schedule_near(u32::MAX, Stamp::NONE);
        let refused = bound.schedule_near(0, Stamp::NONE);
        drop((w, bound, unbound, percpu, books));

        assert!(answer == Ok(Request::New));
        assert!(nowhere == Err(EINVAL));
        assert!(refused == Err(EOPNOTSUPP));
        assert_eq!(runs.load(Relaxed), 1);
        Ok(())
    }

    /// A queue runs the handlers of its own module only: it would not know when others go.
    #[test]
    fn handlers_of_other_modules_are_refused() -> Result {
        let name = CString::try_from_fmt(fmt!("foreign"))?;
        let set = PathSet::new::<Other>(&name)?;
        let queue = Queue::unbound(c"kq_foreign").build(&set)?;
        let refused = work(&queue, |_, _| ()).err();
        drop((queue, set));

        assert!(refused == Some(EXDEV));
        Ok(())
    }
}
