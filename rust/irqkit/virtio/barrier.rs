// SPDX-License-Identifier: GPL-2.0

//! Barriers between this CPU and a virtio device.
//!
//! A device is a program on another CPU, if `VIRTIO_F_ORDER_PLATFORM` was not negotiated, which is
//! there even if this kernel was built for one: [`kernel::sync::barrier::smp_mb`] is none then, but
//! `virt_mb()` is one. Else it is a device as any other on the platform.
//!
//! On x86 these are instructions, or none, instead of calls, as they are in every buffer's way.
//!
//! C header: [`include/linux/virtio_ring.h`](srctree/include/linux/virtio_ring.h)

use kernel::sync::barrier::{
    mb,
    Full, //
};

use super::queue::Order;

impl Order {
    /// `virtio_rmb()`.
    #[inline]
    pub(super) fn read_barrier(self) {
        match self {
            Self::Smp => arch::smp_read(),
            Self::Platform => arch::platform_read(),
        }
    }

    /// `virtio_wmb()`.
    #[inline]
    pub(super) fn write_barrier(self) {
        match self {
            Self::Smp => arch::smp_write(),
            Self::Platform => arch::platform_write(),
        }
    }

    /// `virtio_mb()`.
    #[inline]
    pub(super) fn full_barrier(self) {
        match self {
            Self::Smp => arch::smp_full(),
            Self::Platform => mb(Full),
        }
    }
}

/// The CPU keeps reads in order, and writes, as far as memory is concerned that a device shares
/// coherently. So the compiler alone has to be told.
#[cfg(CONFIG_X86_64)]
mod arch {
    use core::arch::asm;

    #[inline(always)]
    fn compiler() {
        // SAFETY: No instruction. As far as the compiler knows, it accesses any memory.
        unsafe { asm!("", options(nostack, preserves_flags)) };
    }

    #[inline(always)]
    pub(super) fn smp_read() {
        compiler();
    }

    #[inline(always)]
    pub(super) fn smp_write() {
        compiler();
    }

    #[inline(always)]
    pub(super) fn platform_read() {
        compiler();
    }

    #[inline(always)]
    pub(super) fn platform_write() {
        compiler();
    }

    #[inline(always)]
    pub(super) fn smp_full() {
        // The kernel's own choice (`__smp_mb()`), faster than `mfence`.
        //
        // SAFETY: It adds 0 to a word of the stack, below its pointer, where nobody keeps anything:
        // the kernel is compiled without a red zone.
        unsafe { asm!("lock add dword ptr [rsp - 4], 0") };
    }
}

#[cfg(not(CONFIG_X86_64))]
mod arch {
    use kernel::sync::barrier::{
        dma_mb,
        Read,
        Write, //
    };

    #[inline(always)]
    pub(super) fn smp_read() {
        // SAFETY: Without requirements.
        unsafe { irqkit_bindings::virt_rmb() };
    }

    #[inline(always)]
    pub(super) fn smp_write() {
        // SAFETY: Without requirements.
        unsafe { irqkit_bindings::virt_wmb() };
    }

    #[inline(always)]
    pub(super) fn platform_read() {
        dma_mb(Read);
    }

    #[inline(always)]
    pub(super) fn platform_write() {
        dma_mb(Write);
    }

    #[inline(always)]
    pub(super) fn smp_full() {
        // SAFETY: Without requirements.
        unsafe { irqkit_bindings::virt_mb() };
    }
}
