// SPDX-License-Identifier: GPL-2.0

//! Memory for received packets.
//!
//! A [`PagePool`] belongs to one receive queue. It maps its pages for the device once, and gets them
//! back from the stack when a packet is freed, mostly without a lock: on the CPU of the NAPI instance
//! that it is used by.
//!
//! C header: [`include/net/page_pool/types.h`](srctree/include/net/page_pool/types.h)

use core::{
    alloc::Layout,
    ffi::c_void,
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
            Atomic,
            Relaxed, //
        },
        rcu,
        Arc,
        UniqueArc, //
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
use crate::{
    dma::{
        Addressing,
        Pool, //
    },
    virtio::ring::chain::Space, //
};

/// What the pool and its fragments have in common.
///
/// # Invariants
///
/// - `pool` is a page pool. What it gives the device of `memory` can address: it is mapped for that, if it
///   has to be. It is valid as long as `open` is set and seen so by an RCU reader, and as long as there
///   are fragments.
/// - It is destroyed once: by whoever takes this out of the device's list, holding its lock.
pub(super) struct Shared {
    pub(super) pool: NonNull<bindings::page_pool>,
    memory: Arc<Pool>,
    /// The parent of the device is still bound.
    open: Atomic<bool>,
    /// How many fragments were dropped.
    pub(super) dropped: Atomic<u64>,
}

// SAFETY: The C object is made to be used on all CPUs.
unsafe impl Send for Shared {}

// SAFETY: As above; it is changed only by who owns the pool.
unsafe impl Sync for Shared {}

impl Shared {
    /// Returns the address space in which the device sees the memory.
    #[inline]
    pub(super) fn space(&self) -> Space {
        self.memory.space()
    }

    /// Calls `f` with the pool if what it gives is mapped.
    #[inline]
    pub(super) fn if_mapped(&self, f: impl FnOnce(*mut bindings::page_pool)) {
        if self.memory.addressing() == Addressing::Platform {
            self.if_open(f);
        }
    }

    /// Calls `f` with the pool, unless that may be gone.
    #[inline]
    fn if_open(&self, f: impl FnOnce(*mut bindings::page_pool)) {
        let _guard = rcu::read_lock();

        if self.open.load(Relaxed) {
            f(self.pool.as_ptr());
        }
    }

    /// The pool may be gone after all RCU readers.
    pub(super) fn close(&self) {
        self.open.store(false, Relaxed);
    }
}

/// The memory of a receive queue.
///
/// It belongs into the [`Poller`](super::Poller) of that queue, behind what holds its fragments, such
/// as a ring: fragments that are not back when the pool is dropped may still be written to by a device,
/// and are leaked together with it. To be dropped in task context, while its NAPI instance is disabled
/// or gone.
///
/// When the device's parent is unbound, what the pool has mapped is taken back, wherever it is, and
/// nothing can be allocated from it any more.
///
/// # Invariants
///
/// - Nobody else allocates from `shared.pool`; it is one of `device`, and is destroyed by the device when
///   the parent is unbound.
/// - `given` fragments were given that did not become a packet's; `shared.dropped` of them are back.
/// - If `linked`, that instance of `device` alone recycles into the pool's cache, and it allocates while
///   that is polled by the current context, or disabled. It is kept until the pool is destroyed.
pub struct PagePool {
    shared: ManuallyDrop<Arc<Shared>>,
    linked: ManuallyDrop<Option<Arc<Core>>>,
    device: Arc<Device>,
    given: u64,
}

// SAFETY: It owns the pool, which is no CPU's or task's.
unsafe impl Send for PagePool {}

impl PagePool {
    /// Makes a pool for a receive queue; pages of it are kept for up to `size` buffers. `memory` is what
    /// the transport says of the device that writes to them. Task context; may sleep.
    ///
    /// Stands for `page_pool_create()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue, or `memory` is not that of the parent of `device`; `ENODEV` after
    /// the device ended, or if `memory` is of an earlier binding; `ENOMEM`.
    pub fn new(device: &Arc<Device>, queue: u16, memory: &Arc<Pool>, size: u32) -> Result<Self> {
        if device.rx_stats(queue).is_none() || !core::ptr::eq(device.parent(), memory.device()) {
            return Err(EINVAL);
        }

        let mut state = device.state.lock();
        // While the device has not ended its parent is bound: so both are of one binding.
        if state.ended || !memory.is_bound() {
            return Err(ENODEV);
        }
        state.pools.reserve(1, GFP_KERNEL)?;
        let mapped = memory.addressing() == Addressing::Platform;
        let shared = UniqueArc::<Shared>::new_uninit(GFP_KERNEL)?;
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
        // INVARIANT: It was just made.
        let shared: Arc<Shared> = shared
            .write(Shared {
                // SAFETY: It is not an error, and so not null.
                pool: unsafe { NonNull::new_unchecked(pool) },
                memory: memory.clone(),
                open: Atomic::new(true),
                dropped: Atomic::new(0),
            })
            .into();
        // It can't fail: there is room.
        state.pools.push(shared.clone(), GFP_KERNEL)?;

        // INVARIANT: Nothing was given yet.
        Ok(Self {
            shared: ManuallyDrop::new(shared),
            linked: ManuallyDrop::new(None),
            device: device.clone(),
            given: 0,
        })
    }

