// SPDX-License-Identifier: GPL-2.0

//! The work item: its requests, and how they end.
//!
//! The kernel has a bit that says whether a work is pending, which it clears before it calls the
//! function; a path has [`Pending`], which a run takes when it begins. Under the item's lock the two
//! are one, save for a run that the core has begun and that has not got the lock yet: it is
//! pending, and the core doesn't know any more. [`State::skip`] is for those that are taken back at
//! that very moment. So there is no run without a request, and no request is lost.

use core::cell::UnsafeCell;

use kernel::{
    bindings,
    cpu::CpuId,
    prelude::*,
    sync::{
        Arc,
        LockClassKey, //
    },
    time::Delta,
    types::Opaque, //
};

use super::{
    entry::{
        self,
        Ops, //
    },
    list::Links,
    shared::Shared, //
};
use crate::{
    context::Task,
    path::{
        Path,
        Pending,
        Stamp, //
    },
    raw_lock::RawLock, //
};

mod pending;

pub(super) use pending::Taken;
use pending::{
    Place,
    State, //
};

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// The item was idle, and will run.
    New,
    /// It was pending already: that run serves this request, too.
    Coalesced,
    /// It will not run: its queue is closed, or someone is waiting for it in
    /// [`Item::cancel_and_wait`].
    Refused,
}

/// A work item: what can be asked of [`Work`](super::Work) and [`ArcWork`](super::ArcWork), and of
/// the item that runs.
///
/// Except where they take a [`Task`], all methods may be called from any context but NMIs. `at` is
/// when the cause of a request happened, from which its waiting time counts.
///
/// # Invariants
///
/// - `raw` is an initialised work of [`entry::of`], and field `raw` of `Self`. It is only ever
///   queued on the queue's workqueue, under the lock of `state`, while not dead.
/// - Under the lock of `state`, a request is pending if and only if the core has `raw` pending, or
///   has begun to run it and that run has not come for it, without `skip`.
/// - For each time that the core has `raw` pending or has begun to run it, the queue carries a
///   request, and `ops.acquire` was called. What ends it undoes both.
/// - It is on one of its queue's lists, unless its initialisation failed; if it is not dead, then on
///   that of the open ones.
#[pin_data(PinnedDrop)]
pub struct Item {
    #[pin]
    raw: Opaque<bindings::delayed_work>,
    #[pin]
    state: RawLock<State>,
    pending: Pending,
    queue: Arc<Shared>,
    ops: &'static Ops,
    /// The queue's.
    pub(super) links: UnsafeCell<Links>,
}

// SAFETY: It may be used and dropped by any thread. What it is a part of is bounded itself.
unsafe impl Send for Item {}

// SAFETY: What changes is under locks, atomic, or the core's own.
unsafe impl Sync for Item {}

impl Item {
    /// Creates an item of `queue`.
    ///
    /// # Errors
    ///
    /// - `ESHUTDOWN`: the queue is closed.
    /// - `EXDEV`: the operations are of another module than the queue.
    pub(super) fn new(
        queue: Arc<Shared>,
        ops: &'static Ops,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self, Error> {
        let softirq = queue.is_softirq();

        // INVARIANT: Nothing is pending. It is put on the list last.
        try_pin_init!(Self {
            raw <- Opaque::ffi_init(|raw| {
                // SAFETY: `raw` is valid for writes, and stays where it is. The key lives for ever.
                unsafe {
                    irqkit_bindings::init_delayed_work(
                        raw,
                        entry::of(softirq),
                        softirq,
                        key.as_ptr(),
                    )
                };
            }),
            state <- RawLock::new(
                State::IDLE,
                c"irqkit::workqueue::item",
                kernel::static_lock_class!(),
            ),
            pending: Pending::new(),
            queue,
            ops,
            links: UnsafeCell::new(Links::NONE),
        }? Error)
        .pin_chain(|item| item.queue.add(&item))
    }

    /// Returns the item that `work` is of.
    ///
    /// # Safety
    ///
    /// `work` must be the work of an item that lives for as long as `'a`.
    pub(super) unsafe fn from_work<'a>(work: *mut bindings::work_struct) -> &'a Self {
        let raw = kernel::container_of!(work, bindings::delayed_work, work);

        // SAFETY: By the safety requirements and the type invariant it is field `raw` of an item.
        unsafe { &*kernel::container_of!(Opaque::cast_from(raw), Self, raw) }
    }

    /// Returns the address of its work.
    pub(super) fn as_work(&self) -> *mut bindings::work_struct {
        // SAFETY: It is within `raw`.
        unsafe { &raw mut (*self.raw.get()).work }
    }

    /// Returns the queue that it belongs to.
    pub(super) fn queue(&self) -> &Shared {
        &self.queue
    }

