// SPDX-License-Identifier: GPL-2.0

//! Memory for DMA, whose release is sound whenever it comes.
//!
//! [`kernel::dma::Coherent`] must not outlive the binding of its device: an IOMMU's mappings go with
//! the device, and freeing one later reads what is gone. Nothing in its type says so. Here a
//! [`Region`] comes from a [`Pool`], which knows whether the device is still bound. A region that is
//! dropped in time is freed; one that somebody kept for longer is leaked, with a line in the log.
//!
//! The other half, that the device no longer uses memory that is freed, is up to whoever tells the
//! device its address: see [`virtio::queue`](crate::virtio::queue).
//!
//! C header: [`include/linux/dma-mapping.h`](srctree/include/linux/dma-mapping.h)

use core::{
    mem::{
        ManuallyDrop,
        MaybeUninit, //
    },
    ptr::NonNull, //
};

use kernel::{
    alloc::Flags,
    bindings,
    device::{
        Bound,
        Device, //
    },
    devres,
    dma::Coherent,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use crate::virtio::ring::chain::Space;

pub mod stream;

/// What a region is aligned to, at least, in memory and as the device sees it.
pub const ALIGNMENT: usize = 4096;

/// How a device addresses memory.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Addressing {
    /// As the platform's DMA does, through the IOMMU if there is one.
    Platform,
    /// By physical addresses, whatever the platform has: virtio devices without
    /// `VIRTIO_F_ACCESS_PLATFORM` (virtio 1.2, section 6.1).
    Physical,
}

/// The memory that a device may use for DMA while it is bound.
///
/// It also says how the device addresses memory. A driver can't make one: it has that of its device from
/// the transport, which knows what was agreed on ([`virtio::Setup::pool`](crate::virtio::Setup::pool)).
/// Whatever maps memory for the device asks for it.
///
/// # Invariants
///
/// - `device` addresses memory as `addressing` says, as long as it is bound as it was when this was made.
/// - `bound` is set as long as that is so. `mapping` is reset with it; who resets it waits for RCU readers.
#[pin_data]
pub struct Pool {
    addressing: Addressing,
    device: ARef<Device>,
    mapping: Atomic<bool>,
    #[pin]
    bound: Mutex<bool>,
}

/// What is dropped when the device is unbound.
struct Unbind(Arc<Pool>);

impl Drop for Unbind {
    fn drop(&mut self) {
        *self.0.bound.lock() = false;
        self.0.mapping.store(false, Relaxed);
        // SAFETY: The bus unbinds devices in task context, outside of RCU readers.
        unsafe { bindings::synchronize_rcu() };
    }
}

impl Pool {
    /// Makes the pool of `dev`, which is of use until `dev` is unbound. May sleep.
    ///
    /// For transports: a driver has no other word than theirs of how its device addresses memory.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    ///
    /// # Safety
    ///
    /// Until `dev` is unbound it addresses memory as `addressing` says.
    pub unsafe fn new(dev: &Device<Bound>, addressing: Addressing) -> Result<Arc<Self>> {
        let pool = Arc::pin_init(
            // INVARIANT: By the safety requirements, and it is bound now; `Unbind` is dropped before it
            // no longer is.
            pin_init!(Self {
                addressing,
                device: dev.into(),
                mapping: Atomic::new(true),
                bound <- new_mutex!(true),
            }),
            GFP_KERNEL,
        )?;

        devres::register(dev, Unbind(pool.clone()), GFP_KERNEL)?;
        Ok(pool)
    }

    /// Returns how the device addresses the memory.
    pub fn addressing(&self) -> Addressing {
        self.addressing
    }

    /// Returns the device.
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Returns the address space that the addresses of its memory are ones in, as long as the pool is there.
    /// Any context.
    #[inline]
    pub fn space(&self) -> Space {
        match self.addressing {
            Addressing::Platform => Space::of(self),
            Addressing::Physical => Space::PHYSICAL,
        }
    }

    /// Returns whether this is still the pool of its device: that is bound as it was. It may end meanwhile.
    pub(crate) fn is_bound(&self) -> bool {
        self.mapping.load(Relaxed)
    }