    /// Allocates memory; [`None`] if there is none, `at` is not the place where this pool belongs, or the
    /// device has ended.
    ///
    /// `at` is the instance that uses it: the budget of its poll, or what [`Napi::with`](
    /// super::Napi::with) gives, where it may sleep. The first time that it is the latter the pool
    /// becomes that instance's.
    ///
    /// Stands for `page_pool_alloc()`.
    #[inline]
    pub fn alloc<A: InNapi>(&mut self, at: &A, shape: Shape) -> Option<PoolFrag> {
        if napi::has_ended(at) {
            return None;
        }
        match &*self.linked {
            Some(core) if !core::ptr::eq(&**core, napi::core_of(at)) => return None,
            Some(_) => (),
            None => self.link(at)?,
        }

        let mut size = shape.size();
        let mut address = 0;
        // SAFETY: By the type invariants it is a page pool, which nobody else allocates from, since
        // this is borrowed for writing; that its instance runs elsewhere `at` excludes, and that its
        // device ends, and the pool with it.
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
        Some(unsafe { PoolFrag::new(start, address, size, shape, NonNull::from(self.shared())) })
    }

    /// Makes it the pool of the instance, if that is known to be disabled; [`None`] if it is one of
    /// another device.
    fn link(&mut self, at: &impl InNapi) -> Option<()> {
        if !core::ptr::eq(napi::core_of(at).device(), &*self.device) {
            return None;
        }
        let Some(core) = napi::idle_core(at) else {
            return Some(());
        };

        // SAFETY: By the type invariants it is a page pool, and is not destroyed meanwhile, since the
        // device does not end. The instance is disabled, and is kept until the pool is destroyed.
        unsafe { raw::page_pool_link(self.shared.pool.as_ptr(), core.as_raw()) };
        // INVARIANT: From now on `alloc` asks.
        *self.linked = Some(core.clone());
        Some(())
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
    /// Stands for `page_pool_get_stats()`; all 0 without `CONFIG_PAGE_POOL_STATS`, and after the device
    /// was unbound.
    pub fn stats(&self) -> PoolStats {
        let mut stats = raw::irqkit_page_pool_stats::default();

        self.shared.if_open(|pool| {
            // SAFETY: It is a page pool, and not gone.
            unsafe { raw::page_pool_stats(pool, &mut stats) }
        });
        PoolStats {
            cached: stats.fast,
            new: stats.slow,
            empty: stats.empty,
            refilled: stats.refill,
            recycled: stats.cached + stats.ring,
            // One that finds the cache full goes to the ring.
            released: stats.ring_full + stats.released,
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

impl PagePool {
    /// Destroys the pool, unless that was done already; returns false if it is in use.
    fn destroy(&self) -> bool {
        // Until this is given back, nobody else destroys it.
        let mut state = self.device.state.lock();
        let is_ours = |pool: &Arc<Shared>| Arc::ptr_eq(pool, &self.shared);
        if !state.pools.iter().any(is_ours) {
            return true;
        }

        let destroy = |disabled: bool| {
            if disabled {
                // SAFETY: It is a page pool, in the list and so not destroyed yet; it is not used after
                // this. The instance that recycles into its cache is disabled, and stays so.
                unsafe { raw::page_pool_destroy(self.shared.pool.as_ptr()) };
            }
            disabled
        };
        let destroyed = match &*self.linked {
            Some(core) => core.while_disabled(destroy),
            None => destroy(true),
        };
        if destroyed {
            state.pools.retain(|pool| !is_ours(pool));
        }
        destroyed
    }
}

impl Drop for PagePool {
    fn drop(&mut self) {
        // What has dropped a fragment is seen before its number is.
        let back = self.given == self.shared.dropped.load(Acquire);

        if back && self.destroy() {
            // SAFETY: They are not used after this; no fragment refers to what is shared, and the pool is
            // destroyed.
            unsafe {
                ManuallyDrop::drop(&mut self.shared);
                ManuallyDrop::drop(&mut self.linked);
            }
            return;
        }
        dev_warn!(
            self.device.parent(),
            "a page pool was dropped while it was in use: leaked\n"
        );
        // The log has it: no need for kmemleak to find it.
        for memory in [
            Some(allocation_of(&self.shared)),
            self.linked.as_ref().map(allocation_of),
        ]
        .into_iter()
        .flatten()
        {
            // SAFETY: It was allocated.
            unsafe { raw::kmemleak_not_leak(memory) };
        }
    }
}

/// Returns where the memory of an [`Arc`] begins, which is what kmemleak knows it by: the count stands
/// in front of the value.
fn allocation_of<T>(arc: &Arc<T>) -> *const c_void {
    let value: *const c_void = Arc::as_ptr(arc).cast();

    match Layout::new::<bindings::refcount_t>().extend(Layout::new::<T>()) {
        Ok((_, offset)) => value.wrapping_byte_sub(offset),
        Err(_) => value,
    }
}
