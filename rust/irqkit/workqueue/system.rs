// SPDX-License-Identifier: GPL-2.0

//! The system's queues, by their names in Linux 7.3.
//!
//! `system_wq` and `system_unbound_wq`, which are going away, are not among them. Each function
//! makes a handle of its own, with a path `work/system_<name>` of its own: it counts and ends what
//! was made for it, and not what others do on the same queue. So dropping it, or
//! [draining](super::Queue::drain) it, concerns its own items alone; [flushing](super::Queue::flush)
//! it is refused. A set has each path once, so make each handle once and keep it.
//!
//! All functions may sleep, and fail as [`super::Builder::build`] does.

use kernel::{
    bindings,
    prelude::*, //
};

use super::{
    builder,
    queue::Queue,
    shared::Traits,
    SoftIrqs,
    Tasks, //
};
use crate::path::{
    Kind,
    PathSet, //
};

/// A queue of the system's whose items run where they are requested.
const BOUND: Traits = Traits {
    system: true,
    softirq: false,
    unbound: false,
    ordered: false,
    mem_reclaim: false,
    sysfs: false,
};

/// One whose items run anywhere.
const UNBOUND: Traits = Traits {
    unbound: true,
    ..BOUND
};

/// One whose items run in softirq context.
const SOFTIRQ: Traits = Traits {
    softirq: true,
    ..BOUND
};

macro_rules! system {
    ($(#[$doc:meta])* $name:ident, $path:literal, $raw:ident, $class:ty, $traits:ident, $kind:ident) => {
        $(#[$doc])*
        ///
        #[doc = concat!("Stands for `", stringify!($raw), "`.")]
        pub fn $name(set: &PathSet) -> Result<Queue<$class>> {
            // SAFETY: The core makes it at boot, before there are modules, and never changes or
            // destroys it. Its traits and its class are those of `workqueue_init_early()`.
            unsafe { builder::system(set, $path, $traits, Kind::$kind, bindings::$raw) }
        }
    };
}

system! {
    /// For short work that needs its CPU.
    percpu, c"system_percpu", system_percpu_wq, Tasks, BOUND, Work
}

system! {
    /// As [`percpu`], on workers with an elevated nice value.
    highpri, c"system_highpri", system_highpri_wq, Tasks, BOUND, Work
}

system! {
    /// As [`percpu`], for work that may take long.
    long, c"system_long", system_long_wq, Tasks, BOUND, Work
}

system! {
    /// The default: work that runs at once, on any CPU.
    dfl, c"system_dfl", system_dfl_wq, Tasks, UNBOUND, Work
}

system! {
    /// As [`dfl`], for work that may take long.
    dfl_long, c"system_dfl_long", system_dfl_long_wq, Tasks, UNBOUND, Work
}

system! {
    /// As [`percpu`], not while the system is suspended.
    freezable, c"system_freezable", system_freezable_wq, Tasks, BOUND, Work
}

system! {
    /// As [`percpu`], or unbound where the kernel is told to save power.
    power_efficient, c"system_power_efficient", system_power_efficient_wq, Tasks, BOUND, Work
}

system! {
    /// Both [`freezable`] and [`power_efficient`].
    freezable_power_efficient, c"system_freezable_pwr_efficient",
    system_freezable_power_efficient_wq, Tasks, BOUND, Work
}

system! {
    /// Softirq work.
    bh, c"system_bh", system_bh_wq, SoftIrqs, SOFTIRQ, Bh
}

system! {
    /// Softirq work, before all other.
    bh_highpri, c"system_bh_highpri", system_bh_highpri_wq, SoftIrqs, SOFTIRQ, BhHi
}
