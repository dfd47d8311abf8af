// SPDX-License-Identifier: GPL-2.0

//! All interrupts that are registered, and all functions that have vectors.
//!
//! # Who must not wait for which
//!
//! To wait for the handlers of a line is to wait for those of all its users, their threads
//! included. So the thread of any of them would wait for itself, also if the interrupt that it asks
//! for is another device's.

use kernel::{
    device::Device,
    prelude::*,
    sync::{
        global_lock,
        Arc, //
    }, //
};

use super::Line;

global_lock! {
    // SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
    // anyone who could register an interrupt.
    unsafe(uninit) static LINES: Mutex<KVec<Arc<Line>>> = KVec::new();
}

/// Lists the line of an interrupt that is about to be registered. It may sleep.
pub(super) fn insert(line: &Arc<Line>) -> Result {
    Ok(LINES.lock().push(line.clone(), GFP_KERNEL)?)
}

/// Takes the line of an interrupt that has been freed off the list. It may sleep.
pub(super) fn remove(line: &Line) {
    LINES
        .lock()
        .retain(|listed| !core::ptr::eq(&raw const **listed, line));
}

/// Returns whether the caller is in the thread handler of one of the users of line `irq`. It may
/// sleep.
pub(super) fn is_thread_of(irq: u32) -> bool {
    LINES
        .lock()
        .iter()
        .any(|line| line.irq() == irq && line.is_in_thread())
}

global_lock! {
    // SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
    // anyone who could ask for vectors.
    unsafe(uninit) static CLAIMS: Mutex<KVec<usize>> = KVec::new();
}

/// The right to have the vectors of a device, which one at a time has.
///
/// # Invariants
///
/// The address of the device is on the list, once, for this value.
pub(super) struct Claim(usize);

impl Claim {
    /// Claims the vectors of `dev`, for no longer than it exists. It may sleep.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if they are claimed; [`ENOMEM`].
    pub(super) fn new(dev: &Device) -> Result<Self> {
        let address = core::ptr::from_ref(dev).addr();
        let mut claims = CLAIMS.lock();

        if claims.contains(&address) {
            return Err(EBUSY);
        }
        claims.push(address, GFP_KERNEL)?;
        // INVARIANT: It was not on the list, and is.
        Ok(Self(address))
    }
}

/// Returns whether the vectors of `dev` are claimed. It may sleep.
pub(crate) fn has_vectors(dev: &Device) -> bool {
    CLAIMS.lock().contains(&core::ptr::from_ref(dev).addr())
}

impl Drop for Claim {
    fn drop(&mut self) {
        CLAIMS.lock().retain(|claimed| *claimed != self.0);
    }
}

/// The registry's life. irqkit's module holds the only one.
pub(crate) struct Registry(());

impl Registry {
    /// Starts the registry. It may sleep.
    ///
    /// # Safety
    ///
    /// To be called once, when irqkit is loaded, before anything else in [`crate::irq`] is used;
    /// the result must be dropped before irqkit's code goes away.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: By the safety requirements, this is done once, and first.
        unsafe { LINES.init() };
        // SAFETY: As above.
        unsafe { CLAIMS.init() };
        Self(())
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // No interrupt is registered any more. Statics are not dropped.
        *LINES.lock() = KVec::new();
        *CLAIMS.lock() = KVec::new();
    }
}
