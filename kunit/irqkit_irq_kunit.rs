// SPDX-License-Identifier: GPL-2.0
// lab-expect-dmesg: genirq: Flags mismatch
// lab-want-dmesg: 1 genirq: Flags mismatch irq [0-9]+\. 00000088 \(irqkit_kunit\) vs\. 00000084
// lab-want-dmesg: 1 genirq: Flags mismatch irq [0-9]+\. 00000081 \(irqkit_kunit\) vs\. 00000084
// lab-want-dmesg: 1 genirq: Flags mismatch irq [0-9]+\. 00000082 \(irqkit_kunit\) vs\. 00000084

//! KUnit suite: interrupts and their registration, on a real PCI device ([`irqkit::irq`]).

use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/scene.rs"]
mod scene;
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
    use core::mem::ManuallyDrop;

    use kernel::{
        pci::{
            IrqType,
            IrqTypes, //
        },
        prelude::*,
        sync::atomic::{
            Acquire,
            Relaxed, //
        }, //
    };

    use irqkit::{
        context::Task,
        irq::{
            CpuList,
            Request,
            ThreadedIrqReturn,
            Trigger,
            Vectors, //
        }, //
    };

    use crate::{
        edu::rebind,
        scene::{
            move_to,
            Bench,
            Hand, //
        },
        support::{
            crew::on_cpu,
            file::value,
            two_cpus,
            until, //
        }, //
    };

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
        assert_eq!(value(&waits, "count"), Some(runs));
        assert_eq!(scene.wrong.load(Relaxed), 0);
        assert_eq!(faults, 0);
        Ok(())
    }

    /// `IRQF_ONESHOT` without a primary handler, on a level triggered line: it stays masked until
    /// the thread has silenced the device, or this would be a storm.
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

    /// A function has its vectors once: asked for more the core would say that the pin is free, and
    /// giving that back would free the messages under their handlers.
    #[test]
    fn vectors_are_there_once() -> Result {
        let bench = Bench::new(c"once", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let irq = bench.plain(&scene)?;
        let again = |types| Vectors::new(bench.edu.bound(), 1, 1, types).map(drop);
        let refused = [again(IrqTypes::all()), again(pin())];
        let works = scene.raise();

        // They live as long as a registration on them.
        let Bench {
            books,
            vectors,
            edu,
            ..
        } = bench;
        drop(vectors);
        let held = Vectors::new(edu.bound(), 1, 1, pin()).map(drop);
        let still_works = scene.raise();
        drop(irq);
        let free = Vectors::new(edu.bound(), 1, 1, pin()).map(drop);
        drop((books, edu));

        assert_eq!(refused, [Err(EBUSY); 2]);
        assert_eq!(held, Err(EBUSY));
        assert!(works && still_works);
        assert_eq!(free, Ok(()));
        Ok(())
    }

    fn pin() -> IrqTypes {
        IrqTypes::default().with(IrqType::Intx)
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

    /// The users of a line must agree on what triggers it, and the kernel's log says what each has
    /// asked for; the lines above want that. (QEMU's INTx lines are high when they are up; the chip
    /// does not ask.)
    #[test]
    fn trigger_is_what_the_kernel_is_told() -> Result {
        let bench = Bench::new(c"trigger", IrqType::Intx)?;
        let scene = bench.scene(ThreadedIrqReturn::Handled)?;
        let register = |trigger| {
            bench
                .request()?
                .trigger(trigger)
                .plain(bench.hard.clone(), Hand(scene.clone()))
        };

        let first = register(Trigger::High)?;
        let works = scene.raise();
        let others = [Trigger::Low, Trigger::Rising, Trigger::Falling]
            .map(|trigger| register(trigger).map(drop));
        let still_works = scene.raise();
        drop((first, bench));

        assert!(works && still_works);
        assert_eq!(others, [Err(EBUSY); 3]);
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

    /// A registration that is leaked goes on, keeps the line, and ends when the device is unbound.
    #[test]
    fn forgotten_registration_ends_with_the_binding() -> Result {
        let bench = Bench::new(c"leak", IrqType::Msi)?;
        let scene = bench.scene(ThreadedIrqReturn::WakeThread)?;

        let mut leaked = ManuallyDrop::new(bench.threaded(&scene)?);
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
        // SAFETY: It is not used any more. To come so late has no effect but to free the handle.
        unsafe { ManuallyDrop::drop(&mut leaked) };

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
}
