// SPDX-License-Identifier: GPL-2.0

//! All tasklets, linked through themselves, so that they can be made and dropped in any context:
//! those that a module has leaked are killed before its code goes.

use core::ptr::NonNull;

use super::Core;
use crate::raw_lock::RawLock;

/// The neighbours of a tasklet on the list, under the list's lock.
///
/// # Invariants
///
/// The neighbours are alive and on the list. A tasklet that is not `listed` has none.
pub(super) struct Links {
    listed: bool,
    previous: Option<NonNull<Core>>,
    next: Option<NonNull<Core>>,
}

impl Links {
    /// Those of a tasklet that is not on the list.
    pub(super) const NONE: Self = Self {
        listed: false,
        previous: None,
        next: None,
    };
}

/// The tasklets.
///
/// # Invariants
///
/// The tasklets from `first` on, by `next`, are alive. They are all whose links say `listed`.
struct List {
    first: Option<NonNull<Core>>,
}

// SAFETY: Tasklets may be used by any thread.
unsafe impl Send for List {}

// SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
// anyone who could make a tasklet.
static TASKLETS: RawLock<List> = unsafe { RawLock::uninit(List { first: None }) };

impl List {
    /// Returns the links of a tasklet.
    ///
    /// # Safety
    ///
    /// `core` must be alive, and the list's lock be held for as long as `'a`, in which nobody else
    /// asks for the same links.
    unsafe fn links<'a>(core: NonNull<Core>) -> &'a mut Links {
        // SAFETY: By the safety requirements.
        unsafe { &mut *(*core.as_ptr()).links.get() }
    }

    /// Adds a tasklet.
    ///
    /// # Safety
    ///
    /// It must be alive until it was removed, and not be on the list.
    unsafe fn add(&mut self, core: NonNull<Core>) {
        if let Some(first) = self.first {
            // SAFETY: By the type invariants it is alive; `&mut self` is the lock.
            unsafe { Self::links(first) }.previous = Some(core);
        }
        // INVARIANT: All are alive, by the safety requirements.
        // SAFETY: As above.
        *unsafe { Self::links(core) } = Links {
            listed: true,
            previous: None,
            next: self.first,
        };
        self.first = Some(core);
    }

    /// Removes a tasklet if it is on the list.
    ///
    /// # Safety
    ///
    /// It must be alive.
    unsafe fn remove(&mut self, core: NonNull<Core>) {
        // SAFETY: It is alive by the safety requirements; `&mut self` is the lock.
        let links = core::mem::replace(unsafe { Self::links(core) }, Links::NONE);

        if !links.listed {
            return;
        }
        match links.previous {
            // SAFETY: By the type invariants it is alive; `&mut self` is the lock.
            Some(previous) => unsafe { Self::links(previous) }.next = links.next,
            None => self.first = links.next,
        }
        if let Some(next) = links.next {
            // SAFETY: As above.
            unsafe { Self::links(next) }.previous = links.previous;
        }
    }

    /// Returns the first tasklet for which `is_it` says so.
    fn find(&self, mut is_it: impl FnMut(&Core) -> bool) -> Option<NonNull<Core>> {
        let mut next = self.first;

        while let Some(core) = next {
            // SAFETY: By the type invariants it is alive.
            if is_it(unsafe { core.as_ref() }) {
                return next;
            }
            // SAFETY: As above; `&self` is the lock.
            next = unsafe { Self::links(core) }.next;
        }
        None
    }
}

/// Lists a tasklet. Any context but NMIs.
///
/// # Safety
///
/// It must be new, and stay where it is until [`remove`] was called.
pub(super) unsafe fn insert(core: NonNull<Core>) {
    // SAFETY: By the safety requirements.
    TASKLETS.with(|list| unsafe { list.add(core) });
}

/// Takes a tasklet off the list, unless its module's end already did. Any context but NMIs.
pub(super) fn remove(core: &Core) {
    // SAFETY: It is borrowed.
    TASKLETS.with(|list| unsafe { list.remove(NonNull::from(core)) });
}

/// A module, of which this is the address, goes away: kills the tasklets that it has left.
///
/// The module's exit function has run, and what it has left on queues has ended: nobody drops a
/// tasklet of its any more, and only its tasklets schedule them.
///
/// # Safety
///
/// `module` must be the address of a module whose memory is still there.
pub(crate) unsafe fn module_goes(module: usize) {
    // SAFETY: By the safety requirements.
    let is_its = |core: &Core| unsafe {
        irqkit_bindings::within_module(core.code, module as *const _) //
    };

    // First no handler is to be in progress, nor to begin: it might schedule another tasklet, or
    // still have a guard of its.
    while let Some(core) = TASKLETS.with(|list| list.find(|core| is_its(core) && core.stop_once()))
    {
        // SAFETY: It is on the list, and nobody drops it.
        unsafe { core.as_ref() }.stop();
    }
    // Then what is pending is to be through with the callback.
    while let Some(core) = TASKLETS.with(|list| {
        let found = list.find(is_its)?;
        // SAFETY: It is on the list, hence alive.
        unsafe { list.remove(found) };
        Some(found)
    }) {
        // SAFETY: It was on the list, and nobody drops it.
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
