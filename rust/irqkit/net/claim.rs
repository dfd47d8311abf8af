// SPDX-License-Identifier: GPL-2.0

//! A value that one at a time has.

use core::{
    cell::UnsafeCell,
    ops::{
        Deref,
        DerefMut, //
    }, //
};

use kernel::{
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    },
    time::Delta, //
};

use crate::context::Task;

/// A value that is claimed, or found claimed by someone else; only tasks wait for it.
///
/// NAPI's own state is no such thing. The function that polls goes on for a moment after the core
/// was told that it is done, netpoll polls beside it, and who schedules has a say as well; all on
/// different CPUs. It costs one read-modify-write a poll.
///
/// # Invariants
///
/// While `claimed` is set, whoever set it, and nobody else, has access to `value`.
pub(super) struct Claim<T> {
    claimed: Atomic<bool>,
    value: UnsafeCell<T>,
}

// SAFETY: It owns the value.
unsafe impl<T: Send> Send for Claim<T> {}

// SAFETY: One at a time has access to the value, which may be on any CPU.
unsafe impl<T: Send> Sync for Claim<T> {}

impl<T> Claim<T> {
    pub(super) const fn new(value: T) -> Self {
        Self {
            claimed: Atomic::new(false),
            value: UnsafeCell::new(value),
        }
    }

    /// Claims the value; [`None`] if someone has it. Any context.
    #[inline]
    pub(super) fn claim(&self) -> Option<Claimed<'_, T>> {
        if self.claimed.xchg(true, Acquire) {
            return None;
        }
        // INVARIANT: We have set it.
        Some(Claimed(self))
    }

    /// Claims the value, and waits until whoever has it, in some softirq or hard interrupt, is done.
    pub(super) fn wait(&self, task: Task<'_>) -> Claimed<'_, T> {
        loop {
            if let Some(claimed) = self.claim() {
                return claimed;
            }
            task.sleep(Delta::from_micros(20));
        }
    }
}

/// Access to a value that was claimed, until this is dropped.
///
/// # Invariants
///
/// It was this that has set `claimed`.
pub(super) struct Claimed<'a, T>(&'a Claim<T>);

impl<T> Deref for Claimed<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: By the type invariants nobody else has access.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for Claimed<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: By the type invariants nobody else has access.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for Claimed<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.claimed.store(false, Release);
    }
}
