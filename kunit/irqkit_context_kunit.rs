// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: execution contexts ([`irqkit::context`]).
//!
//! What a token promises is looked up in the kernel's own books, where the callback runs.

use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/mod.rs"]
mod support;

module! {
    type: edu::Module,
    name: "irqkit_context_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's execution contexts",
    license: "GPL",
}

#[kunit_tests(irqkit_context)]
mod tests {
    use kernel::{
        alloc::Flags,
        cpu::CpuId,
        interrupt::local_interrupt_disable,
        new_mutex,
        new_spinlock,
        pci::{
            IrqType,
            IrqTypes, //
        },
        prelude::*,
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Full,
                Relaxed,
                Release, //
            },
            new_spinlock_irq,
            rcu,
            Arc,
            Mutex,
            SpinLockIrq, //
        },
        time::Delta, //
    };

    use irqkit::{
        context::{
            is_here,
            Atomic as _,
            Context,
            HardIrq,
            SoftIrq,
            Task, //
        },
        irq::{
            CpuList,
            Handler,
            IrqReturn,
            Request,
            ThreadedHandler,
            ThreadedIrqReturn,
            Vectors, //
        },
        path::{
            Kind,
            Run,
            Stamp, //
        },
        percpu::{
            Counters,
            PerCpu, //
        },
        tasklet::{
            State,
            Tasklet,
            TaskletHandler, //
        }, //
    };

    use crate::{
        edu::Edu,
        support::{
            books::Books,
            crew::on_cpus,
            hardirq,
            online_cpus,
            two_cpus,
            until, //
        }, //
    };

    /// Which contexts the kernel says that this is.
    fn here() -> [bool; 3] {
        [
            is_here::<HardIrq<'_>>(),
            is_here::<SoftIrq<'_>>(),
            is_here::<Task<'_>>(),
        ]
    }

    const HARD: [bool; 3] = [true, false, false];
    const SOFT: [bool; 3] = [false, true, false];
    const TASK: [bool; 3] = [false, false, true];

    /// Memory of the size of a page or two, with the flags that the context gives.
    fn allocate<C: Context>(ctx: C) -> bool {
        KBox::new([1u8; 6000], ctx.alloc_flags()).is_ok_and(|bytes| bytes.iter().all(|b| *b == 1))
    }

    fn flags_of<C: Context>(ctx: C, expected: Flags) -> bool {
        ctx.alloc_flags() == expected
    }

    /// What a callback has seen.
    #[derive(Default)]
    struct Seen {
        calls: AtomicU64,
        wrong: AtomicU64,
    }

    /// [`Atomic`] with a default.
    struct AtomicU64(Atomic<u64>);

    impl Default for AtomicU64 {
        fn default() -> Self {
            Self(Atomic::new(0))
        }
    }

    impl Seen {
        fn new() -> Result<Arc<Self>> {
            Ok(Arc::new(Self::default(), GFP_KERNEL)?)
        }

        fn call(&self, right: bool) {
            if !right {
                self.wrong.0.fetch_add(1, Relaxed);
            }
            self.calls.0.fetch_add(1, Full);
        }

        fn calls(&self) -> u64 {
            self.calls.0.load(Acquire)
        }

        fn wrong(&self) -> u64 {
            self.wrong.0.load(Acquire)
        }
    }

    /// What may be done without sleeping: lock a spinlock, count, and use this CPU's value.
    #[pin_data]
    struct Ledger {
        #[pin]
        total: SpinLockIrq<u64>,
        counters: Counters<1>,
        own: PerCpu<Atomic<u64>>,
    }

    impl Ledger {
        fn new() -> Result<Arc<Self>> {
            let counters = Counters::new(GFP_KERNEL)?;
            let own = PerCpu::new(GFP_KERNEL, |_| Atomic::new(0))?;

            Arc::pin_init(
                pin_init!(Self {
                    total <- new_spinlock_irq!(0),
                    counters,
                    own,
                }),
                GFP_KERNEL,
            )
        }

        /// Not for a context that stays hard on PREEMPT_RT, where this lock sleeps, as the hard half
        /// of a handler that is `IRQF_ONESHOT`.
        fn note(&self) {
            *self.total.lock() += 1;
            self.count();
        }

        /// May be called from any context.
        fn count(&self) {
            self.counters.add::<0>(1);
            self.own
                .with_irqs_off(|own| own.store(own.load(Relaxed) + 1, Relaxed));
        }

        fn noted(&self) -> u64 {
            *self.total.lock()
        }

        /// Returns what was counted, in two ways.
        fn counted(&self) -> [u64; 2] {
            [
                self.counters.sum(0),
                self.own.iter().map(|(_, own)| own.load(Relaxed)).sum(),
            ]
        }
    }

    /// Looks around in a tasklet.
    struct InTasklet {
        seen: Arc<Seen>,
        cpu: Arc<Atomic<u64>>,
    }

    impl TaskletHandler for InTasklet {
        fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
            let refused = Task::with(|_| ()) == Err(EDEADLK);
            let on = u64::from(ctx.cpu().as_u32());

            self.seen.call(
                here() == SOFT
                    && refused
                    && flags_of(ctx, GFP_ATOMIC)
                    && allocate(ctx)
                    && on == self.cpu.load(Acquire)
                    && on == u64::from(CpuId::current().as_u32()),
            );
        }
    }

    #[test]
    fn tasklets_run_in_softirq_context() -> Result {
        let books = Books::new(c"softirq")?;
        let normal = books.path(Kind::Tasklet)?;
        let high = books.path(Kind::TaskletHi)?;
        let seen = Seen::new()?;
        let on = Arc::new(Atomic::<u64>::new(0), GFP_KERNEL)?;
        let mut tasklets = KVec::new();

        books.set.set_timing(true);
        for path in [&normal, &high] {
            let handler = InTasklet {
                seen: seen.clone(),
                cpu: on.clone(),
            };
            tasklets.push(
                KBox::pin_init(
                    Tasklet::new(handler, path.clone(), State::Enabled),
                    GFP_KERNEL,
                )?,
                GFP_KERNEL,
            )?;
        }
        let cpus = online_cpus()?;
        for cpu in &cpus {
            on.store(u64::from(cpu.as_u32()), Release);
            let before = seen.calls();
            hardirq::on_cpu(*cpu, || {
                for (i, tasklet) in tasklets.iter().enumerate() {
                    if i == 0 {
                        tasklet.schedule(Stamp::NONE);
                    } else {
                        tasklet.schedule_hi(Stamp::NONE);
                    }
                }
            })?;
            until(|| seen.calls() == before + 2);
        }
        drop(tasklets);
        let mismatches =
            books.stat("tasklet.context_mismatch")? + books.stat("tasklet_hi.context_mismatch")?;
        drop(books);

        assert_eq!(seen.calls(), 2 * cpus.len() as u64);
        assert_eq!(seen.wrong(), 0);
        assert_eq!(mismatches, 0);
        Ok(())
    }

    /// Looks around in a hard handler and in its thread.
    #[pin_data]
    struct InInterrupt {
        edu: Arc<Edu>,
        hard: Arc<Seen>,
        thread: Arc<Seen>,
        ledger: Arc<Ledger>,
        #[pin]
        sleeping: Mutex<u64>,
    }

    impl InInterrupt {
        fn new(
            edu: Arc<Edu>,
            hard: Arc<Seen>,
            thread: Arc<Seen>,
            ledger: Arc<Ledger>,
        ) -> impl PinInit<Self> {
            pin_init!(Self {
                edu,
                hard,
                thread,
                ledger,
                sleeping <- new_mutex!(0),
            })
        }
    }

    impl ThreadedHandler for InInterrupt {
        fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> ThreadedIrqReturn {
            if self.edu.acknowledge() == 0 {
                return ThreadedIrqReturn::None;
            }
            self.ledger.note();
            self.hard.call(
                here() == HARD
                    && Task::with(|_| ()) == Err(EDEADLK)
                    && flags_of(ctx, GFP_ATOMIC)
                    && allocate(ctx)
                    && ctx.cpu().as_u32() == CpuId::current().as_u32(),
            );
            ThreadedIrqReturn::WakeThread
        }

        fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
            // All that may sleep.
            *self.sleeping.lock() += 1;
            task.sleep(Delta::from_micros(50));
            self.thread.call(
                here() == TASK
                    && Task::with(|_| ()) == Ok(())
                    && flags_of(task, GFP_KERNEL)
                    && allocate(task),
            );
            IrqReturn::Handled
        }
    }

    #[test]
    fn interrupts_run_in_hard_context_and_their_threads_are_tasks() -> Result {
        const INTERRUPTS: u64 = 50;

        let edu = Edu::get()?;
        let books = Books::new(c"interrupt")?;
        let (hard, thread) = (books.path(Kind::HardIrq)?, books.path(Kind::Thread)?);
        let (seen_hard, seen_thread) = (Seen::new()?, Seen::new()?);
        let ledger = Ledger::new()?;
        let vectors = Vectors::new(edu.bound(), 1, 1, IrqTypes::default().with(IrqType::Msi))?;
        let (here, there) = two_cpus()?;
        let mut served = 0;

        books.set.set_timing(true);
        edu.acknowledge();
        let irq = Request::new(edu.bound(), &vectors, 0, c"irqkit_kunit")?.threaded(
            hard,
            thread,
            InInterrupt::new(
                edu.clone(),
                seen_hard.clone(),
                seen_thread.clone(),
                ledger.clone(),
            ),
        )?;
        for i in 0..INTERRUPTS {
            let cpu = if i % 2 == 0 { here } else { there };
            Task::with(|task| irq.set_affinity_and_hint(task, CpuList::new([cpu])?))??;
            edu.raise(1);
            served += u64::from(until(|| {
                seen_hard.calls() == i + 1 && seen_thread.calls() == i + 1
            }));
        }
        drop((irq, vectors));
        let mismatches =
            books.stat("hardirq.context_mismatch")? + books.stat("thread.context_mismatch")?;
        drop((books, edu));

        assert_eq!(served, INTERRUPTS);
        assert_eq!(seen_hard.wrong(), 0);
        assert_eq!(seen_thread.wrong(), 0);
        assert_eq!(mismatches, 0);
        assert_eq!(ledger.noted(), INTERRUPTS);
        assert_eq!(ledger.counted(), [INTERRUPTS; 2]);
        Ok(())
    }

    /// Does in a hard handler what such a one may do.
    struct InHandler {
        edu: Arc<Edu>,
        seen: Arc<Seen>,
        ledger: Arc<Ledger>,
    }

    impl Handler for InHandler {
        fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
            if self.edu.acknowledge() == 0 {
                return IrqReturn::None;
            }
            self.ledger.note();
            self.seen.call(
                here() == HARD
                    && allocate(ctx)
                    && KBox::new([0u8; 6000], GFP_ATOMIC).is_ok()
                    && Task::with(|_| ()) == Err(EDEADLK),
            );
            IrqReturn::Handled
        }
    }

    #[test]
    fn hard_interrupts_allocate_atomically_lock_and_count() -> Result {
        const INTERRUPTS: u64 = 200;

        let edu = Edu::get()?;
        let books = Books::new(c"hard")?;
        let seen = Seen::new()?;
        let ledger = Ledger::new()?;
        let vectors = Vectors::new(edu.bound(), 1, 1, IrqTypes::default().with(IrqType::Msi))?;
        let cpus = two_cpus()?;
        let mut served = 0;

        edu.acknowledge();
        let irq = Request::new(edu.bound(), &vectors, 0, c"irqkit_kunit")?.plain(
            books.path(Kind::HardIrq)?,
            InHandler {
                edu: edu.clone(),
                seen: seen.clone(),
                ledger: ledger.clone(),
            },
        )?;
        for cpu in [cpus.0, cpus.1] {
            Task::with(|task| irq.set_affinity_and_hint(task, CpuList::new([cpu])?))??;
            for _ in 0..INTERRUPTS / 2 {
                let before = seen.calls();
                edu.raise(1);
                // The interrupt is as likely as not to come meanwhile.
                ledger.note();
                served += u64::from(until(|| seen.calls() == before + 1));
            }
        }
        drop((irq, vectors, books, edu));

        assert_eq!(served, INTERRUPTS);
        assert_eq!(seen.wrong(), 0);
        assert_eq!(ledger.noted(), 2 * INTERRUPTS);
        assert_eq!(ledger.counted(), [2 * INTERRUPTS; 2]);
        Ok(())
    }

    #[test]
    fn hard_interrupts_on_all_cpus_at_once() -> Result {
        let ledger = Ledger::new()?;
        let cpus = online_cpus()?;
        let seen = Seen::new()?;

        on_cpus(&cpus, |cpu| {
            for _ in 0..200 {
                let raised = hardirq::on_cpu(cpu, || {
                    ledger.note();
                    seen.call(
                        here() == HARD
                            && KBox::new([0u8; 6000], GFP_ATOMIC).is_ok()
                            && Task::with(|_| ()) == Err(EDEADLK),
                    );
                });
                if raised.is_err() {
                    seen.call(false);
                }
            }
        })?;
        let expected = 200 * cpus.len() as u64;

        assert_eq!(seen.calls(), expected);
        assert_eq!(seen.wrong(), 0);
        assert_eq!(ledger.noted(), expected);
        assert_eq!(ledger.counted(), [expected; 2]);
        Ok(())
    }

    /// A task that may sleep gets its token, and one that may not does not.
    #[test]
    fn task_token_is_for_those_who_may_sleep() -> Result {
        let seen = here();
        let plain = Task::with(|task| flags_of(task, GFP_KERNEL) && allocate(task));
        let lock = KBox::pin_init(new_spinlock!(0u32), GFP_KERNEL)?;
        let pinned = PerCpu::new(GFP_KERNEL, |_| 0u64)?;

        let locked = {
            let _guard = lock.lock();
            Task::with(|_| ())
        };
        let preemption_off = pinned.with(|_| Task::with(|_| ()));
        let irqs_off = {
            let _off = local_interrupt_disable();
            Task::with(|_| ())
        };
        let reader = {
            let _guard = rcu::read_lock();
            Task::with(|_| ())
        };
        let afterwards = Task::with(|task| {
            task.sleep(Delta::from_micros(10));
            here()
        });
        drop((lock, pinned));

        assert_eq!(seen, TASK);
        assert_eq!(plain, Ok(true));
        assert_eq!(locked, Err(EDEADLK));
        assert_eq!(preemption_off, Err(EDEADLK));
        assert_eq!(irqs_off, Err(EDEADLK));
        assert_eq!(reader, Err(EDEADLK));
        assert_eq!(afterwards, Ok(TASK));
        Ok(())
    }

    #[test]
    fn tokens_have_no_size() {
        assert_eq!(size_of::<HardIrq<'_>>(), 0);
        assert_eq!(size_of::<SoftIrq<'_>>(), 0);
        assert_eq!(size_of::<Task<'_>>(), 0);
    }
}
