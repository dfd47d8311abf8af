// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: a tasklet in the module's own memory ([`irqkit::tasklet`]).
//!
//! What `DECLARE_TASKLET_DISABLED()` is in C: the tasklet is there as soon as the module is, without
//! an allocation of its own, and goes with it.

use kernel::{
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    }, //
};

use irqkit::{
    context::SoftIrq,
    path::{
        Kind,
        PathSet,
        Run,
        Stamp, //
    },
    tasklet::{
        State,
        Tasklet,
        TaskletHandler, //
    }, //
};

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_tasklet_static_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: a tasklet in the module's memory",
    license: "GPL",
}

/// How often the tasklet has run.
static RUNS: Atomic<u64> = Atomic::new(0);

/// How often it had run when it was enabled: never, although it was scheduled.
static EARLY: Atomic<u64> = Atomic::new(u64::MAX);

/// Where it is.
static ADDRESS: Atomic<usize> = Atomic::new(0);

struct Note;

impl TaskletHandler for Note {
    fn run(&self, _ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        RUNS.fetch_add(1, Full);
    }
}

/// The module: the kernel keeps it in a static variable.
#[pin_data]
struct Suite {
    #[pin]
    tasklet: Tasklet<Note>,
    _set: PathSet,
}

impl kernel::InPlaceModule for Suite {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        pin_init::pin_init_scope(|| {
            let set = PathSet::new::<LocalModule>(c"module")?;
            let path = set.path(Kind::Tasklet, c"tasklet")?;

            Ok(try_pin_init!(Self {
                tasklet <- Tasklet::new(Note, path, State::Disabled),
                _: {
                    ADDRESS.store(core::ptr::from_ref(&*tasklet).addr(), Relaxed);
                    tasklet.schedule(Stamp::NONE);
                    // It spins in ksoftirqd for this moment.
                    kernel::time::delay::fsleep(kernel::time::Delta::from_millis(1));
                    EARLY.store(RUNS.load(Acquire), Release);
                    tasklet.enable();
                },
                _set: set,
            }))
        })
    }
}

#[kunit_tests(irqkit_tasklet_static)]
mod tests {
    use super::*;

    #[test]
    fn static_tasklet_is_in_the_module() {
        let address = ADDRESS.load(Relaxed);
        let neighbour = core::ptr::from_ref(&RUNS).addr();

        assert!(address != 0);
        assert!(address.abs_diff(neighbour) < 1 << 20);
    }

    #[test]
    fn static_tasklet_waits_until_it_is_enabled() {
        assert!(support::until(|| RUNS.load(Acquire) == 1));
        assert_eq!(EARLY.load(Acquire), 0);
    }
}
