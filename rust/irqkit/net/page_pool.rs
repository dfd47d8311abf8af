// SPDX-License-Identifier: GPL-2.0

//! Memory for received packets.
//!
//! A [`PagePool`] belongs to one receive queue. It maps its pages for the device once, and gets them
//! back from the stack when a packet is freed, mostly without a lock: on the CPU of the NAPI instance
//! that it is used by.
//!
//! C header: [`include/net/page_pool/types.h`](srctree/include/net/page_pool/types.h)

use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use irqkit_bindings as raw;
use kernel::{
    bindings,
    error::from_err_ptr,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic, //
        },
        Arc, //
    }, //
};

use super::{
    device::Device,
    frag::PoolFrag,
    napi::{
        self,
        Core,
        InNapi, //
    },
    shape::Shape, //
};
use crate::dma::Addressing;

/// What the pool and its fragments have in common.
///
/// # Invariants
///
/// `pool` is a page pool of `device`, which maps what it gives if `mapped`.
pub(super) struct Shared {
    pub(super) pool: NonNull<bindings::page_pool>,
    pub(super) mapped: bool,
    /// How many fragments were dropped.
    pub(super) dropped: Atomic<u64>,
    /// What the pool refers to.
    device: Arc<Device>,
    /// The instance that recycles into its cache.
    linked: Option<Arc<Core>>,
}

/// The memory of a receive queue.
///
/// It belongs into the [`Poller`](super::Poller) of that queue, behind what holds its fragments, such
/// as a ring: fragments that are not back when the pool is dropped may still be written to by a device,
/// and are leaked together with it. To be dropped in task context, while its NAPI instance is disabled
/// or gone.
///
/// # Invariants
///
/// - Nobody else allocates from `shared.pool`, or destroys it.
/// - `given` fragments were given that did not become a packet's; `shared.dropped` of them are back.
/// - If `shared.linked`, that instance alone recycles into the pool's cache, and it allocates while that is
///   polled by the current context, or disabled.
pub struct PagePool {
    shared: ManuallyDrop<KBox<Shared>>,
    given: u64,
}

// SAFETY: It owns the pool, which is no CPU's or task's.
unsafe impl Send for PagePool {}

impl PagePool {
    /// Makes a pool for a receive queue; pages of it are kept for up to `size` buffers. Task context;
    /// may sleep.
    ///
    /// Stands for `page_pool_create()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue; `ENODEV` after the device ended; `ENOMEM`.
    pub fn new(
        device: &Arc<Device>,
        queue: u16,
        addressing: Addressing,
        size: u32,
    ) -> Result<Self> {
        if device.rx_stats(queue).is_none() {
            return Err(EINVAL);
        }

        let state = device.state.lock();
        if state.ended {
            return Err(ENODEV);
        }
        let mapped = addressing == Addressing::Platform;
        let shared = KBox::<Shared>::new_uninit(GFP_KERNEL)?;
        // SAFETY: The device is valid, and so is its parent, which is bound as long as we hold the
        // lock: the device ends before it is unbound.
        let pool = from_err_ptr(unsafe {
            raw::page_pool_create(
                device.as_raw(),
                core::ptr::from_ref(device.parent()).cast_mut().cast(),
                queue.into(),
                size,
                mapped,
            )
        })?;
        let shared = KBox::write(
            shared,
            Shared {
                // SAFETY: It is not an error, and so not null.
                pool: unsafe { NonNull::new_unchecked(pool) },
                mapped,
                dropped: Atomic::new(0),
                device: device.clone(),
                linked: None,
            },
        );

        // INVARIANT: Nothing was given yet.
        Ok(Self {
            shared: ManuallyDrop::new(shared),
            given: 0,
        })
    }

