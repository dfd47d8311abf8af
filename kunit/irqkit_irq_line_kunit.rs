// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: what can be done with a registered interrupt, on a real PCI device
//! ([`irqkit::irq`]).

use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/scene.rs"]
mod scene;
#[path = "support/mod.rs"]
mod support;

module! {
    type: edu::Module,
    name: "irqkit_irq_line_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: what can be done with an interrupt line",
    license: "GPL",
}

#[kunit_tests(irqkit_irq_line)]
mod tests {
    use core::mem::forget;

    use kernel::{
        pci::IrqType,
        prelude::*,
        str::CString,
        sync::{
            atomic::{
                Acquire,
                Atomic,
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
            HardIrq,
            Task, //
        },
        irq::{
            CpuList,
            IrqReturn,
            Line,
            ThreadHandler,
            ThreadedHandler,
            ThreadedIrqReturn, //
        },
        path::{
            Run,
            Stamp, //
        }, //
    };

    use crate::{
        edu::Edu,
        scene::{
            flush,
            move_to,
            Bench,
            Hand, //
        },
        support::{
            crew::on_cpu,
            file::value,
            online_cpus,
            two_cpus,
            until, //
        }, //
    };

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

    /// Woken by others than its hard handler, the thread runs as ever, and its books balance.
    #[test]
    fn thread_is_woken_by_others() -> Result {
        let bench = Bench::new(c"wake", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;
        let request = bench.request()?;
        let line = request.line().clone();
        let early = line.wake_thread(Stamp::now());
        let irq = request.threaded(
            bench.hard.clone(),
            bench.thread.clone(),
            Hand(scene.clone()),
        )?;
        let same = core::ptr::eq(&raw const **irq.line(), &raw const *line);

        scene.thread_gate.close();
        let first = line.wake_thread(Stamp::now());
        let entered = scene.thread_gate.has_entered();
        // While it runs one request is kept; the hard handler's is served by the same run.
        let during = [
            line.wake_thread(Stamp::now()),
            line.wake_thread(Stamp::now()),
        ];
        let raised = scene.raise();
        scene.thread_gate.release();
        let served = until(|| scene.thread.load(Relaxed) == 2);
        Task::with(|task| line.synchronize(task))??;
        drop(irq);
        let late = line.wake_thread(Stamp::now());
        let hard = bench.books.stats("hardirq", ["runs", "wake_thread"])?;
        let thread = bench
            .books
            .stats("thread", ["scheduled", "runs", "coalesced", "cancelled"])?;
        let waits = bench.books.read("thread/wait_ns")?;
        let faults = bench.faults()?;
        drop(bench);

        assert_eq!((early, late), (Err(ENODEV), Err(ENODEV)));
        assert!(same && entered && raised && served);
        assert_eq!((first, during), (Ok(true), [Ok(true), Ok(false)]));
        assert_eq!(hard, [1, 1]);
        assert_eq!(thread, [4, 2, 2, 0]);
        assert_eq!(value(&waits, "count"), Some(2));
        assert_eq!(faults, 0);
        Ok(())
    }

    /// Not what has no thread, nor a thread whose requests the kernel alone makes, nor one on a shared
    /// line that stays masked until it has run.
    #[test]
    fn waking_needs_a_thread() -> Result {
        let bench = Bench::new(c"nothread", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let plain = bench.plain(&scene)?;
        let of_plain = plain.wake_thread(Stamp::now());
        drop(plain);
        let alone = bench
            .request()?
            .thread_only(bench.thread.clone(), Hand(scene.clone()))?;
        let of_alone = alone.wake_thread(Stamp::now());
        drop(alone);
        let masked = bench.request()?.shared(true).oneshot().threaded(
            bench.hard.clone(),
            bench.thread.clone(),
            Hand(scene.clone()),
        )?;
        let of_masked = masked.wake_thread(Stamp::now());
        drop((masked, bench));

        assert_eq!([of_plain, of_alone, of_masked], [Err(EOPNOTSUPP); 3]);
        assert_eq!(scene.thread.load(Relaxed), 0);
        Ok(())
    }

    /// On a line with several users it is one's own.
    #[test]
    fn neighbours_thread_is_not_woken() -> Result {
        let bench = Bench::new(c"neighbours", IrqType::Intx)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;
        let neighbour = bench.scene(ThreadedIrqReturn::WakeThread)?;
        let (one, other) = (bench.threaded(&neighbour)?, bench.threaded(&scene)?);

        let woken = other.wake_thread(Stamp::now());
        let served = until(|| scene.thread.load(Relaxed) == 1);
        drop((one, other, bench));

        assert_eq!(woken, Ok(true));
        assert!(served);
        assert_eq!(neighbour.thread.load(Relaxed), 0);
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

    /// A line that others share goes on for them.
    #[test]
    fn forgotten_guards_do_not_outlast_the_registration_on_a_shared_line() -> Result {
        let bench = Bench::new(c"forgetful", IrqType::Intx)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let leaving = bench.plain(&scene)?;
        let staying = bench.plain(&scene)?;

        forget(leaving.disable_nosync()?);
        forget(leaving.disable_nosync()?);
        let before = scene.hard.load(Relaxed);
        bench.edu.raise(1);
        Task::with(|task| task.sleep(Delta::from_millis(20)))?;
        let meanwhile = scene.hard.load(Relaxed) - before;
        drop(leaving);
        let delivered = until(|| scene.hard.load(Relaxed) > before);
        let works = scene.raise();
        drop((staying, bench));

        assert_eq!(meanwhile, 0);
        assert!(delivered);
        assert!(works);
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

    /// Whoever waits for another user of the line waits for the threads of all of them.
    #[test]
    fn waiting_for_a_neighbour_on_the_line_is_refused() -> Result {
        /// Tries, and notes what came of it.
        struct Neighbour {
            edu: Arc<Edu>,
            line: Arc<SetOnce<Arc<Line>>>,
            answer: Arc<Atomic<u64>>,
        }

        impl ThreadedHandler for Neighbour {
            fn handle(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> ThreadedIrqReturn {
                match self.edu.acknowledge() {
                    0 => ThreadedIrqReturn::None,
                    _ => ThreadedIrqReturn::WakeThread,
                }
            }

            fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
                let refused = SetOnce::as_ref(&self.line).is_some_and(|line| {
                    line.synchronize(task) == Err(EDEADLK)
                        && line.disable(task).map(drop) == Err(EDEADLK)
                        && line.disable_nosync().is_ok()
                });
                self.answer.store(if refused { 1 } else { 2 }, Release);
                IrqReturn::Handled
            }
        }

        let bench = Bench::new(c"neighbour", IrqType::Intx)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let answer = Arc::new(Atomic::<u64>::new(0), GFP_KERNEL)?;
        let line = Arc::new(SetOnce::new(), GFP_KERNEL)?;

        // It is asked before the other one, and acknowledges.
        let irq = bench.request()?.threaded(
            bench.hard.clone(),
            bench.thread.clone(),
            Neighbour {
                edu: bench.edu.clone(),
                line: line.clone(),
                answer: answer.clone(),
            },
        )?;
        let other = bench.plain(&scene)?;
        line.populate(other.line().clone());
        bench.edu.raise(1);
        let answered = until(|| answer.load(Acquire) != 0);
        // Elsewhere it is as it was.
        let elsewhere = Task::with(|task| (other.synchronize(task), irq.synchronize(task)))?;
        drop((irq, other, bench));

        assert!(answered);
        assert_eq!(answer.load(Relaxed), 1);
        assert_eq!(elsewhere, (Ok(()), Ok(())));
        Ok(())
    }
}
