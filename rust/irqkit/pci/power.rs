// SPDX-License-Identifier: GPL-2.0

//! A function that is switched on: memory decoding and bus mastering.

use kernel::{
    bindings,
    device::Core,
    pci,
    prelude::*,
    sync::aref::ARef, //
};

use super::{
    as_raw,
    set_master, //
};

/// A function whose memory is decoded for as long as this value lives. It can't reach memory itself
/// unless it is told so with [`Power::set_master`].
///
/// Stands for `pci_enable_device_mem()`, `pci_disable_device()`, `pci_set_master()` and
/// `pci_clear_master()`. Made, used and dropped in task context.
///
/// # Invariants
///
/// The function was enabled once for this value. It is dropped before the function is given up by
/// the driver that it was made for.
pub(crate) struct Power(ARef<pci::Device>);

impl Power {
    /// Switches `dev` on.
    ///
    /// # Safety
    ///
    /// The value must be dropped before `dev` is unbound.
    ///
    /// # Errors
    ///
    /// What the kernel says.
    pub(crate) unsafe fn on(dev: &pci::Device<Core<'_>>) -> Result<Self> {
        dev.enable_device_mem()?;
        // INVARIANT: It was enabled, and the rest is promised by the safety requirements.
        Ok(Self(dev.into()))
    }

    /// Lets the function reach memory, or not any more; with that goes its right to send MSIs.
    pub(crate) fn set_master(&self, on: bool) {
        // SAFETY: The function is valid, as a reference to it is held. By the type invariant it has
        // not been given up, so nobody else drives it.
        unsafe { set_master(as_raw(&self.0), on) };
    }

    /// Returns whether the function still answers to reads of its configuration space.
    pub(crate) fn is_present(&self) -> bool {
        // SAFETY: The function is valid, as a reference to it is held.
        unsafe { bindings::pci_device_is_present(as_raw(&self.0)) }
    }
}

impl Drop for Power {
    fn drop(&mut self) {
        self.set_master(false);
        // SAFETY: The function is valid, and by the type invariant this undoes our own enabling.
        unsafe { bindings::pci_disable_device(as_raw(&self.0)) };
    }
}
