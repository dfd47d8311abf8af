// SPDX-License-Identifier: GPL-2.0

//! Sets of CPUs that interrupts go to.

use kernel::{
    bindings,
    cpu::CpuId,
    cpumask::{
        Cpumask,
        CpumaskVar, //
    },
    fmt,
    prelude::*, //
};

use crate::percpu::possible_cpus;

/// A set of CPUs, which is displayed as the kernel's lists are: `0-3,8`.
pub struct CpuList(CpumaskVar);

// SAFETY: It owns its mask, which can be freed by any thread.
unsafe impl Send for CpuList {}

// SAFETY: The methods with a shared reference only read the mask.
unsafe impl Sync for CpuList {}

impl CpuList {
    /// Creates a set of the CPUs in `cpus`. May sleep.
    ///
    /// # Errors
    ///
    /// [`ENOMEM`].
    pub fn new(cpus: impl IntoIterator<Item = CpuId>) -> Result<Self> {
        let mut mask = CpumaskVar::new_zero(GFP_KERNEL)?;

        for cpu in cpus {
            mask.set(cpu);
        }
        Ok(Self(mask))
    }

    /// Copies a mask of C.
    ///
    /// # Safety
    ///
    /// `mask` must be null or valid during the call.
    pub(super) unsafe fn copy_of(mask: *const bindings::cpumask) -> Result<Self> {
        let mut copy = CpumaskVar::new_zero(GFP_KERNEL)?;

        if !mask.is_null() {
            // SAFETY: By the safety requirements it is valid. A mask that changes meanwhile gives a
            // mixture, as it does everywhere in the kernel.
            unsafe { Cpumask::from_raw(mask) }.copy(&mut copy);
        }
        Ok(Self(copy))
    }

    /// Returns the C object.
    pub(super) fn as_raw(&self) -> *const bindings::cpumask {
        self.0.as_raw()
    }

    /// Returns whether `cpu` is in the set.
    #[inline]
    pub fn contains(&self, cpu: CpuId) -> bool {
        self.0.test(cpu)
    }

    /// Returns whether there is none in the set.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.0.empty()
    }

    /// Iterates over the CPUs in the set, in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = CpuId> + '_ {
        possible_cpus().filter(|cpu| self.contains(*cpu))
    }
}

impl fmt::Display for CpuList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cpus = self.iter().map(|cpu| cpu.as_u32()).peekable();
        let mut comma = "";

        while let Some(first) = cpus.next() {
            let mut last = first;
            while let Some(next) = cpus.next_if(|cpu| *cpu == last + 1) {
                last = next;
            }
            if first == last {
                write!(f, "{comma}{first}")?;
            } else {
                write!(f, "{comma}{first}-{last}")?;
            }
            comma = ",";
        }
        Ok(())
    }
}
