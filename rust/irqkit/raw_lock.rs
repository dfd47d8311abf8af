// SPDX-License-Identifier: GPL-2.0

//! A spinlock that may be taken in every context but NMIs, on every kernel.
//!
//! [`kernel::sync::SpinLock`] must not be taken in hard interrupts, and with `PREEMPT_RT` sleeps.
//! This one (`raw_spinlock_t`) keeps interrupts off while it is held, so what is done under it is
//! short.
//!
//! C header: [`include/linux/spinlock.h`](srctree/include/linux/spinlock.h)

use core::cell::UnsafeCell;

use kernel::{
    bindings,
    prelude::*,
    sync::LockClassKey,
    types::Opaque, //
};

/// A value that one CPU at a time uses, with its interrupts off.
///
/// # Invariants
///
/// `raw` is initialised, and who holds it is the only user of `value`.
#[pin_data]
pub(crate) struct RawLock<T> {
    #[pin]
    raw: Opaque<bindings::raw_spinlock_t>,
    value: UnsafeCell<T>,
}

// SAFETY: What it protects may be sent.
unsafe impl<T: Send> Send for RawLock<T> {}

// SAFETY: By the type invariant one user at a time has the value, which may be sent to them.
unsafe impl<T: Send> Sync for RawLock<T> {}

impl<T> RawLock<T> {
    /// Creates a lock around `value`.
    pub(crate) fn new(
        value: T,
        name: &'static CStr,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self> {
        // INVARIANT: It is initialised, and nobody holds it.
        pin_init!(Self {
            raw <- Opaque::ffi_init(|raw| {
                // SAFETY: `raw` is valid for writes and stays where it is; the name and the key
                // live for ever.
                unsafe {
                    irqkit_bindings::raw_spin_lock_init(raw, name.as_char_ptr(), key.as_ptr())
                };
            }),
            value: UnsafeCell::new(value),
        })
    }

    /// Creates the lock of a static.
    ///
    /// # Safety
    ///
    /// It must not be used before [`RawLock::init`] was called.
    pub(crate) const unsafe fn uninit(value: T) -> Self {
        // INVARIANT: By the safety requirements it is initialised before it matters.
        Self {
            raw: Opaque::uninit(),
            value: UnsafeCell::new(value),
        }
    }

    /// Initialises the lock of a static.
    ///
    /// # Safety
    ///
    /// To be called once, before anything else is done with the lock.
    pub(crate) unsafe fn init(&'static self, name: &'static CStr, key: Pin<&'static LockClassKey>) {
        // SAFETY: It is valid and stays where it is, and by the safety requirements nobody uses it
        // yet; the name and the key live for ever.
        unsafe {
            irqkit_bindings::raw_spin_lock_init(
                self.raw.get(),
                name.as_char_ptr(),
                key.as_ptr(), //
            )
        };
    }

    /// Calls `f` with the value, under the lock.
    ///
    /// `f` must not sleep and must not come back to this lock.
    #[inline]
    pub(crate) fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        // SAFETY: By the type invariant the lock is initialised.
        let flags = unsafe { irqkit_bindings::raw_spin_lock_irqsave(self.raw.get()) };

        // SAFETY: By the type invariant it is ours until the lock is released below.
        let result = f(unsafe { &mut *self.value.get() });

        // SAFETY: It was taken above, on this CPU, which `flags` are of.
        unsafe { irqkit_bindings::raw_spin_unlock_irqrestore(self.raw.get(), flags) };
        result
    }
}