    /// Allocates memory; [`None`] if there is none, or `at` is not the place where this pool belongs.
    ///
    /// `at` is the instance that uses it: the budget of its poll, or what [`Napi::with`](
    /// super::Napi::with) gives, where it may sleep. The first time that it is the latter the pool
    /// becomes that instance's.
    ///
    /// Stands for `page_pool_alloc()`.
    #[inline]
    pub fn alloc<A: InNapi>(&mut self, at: &A, shape: Shape) -> Option<PoolFrag> {
        match &self.shared.linked {
            Some(core) if !core::ptr::eq(&**core, napi::core_of(at)) => return None,
            Some(_) => (),
            None => self.link(at),
        }

        let mut size = shape.size();
        let mut address = 0;
        // SAFETY: By the type invariants it is a page pool, which nobody else allocates from, since
        // this is borrowed for writing; that its instance runs elsewhere `at` excludes.
        let start = unsafe {
            raw::page_pool_alloc(
                self.shared.pool.as_ptr(),
                &mut size,
                A::ATOMIC,
                &mut address,
            )
        };
        let start = NonNull::new(start.cast())?;

        self.given += 1;
        // SAFETY: It was just allocated, of that size or more, and counted.
        Some(unsafe { PoolFrag::new(start, address, size, shape, NonNull::from(&**self.shared)) })
    }

    /// Makes it the pool of the instance, if that is known to be disabled.
    fn link(&mut self, at: &impl InNapi) {
        let Some(core) = napi::idle_core(at) else {
            return;
        };

        // SAFETY: By the type invariants it is a page pool. The instance is disabled, and is kept until
        // the pool is destroyed.
        unsafe { raw::page_pool_link(self.shared.pool.as_ptr(), core.as_raw()) };
        // INVARIANT: From now on `alloc` asks.
        self.shared.linked = Some(core.clone());
    }

    /// Returns what its fragments have of it.
    #[inline]
    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    /// A fragment became a packet's.
    #[inline]
    pub(super) fn handed_on(&mut self) {
        self.given -= 1;
    }

    /// Returns how the pool fared. Any context.
    ///
    /// Stands for `page_pool_get_stats()`; all 0 without `CONFIG_PAGE_POOL_STATS`.
    pub fn stats(&self) -> PoolStats {
        let mut stats = raw::irqkit_page_pool_stats::default();

        // SAFETY: By the type invariants it is a page pool.
        unsafe { raw::page_pool_stats(self.shared.pool.as_ptr(), &mut stats) };
        PoolStats {
            cached: stats.fast,
            new: stats.slow,
            empty: stats.empty,
            refilled: stats.refill,
            recycled: stats.cached + stats.ring,
            released: stats.cache_full.min(stats.ring_full) + stats.ring_full + stats.released,
        }
    }
}

/// How a pool fared: `struct page_pool_stats`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PoolStats {
    /// Allocations that the cache served.
    pub cached: u64,
    /// Pages that came from the page allocator.
    pub new: u64,
    /// Allocations that found no page that had come back.
    pub empty: u64,
    /// Times that the cache was refilled with pages that had come back.
    pub refilled: u64,
    /// Pages that came back to be used again.
    pub recycled: u64,
    /// Pages that came back, and went to the page allocator.
    pub released: u64,
}

impl Drop for PagePool {
    fn drop(&mut self) {
        // What has dropped a fragment is seen before its number is.
        let back = self.given == self.shared.dropped.load(Acquire);
        let pool = self.shared.pool.as_ptr();
        let destroy = |disabled: bool| {
            if disabled {
                // SAFETY: By the type invariants it is a page pool; it is not used after this. The
                // instance that recycles into its cache is disabled, and stays so.
                unsafe { raw::page_pool_destroy(pool) };
            }
            disabled
        };

        let destroyed = back
            && match &self.shared.linked {
                Some(core) => core.while_disabled(destroy),
                None => destroy(true),
            };
        if destroyed {
            // SAFETY: It is not used after this, and no fragment refers to it.
            unsafe { ManuallyDrop::drop(&mut self.shared) };
        } else {
            dev_warn!(
                self.shared.device.parent(),
                "a page pool was dropped while it was in use: leaked\n"
            );
            // The log has it: no need for kmemleak to find it, and what it refers to.
            //
            // SAFETY: It was allocated.
            unsafe { raw::kmemleak_not_leak(core::ptr::from_ref(&**self.shared).cast()) };
        }
    }
}
