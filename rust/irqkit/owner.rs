// SPDX-License-Identifier: GPL-2.0

//! Whose code it is that a device keeps registered.
//!
//! What devres owns ends when the device is unbound, which is before the module of its driver goes. A
//! reference to a bound device may also be had of a device with another driver, such as the parent of
//! an auxiliary device, and that driver stays when our module goes: what was leaked would be called
//! when it is gone.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    prelude::*, //
};

/// Fails unless the code at `code` goes no sooner than the driver that `dev` is bound to.
///
/// # Errors
///
/// [`EXDEV`]: it is not in the module of that driver, or the driver is built in.
pub(crate) fn check(dev: &Device<Bound>, code: *const ()) -> Result {
    // `Device` is a transparent wrapper of `struct device`.
    let raw = core::ptr::from_ref(dev)
        .cast_mut()
        .cast::<kernel::bindings::device>();

    // SAFETY: The device is valid, and bound, so that it has a driver as long as we have the reference;
    // a driver's module stays as long as that is registered.
    if unsafe { irqkit_bindings::driver_owns(raw, code.addr()) } {
        Ok(())
    } else {
        Err(EXDEV)
    }
}
