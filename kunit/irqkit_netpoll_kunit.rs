// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: netpoll, which polls with a budget of 0 ([`irqkit::net::Poller::netpoll`]).
//!
//! It is the kernel's own that polls here, as it does for a console over the network: with interrupts off. If
//! anything of the budget were spent, it would warn.

use kernel::prelude::*;

#[path = "support/stack.rs"]
mod stack;
#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_netpoll_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's NAPI for netpoll",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_netpoll)]
mod tests {
    use kernel::{
        bindings,
        cpu::CpuId,
        device::{
            Bound,
            Device, //
        },
        error::to_result,
        faux,
        ffi::c_int,
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Full,
                Relaxed, //
            },
            Arc, //
        },
    };

    use irqkit::{
        context::{
            SoftIrq,
            Task, //
        },
        net::{
            self,
            Budget,
            Builder,
            Link,
            Napi,
            Next,
            Poller,
            Registration,
            SkBuff,
            Tx,
            Xmit, //
        },
        path::{
            Kind,
            Stamp, //
        },
    };

    use crate::{
        stack,
        support::{
            books::Books,
            hardirq,
            online_cpus,
            until, //
        }, //
    };

    // SAFETY: As the kernel declares them, but for types that are only passed on. It is what netpoll's users do.
    unsafe extern "C" {
        fn __netpoll_setup(netpoll: *mut Memory, dev: *mut bindings::net_device) -> c_int;
        fn __netpoll_free(netpoll: *mut Memory);
        fn netpoll_poll_dev(dev: *mut bindings::net_device);
    }

    /// Memory for a `struct netpoll`, of which it is more than twice the size.
    #[repr(C)]
    struct Memory {
        _words: [u64; 16],
    }

    /// What an instance was asked for.
    struct Calls {
        netpolls: Atomic<u64>,
        polls: Atomic<u64>,
        masks: Atomic<u64>,
        /// The budget of the last poll.
        left: Atomic<u64>,
    }

    impl Calls {
        fn new() -> Result<Arc<Self>> {
            Ok(Arc::new(
                Self {
                    netpolls: Atomic::new(0),
                    polls: Atomic::new(0),
                    masks: Atomic::new(0),
                    left: Atomic::new(0),
                },
                GFP_KERNEL,
            )?)
        }

        /// `[netpolls, polls, masks]`.
        fn counted(&self) -> [u64; 3] {
            [&self.netpolls, &self.polls, &self.masks].map(|calls| calls.load(Relaxed))
        }
    }

    struct Test(Arc<Calls>);

    impl Poller for Test {
        fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
            self.0.left.store(budget.left().into(), Relaxed);
            let _ = budget.take();
            self.0.polls.fetch_add(1, Full);
            Next::Done
        }

        fn mask(&mut self) {
            self.0.masks.fetch_add(1, Full);
        }

        fn unmask(&mut self) -> bool {
            true
        }

        fn netpoll(&mut self, _ctx: SoftIrq<'_>) {
            self.0.netpolls.fetch_add(1, Full);
        }
    }

    /// A card that nothing is sent by.
    struct Card;

    impl net::Driver for Card {
        fn open(&self, _dev: &net::Device, _task: Task<'_>) -> Result {
            Ok(())
        }

        fn stop(&self, _dev: &net::Device, _task: Task<'_>) {}

        fn start_xmit(
            &self,
            _dev: &net::Device,
            _skb: SkBuff,
            _tx: &mut Tx<'_>,
            _ctx: SoftIrq<'_>,
        ) -> Xmit {
            Xmit::Done
        }
    }

    const PATHS: [&CStr; 2] = [c"napi/rx0", c"napi/tx0"];

    /// A device that is up, with an instance for each of its queues.
    struct Rig {
        registration: Registration<Card>,
        napis: [Arc<Napi<Test>>; 2],
        calls: [Arc<Calls>; 2],
        books: Books,
        _parent: faux::Registration,
    }

    impl Rig {
        fn new(name: &'static CStr) -> Result<Self> {
            let parent = faux::Registration::new(name, None)?;
            let dev: &faux::Device<Bound> = parent.as_ref();
            let dev: &Device<Bound> = dev.as_ref();
            let builder = Builder::new(dev, 1, 1)?;
            let books = Books::new(name)?;
            let calls = [Calls::new()?, Calls::new()?];
            let napi = |link, path: &CStr, calls: &Arc<Calls>| {
                let path = books.set.path(Kind::Napi, path)?;
                builder.device().napi(link, path, Test(calls.clone()))
            };

            let rig = Self {
                napis: [
                    napi(Link::Rx(0), PATHS[0], &calls[0])?,
                    napi(Link::Tx(0), PATHS[1], &calls[1])?,
                ],
                registration: builder.register(Arc::new(Card, GFP_KERNEL)?)?,
                calls,
                books,
                _parent: parent,
            };
            stack::open(rig.registration.device())?;
            Ok(rig)
        }

        /// Has all instances of the device polled by netpoll, once.
        fn netpoll(&self, cpu: CpuId) -> Result {
            stack::with(self.registration.device(), |dev| -> Result {
                let netpoll = KBox::into_raw(KBox::new(Memory { _words: [0; 16] }, GFP_KERNEL)?);

                // SAFETY: It is zeroed, and large enough; the device is registered, and the RTNL is held.
                if let Err(error) = to_result(unsafe { __netpoll_setup(netpoll, dev) }) {
                    // SAFETY: It was just made, and nobody else has it.
                    drop(unsafe { KBox::from_raw(netpoll) });
                    return Err(error);
                }
                // INVARIANT: The RTNL is held, and netpoll goes below.
                let running = Running(dev);
                let polled = hardirq::on_cpu(cpu, || running.netpoll());
                // SAFETY: As above; it was set up, and is freed by this.
                unsafe { __netpoll_free(netpoll) };
                polled
            })
            .ok_or(ENODEV)?
        }

        /// What both instances were asked for.
        fn called(&self) -> [[u64; 3]; 2] {
            [self.calls[0].counted(), self.calls[1].counted()]
        }

        /// `[scheduled, runs, items, completed]` of both.
        fn counted(&self) -> Result<[[u64; 4]; 2]> {
            let stats = |path: &CStr| {
                self.books
                    .stats(path.to_str()?, ["scheduled", "runs", "items", "completed"])
            };

            Ok([stats(PATHS[0])?, stats(PATHS[1])?])
        }
    }

    /// A device that netpoll polls.
    ///
    /// # Invariants
    ///
    /// It is registered, and netpoll was set up for it, for as long as this is there.
    struct Running(*mut bindings::net_device);

    // SAFETY: Netpoll is made to be used on all CPUs.
    unsafe impl Sync for Running {}

    impl Running {
        /// With interrupts off.
        fn netpoll(&self) {
            // SAFETY: By the type invariants; interrupts are off.
            unsafe { netpoll_poll_dev(self.0) };
        }
    }

    #[test]
    fn no_budget_is_netpolls_alone() -> Result {
        let cpu = *online_cpus()?.first().ok_or(ENXIO)?;
        let rig = Rig::new(c"netpoll")?;
        // Who is disabled is left alone.
        rig.netpoll(cpu)?;
        let disabled = rig.called();
        for napi in &rig.napis {
            Task::with(|task| napi.enable(task))??;
        }
        rig.netpoll(cpu)?;
        rig.netpoll(cpu)?;
        let (called, counted) = (rig.called(), rig.counted()?);

        // It is scheduled as before, and has all of its budget.
        let mut idle = [false; 2];
        for (napi, idle) in rig.napis.iter().zip(&mut idle) {
            *idle = Task::with(|task| napi.schedule_from_task(task, Stamp::NONE))?;
        }
        let polled = until(|| rig.called().iter().all(|calls| calls[1] != 0));
        for napi in &rig.napis {
            Task::with(|task| napi.disable(task))?;
        }
        let (called_then, counted_then) = (rig.called(), rig.counted()?);
        let left = [0, 1].map(|index: usize| rig.calls[index].left.load(Relaxed));
        drop(rig);

        assert_eq!(disabled, [[0, 0, 0]; 2]);
        assert_eq!(called, [[2, 0, 0]; 2]);
        assert_eq!(counted, [[0, 0, 0, 0]; 2]);
        assert_eq!(idle, [true; 2]);
        assert!(polled);
        assert_eq!(called_then, [[2, 1, 1]; 2]);
        assert_eq!(counted_then, [[1, 1, 1, 1]; 2]);
        assert_eq!(left, [64; 2]);
        Ok(())
    }
}
