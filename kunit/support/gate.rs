// SPDX-License-Identifier: GPL-2.0

//! A way in and out of a callback that a test controls.

use kernel::{
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    time::Delta, //
};

use super::{
    spin_for,
    spin_until,
    until, //
};

/// A gate that callbacks pass. While it is closed, who comes stays inside.
pub(crate) struct Gate {
    closed: Atomic<bool>,
    entered: Atomic<bool>,
    left: Atomic<bool>,
}

impl Gate {
    /// Creates a gate that is open.
    pub(crate) const fn open() -> Self {
        Self {
            closed: Atomic::new(false),
            entered: Atomic::new(false),
            left: Atomic::new(false),
        }
    }

    /// The next one who passes stays inside until [`Gate::release`], and then takes its time.
    pub(crate) fn close(&self) {
        self.entered.store(false, Relaxed);
        self.left.store(false, Relaxed);
        self.closed.store(true, Release);
    }

    /// Lets out who is inside.
    pub(crate) fn release(&self) {
        self.closed.store(false, Release);
    }

    /// To be called by a callback that must not sleep.
    pub(crate) fn pass_spinning(&self) {
        self.pass(|| {
            spin_until(|| !self.closed.load(Acquire));
        });
    }

    /// To be called by a callback that may sleep.
    pub(crate) fn pass_sleeping(&self) {
        self.pass(|| {
            until(|| !self.closed.load(Acquire));
        });
    }

    fn pass(&self, wait: impl FnOnce()) {
        if !self.closed.load(Acquire) {
            return;
        }
        self.entered.store(true, Release);
        wait();
        // Whoever ought to wait but does not has long looked by now.
        spin_for(Delta::from_millis(10));
        self.left.store(true, Release);
    }

    /// Waits until one has come inside, and returns whether one has.
    pub(crate) fn has_entered(&self) -> bool {
        until(|| self.entered.load(Acquire))
    }

    /// Returns whether it is outside again.
    pub(crate) fn has_left(&self) -> bool {
        self.left.load(Acquire)
    }
}
