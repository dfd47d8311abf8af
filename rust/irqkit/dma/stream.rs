// SPDX-License-Identifier: GPL-2.0

//! Streaming DMA: mapping memory that others have allocated, for as long as the device needs it.

use core::ptr;

use kernel::{
    bindings,
    device::Device,
    prelude::*,
    sync::{
        atomic::Relaxed,
        rcu,
        Arc, //
    }, //
};

use super::{
    Addressing,
    Pool, //
};
use crate::virtio::ring::chain::Space;

/// What may map memory for a device while it is bound.
///
/// Cheap to clone. Where the device sees physical addresses, nothing has to be mapped.
#[derive(Clone)]
pub struct Stream(Option<Arc<Pool>>);

impl Stream {
    /// Returns what maps for the device of `pool` until that is unbound. Any context.
    pub fn new(pool: &Arc<Pool>) -> Self {
        match pool.addressing() {
            Addressing::Platform => Self(Some(pool.clone())),
            Addressing::Physical => Self(None),
        }
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
        let pool = self.0.as_ref().ok_or(ENODEV)?;
        let _guard = rcu::read_lock();

        if !pool.mapping.load(Relaxed) {
            return Err(ENODEV);
        }
        f(as_raw(&pool.device))?;
        Ok(Mapper(pool.clone()))
    }
}

/// What has mapped something, and takes it back.
pub(crate) struct Mapper(Arc<Pool>);

impl Mapper {
    /// Returns the address space that it maps to.
    #[inline]
    pub(crate) fn space(&self) -> Space {
        self.0.space()
    }

    /// Calls `f`, which takes back what was mapped, with the device. If that is no longer bound, nothing
    /// can be taken back.
    #[inline]
    pub(crate) fn unmap(self, f: impl FnOnce(*mut bindings::device)) {
        let _guard = rcu::read_lock();

        if self.0.mapping.load(Relaxed) {
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
