// SPDX-License-Identifier: GPL-2.0

//! Work queues: queues of one's own, those of the system, and work on them.
//!
//! A work item is a callback that runs once for each time that it was pending, on a thread of a
//! pool (`kworker/…`), or in softirq context for a BH queue. It belongs to one queue, given when it
//! is made, and never runs beside itself. There are three ways to own one:
//!
//! | | [`Work`] | [`ArcWork`] | [`BoxWork`] |
//! | --- | --- | --- | --- |
//! | lives in | its owner, pinned | an `Arc` | a `KBox` |
//! | runs | any number of times | any number of times | once |
//! | a pending request | is the owner's | keeps it alive | has become its owner |
//! | dropping the handle | cancels, waits | does neither | frees it, as it is not pending |
//! | dropping is allowed in | tasks | any context | any context |
//!
//! Requests are made through [`Item`], which the first two dereference to and which a handler
//! receives, to request its own next run: at once, on a CPU, near a node, or after a delay that can
//! be changed while it lasts.
//!
//! # Queues
//!
//! A [`Queue`] is made by a builder ([`Queue::percpu`], [`Queue::unbound`], [`Queue::ordered`],
//! [`Queue::bh`], [`Queue::bh_highpri`]) that has exactly the options that the kernel allows for
//! the kind, or is one of the system's ([`system`]). Its type says in which context its handlers
//! run, [`Tasks`] or [`SoftIrqs`], and nothing else: so a driver can hold all kinds of task queue
//! in one place and choose among them at run time.
//!
//! # Endings
//!
//! Whatever is dropped first, nothing runs that is gone:
//!
//! - A [`Work`] that is dropped while pending or delayed is taken back, while running is waited
//!   for, whether or not it would request itself again.
//! - A [`Queue`] that is dropped is closed: what is pending or delayed is taken back, what runs is
//!   waited for. Its items may live on and refuse requests. To let what is pending run,
//!   [`Queue::drain`] it first; `destroy_workqueue()` would do that unasked, and would forget about
//!   timers.
//! - Anything that was leaked is closed when the module that it belongs to goes away, before its
//!   code does.
//!
//! # Waiting
//!
//! What waits asks for a [`Task`], so a BH handler can't wait. A handler that would wait for
//! itself gets `EDEADLK`; so does one that would wait for others on its own queue, which may need
//! the very place that it takes, and one of a `mem_reclaim` queue that would wait for a queue that
//! is none. What is left are cycles over several queues, which lockdep sees.
//!
//! # Counting
//!
//! Every queue is a path, `work/<name>`. A request that is refused, because the queue is closed or
//! someone waits in [`Item::cancel_and_wait`], counts as scheduled and as cancelled. Delayed
//! requests wait from when they were made; how late they ran against their due time is in
//! `late_ns`.
//!
//! C header: [`include/linux/workqueue.h`](srctree/include/linux/workqueue.h)

use crate::{
    context::{
        Context,
        SoftIrq,
        Task, //
    },
    path::Run, //
};

mod builder;
mod entry;
mod item;
mod list;
mod owned;
mod queue;
mod registry;
mod shared;
pub mod system;

pub use builder::{
    Bh,
    Builder,
    Ordered,
    PerCpu,
    Unbound, //
};
pub use item::{
    Item,
    Request, //
};
pub use owned::{
    ArcWork,
    BoxWork,
    Work, //
};
pub use queue::Queue;
pub(crate) use registry::{
    module_goes,
    Registry, //
};

mod private {
    use super::Context;

    pub trait Sealed {
        /// The token of [`super::Class::Token`].
        type Token<'a>: Context;

        /// Whether it is that of a softirq.
        const SOFTIRQ: bool;

        /// Creates the token.
        ///
        /// # Safety
        ///
        /// The caller must be in this context for the whole of the lifetime that it gives to the
        /// token.
        unsafe fn token<'a>() -> Self::Token<'a>;
    }
}

/// The context in which a queue's handlers run.
///
/// Sealed: there are [`Tasks`] and [`SoftIrqs`].
pub trait Class: private::Sealed + 'static {}

/// Handlers run in tasks, and may sleep.
pub enum Tasks {}

/// Handlers run in softirq context, on the CPU where they were requested.
pub enum SoftIrqs {}

/// The token that a handler of class `C` receives: [`Task`] or [`SoftIrq`].
pub type Token<'a, C> = <C as private::Sealed>::Token<'a>;

impl Class for Tasks {}
impl private::Sealed for Tasks {
    type Token<'a> = Task<'a>;

    const SOFTIRQ: bool = false;

    /// # Safety
    ///
    /// That of the trait's.
    #[inline(always)]
    unsafe fn token<'a>() -> Task<'a> {
        // SAFETY: By the safety requirements.
        unsafe { Task::new() }
    }
}

impl Class for SoftIrqs {}
impl private::Sealed for SoftIrqs {
    type Token<'a> = SoftIrq<'a>;

    const SOFTIRQ: bool = true;

    /// # Safety
    ///
    /// That of the trait's.
    #[inline(always)]
    unsafe fn token<'a>() -> SoftIrq<'a> {
        // SAFETY: By the safety requirements.
        unsafe { SoftIrq::new() }
    }
}

/// What a [`Work`] or an [`ArcWork`] does.
///
/// It must be [`Sync`] because it is shared with its owner; the item itself never runs beside
/// itself. It must be `'static` because an item that is leaked may still run.
pub trait Handler<C: Class = Tasks>: Send + Sync + 'static {
    /// Runs.
    ///
    /// `this` is the item that runs, by which it can request its next run. `run` is what is
    /// counted: add the work done to its items.
    fn run(&self, ctx: Token<'_, C>, this: &Item, run: &mut Run<'_>);
}

/// What a [`BoxWork`] does.
pub trait Job<C: Class = Tasks>: Send + 'static {
    /// Runs, once.
    ///
    /// `run` is what is counted: add the work done to its items.
    fn run(self, ctx: Token<'_, C>, run: &mut Run<'_>);
}