    /// Allocates `len` bytes of zeroed memory, contiguous and aligned to [`ALIGNMENT`].
    ///
    /// Stands for `dma_alloc_coherent()`. Task context; may sleep, whatever `flags` are.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is no longer bound, `EINVAL` if `len` is 0, `ENOMEM`.
    pub fn alloc(self: &Arc<Self>, len: usize, flags: Flags) -> Result<Region> {
        let bound = self.bound.lock();

        if !*bound {
            return Err(ENODEV);
        }
        if len == 0 {
            return Err(EINVAL);
        }

        let (memory, start, address) = match self.addressing {
            Addressing::Platform => {
                // SAFETY: It is bound as long as we hold the lock: what is dropped when it is
                // unbound takes that first.
                let dev = unsafe { self.device.as_bound() };
                let coherent = Coherent::<u8>::zeroed_slice(dev, len, flags)?;
                let start = coherent.as_mut_ptr().cast::<u8>();
                let address = coherent.dma_address();

                (Memory::Platform(coherent), start, address)
            }
            Addressing::Physical => {
                let frames = len.div_ceil(ALIGNMENT);
                let mut memory = KVec::<Frame>::with_capacity(frames, flags | __GFP_ZERO)?;
                let start = memory.as_mut_ptr().cast::<u8>();
                // SAFETY: The address is one of `kmalloc()`, and so in the direct mapping.
                let address = unsafe { irqkit_bindings::virt_to_phys(start.cast()) };

                (Memory::Physical(memory), start, address)
            }
        };

        // INVARIANT: The memory was just allocated, of that size or more.
        Ok(Region {
            start: NonNull::new(start).ok_or(ENOMEM)?,
            len,
            address,
            memory: ManuallyDrop::new(memory),
            pool: self.clone(),
        })
    }
}

/// The unit in which memory is allocated that needs no mapping.
#[repr(C, align(4096))]
struct Frame(MaybeUninit<[u8; ALIGNMENT]>);

/// What owns the memory.
#[expect(dead_code, reason = "they are there to be dropped")]
enum Memory {
    Platform(Coherent<[u8]>),
    /// Allocated, and zeroed, up to the capacity; the length stays 0.
    Physical(KVec<Frame>),
}

/// A contiguous piece of memory that a device can be told of.
///
/// What is in it is copied out and in. There is never a reference to it: as soon as a device knows
/// its address, it may write there at any time, also when it should not.
///
/// Moving it does not move the memory. To be dropped in task context; dropping may sleep.
///
/// # Invariants
///
/// - `start` points to `len` bytes that `memory` owns, and that only this value gives access to.
/// - `address` is their address as the device sees it, until it is unbound.
pub struct Region {
    start: NonNull<u8>,
    len: usize,
    address: u64,
    memory: ManuallyDrop<Memory>,
    pool: Arc<Pool>,
}

// SAFETY: It owns its memory, which is no CPU's or task's.
unsafe impl Send for Region {}

// SAFETY: By shared reference it is only read, byte by byte.
unsafe impl Sync for Region {}

impl Region {
    /// Returns its size in bytes; it is not 0.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Returns its address as the device sees it.
    #[inline]
    pub fn address(&self) -> u64 {
        self.address
    }

    /// Returns the address space that [`Region::address`] is one in.
    #[inline]
    pub(crate) fn space(&self) -> Space {
        self.pool.space()
    }

    /// Returns where it is. Using the pointer is up to who does it.
    #[inline]
    pub fn as_ptr(&self) -> *mut u8 {
        self.start.as_ptr()
    }

    /// Returns where `len` bytes at `offset` are, if they are within.
    #[inline]
    fn at(&self, offset: usize, len: usize) -> Result<*mut u8> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.start.as_ptr().wrapping_add(offset)),
            _ => Err(EINVAL),
        }
    }

    /// Copies what is at `offset` to `to`. Any context.
    ///
    /// If a device writes there meanwhile, which one that keeps to the rules does not, some bytes
    /// are old and some new.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not all within the region.
    pub fn read(&self, offset: usize, to: &mut [u8]) -> Result {
        let from = self.at(offset, to.len())?;

        // As `kernel::io` has it, `memcpy()` of the kernel's own: the compiler may assume nothing of
        // the content.
        //
        // SAFETY: By the type invariant and the check above `from` is valid for so many bytes; `to`
        // is ours, and so no part of them.
        unsafe { bindings::memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        Ok(())
    }

    /// Copies `from` to `offset`. Any context.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not all within the region.
    pub fn write(&mut self, offset: usize, from: &[u8]) -> Result {
        let to = self.at(offset, from.len())?;

        // SAFETY: As in `read`.
        unsafe { bindings::memcpy(to.cast(), from.as_ptr().cast(), from.len()) };
        Ok(())
    }

    /// Zeroes `len` bytes at `offset`. Any context.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not all within the region.
    pub fn clear(&mut self, offset: usize, len: usize) -> Result {
        let to = self.at(offset, len)?;

        // SAFETY: As in `read`.
        unsafe { bindings::memset(to.cast(), 0, len) };
        Ok(())
    }
}

impl Drop for Region {
    fn drop(&mut self) {
        let bound = self.pool.bound.lock();

        // Memory without a mapping is nothing of the device's.
        if *bound || self.pool.addressing == Addressing::Physical {
            // SAFETY: It is not used after this.
            unsafe { ManuallyDrop::drop(&mut self.memory) };
        } else {
            drop(bound);
            dev_warn!(
                self.pool.device,
                "{} bytes of DMA memory were kept until after the device was unbound: leaked\n",
                self.len
            );
        }
    }
}
