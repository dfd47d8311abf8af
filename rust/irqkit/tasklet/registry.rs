// SPDX-License-Identifier: GPL-2.0

//! All tasklets: those that a module has leaked are killed before its code goes.

use kernel::time::{
    delay::fsleep,
    Delta, //
};

use super::Core;
use crate::{
    listed::{
        List,
        Listed, //
    },
    raw_lock::RawLock, //
};

// SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
// anyone who could make a tasklet.
pub(super) static TASKLETS: RawLock<List<Core>> = unsafe { RawLock::uninit(List::EMPTY) };

/// A module, of which this is the address, goes away: kills the tasklets that it has left.
///
/// The module's exit function has run, and what it has left on queues and its tickers have ended:
/// only its tasklets schedule them any more, and drop them.
///
/// # Safety
///
/// `module` must be the address of a module whose memory is still there.
pub(crate) unsafe fn module_goes(module: usize) {
    // First no handler is to be in progress, nor to begin: it might schedule another tasklet, or drop
    // it, or still have a guard of its. Under the list's lock none is dropped; a run in progress is
    // waited for without it.
    while TASKLETS.with(|list| {
        // SAFETY: By the safety requirements.
        list.find(|core| unsafe { core.is_of(module) } && !core.try_to_stop())
            .is_some()
    }) {
        fsleep(Delta::from_micros(100));
    }
    // Then what is pending is to be through with the callback.
    //
    // SAFETY: By the safety requirements.
    while let Some(core) = unsafe { TASKLETS.unlist_one_of(module) } {
        // SAFETY: It was on the list, and as no handler runs nobody drops it.
        let core = unsafe { core.as_ref() };

        core.condemn();
        core.kill();
    }
}

/// The registry's life. irqkit's module holds the only one.
pub(crate) struct Registry(());

impl Registry {
    /// Starts the registry.
    ///
    /// # Safety
    ///
    /// To be called once, when irqkit is loaded, before anything else in [`crate::tasklet`] is
    /// used.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: By the safety requirements, this is done once, and first.
        unsafe { TASKLETS.init(c"irqkit_tasklets", kernel::static_lock_class!()) };
        Self(())
    }
}
