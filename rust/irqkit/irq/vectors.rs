// SPDX-License-Identifier: GPL-2.0

//! The interrupt vectors of a PCI function.

use kernel::{
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    irq::IrqRequest,
    pci::{
        self,
        IrqType,
        IrqTypes,
        IrqVectorRegistration, //
    },
    prelude::*,
    sync::Arc, //
};

use super::registry::Claim;

/// The interrupt vectors allocated for a PCI function: its INTx pin, or MSI or MSI-X messages.
///
/// They are freed when the last of its owners is dropped, who include all registrations on them, or
/// when the device is unbound, after all registrations on them. Drop in task context.
///
/// A function has one such value at a time: the PCI core does not know of several, and would free the
/// vectors of one with the other.
///
/// Stands for `pci_alloc_irq_vectors()` and `pci_free_irq_vectors()`.
///
/// # Invariants
///
/// - As long as `vectors` gives access, they are the vectors of its device, of type `irq_type`, and
///   `irqs` are the Linux numbers of all of them, in order; there is at least one.
/// - While that device stays bound, what gives access goes on to do so until `Self` is dropped.
pub struct Vectors {
    vectors: Devres<Owned<'static>>,
    irqs: KVec<u32>,
    irq_type: IrqType,
}

/// The vectors of a function, and the right to have some.
struct Owned<'a> {
    // Dropped first: then the next one may have vectors.
    _vectors: IrqVectorRegistration<'a>,
    _claim: Claim,
}

impl Vectors {
    /// Allocates from `min` to `max` vectors of one of `types`, which are tried in the order MSI-X,
    /// MSI, INTx. May sleep.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if the function has vectors already; [`ENOSPC`] if there are not as many as `min`;
    /// [`EINVAL`] if the function has no interrupt of these types, or `min > max`.
    pub fn new(dev: &pci::Device<Bound>, min: u32, max: u32, types: IrqTypes) -> Result<Arc<Self>> {
        // Asked for more, the core could fall through to the pin of a function that has messages.
        let claim = Claim::new(dev.as_ref())?;
        let vectors = dev.alloc_irq_vectors(min, max, types)?;
        let irq_type = vectors.irq_type();

        let mut irqs = KVec::with_capacity(vectors.len(), GFP_KERNEL)?;
        for index in 0..vectors.len() {
            irqs.push(IrqRequest::from(vectors.index(index)?).irq(), GFP_KERNEL)?;
        }

        // SAFETY: The lifetime is that of the borrow of a bound device. `Devres` drops the value
        // before the device is unbound, and gives access to it no longer than that; `'static` never
        // shows outside.
        let vectors = unsafe {
            core::mem::transmute::<Owned<'_>, Owned<'static>>(Owned {
                _vectors: vectors,
                _claim: claim,
            })
        };

        // INVARIANT: They were allocated for `dev`, all their numbers are in `irqs`, and there is
        // one, or it would have failed. `Devres` revokes the access when the device is unbound, or
        // `Self` is dropped.
        let vectors = Self {
            vectors: Devres::new(dev.as_ref(), vectors)?,
            irqs,
            irq_type,
        };
        Ok(Arc::new(vectors, GFP_KERNEL)?)
    }

    /// Returns how many vectors there are; at least 1.
    ///
    /// May be called from any context.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> usize {
        self.irqs.len()
    }

    /// Returns what they are.
    ///
    /// May be called from any context.
    #[inline]
    pub fn irq_type(&self) -> IrqType {
        self.irq_type
    }

    /// Returns whether they are the INTx pin, whose line is shared with other devices.
    ///
    /// May be called from any context.
    #[inline]
    pub fn is_intx(&self) -> bool {
        matches!(self.irq_type, IrqType::Intx)
    }

    /// Returns the Linux number of vector `index` of `dev`.
    ///
    /// May be called from any context.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if these are not the vectors of `dev`, or not as many; [`ENODEV`] if they were
    /// freed, because the device was unbound since, and bound again.
    pub fn irq(&self, dev: &pci::Device<Bound>, index: usize) -> Result<u32> {
        let dev: &Device<Bound> = dev.as_ref();

        if !core::ptr::addr_eq(self.vectors.device(), dev) {
            return Err(EINVAL);
        }
        let irq = *self.irqs.get(index).ok_or(EINVAL)?;

        // By the type invariant: `dev` is bound, so what is not freed now stays as long as that, or
        // as `self` does.
        self.vectors.try_access().ok_or(ENODEV)?;
        Ok(irq)
    }
}
