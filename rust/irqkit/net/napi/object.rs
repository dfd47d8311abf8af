// SPDX-License-Identifier: GPL-2.0

//! The C object of a NAPI instance, and when it is enabled.

use core::{
    ffi::c_void,
    marker::{
        PhantomData,
        PhantomPinned, //
    },
    ptr, //
};

use irqkit_bindings as raw;
use kernel::{
    bindings,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    types::Opaque, //
};

use super::Link;
use crate::net::device::Device;

/// Whether an instance is enabled, under its lock.
pub(super) struct Switch {
    pub(super) enabled: bool,
    /// It will never be again.
    pub(super) ended: bool,
}

/// The C object, without what is polled: page pools have one as well.
///
/// # Invariants
///
/// - `napi` was added to `device`, and is deleted from it when `switch.ended` is set.
/// - It is disabled, in the sense of the core, unless `switch.enabled`, but while `switch` is held.
/// - `enabling` is held by whoever enables it.
#[pin_data]
pub struct Core {
    #[pin]
    napi: Opaque<raw::irqkit_napi>,
    pub(super) device: Arc<Device>,
    pub(super) link: Link,
    #[pin]
    pub(super) switch: Mutex<Switch>,
    #[pin]
    enabling: Mutex<bool>,
    /// False only while it is disabled: what is scheduled then, the core would remember, and poll for
    /// when it is enabled again.
    on: Atomic<bool>,
    /// The [`Napi`](super::Napi) that it is part of; set before it is first enabled.
    owner: Atomic<*mut c_void>,
    #[pin]
    _pin: PhantomPinned,
}

/// The lock of the instances of a device, held for one of them.
///
/// # Invariants
///
/// The current context holds the lock of the device of `core`.
pub(super) struct Instances<'a> {
    core: &'a Core,
    /// Neither `Send` nor `Sync`.
    _context: PhantomData<*mut ()>,
}

impl Instances<'_> {
    /// Enables the instance, for who holds its `switch`.
    ///
    /// Stands for `napi_enable_locked()`.
    pub(super) fn enable(&self) {
        let core = self.core;
        let mut enabled = core.enabling.lock();

        core.on.store(true, Relaxed);
        // SAFETY: By the type invariants it was added, and is disabled, and the lock is held; the
        // caller holds `switch`.
        unsafe { raw::napi_enable_locked(core.as_raw()) };
        *enabled = true;
    }

    /// Disables it, for who holds `switch`; waits until it was polled to the end.
    ///
    /// Stands for `napi_disable_locked()`.
    pub(super) fn disable(&self) {
        let core = self.core;

        // SAFETY: By the type invariants it was added, and is enabled, and the lock is held; the
        // caller holds `switch`.
        unsafe { raw::napi_disable_locked(core.as_raw()) };
        core.on.store(false, Relaxed);
        *core.enabling.lock() = false;
    }
}

impl Drop for Instances<'_> {
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is held.
        unsafe { raw::netdev_unlock(self.core.device.as_raw()) };
    }
}

// SAFETY: The C object is made to be used on all CPUs.
unsafe impl Send for Core {}

// SAFETY: As above.
unsafe impl Sync for Core {}

impl Core {
    #[inline]
    pub(in crate::net) fn as_raw(&self) -> *mut bindings::napi_struct {
        self.napi.get().cast()
    }

    #[inline]
    pub(in crate::net) fn device(&self) -> &Device {
        &self.device
    }

    /// Calls `f` while the instance can't be enabled; it says whether it is disabled. Task context.
    pub(in crate::net) fn while_disabled<R>(&self, f: impl FnOnce(bool) -> R) -> R {
        let enabled = self.enabling.lock();

        f(!*enabled)
    }

    /// Takes the lock of the device's instances, for who holds `switch`; given back when that is
    /// dropped. May sleep.
    ///
    /// Whoever switches threads on or off waits with it held until no instance is in use, and one that
    /// is disabled is.
    ///
    /// Stands for `netdev_lock()`.
    pub(super) fn lock(&self) -> Instances<'_> {
        // SAFETY: The device is valid.
        unsafe { raw::netdev_lock(self.device.as_raw()) };
        // INVARIANT: It was just taken.
        Instances {
            core: self,
            _context: PhantomData,
        }
    }

    /// Makes an object that is not added to `device` yet, nor part of anything.
    pub(super) fn new(device: Arc<Device>, link: Link) -> impl PinInit<Self> {
        pin_init!(Self {
            // All zeroes is what the core expects.
            napi <- pin_init::init_zeroed::<Opaque<raw::irqkit_napi>>(),
            device,
            link,
            switch <- new_mutex!(Switch { enabled: false, ended: false }, "irqkit::net::napi"),
            enabling <- new_mutex!(false, "irqkit::net::enabling"),
            on: Atomic::new(false),
            owner: Atomic::new(ptr::null_mut()),
            _pin: PhantomPinned,
        })
    }

    /// Says what it is part of.
    pub(super) fn set_owner(&self, owner: *const c_void) {
        self.owner.store(owner.cast_mut(), Relaxed);
    }

    /// Returns what the object `napi` is part of.
    ///
    /// # Safety
    ///
    /// `napi` is that of a `Core` that is valid, and has an owner.
    #[inline]
    pub(super) unsafe fn owner_of(napi: *mut bindings::napi_struct) -> *mut c_void {
        // SAFETY: By the safety requirements it is field `napi` of a `Core`.
        let this = unsafe {
            &*kernel::container_of!(
                Opaque::cast_from(napi.cast::<raw::irqkit_napi>()),
                Self,
                napi
            )
        };

        this.owner.load(Relaxed)
    }

    /// Returns whether it may be scheduled. It may change at any time.
    #[inline]
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Relaxed)
    }
}
