// SPDX-License-Identifier: GPL-2.0

//! Where a NAPI instance is known not to run elsewhere.

use core::marker::PhantomData;

use kernel::{
    alloc::Flags,
    prelude::*,
    sync::Arc, //
};

use super::object::Core;
use crate::net::budget::Budget;

mod private {
    pub trait Sealed {
        /// Returns the C object of the instance.
        fn core(&self) -> &super::Core;

        /// Returns it if it is disabled.
        fn idle(&self) -> Option<&super::Arc<super::Core>> {
            None
        }

        /// Returns whether its device has ended. One that is polled, or kept from it, does not end
        /// meanwhile.
        #[inline]
        fn ended(&self) -> bool {
            false
        }
    }
}

/// A place that excludes that a certain NAPI instance runs elsewhere.
pub trait InNapi: private::Sealed {
    /// Whether it must not sleep.
    const ATOMIC: bool;

    /// Returns the flags for allocations.
    fn alloc_flags(&self) -> Flags;
}

/// An instance that is kept from polling: what [`Napi::with`](super::Napi::with) gives.
pub struct Idle<'a> {
    core: &'a Arc<Core>,
    ended: bool,
    /// Neither `Send` nor `Sync`.
    _context: PhantomData<*mut ()>,
}

impl<'a> Idle<'a> {
    /// `core` is disabled for `'a`, and its device has ended, or does not for `'a`.
    pub(super) fn new(core: &'a Arc<Core>, ended: bool) -> Self {
        Self {
            core,
            ended,
            _context: PhantomData,
        }
    }
}

impl private::Sealed for Idle<'_> {
    fn core(&self) -> &Core {
        self.core
    }

    fn idle(&self) -> Option<&Arc<Core>> {
        Some(self.core)
    }

    fn ended(&self) -> bool {
        self.ended
    }
}

impl InNapi for Idle<'_> {
    const ATOMIC: bool = false;

    fn alloc_flags(&self) -> Flags {
        // What memory is waited for may be an answer that this instance receives.
        GFP_NOWAIT
    }
}

impl private::Sealed for Budget<'_> {
    #[inline]
    fn core(&self) -> &Core {
        self.napi()
    }
}

impl InNapi for Budget<'_> {
    const ATOMIC: bool = true;

    #[inline]
    fn alloc_flags(&self) -> Flags {
        GFP_ATOMIC
    }
}

/// Returns the C object of the instance that `at` is about.
#[inline]
pub(in crate::net) fn core_of(at: &impl InNapi) -> &Core {
    private::Sealed::core(at)
}

/// Returns whether its device has ended.
#[inline]
pub(in crate::net) fn has_ended(at: &impl InNapi) -> bool {
    private::Sealed::ended(at)
}

/// Returns it if that is disabled as long as `at` lives.
pub(in crate::net) fn idle_core(at: &impl InNapi) -> Option<&Arc<Core>> {
    private::Sealed::idle(at)
}
