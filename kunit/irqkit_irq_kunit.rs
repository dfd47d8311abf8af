// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: interrupts, on a real PCI device ([`irqkit::irq`]).

use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/mod.rs"]
mod support;

module! {
    type: edu::Module,
    name: "irqkit_irq_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's interrupts",
    license: "GPL",
}

#[kunit_tests(irqkit_irq)]
mod tests {
    use core::mem::forget;

    use kernel::{
        cpu::CpuId,
        pci::{
            IrqType,
            IrqTypes, //
        },
        prelude::*,
        str::CString,
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Full,
                Relaxed,
                Release, //
            },
            Arc,
            SetOnce, //
        },
        time::Delta, //
    };

    use irqkit::{
        context::{
            Atomic as _,
            HardIrq,
            Task, //
        },
        irq::{
            CpuList,
            Handler,
            IrqReturn,
            Line,
            Plain,
            Registration,
            Request,
            ThreadHandler,
            Threaded,
            ThreadedHandler,
            ThreadedIrqReturn,
            Vectors, //
        },
        path::{
            Kind,
            Path,
            Run, //
        }, //
    };

    use crate::{
        edu::{
            rebind,
            Edu, //
        },
        support::{
            books::Books,
            crew::{
                on_cpu,
                on_cpus, //
            },
            online_cpus,
            spin_for,
            spin_until,
            two_cpus,
            until, //
        }, //
    };

    /// A way in and out of a handler that a test controls.
    struct Gate {
        closed: Atomic<bool>,
        entered: Atomic<bool>,
        left: Atomic<bool>,
    }

    impl Gate {
        const fn open() -> Self {
            Self {
                closed: Atomic::new(false),
                entered: Atomic::new(false),
                left: Atomic::new(false),
            }
        }

        /// The next one who passes stays inside until [`Gate::release`], and then takes its time.
        fn close(&self) {
            self.entered.store(false, Relaxed);
            self.left.store(false, Relaxed);
            self.closed.store(true, Release);
        }

        fn release(&self) {
            self.closed.store(false, Release);
        }

        /// To be called by a handler, with a way to wait.
        fn pass(&self, wait: impl FnOnce(&dyn Fn() -> bool)) {
            if !self.closed.load(Acquire) {
                return;
            }
            self.entered.store(true, Release);
            wait(&|| !self.closed.load(Acquire));
            // Whoever ought to wait but does not has long looked by now.
            spin_for(Delta::from_millis(10));
            self.left.store(true, Release);
        }

        fn has_entered(&self) -> bool {
            until(|| self.entered.load(Acquire))
        }

        fn has_left(&self) -> bool {
            self.left.load(Acquire)
        }
    }

    /// What handlers do and see.
    struct Scene {
        edu: Arc<Edu>,
        answer: ThreadedIrqReturn,
        hard: Atomic<u64>,
        thread: Atomic<u64>,
        not_ours: Atomic<u64>,
        /// The CPU of the last hard handler.
        cpu: Atomic<u32>,
        wrong: Atomic<u64>,
        hard_gate: Gate,
        thread_gate: Gate,
        dropped: Atomic<u64>,
    }

    impl Scene {
        fn new(edu: &Arc<Edu>, answer: ThreadedIrqReturn) -> Result<Arc<Self>> {
            edu.acknowledge();

            Ok(Arc::new(
                Self {
                    edu: edu.clone(),
                    answer,
                    hard: Atomic::new(0),
                    thread: Atomic::new(0),
                    not_ours: Atomic::new(0),
                    cpu: Atomic::new(u32::MAX),
                    wrong: Atomic::new(0),
                    hard_gate: Gate::open(),
                    thread_gate: Gate::open(),
                    dropped: Atomic::new(0),
                },
                GFP_KERNEL,
            )?)
        }

        /// Raises an interrupt, and waits until the hard handler has counted it.
        fn raise(&self) -> bool {
            let before = self.hard.load(Relaxed);

            self.edu.raise(1);
            until(|| self.hard.load(Relaxed) > before)
        }

        fn hard(&self, ctx: HardIrq<'_>) -> bool {
            if self.edu.acknowledge() == 0 {
                self.not_ours.fetch_add(1, Relaxed);
                return false;
            }
            self.cpu.store(ctx.cpu().as_u32(), Relaxed);
            self.hard.fetch_add(1, Full);
            self.hard_gate.pass(|free| {
                spin_until(free);
            });
            true
        }

        fn thread(&self, task: Task<'_>) -> IrqReturn {
            task.sleep(Delta::from_micros(10));
            if KBox::new([0u8; 8192], GFP_KERNEL).is_err() {
                self.wrong.fetch_add(1, Relaxed);
            }
            self.thread.fetch_add(1, Full);
            self.thread_gate.pass(|free| {
                until(free);
            });
            IrqReturn::Handled
        }
    }

    /// The handlers of a [`Scene`].
    struct Hand(Arc<Scene>);

    impl Drop for Hand {
        fn drop(&mut self) {
            self.0.dropped.fetch_add(1, Full);
        }
    }

    impl Handler for Hand {
        fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> IrqReturn {
            run.items(1);
            if self.0.hard(ctx) {
                IrqReturn::Handled
            } else {
                IrqReturn::None
            }
        }
    }

    impl ThreadedHandler for Hand {
        fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> ThreadedIrqReturn {
            if self.0.hard(ctx) {
                self.0.answer
            } else {
                ThreadedIrqReturn::None
            }
        }

        fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
            run.items(1);
            self.0.thread(task)
        }
    }

    impl ThreadHandler for Hand {
        fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
            // The line is masked; the device is silenced here.
            if self.0.edu.acknowledge() == 0 {
                return IrqReturn::None;
            }
            self.0.thread(task)
        }
    }

    /// A device with its vectors, and paths to count on.
    struct Bench {
        books: Books,
        hard: Arc<Path>,
        thread: Arc<Path>,
        vectors: Arc<Vectors>,
        edu: Arc<Edu>,
    }

    impl Bench {
        fn new(device: &CStr, kind: IrqType) -> Result<Self> {
            let edu = Edu::get()?;
            let books = Books::new(device)?;

            books.set.set_timing(true);
            Ok(Self {
                hard: books.path(Kind::HardIrq)?,
                thread: books.path(Kind::Thread)?,
                books,
                vectors: Vectors::new(edu.bound(), 1, 1, IrqTypes::default().with(kind))?,
                edu,
            })
        }

        fn scene(&self, answer: ThreadedIrqReturn) -> Result<Arc<Scene>> {
            Scene::new(&self.edu, answer)
        }

        fn request(&self) -> Result<Request<'_>> {
            Request::new(self.edu.bound(), &self.vectors, 0, c"irqkit_kunit")
        }

        fn plain(&self, scene: &Arc<Scene>) -> Result<Registration<Plain<Hand>>> {
            self.request()?
                .plain(self.hard.clone(), Hand(scene.clone()))
        }

        fn threaded(&self, scene: &Arc<Scene>) -> Result<Registration<Threaded<Hand>>> {
            self.request()?
                .threaded(self.hard.clone(), self.thread.clone(), Hand(scene.clone()))
        }

        /// Returns what must be 0: handlers beside themselves or in another context than promised.
        fn faults(&self) -> Result<u64> {
            let hard = self
                .books
                .stats("hardirq", ["overlap", "context_mismatch"])?;
            let thread = self
                .books
                .stats("thread", ["overlap", "context_mismatch"])?;

            Ok(hard.into_iter().sum::<u64>() + thread.into_iter().sum::<u64>())
        }
    }

    /// Moves the interrupt of `line` to `cpu`. It arrives there after an interrupt or more: chips
    /// may move it only when one comes, and x86 not before it has cleaned up after the last move.
    fn move_to(line: &Line, scene: &Scene, cpu: CpuId) -> Result<bool> {
        Task::with(|task| line.set_affinity_and_hint(task, CpuList::new([cpu])?))??;

        Ok(until(|| {
            scene.raise() && scene.cpu.load(Relaxed) == cpu.as_u32()
        }))
    }

    /// Waits until `cpu` has taken all interrupts that were sent to it so far.
    fn flush(cpu: CpuId) -> Result {
        on_cpus(&[cpu], |_| ())
    }

    #[test]
    fn plain_handler_is_called_for_each_interrupt() -> Result {
        let bench = Bench::new(c"plain", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;
        let arrived = (0..100).filter(|_| scene.raise()).count();
        let number = irq.irq();

        drop(irq);
        let stats = bench.books.stats(
            "hardirq",
            [
                "scheduled",
                "runs",
                "handled",
                "wake_thread",
                "none",
                "items",
                "coalesced",
            ],
        )?;
        let faults = bench.faults()?;
        let dropped = scene.dropped.load(Relaxed);
        drop(bench);

        assert!(number > 0);
        assert_eq!(arrived, 100);
        assert_eq!(stats, [100, 100, 100, 0, 0, 100, 0]);
        assert_eq!(faults, 0);
        assert_eq!(dropped, 1);
        Ok(())
    }

    #[test]
    fn thread_may_sleep_and_balances() -> Result {
        let bench = Bench::new(c"threaded", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;
        let irq = bench.threaded(&scene)?;
        let arrived = (0..100).filter(|_| scene.raise()).count() as u64;
        let served = until(|| scene.thread.load(Relaxed) > 0);

        drop(irq);
        let hard = bench
            .books
            .stats("hardirq", ["runs", "handled", "wake_thread", "none"])?;
        let [scheduled, runs, coalesced, cancelled] = bench
            .books
            .stats("thread", ["scheduled", "runs", "coalesced", "cancelled"])?;
        let waits = bench.books.read("thread/wait_ns")?;
        let faults = bench.faults()?;
        drop(bench);

        assert_eq!(arrived, 100);
        assert!(served);
        assert_eq!(hard, [100, 0, 100, 0]);
        assert_eq!(scheduled, 100);
        assert_eq!(scheduled, runs + coalesced + cancelled);
        assert_eq!(runs, scene.thread.load(Relaxed));
        assert_eq!(crate::support::file::value(&waits, "count"), Some(runs));
        assert_eq!(scene.wrong.load(Relaxed), 0);
        assert_eq!(faults, 0);
        Ok(())
    }

    /// `IRQF_ONESHOT` without a primary handler, on a level triggered line: it stays masked until the
    /// thread has silenced the device, or this would be a storm.
    #[test]
    fn thread_only_on_a_level_triggered_line() -> Result {
        let bench = Bench::new(c"oneshot", IrqType::Intx)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench
            .request()?
            .thread_only(bench.thread.clone(), Hand(scene.clone()))?;
        let mut arrived = 0;

        for i in 1..=30 {
            scene.edu.raise(1);
            arrived += u64::from(until(|| scene.thread.load(Relaxed) == i));
        }
        let shared = irq.is_shared();
        drop(irq);
        let runs = bench
            .books
            .stats("thread", ["scheduled", "runs", "cancelled"])?;
        let faults = bench.faults()?;
        drop(bench);

        assert!(shared);
        assert_eq!(arrived, 30);
        assert_eq!(runs, [30, 30, 0]);
        assert_eq!(faults, 0);
        Ok(())
    }

    #[test]
    fn oneshot_is_for_threads() -> Result {
        let bench = Bench::new(c"oneshot2", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;
        let plain = bench
            .request()?
            .oneshot()
            .plain(bench.hard.clone(), Hand(scene.clone()))
            .map(drop);
        let threaded = bench.request()?.oneshot().threaded(
            bench.hard.clone(),
            bench.thread.clone(),
            Hand(scene.clone()),
        )?;
        let arrived = (0..10).filter(|_| scene.raise()).count();

        drop(threaded);
        let faults = bench.faults()?;
        drop(bench);

        assert_eq!(plain, Err(EINVAL));
        assert_eq!(arrived, 10);
        assert_eq!(faults, 0);
        Ok(())
    }

    #[test]
    fn conflicting_requests_get_ebusy() -> Result {
        let bench = Bench::new(c"busy", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let first = bench.plain(&scene)?;
        let second = bench.plain(&scene).map(drop);
        let sharing = bench
            .request()?
            .shared(true)
            .plain(bench.hard.clone(), Hand(scene.clone()))
            .map(drop);
        // The refused ones have left no trace.
        let works = scene.raise();
        let dropped = scene.dropped.load(Relaxed);
        drop(first);
        let again = bench.plain(&scene)?;
        let still_works = scene.raise();
        drop(again);
        let no_vector = Request::new(bench.edu.bound(), &bench.vectors, 1, c"x").map(drop);
        drop(bench);

        assert_eq!(second, Err(EBUSY));
        assert_eq!(sharing, Err(EBUSY));
        assert!(works && still_works);
        assert_eq!(dropped, 2);
        assert_eq!(no_vector, Err(EINVAL));
        Ok(())
    }

    #[test]
    fn shared_line_asks_all_its_users() -> Result {
        let bench = Bench::new(c"shared", IrqType::Intx)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let one = bench.plain(&scene)?;
        let other = bench.plain(&scene)?;
        let alone = bench
            .request()?
            .shared(false)
            .plain(bench.hard.clone(), Hand(scene.clone()))
            .map(drop);
        let masked = bench
            .request()?
            .thread_only(bench.thread.clone(), Hand(scene.clone()))
            .map(drop);
        let mut arrived = 0;
        for _ in 0..50 {
            let raised = scene.raise();
            // The next one only after both have looked at this one.
            Task::with(|task| one.synchronize(task))??;
            arrived += u64::from(raised);
        }
        let hint = Task::with(|task| one.set_affinity_and_hint(task, CpuList::new([])?))?;

        drop((one, other));
        let [runs, handled, none] = bench.books.stats("hardirq", ["runs", "handled", "none"])?;
        drop(bench);

        assert_eq!(alone, Err(EBUSY));
        assert_eq!(masked, Err(EBUSY));
        assert_eq!(arrived, 50);
        assert_eq!(handled, 50);
        // Whoever comes second finds the device acknowledged.
        assert!(none >= 50);
        assert_eq!(runs, handled + none);
        assert_eq!(hint, Err(EOPNOTSUPP));
        Ok(())
    }

    #[test]
    fn affinity_round_trip() -> Result {
        let bench = Bench::new(c"affinity", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;
        let mut wrong = 0;

        let cpus = online_cpus()?;
        for &cpu in cpus.iter().cycle().take(2 * cpus.len()) {
            let moved = move_to(&irq, &scene, cpu)?;
            let (set, effective) =
                Task::with(|task| (irq.affinity(task), irq.effective_affinity(task)))?;
            let expected = CString::try_from_fmt(fmt!("{}", cpu.as_u32()))?;
            let shown = CString::try_from_fmt(fmt!("{}", effective?))?;

            if !moved || !set?.contains(cpu) || *shown != *expected {
                wrong += 1;
            }
        }
        let empty = Task::with(|task| irq.set_affinity_and_hint(task, CpuList::new([])?))?;
        let hint = Task::with(|task| irq.update_affinity_hint(task, None))?;
        drop((irq, bench));

        assert_eq!(wrong, 0);
        assert_eq!(empty, Err(EINVAL));
        assert_eq!(hint, Ok(()));
        Ok(())
    }

    #[test]
    fn disable_waits_for_a_running_handler() -> Result {
        let bench = Bench::new(c"disable", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;
        let (here, there) = two_cpus()?;
        let moved = move_to(&irq, &scene, there)?;

        let results = on_cpu(here, || -> Result<_> {
            scene.hard_gate.close();
            scene.edu.raise(1);
            let entered = scene.hard_gate.has_entered();

            let nosync = irq.disable_nosync()?;
            let inside = !scene.hard_gate.has_left();
            scene.hard_gate.release();
            let guard = Task::with(|task| irq.disable(task).map(|_| scene.hard_gate.has_left()))??;
            drop(nosync);
            Ok((entered, inside, guard))
        })??;
        let enabled = scene.raise();
        drop((irq, bench));

        assert!(moved);
        // It went in; disable_nosync() left it there; disable() saw it out.
        assert_eq!(results, (true, true, true));
        assert!(enabled);
        Ok(())
    }

    #[test]
    fn synchronize_waits_for_handler_and_thread() -> Result {
        let bench = Bench::new(c"synchronize", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;
        let irq = bench.threaded(&scene)?;
        let (here, there) = two_cpus()?;
        let moved = move_to(&irq, &scene, there)?;

        let hard = on_cpu(here, || -> Result<_> {
            scene.hard_gate.close();
            scene.edu.raise(1);
            let entered = scene.hard_gate.has_entered();
            scene.hard_gate.release();
            Task::with(|task| irq.synchronize(task))??;
            Ok((entered, scene.hard_gate.has_left()))
        })??;
        let thread = on_cpu(here, || -> Result<_> {
            scene.thread_gate.close();
            scene.edu.raise(1);
            let entered = scene.thread_gate.has_entered();
            scene.thread_gate.release();
            Task::with(|task| irq.synchronize(task))??;
            Ok((entered, scene.thread_gate.has_left()))
        })??;
        drop((irq, bench));

        assert!(moved);
        assert_eq!(hard, (true, true));
        assert_eq!(thread, (true, true));
        Ok(())
    }

    #[test]
    fn guards_nest_and_what_came_meanwhile_arrives() -> Result {
        let bench = Bench::new(c"nest", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;
        let (_, there) = two_cpus()?;
        let moved = move_to(&irq, &scene, there)?;
        let before = scene.hard.load(Relaxed);

        let outer = Task::with(|task| irq.disable(task))??;
        let inner = irq.disable_nosync()?;
        scene.edu.raise(1);
        flush(there)?;
        let disabled_twice = scene.hard.load(Relaxed) - before;
        drop(outer);
        scene.edu.raise(2);
        flush(there)?;
        let disabled_once = scene.hard.load(Relaxed) - before;
        let raised = scene.edu.causes();
        drop(inner);
        let delivered = until(|| scene.hard.load(Relaxed) == before + 1);
        let works = scene.raise();
        drop((irq, bench));

        assert!(moved);
        assert_eq!((disabled_twice, disabled_once), (0, 0));
        assert_eq!(raised, 3);
        assert!(delivered);
        assert!(works);
        Ok(())
    }

    /// The interrupt stays disabled from the hard handler until the thread is done.
    #[test]
    fn masked_until_the_thread_is_done() -> Result {
        let bench = Bench::new(c"masked", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThreadMasked)?;
        let irq = bench.threaded(&scene)?;
        let (_, there) = two_cpus()?;
        let moved = move_to(&irq, &scene, there)?;
        let idle = Task::with(|task| irq.synchronize(task))?;

        scene.thread_gate.close();
        let first = scene.raise();
        let entered = scene.thread_gate.has_entered();
        let before = scene.hard.load(Relaxed);
        scene.edu.raise(1);
        flush(there)?;
        let meanwhile = scene.hard.load(Relaxed) - before;
        scene.thread_gate.release();
        let after = until(|| scene.hard.load(Relaxed) == before + 1);
        drop(irq);
        let [scheduled, runs, coalesced, cancelled] = bench
            .books
            .stats("thread", ["scheduled", "runs", "coalesced", "cancelled"])?;

        // What is masked when the registration ends is not so for the next one.
        let next = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&next)?;
        let works = next.raise();
        drop((irq, bench));

        assert!(moved);
        assert_eq!(idle, Ok(()));
        assert!(first && entered);
        assert_eq!(meanwhile, 0);
        assert!(after);
        assert_eq!(scheduled, runs + coalesced + cancelled);
        assert!(works);
        Ok(())
    }

    #[test]
    fn drop_waits_for_handler_and_thread() -> Result {
        let bench = Bench::new(c"drop", IrqType::Msi)?;
        let (here, there) = two_cpus()?;
        let mut results = [(false, false); 2];

        for (i, result) in results.iter_mut().enumerate() {
            let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;
            let irq = bench.threaded(&scene)?;
            let gate = if i == 0 {
                &scene.hard_gate
            } else {
                &scene.thread_gate
            };
            let moved = move_to(&irq, &scene, there)?;

            *result = on_cpu(here, || {
                gate.close();
                scene.edu.raise(1);
                let entered = moved && gate.has_entered();
                gate.release();
                drop(irq);
                (entered, gate.has_left() && scene.dropped.load(Acquire) == 1)
            })?;
        }
        let [scheduled, runs, coalesced, cancelled] = bench
            .books
            .stats("thread", ["scheduled", "runs", "coalesced", "cancelled"])?;
        drop(bench);

        assert_eq!(results, [(true, true); 2]);
        assert_eq!(scheduled, runs + coalesced + cancelled);
        Ok(())
    }

    #[test]
    fn forgotten_guards_end_with_the_registration() -> Result {
        let bench = Bench::new(c"forget", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;

        forget(irq.disable_nosync()?);
        forget(Task::with(|task| irq.disable(task))??);
        let line = irq.line().clone();
        drop(irq);
        // The line may be someone else's now, and is left alone.
        let late = (
            line.disable_nosync().map(drop),
            Task::with(|task| line.synchronize(task))?,
            Task::with(|task| line.affinity(task).map(drop))?,
        );

        let next = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&next)?;
        let works = next.raise();
        drop((irq, bench));

        assert_eq!(late, (Err(ENODEV), Err(ENODEV), Err(ENODEV)));
        assert!(works);
        Ok(())
    }

    /// A registration that is leaked goes on, keeps the line, and ends when the device is unbound.
    #[test]
    fn forgotten_registration_ends_with_the_binding() -> Result {
        let bench = Bench::new(c"leak", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;

        forget(bench.threaded(&scene)?);
        let works = scene.raise();
        let taken = bench.plain(&scene).map(drop);
        let before = scene.dropped.load(Relaxed);
        let Bench {
            books,
            vectors,
            edu,
            ..
        } = bench;
        drop(vectors);
        rebind(edu)?;
        let dropped = scene.dropped.load(Relaxed) - before;
        let [scheduled, runs, coalesced, cancelled] =
            books.stats("thread", ["scheduled", "runs", "coalesced", "cancelled"])?;
        drop((books, scene));

        let bench = Bench::new(c"leak2", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;
        let again = scene.raise();
        drop((irq, bench));

        assert!(works);
        assert_eq!(taken, Err(EBUSY));
        // The leaked handler, not the one that was refused.
        assert_eq!(dropped, 1);
        assert_eq!(scheduled, runs + coalesced + cancelled);
        assert!(again);
        Ok(())
    }

    /// The thread can't wait for itself.
    #[test]
    fn waiting_for_oneself_is_refused() -> Result {
        /// Tries, and notes what came of it.
        struct Narcissus {
            edu: Arc<Edu>,
            line: Arc<SetOnce<Arc<Line>>>,
            answer: Arc<Atomic<u64>>,
        }

        impl ThreadHandler for Narcissus {
            fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
                if self.edu.acknowledge() == 0 {
                    return IrqReturn::None;
                }
                let refused = SetOnce::as_ref(&self.line).is_some_and(|line| {
                    line.synchronize(task) == Err(EDEADLK)
                        && line.disable(task).map(drop) == Err(EDEADLK)
                });
                self.answer.store(if refused { 1 } else { 2 }, Release);
                IrqReturn::Handled
            }
        }

        let bench = Bench::new(c"self", IrqType::Msi)?;
        let answer = Arc::new(Atomic::<u64>::new(0), GFP_KERNEL)?;
        let line = Arc::new(SetOnce::new(), GFP_KERNEL)?;

        bench.edu.acknowledge();
        let irq = bench.request()?.thread_only(
            bench.thread.clone(),
            Narcissus {
                edu: bench.edu.clone(),
                line: line.clone(),
                answer: answer.clone(),
            },
        )?;
        line.populate(irq.line().clone());
        bench.edu.raise(1);
        let answered = until(|| answer.load(Acquire) != 0);
        drop((irq, bench));

        assert!(answered);
        assert_eq!(answer.load(Relaxed), 1);
        Ok(())
    }
}