    /// Returns what it is made of.
    pub(super) fn ops(&self) -> &'static Ops {
        self.ops
    }

    /// Returns its queue's path, which counts it.
    #[inline]
    pub fn path(&self) -> &Arc<Path> {
        self.queue.path()
    }

    /// Returns whether a request is pending or delayed. It may change at any time.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.pending.is_pending()
    }

    /// Requests a run, where the queue likes it best: on this CPU, or near it if it is unbound.
    ///
    /// Stands for `queue_work()`.
    pub fn schedule(&self, at: Stamp) -> Request {
        self.request(Place::Here, None, at)
    }

    /// Requests a run on `cpu`; of an unbound queue, near it.
    ///
    /// Should the CPU go offline before, it runs elsewhere. Stands for `queue_work_on()`.
    ///
    /// # Errors
    ///
    /// `ENXIO`: the CPU is not online.
    pub fn schedule_on(&self, cpu: CpuId, at: Stamp) -> Result<Request> {
        self.request_on(cpu, None, at)
    }

    /// Requests a run on the NUMA node `node`, as far as there are CPUs online on it; else
    /// anywhere.
    ///
    /// Stands for `queue_work_node()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: there can be no such node.
    /// - `EOPNOTSUPP`: the queue is not unbound.
    pub fn schedule_near(&self, node: u32, at: Stamp) -> Result<Request> {
        if !self.queue.is_unbound() {
            return Err(EOPNOTSUPP);
        }
        if node >= bindings::MAX_NUMNODES {
            return Err(EINVAL);
        }

        // CAST: It is small.
        Ok(self.request(Place::Near(node as i32), None, at))
    }

    /// Requests a run after `delay`, unless a request is pending, which stays as it is.
    ///
    /// It becomes due after `delay`. It is late by up to two ticks, by an eighth of a delay that is
    /// longer than 63 of them (the timer wheel's resolution), and by what keeps its queue. Timers
    /// count ticks, rounded up here, so it is early only by as much as ticks are behind the clock
    /// when it is requested: nothing to speak of, but where interrupts are off for long, or in the
    /// guest of a busy host. Stands for `queue_delayed_work()`.
    pub fn schedule_after(&self, delay: Delta, at: Stamp) -> Request {
        self.request(Place::Here, Some(delay), at)
    }

    /// As [`Item::schedule_after`], on `cpu`.
    ///
    /// # Errors
    ///
    /// `ENXIO`: the CPU is not online.
    pub fn schedule_after_on(&self, cpu: CpuId, delay: Delta, at: Stamp) -> Result<Request> {
        self.request_on(cpu, Some(delay), at)
    }

    /// Requests a run after `delay` from now, whether or not a request is pending: that is moved
    /// then, and this one coalesces with it.
    ///
    /// Stands for `mod_delayed_work()`.
    pub fn reschedule_after(&self, delay: Delta, at: Stamp) -> Request {
        self.state.with(|state| self.move_locked(state, delay, at))
    }

    fn request_on(&self, cpu: CpuId, delay: Option<Delta>, at: Stamp) -> Result<Request> {
        self.state.with(|state| {
            // With interrupts off it stays so until the request is made.
            //
            // SAFETY: It may be called with any number of a CPU that there can be.
            if !unsafe { irqkit_bindings::cpu_online(cpu.as_u32()) } {
                return Err(ENXIO);
            }
            Ok(self.request_locked(state, Place::On(cpu), delay, at))
        })
    }

    fn request(&self, place: Place, delay: Option<Delta>, at: Stamp) -> Request {
        self.state
            .with(|state| self.request_locked(state, place, delay, at))
    }

    /// Takes back the pending request. A run in progress goes on.
    ///
    /// Returns whether there was one: it will not run, and counts as cancelled. Stands for
    /// `cancel_delayed_work()`.
    pub fn cancel(&self) -> bool {
        let taken = self.state.with(|state| self.take_back(state));

        self.put_away(taken)
    }

    /// Takes back the pending request, and waits for a run in progress. Meanwhile requests are
    /// refused, also those of its own handler; afterwards it is idle, save for requests that others
    /// make.
    ///
    /// Returns whether there was a request to be taken back. Stands for
    /// `cancel_delayed_work_sync()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK`: it is its own handler who asks. [`Item::cancel`] is what that can do.
    pub fn cancel_and_wait(&self, _task: Task<'_>) -> Result<bool> {
        if self.is_current() {
            return Err(EDEADLK);
        }

        let taken = self.state.with(|state| {
            state.blocked += 1;
            self.take_back(state)
        });
        let was_pending = self.put_away(taken);

        // SAFETY: By the type invariant it is initialised; nobody queues it while it is blocked, so
        // that this only waits. The caller is a task, and not the run that is waited for.
        unsafe { bindings::cancel_delayed_work_sync(self.raw.get()) };

        self.state.with(|state| state.blocked -= 1);
        Ok(was_pending)
    }

    /// Waits until the last request has been served. One that is delayed runs at once.
    ///
    /// Returns whether there was a request or a run in progress. Stands for `flush_delayed_work()`.
    ///
    /// # Errors
    ///
    /// `EDEADLK`: it is a handler of its own queue who asks, or one of a `mem_reclaim` queue while
    /// this one is on a queue that is none.
    pub fn flush(&self, _task: Task<'_>) -> Result<bool> {
        self.queue.may_wait()?;

        let was_pending = self.is_pending();
        // SAFETY: By the type invariant it is initialised. The caller is a task, and no handler of
        // the queue. If the core puts it on the workqueue, it is there: who destroys that first
        // takes this item back, which waits for the core.
        let waited = unsafe { bindings::flush_delayed_work(self.raw.get()) };
        Ok(was_pending || waited)
    }

    /// Returns whether the caller is this item's handler, in a task.
    fn is_current(&self) -> bool {
        // SAFETY: It may be called in any context.
        unsafe { bindings::current_work() == self.as_work() }
    }
}

#[pinned_drop]
impl PinnedDrop for Item {
    fn drop(self: Pin<&mut Self>) {
        if self.ops.waits {
            let taken = self.bury();
            self.put_away(taken);

            if self.is_current() {
                pr_err!(
                    "work/{}: a handler drops the owner of its own item, and now waits for itself\n",
                    self.queue.name()
                );
            }
            // SAFETY: By the type invariant it is initialised, and being dead it is not queued
            // again. This waits for a run in progress, and does nothing else.
            unsafe { bindings::cancel_delayed_work_sync(self.raw.get()) };
        }
        // Otherwise a request would have kept it alive: there is none, and the run that may be in
        // progress has given up its reference and does not use it any more.
        self.queue.remove(&self);
    }
}
