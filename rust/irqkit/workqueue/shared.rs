// SPDX-License-Identifier: GPL-2.0

//! What a queue's handle and its items share.

use core::ptr::NonNull;

use kernel::{
    bindings,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

use super::{
    entry::Ops,
    item::{
        Item,
        Taken, //
    },
    list::Items,
    registry, //
};
use crate::{
    path::Path,
    raw_lock::RawLock, //
};

/// What is known of a queue's workqueue.
#[derive(Clone, Copy, Default)]
pub(super) struct Traits {
    /// It is the system's, and stays.
    pub(super) system: bool,
    pub(super) softirq: bool,
    pub(super) unbound: bool,
    pub(super) ordered: bool,
    pub(super) mem_reclaim: bool,
    pub(super) sysfs: bool,
}

/// A queue, as its handle and its items see it.
///
/// # Invariants
///
/// - `workqueue` is valid until [`Shared::finish`]; that destroys it only when all items are dead,
///   and nothing is on it.
/// - `load` is the number of requests that the core has: in the lower half those without a delay
///   and those that run, in the upper half those made with a delay. It is not freed while there
///   are any: the registry has a reference until [`Shared::finish`] has seen none.
#[pin_data]
pub(super) struct Shared {
    workqueue: NonNull<bindings::workqueue_struct>,
    traits: Traits,
    name: CString,
    path: Arc<Path>,
    /// The address of the module it belongs to, null when that is built in or gone.
    module: Atomic<usize>,
    load: Atomic<u64>,
    #[pin]
    items: RawLock<Items>,
    /// Ends the queue, when its handle is dropped where that can't be waited for.
    #[pin]
    reaper: Opaque<bindings::work_struct>,
    reaping: Atomic<bool>,
    /// Whose turn it is to end the queue: [`NOBODY`]'s, [`SOMEBODY`]'s, or that it has [`ENDED`].
    ///
    /// A mutex would be held while items run to their end, which may drop other queues: lockdep can't
    /// tell one queue's from another's.
    turn: Atomic<u32>,
}

const NOBODY: u32 = 0;
const SOMEBODY: u32 = 1;
const ENDED: u32 = 2;

// SAFETY: The workqueue may be used by any thread, and so may the rest.
unsafe impl Send for Shared {}

// SAFETY: As above; what changes is atomic, under a lock, or the core's own.
unsafe impl Sync for Shared {}

impl Shared {
    /// Creates it, open and without items.
    ///
    /// # Safety
    ///
    /// `workqueue` must be valid, of the said traits, and be left to this value.
    pub(super) unsafe fn new(
        workqueue: NonNull<bindings::workqueue_struct>,
        traits: Traits,
        name: CString,
        path: Arc<Path>,
        module: usize,
    ) -> impl PinInit<Self> {
        // INVARIANT: The workqueue is valid by the safety requirements, and carries nothing.
        pin_init!(Self {
            workqueue,
            traits,
            name,
            path,
            module: Atomic::new(module),
            load: Atomic::new(0),
            items <- RawLock::new(
                Items::new(),
                c"irqkit::workqueue::items",
                kernel::static_lock_class!(),
            ),
            reaper <- Opaque::ffi_init(|work| {
                // SAFETY: `work` is valid for writes, and stays where it is.
                unsafe { irqkit_bindings::init_work(work, Some(reap)) };
            }),
            reaping: Atomic::new(false),
            turn: Atomic::new(NOBODY),
        })
    }

    pub(super) fn workqueue(&self) -> *mut bindings::workqueue_struct {
        self.workqueue.as_ptr()
    }

    pub(super) fn traits(&self) -> Traits {
        self.traits
    }

    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    pub(super) fn path(&self) -> &Arc<Path> {
        &self.path
    }

    pub(super) fn is_softirq(&self) -> bool {
        self.traits.softirq
    }

    pub(super) fn is_unbound(&self) -> bool {
        self.traits.unbound
    }

    /// Returns whether it belongs to `module`, and if so makes it belong to none.
    pub(super) fn leave(&self, module: usize) -> bool {
        self.module.cmpxchg(module, 0, Relaxed).is_ok()
    }

    /// Returns whether it is being ended in the background.
    pub(super) fn is_reaping(&self) -> bool {
        self.reaping.load(Relaxed)
    }

    /// Puts an item on the list.
    ///
    /// # Errors
    ///
    /// As [`Item::new`].
    pub(super) fn add(&self, item: &Item) -> Result {
        self.items.with(|items| {
            if items.is_closed() {
                return Err(ESHUTDOWN);
            }
            // As it is open, its module is still there.
            if !self.is_of_module(item.ops()) {
                return Err(EXDEV);
            }
            // SAFETY: It is new; its drop removes it.
            unsafe { items.add(NonNull::from(item)) };
            Ok(())
        })
    }

    /// Takes an item off the list, if it is on it.
    pub(super) fn remove(&self, item: &Item) {
        self.items.with(|items| {
            // SAFETY: It is alive, and this is its queue's list.
            unsafe { items.remove(NonNull::from(item)) };
        });
    }

    /// Returns whether the code of `ops` goes away no sooner than the module of this queue, which
    /// is what [`module_goes`](super::module_goes) waits for. To be called under the list's lock
    /// while the queue is open.
    fn is_of_module(&self, ops: &Ops) -> bool {
        let module = self.module.load(Relaxed);
        // CAST: An address, for comparison.
        let code = ops.run as usize;

        // SAFETY: It is the address of the module that the queue was made for, which is still
        // there: before it goes it closes the queue, under the lock that the caller has.
        module == 0 || unsafe { irqkit_bindings::within_module(code, module as *const _) }
    }

    /// The core gets a request.
    pub(super) fn load(&self, delayed: bool) {
        self.load.fetch_add(Self::weight(delayed), Relaxed);
    }

    /// The core has no longer a request, which [`Shared::load`] was called for.
    ///
    /// # Safety
    ///
    /// `shared` must be alive at the call, which by the type invariant it is for as long as it
    /// carries the request. The queue may be gone when this returns.
    pub(super) unsafe fn unload(shared: NonNull<Self>, delayed: bool) {
        // Whoever sees it sees everything that was done for the request as done.
        //
        // SAFETY: By the safety requirements.
        unsafe { &(*shared.as_ptr()).load }.fetch_sub(Self::weight(delayed), Release);
    }

    /// A request that the core has changes its kind.
    pub(super) fn recount(&self, from: bool, to: bool) {
        if from != to {
            let change = Self::weight(to).wrapping_sub(Self::weight(from));
            self.load.fetch_add(change, Relaxed);
        }
    }

    const fn weight(delayed: bool) -> u64 {
        match delayed {
            false => 1,
            true => 1 << 32,
        }
    }

    /// Returns whether there are requests without a delay, or runs.
    pub(super) fn is_busy(&self) -> bool {
        // CAST: The lower half.
        self.load.load(Acquire) as u32 != 0
    }

    /// Returns whether the caller is a handler of this queue, in a task.
    pub(super) fn is_current(&self) -> bool {
        // SAFETY: It may be called in any context.
        let work = unsafe { bindings::current_work() };

        // It may be anyone's and even be freed: its address is all that is looked at.
        !work.is_null() && self.items.with(|items| items.has(work))
    }

    /// Returns whether the caller, a task, may wait for what is on this queue.
    ///
    /// # Errors
    ///
    /// `EDEADLK` if that may wait for the caller, or for memory that the caller is to set free.
    pub(super) fn may_wait(&self) -> Result {
        // SAFETY: It may be called in any context.
        let reclaims = || unsafe { bindings::current_is_workqueue_mem_reclaim() };

        if self.is_current() || (!self.traits.mem_reclaim && reclaims()) {
            return Err(EDEADLK);
        }
        Ok(())
    }

    /// Closes the queue: takes no items and no requests any more, takes back those that are pending
    /// or delayed, and waits for those that run.
    ///
    /// When it returns no code of an item's type runs or will run, save for what drops handles of
    /// items. To be called in a task that is no handler of the queue; by several, if need be.
    pub(super) fn close(&self) {
        if self.take_turn() {
            self.close_in_turn();
            self.turn.store(NOBODY, Release);
        }
    }

    /// Waits until nobody else closes or destroys the queue. Returns false if it was destroyed.
    fn take_turn(&self) -> bool {
        loop {
            match self.turn.cmpxchg(NOBODY, SOMEBODY, Acquire) {
                Ok(_) => return true,
                Err(ENDED) => return false,
                Err(_) => fsleep(Delta::from_micros(100)),
            }
        }
    }

    /// [`Shared::close`], by who has the turn.
    fn close_in_turn(&self) {
        self.items.with(|items| items.close());

        // One at a time, so that interrupts are not off for long.
        while let Some((item, ops, taken)) = self.items.with(|items| {
            let item = items.bury()?;

            // SAFETY: It was on the list, and can't be dropped before the lock is released.
            let alive = unsafe { item.as_ref() };
            Some((item, alive.ops(), alive.bury()))
        }) {
            if let Taken::Queued { delayed } = taken {
                // SAFETY: It was taken back just now, and the locks are released. If it is not the
                // request's reference that keeps the item alive, it is one whose drop waits.
                unsafe { ops.end_request(item, self, delayed) };
            }
        }

        while self.load.load(Acquire) != 0 {
            if !self.traits.system {
                // SAFETY: By the type invariant the workqueue is valid. The caller is a task that
                // is none of the queue's.
                unsafe { bindings::__flush_workqueue(self.workqueue()) };
            }
            if self.load.load(Acquire) != 0 {
                fsleep(Delta::from_micros(100));
            }
        }
    }

    /// Ends the queue, as its handle's last act.
    ///
    /// # Safety
    ///
    /// To be called once, by or on behalf of the handle's drop or when there can be no handle any
    /// more, in a task that is no handler of the queue.
    pub(super) unsafe fn finish(&self) {
        if !self.take_turn() {
            return;
        }
        self.close_in_turn();

        if !self.traits.system {
            // SAFETY: By the type invariant it is valid and nothing is on it. All items are dead,
            // so nobody queues on it, the handle is gone, and who closes it has the turn.
            unsafe { bindings::destroy_workqueue(self.workqueue()) };
        }
        self.turn.store(ENDED, Release);
        registry::remove(self);
    }

    /// Ends the queue, now if the caller can wait for that, else in the background.
    ///
    /// # Safety
    ///
    /// To be called once, by the handle's drop.
    pub(super) unsafe fn end(self_: &Arc<Self>) {
        let here = crate::context::is_here::<crate::context::Task<'_>>();

        if here && self_.may_wait().is_ok() {
            // SAFETY: The handle is being dropped; this is a task, and no handler of the queue.
            unsafe { self_.finish() };
            return;
        }

        self_.reaping.store(true, Relaxed);
        let raw = Arc::into_raw(self_.clone());
        // SAFETY: The work is initialised, and queued only here, once. The reference that was
        // leaked above is taken by the function that it calls. The system's queue is always there.
        unsafe {
            bindings::queue_work_on(
                bindings::wq_misc_consts_WORK_CPU_UNBOUND as i32,
                bindings::system_dfl_wq,
                (*raw).reaper.get(),
            )
        };
    }
}

/// Ends a queue in the background.
///
/// # Safety
///
/// To be called by the workqueue core, once, with the `reaper` of a [`Shared`] that a reference
/// was leaked of.
unsafe extern "C" fn reap(work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirements.
    let shared = unsafe { kernel::container_of!(Opaque::cast_from(work), Shared, reaper) };
    // SAFETY: By the safety requirements.
    let shared = unsafe { Arc::from_raw(shared) };

    // SAFETY: This is on behalf of the handle's drop, in a task of the system's queue.
    unsafe { shared.finish() };
}
