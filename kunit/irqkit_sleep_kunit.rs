// SPDX-License-Identifier: GPL-2.0
// lab-kernels: debug
// lab-expect-dmesg: sleeping function called from invalid context
// lab-want-dmesg: 2 sleeping function called from invalid context

//! KUnit suite: sleeping where nobody may.
//!
//! With [`irqkit::context`] that is a compile error, as long as what sleeps asks for the token. This
//! does it with the kernel's own function, which asks for none: a kernel with
//! `CONFIG_DEBUG_ATOMIC_SLEEP` sees it when it happens, others never do.

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_sleep_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: sleeping where nobody may",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_sleep)]
mod tests {
    use kernel::{
        cpu::CpuId,
        prelude::*,
        sync::{
            atomic::{
                Acquire,
                Atomic,
                Release, //
            },
            Arc, //
        },
        task::might_sleep,
        time::{
            delay::fsleep,
            Delta, //
        }, //
    };

    use irqkit::{
        context::SoftIrq,
        path::{
            Kind,
            Run,
            Stamp, //
        },
        tasklet::{
            State,
            Tasklet,
            TaskletHandler, //
        }, //
    };

    use crate::support::{
        books::Books,
        hardirq,
        until, //
    };

    /// The kernel says it once a second at most.
    fn let_it_speak() {
        fsleep(Delta::from_millis(1100));
    }

    /// What every function that may sleep does first.
    #[test]
    fn sleeping_in_a_hard_interrupt_is_seen() -> Result {
        let mut called = false;

        let_it_speak();
        hardirq::on_cpu(CpuId::current(), || {
            might_sleep();
            called = true;
        })?;

        assert!(called);
        Ok(())
    }

    struct Sleeper(Arc<Atomic<u64>>);

    impl TaskletHandler for Sleeper {
        fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
            might_sleep();
            self.0.store(1, Release);
        }
    }

    #[test]
    fn sleeping_in_a_tasklet_is_seen() -> Result {
        let books = Books::new(c"sleep")?;
        let called = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let tasklet = KBox::pin_init(
            Tasklet::new(
                Sleeper(called.clone()),
                books.path(Kind::Tasklet)?,
                State::Enabled,
            ),
            GFP_KERNEL,
        )?;

        let_it_speak();
        tasklet.schedule(Stamp::NONE);
        let ran = until(|| called.load(Acquire) == 1);
        drop((tasklet, books));

        assert!(ran);
        Ok(())
    }
}
