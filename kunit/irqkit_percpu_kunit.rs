// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: per-CPU values and counters ([`irqkit::percpu`]).

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_percpu_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's per-CPU values",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_percpu)]
mod tests {
    use core::mem::align_of;

    use kernel::{
        cpu::CpuId,
        error::to_result,
        prelude::*,
        processor::cpu_relax,
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Full,
                Relaxed,
                Release, //
            },
            Arc, //
        }, //
    };

    use irqkit::{
        context::{
            Atomic as _,
            SoftIrq, //
        },
        path::{
            Kind,
            Run,
            Stamp, //
        },
        percpu::{
            possible_cpus,
            Counters,
            PerCpu, //
        },
        tasklet::{
            State,
            Tasklet,
            TaskletHandler, //
        }, //
    };

    use crate::support::{
        books::Books,
        crew::on_cpus,
        hardirq,
        online_cpus,
        two_cpus,
        until, //
    };

    /// How many updates each thread makes.
    const UPDATES: u64 = 20_000;

    /// How many interrupts each thread sends to another CPU.
    const INTERRUPTS: u64 = 300;

    /// A whole number of cache lines, and more than the word size that everything is aligned to.
    #[repr(align(256))]
    struct Aligned(Atomic<u64>);

    /// The CPU after `cpu`, which gets its interrupts.
    fn next(cpus: &[CpuId], cpu: CpuId) -> CpuId {
        let at = cpus.iter().position(|c| c.as_u32() == cpu.as_u32());

        at.and_then(|at| cpus.get(at + 1))
            .or(cpus.first())
            .copied()
            .unwrap_or(cpu)
    }

    #[test]
    fn each_possible_cpu_has_its_own_value() -> Result {
        let mut values = PerCpu::new(GFP_KERNEL, |cpu| u64::from(cpu.as_u32()) + 100)?;
        let cpus = possible_cpus().count();
        let mut wrong = 0;

        for cpu in possible_cpus() {
            let expected = u64::from(cpu.as_u32()) + 100;
            if values.get(cpu) != Some(&expected) {
                wrong += 1;
            }
            if let Some(value) = values.get_mut(cpu) {
                *value += 1000;
            }
        }
        for (cpu, value) in values.iter() {
            if *value != u64::from(cpu.as_u32()) + 1100 {
                wrong += 1;
            }
        }
        let listed = values.iter().count();
        drop(values);

        assert!(cpus > 0);
        assert_eq!(listed, cpus);
        assert_eq!(wrong, 0);
        Ok(())
    }

    #[test]
    fn zeroed_is_zero() -> Result {
        let values = PerCpu::<[u64; 32]>::zeroed(GFP_KERNEL)?;
        let dirty = values.iter().filter(|(_, row)| **row != [0; 32]).count();
        drop(values);

        assert_eq!(dirty, 0);
        Ok(())
    }

    #[test]
    fn values_are_aligned_and_apart() -> Result {
        let values = PerCpu::new(GFP_KERNEL, |_| Aligned(Atomic::new(0)))?;
        let mut misaligned = 0;
        let mut shared = 0;

        for (cpu, value) in values.iter() {
            // CAST: An address, for arithmetic.
            let address = core::ptr::from_ref(value) as usize;

            if address % align_of::<Aligned>() != 0 {
                misaligned += 1;
            }
            // The CPUs of the others must not see this.
            value.0.store(u64::from(cpu.as_u32()) + 1, Relaxed);
            shared += values
                .iter()
                .filter(|(other, _)| other.as_u32() != cpu.as_u32())
                .filter(|(_, other)| other.0.load(Relaxed) == value.0.load(Relaxed))
                .count();
        }
        drop(values);

        assert_eq!(misaligned, 0);
        assert_eq!(shared, 0);
        Ok(())
    }

    #[test]
    fn drop_drops_each_value_once() -> Result {
        static DROPPED: Atomic<u64> = Atomic::new(0);

        struct Counted(#[expect(dead_code, reason = "gives it a size")] u64);

        impl Drop for Counted {
            fn drop(&mut self) {
                DROPPED.fetch_add(1, Relaxed);
            }
        }

        let before = DROPPED.load(Relaxed);
        let values = PerCpu::new(GFP_KERNEL, |_| Counted(1))?;
        let early = DROPPED.load(Relaxed) - before;
        drop(values);
        let dropped = DROPPED.load(Relaxed) - before;

        assert_eq!(early, 0);
        assert_eq!(dropped, possible_cpus().count() as u64);
        Ok(())
    }

    #[test]
    fn with_is_this_cpus_value() -> Result {
        let cpus = online_cpus()?;
        let values = PerCpu::new(GFP_KERNEL, |cpu| u64::from(cpu.as_u32()))?;
        let wrong = Atomic::<u64>::new(0);
        let right = Atomic::<u64>::new(0);

        on_cpus(&cpus, |cpu| {
            for _ in 0..1000 {
                let mine = u64::from(cpu.as_u32());
                let with = values
                    .with(|value| *value == mine && CpuId::current().as_u32() == cpu.as_u32());
                let off = values.with_irqs_off(|value| *value == mine);
                let counter = if with && off { &right } else { &wrong };

                counter.fetch_add(1, Relaxed);
            }
        })?;

        assert_eq!(wrong.load(Relaxed), 0);
        assert_eq!(right.load(Relaxed), 1000 * cpus.len() as u64);
        Ok(())
    }

    /// What the handler and the test share.
    struct Here {
        values: PerCpu<Atomic<u64>>,
        cpu: Atomic<u64>,
    }

    /// Adds 1 to the value of its CPU, and says where that was.
    struct Adder(Arc<Here>);

    impl TaskletHandler for Adder {
        fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
            self.0.values.here(ctx).fetch_add(1, Relaxed);
            self.0.cpu.store(u64::from(ctx.cpu().as_u32()), Release);
        }
    }

    /// A softirq has the value of the CPU that it runs on.
    #[test]
    fn here_is_this_cpus_value() -> Result {
        const NOWHERE: u64 = u64::MAX;

        let cpus = online_cpus()?;
        let books = Books::new(c"here")?;
        let path = books.path(Kind::Tasklet)?;
        let here = Arc::new(
            Here {
                values: PerCpu::new(GFP_KERNEL, |_| Atomic::new(0))?,
                cpu: Atomic::new(NOWHERE),
            },
            GFP_KERNEL,
        )?;
        let tasklet = KBox::pin_init(
            Tasklet::new(Adder(here.clone()), path, State::Enabled),
            GFP_KERNEL,
        )?;
        let mut wrong = 0;

        for &cpu in cpus.iter() {
            here.cpu.store(NOWHERE, Relaxed);
            hardirq::on_cpu(cpu, || {
                tasklet.schedule(Stamp::NONE);
            })?;
            let came = until(|| here.cpu.load(Acquire) == u64::from(cpu.as_u32()));
            wrong += u64::from(!came);
        }
        drop(tasklet);
        for (cpu, value) in here.values.iter() {
            let expected = u64::from(cpus.iter().any(|c| c.as_u32() == cpu.as_u32()));
            wrong += u64::from(value.load(Relaxed) != expected);
        }

        assert_eq!(wrong, 0);
        Ok(())
    }

    /// Threads add on all CPUs, and are interrupted by hard interrupts that add, too.
    #[test]
    fn no_increment_is_lost_between_contexts() -> Result {
        let cpus = online_cpus()?;
        let counters = Counters::<3>::new(GFP_KERNEL)?;
        let failed = Atomic::<u64>::new(0);

        on_cpus(&cpus, |cpu| {
            let to = next(&cpus, cpu);

            for i in 0..UPDATES {
                counters.add::<0>(1);
                counters.add::<2>(3);
                if i % (UPDATES / INTERRUPTS) == 0
                    && hardirq::on_cpu(to, || {
                        counters.add::<0>(1);
                        counters.add::<1>(1);
                    })
                    .is_err()
                {
                    failed.fetch_add(1, Relaxed);
                }
            }
        })?;

        let threads = cpus.len() as u64;
        let interrupts = threads * UPDATES.div_ceil(UPDATES / INTERRUPTS);
        let by_cpu: u64 = possible_cpus().map(|cpu| counters.on(cpu, 0)).sum();
        let [both, irq, three] = [0, 1, 2].map(|i| counters.sum(i));
        let none = counters.sum(3);
        drop(counters);

        assert_eq!(failed.load(Relaxed), 0);
        assert_eq!(both, threads * UPDATES + interrupts);
        assert_eq!(by_cpu, both);
        assert_eq!(irq, interrupts);
        assert_eq!(three, threads * UPDATES * 3);
        // There is no such counter.
        assert_eq!(none, 0);
        Ok(())
    }

    /// With interrupts off, a plain read, modify, write of the CPU's value is not interrupted.
    #[test]
    fn with_irqs_off_is_the_only_user() -> Result {
        let cpus = online_cpus()?;
        let values = PerCpu::new(GFP_KERNEL, |_| Atomic::<u64>::new(0))?;
        let interrupts = Atomic::<u64>::new(0);
        let update = |value: &Atomic<u64>| {
            let old = value.load(Relaxed);
            for _ in 0..20 {
                cpu_relax();
            }
            value.store(old + 1, Relaxed);
        };

        on_cpus(&cpus, |cpu| {
            let to = next(&cpus, cpu);

            for i in 0..UPDATES {
                values.with_irqs_off(update);
                if i % (UPDATES / INTERRUPTS) == 0
                    && hardirq::on_cpu(to, || values.with_irqs_off(update)).is_ok()
                {
                    interrupts.fetch_add(1, Full);
                }
            }
        })?;

        let sum: u64 = values.iter().map(|(_, value)| value.load(Relaxed)).sum();
        drop(values);

        assert_eq!(sum, UPDATES * cpus.len() as u64 + interrupts.load(Relaxed));
        Ok(())
    }

    /// What an offline CPU has counted is still there, and goes on when it is back.
    #[test]
    fn values_outlive_their_cpu() -> Result {
        let (_, cpu) = two_cpus()?;
        let counters = Counters::<1>::new(GFP_KERNEL)?;

        on_cpus(&[cpu], |_| counters.add::<0>(5))?;

        // SAFETY: The CPU is online; only these tests change that. This is a task.
        to_result(unsafe { kernel::bindings::remove_cpu(cpu.as_u32()) })?;
        let gone = online_cpus()?.iter().all(|c| c.as_u32() != cpu.as_u32());
        let offline = (counters.sum(0), counters.on(cpu, 0));
        let listed = possible_cpus().any(|c| c.as_u32() == cpu.as_u32());
        // SAFETY: As above.
        to_result(unsafe { kernel::bindings::add_cpu(cpu.as_u32()) })?;

        on_cpus(&[cpu], |_| counters.add::<0>(2))?;
        let back = (counters.sum(0), counters.on(cpu, 0));
        drop(counters);

        assert!(gone);
        assert!(listed);
        assert_eq!(offline, (5, 5));
        assert_eq!(back, (7, 7));
        Ok(())
    }

    #[test]
    fn atomic_allocation_in_hard_interrupt() -> Result {
        let (_, cpu) = two_cpus()?;
        let mut made = 0;

        // The per-CPU allocator keeps some memory ready, and is never to sleep here.
        hardirq::on_cpu(cpu, || {
            if let Ok(counters) = Counters::<1>::new(GFP_ATOMIC) {
                counters.add::<0>(1);
                made = counters.sum(0);
            }
        })?;

        assert_eq!(made, 1);
        Ok(())
    }
}
