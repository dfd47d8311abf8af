// SPDX-License-Identifier: GPL-2.0

//! Streaming DMA: mapping memory that others have allocated, for as long as the device needs it.

use core::ptr;

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    devres,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        rcu,
        Arc, //
    }, //
};

use super::Addressing;

/// What may map memory for a device while it is bound.
///
/// Cheap to clone. Where the device sees physical addresses, nothing has to be mapped.
#[derive(Clone)]
pub struct Stream(Option<Arc<Shared>>);

/// The device, and whether it may be mapped for.
struct Shared {
    device: ARef<Device>,
    /// Read under RCU; who resets it waits for those.
    bound: Atomic<bool>,
}

/// What is dropped when the device is unbound.
struct Unbind(Arc<Shared>);

impl Drop for Unbind {
    fn drop(&mut self) {
        self.0.bound.store(false, Relaxed);
        // SAFETY: The bus unbinds devices in task context, outside of RCU readers.
        unsafe { bindings::synchronize_rcu() };
    }
}

impl Stream {
    /// Makes what maps for `dev` until it is unbound; once a binding. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub fn new(dev: &Device<Bound>, addressing: Addressing) -> Result<Self> {
        if addressing == Addressing::Physical {
            return Ok(Self(None));
        }

        let device: &Device = dev;
        let shared = Arc::new(
            Shared {
                device: device.into(),
                bound: Atomic::new(true),
            },
            GFP_KERNEL,
        )?;
        devres::register(dev, Unbind(shared.clone()), GFP_KERNEL)?;
        Ok(Self(Some(shared)))
    }

    /// Returns whether memory has to be mapped at all.
    #[inline]
    pub const fn maps(&self) -> bool {
        self.0.is_some()
    }

    /// Calls `f`, which maps something, with the device.
    ///
    /// # Errors
    ///
    /// `ENODEV` if it is no longer bound, or nothing is to be mapped; else that of `f`.
    #[inline]
    pub(crate) fn map(&self, f: impl FnOnce(*mut bindings::device) -> Result) -> Result<Mapper> {
        let shared = self.0.as_ref().ok_or(ENODEV)?;
        let _guard = rcu::read_lock();

        if !shared.bound.load(Relaxed) {
            return Err(ENODEV);
        }
        f(as_raw(&shared.device))?;
        Ok(Mapper(shared.clone()))
    }
}

/// What has mapped something, and takes it back.
pub(crate) struct Mapper(Arc<Shared>);

impl Mapper {
    /// Calls `f`, which takes back what was mapped, with the device. If that is no longer bound, nothing
    /// can be taken back.
    #[inline]
    pub(crate) fn unmap(self, f: impl FnOnce(*mut bindings::device)) {
        let _guard = rcu::read_lock();

        if self.0.bound.load(Relaxed) {
            f(as_raw(&self.0.device));
        } else {
            dev_warn!(
                self.0.device,
                "memory was kept mapped until after the device was unbound\n"
            );
        }
    }
}

#[inline]
fn as_raw(device: &Device) -> *mut bindings::device {
    // A `Device` is a `struct device`.
    ptr::from_ref(device).cast_mut().cast()
}
