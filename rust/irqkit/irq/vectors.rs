// SPDX-License-Identifier: GPL-2.0

//! The interrupt vectors of a PCI function.

use kernel::{
    device::Bound,
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

/// The interrupt vectors allocated for a PCI function: its INTx pin, or MSI or MSI-X messages.
///
/// They are freed when the last of its owners is dropped, who include all registrations on them, or
/// when the device is unbound, after all registrations on them. Drop in task context.
///
/// Stands for `pci_alloc_irq_vectors()` and `pci_free_irq_vectors()`.
pub struct Vectors {
    vectors: Devres<IrqVectorRegistration<'static>>,
    len: usize,
    irq_type: IrqType,
}

impl Vectors {
    /// Allocates from `min` to `max` vectors of one of `types`, which are tried in the order MSI-X,
    /// MSI, INTx. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOSPC`] if there are not as many as `min`; [`EINVAL`] if the function has no interrupt of
    /// these types, `min > max`, or its vectors are allocated already.
    pub fn new(dev: &pci::Device<Bound>, min: u32, max: u32, types: IrqTypes) -> Result<Arc<Self>> {
        let vectors = dev.alloc_irq_vectors(min, max, types)?;
        let len = vectors.len();
        let irq_type = vectors.irq_type();

        // SAFETY: The lifetime is that of the borrow of a bound device. `Devres` drops the value
        // before the device is unbound, and gives access to it no longer than that; `'static` never
        // shows outside.
        let vectors = unsafe {
            core::mem::transmute::<IrqVectorRegistration<'_>, IrqVectorRegistration<'static>>(
                vectors,
            )
        };

        let vectors = Self {
            vectors: Devres::new(dev.as_ref(), vectors)?,
            len,
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
        self.len
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
    /// # Errors
    ///
    /// [`EINVAL`] if these are not the vectors of `dev`, or not as many.
    pub fn irq(&self, dev: &pci::Device<Bound>, index: usize) -> Result<u32> {
        let vectors = self.vectors.access(dev.as_ref())?;

        Ok(IrqRequest::from(vectors.index(index)?).irq())
    }
}
