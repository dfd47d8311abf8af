// SPDX-License-Identifier: GPL-2.0

//! The handle of a queue.

use core::marker::PhantomData;

use kernel::{
    bindings,
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use super::{
    builder::max_active_of,
    shared::Shared,
    Class,
    Tasks, //
};
use crate::{
    context::Task,
    path::Path, //
};

/// A queue, whose handlers run in the context of class `C`.
///
/// Made by a builder ([`Queue::percpu`] and its like), or one of the [system's](super::system). A
/// queue on which something waits or runs is not freed, whatever becomes of its handle.
///
/// # Dropping
///
/// Dropping it closes it: items that are pending or delayed are taken back (`cancelled`), those
/// that run are waited for, even if they request themselves again, which is refused from then on.
/// Items may outlive it, and refuse. It stands for `destroy_workqueue()`, unless it is the system's.
///
/// It may be dropped in any context, and in a handler of its own: where it can't be waited for, it
/// ends in the background.
///
/// Leaking it leaves it open until the module that it was made for goes away. Then it is closed;
/// its memory stays, as do its name and its threads.
///
/// # Invariants
///
/// The queue has not ended: that is for the drop of this value to do, which is the only handle.
pub struct Queue<C: Class = Tasks> {
    shared: Arc<Shared>,
    _class: PhantomData<fn() -> C>,
}

impl<C: Class> Queue<C> {
    /// # Safety
    ///
    /// `shared` must be new, on the registry's list, and of class `C`.
    pub(super) unsafe fn new(shared: Arc<Shared>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            shared,
            _class: PhantomData,
        }
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Returns its name.
    pub fn name(&self) -> &CStr {
        self.shared.name()
    }

    /// Returns the path that counts its items, `work/<name>`.
    pub fn path(&self) -> &Arc<Path> {
        self.shared.path()
    }

    /// Returns whether its items are bound to no CPU.
    ///
    /// A `power_efficient` queue says no, although the kernel may have been told to make those
    /// unbound (`workqueue.power_efficient`).
    pub fn is_unbound(&self) -> bool {
        self.shared.is_unbound()
    }

    /// Returns whether its items run one by one, in the order of their requests.
    pub fn is_ordered(&self) -> bool {
        self.shared.traits().ordered
    }

    /// Waits until everything that was requested before, save for what is delayed, has run.
    ///
    /// Stands for `flush_workqueue()`.
    ///
    /// # Errors
    ///
    /// - `EDEADLK`: the caller is a handler of this queue; or of a `mem_reclaim` queue, while this
    ///   is none.
    /// - `EOPNOTSUPP`: it is a queue of the system's, and so there is no telling what else is on
    ///   it. Flush single items, or [`Queue::drain`].
    pub fn flush(&self, _task: Task<'_>) -> Result {
        if self.shared.traits().system {
            return Err(EOPNOTSUPP);
        }
        self.shared.may_wait()?;

        // SAFETY: By the type invariant the workqueue is there. This is a task, and no handler of
        // the queue.
        unsafe { bindings::__flush_workqueue(self.shared.workqueue()) };
        Ok(())
    }

    /// Waits until nothing that was made for this queue waits or runs, save for what is delayed:
    /// also what handlers request in the meantime, of themselves or others.
    ///
    /// It goes on for no longer than `patience` and the time that what is queued then takes.
    /// Requests are not refused meanwhile, as `drain_workqueue()` would do, which it stands for.
    ///
    /// # Errors
    ///
    /// - `EDEADLK`: as [`Queue::flush`].
    /// - `ETIMEDOUT`: there was always something that waited or ran.
    pub fn drain(&self, _task: Task<'_>, patience: Delta) -> Result {
        self.shared.may_wait()?;

        let began = Instant::<Monotonic>::now();
        loop {
            if !self.shared.traits().system {
                // SAFETY: As in `flush`.
                unsafe { bindings::__flush_workqueue(self.shared.workqueue()) };
            }
            if !self.shared.is_busy() {
                return Ok(());
            }
            if began.elapsed() > patience {
                return Err(ETIMEDOUT);
            }
            fsleep(Delta::from_micros(100));
        }
    }
}

impl Queue<Tasks> {
    /// Changes how many of its items may run at the same time: for each CPU, or in all if it is
    /// unbound.
    ///
    /// It may sleep. Stands for `workqueue_set_max_active()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: it is not from 1 to 2048.
    /// - `EOPNOTSUPP`: the queue is ordered, or the system's.
    pub fn set_max_active(&self, _task: Task<'_>, max_active: u32) -> Result {
        let max_active = max_active_of(max_active)?;

        if self.shared.traits().system || self.shared.traits().ordered {
            return Err(EOPNOTSUPP);
        }
        // SAFETY: By the type invariant the workqueue is there, and it is neither ordered nor BH.
        unsafe { bindings::workqueue_set_max_active(self.shared.workqueue(), max_active) };
        Ok(())
    }
}

impl<C: Class> Drop for Queue<C> {
    fn drop(&mut self) {
        // SAFETY: This is the handle's drop.
        unsafe { Shared::end(&self.shared) };
    }
}
