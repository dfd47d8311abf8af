// SPDX-License-Identifier: GPL-2.0

//! All queues, by module: what a module has leaked is closed before its code goes.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        global_lock,
        Arc, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::shared::{
    Shared,
    Traits, //
};

global_lock! {
    // SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
    // anyone who could make a queue.
    unsafe(uninit) static QUEUES: Mutex<KVec<Arc<Shared>>> = KVec::new();
}

/// Whether the end of something that a system queue ran was ever left to the workqueue core.
static STRAYS: Atomic<bool> = Atomic::new(false);

/// Makes a queue by `make` and lists it.
///
/// It may sleep.
///
/// # Errors
///
/// `EEXIST`: `traits` say that it will be in sysfs, and there is one of this name.
pub(super) fn insert(
    name: &CStr,
    traits: Traits,
    make: impl FnOnce() -> Result<Arc<Shared>>,
) -> Result<Arc<Shared>> {
    let mut queues = QUEUES.lock();

    if traits.sysfs && queues.iter().any(|q| q.traits().sysfs && q.name() == name) {
        return Err(EEXIST);
    }
    if traits.system {
        STRAYS.store(true, Relaxed);
    }
    // First make room: afterwards nothing can fail.
    queues.reserve(1, GFP_KERNEL)?;
    let queue = make()?;
    queues.push_within_capacity(queue.clone())?;
    Ok(queue)
}

/// Takes a queue off the list. It may sleep.
pub(super) fn remove(queue: &Shared) {
    if queue.is_reaping() {
        STRAYS.store(true, Relaxed);
    }
    QUEUES
        .lock()
        .retain(|listed| !core::ptr::eq(&raw const **listed, queue));
}

/// A module, of which this is the address, goes away: closes the queues that it has left, and returns
/// whether there were any.
///
/// They stay listed: someone else may have their handles, or they were leaked and keep their names.
pub(crate) fn module_goes(module: usize) -> bool {
    let mut found = false;

    loop {
        let left = QUEUES
            .lock()
            .iter()
            .find(|queue| queue.leave(module))
            .cloned();

        match left {
            Some(queue) => queue.close(),
            None => return found,
        }
        found = true;
    }
}

/// The registry's life. irqkit's module holds the only one.
pub(crate) struct Registry(());

impl Registry {
    /// Starts the registry. It may sleep.
    ///
    /// # Safety
    ///
    /// To be called once, when irqkit is loaded, before anything else in [`crate::workqueue`] is
    /// used; the result must be dropped before irqkit's code goes away.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: By the safety requirements, this is done once, and first.
        unsafe { QUEUES.init() };
        Self(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // All users are gone, and with them every queue that was not leaked or is not being ended.
        while QUEUES.lock().iter().any(|queue| queue.is_reaping()) {
            fsleep(Delta::from_millis(1));
        }
        // Of those that were leaked no one can have a handle any more.
        loop {
            let left = QUEUES.lock().first().cloned();
            let Some(queue) = left else { break };

            // SAFETY: It has no handle, and this is a task that is no handler.
            unsafe { queue.finish() };
        }
        // Statics are not dropped.
        *QUEUES.lock() = KVec::new();
        if STRAYS.load(Relaxed) {
            // Nobody waits for what returns from irqkit to a system queue's worker.
            //
            // SAFETY: This is a task, which may sleep.
            unsafe { irqkit_bindings::synchronize_code() };
        }
    }
}
