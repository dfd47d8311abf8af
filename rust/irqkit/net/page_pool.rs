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
            Atomic,
            Release, //
        },
        Arc, //
    }, //
};

use super::{
    budget::Budget,
    device::Device,
    napi::{
        self,
        Core,
        InNapi, //
    },
    skb::SkBuff, //
};
use crate::{
    dma::Addressing,
    virtio::ring::chain::{
        Buffer,
        Segment, //
    }, //
};

/// What a page is at most cut into.
const PAGE: u32 = raw::irqkit_net_layout_IRQKIT_PAGE_SIZE as u32;

/// What a packet that is built around memory takes of it at the end.
const TAIL: u32 = raw::irqkit_net_layout_IRQKIT_SKB_TAIL as u32;

/// What fragments are aligned to.
const ALIGN: u32 = raw::irqkit_net_layout_IRQKIT_CACHE_BYTES as u32;

/// What memory is to be like.
///
/// # Invariants
///
/// `headroom + len + tail <= size <= PAGE`, and `len` is not 0.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Shape {
    headroom: u32,
    len: u32,
    tail: u32,
    size: u32,
}

impl Shape {
    /// The largest `len` of memory that a packet can be built around behind so much headroom.
    pub const fn most(headroom: u32) -> u32 {
        (PAGE - TAIL).saturating_sub(headroom)
    }

    /// As [`Shape::packet`], with the largest `len`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no room behind so much headroom.
    pub const fn largest(headroom: u32) -> Result<Self> {
        Self::packet(headroom, Self::most(headroom))
    }

    /// Memory of which the device gets `len` bytes, behind `headroom` bytes, and around which a packet
    /// can be built: [`Received::into_skb`].
    ///
    /// # Errors
    ///
    /// `EINVAL` if `len` is 0, or all of that is more than a page.
    pub const fn packet(headroom: u32, len: u32) -> Result<Self> {
        Self::new(headroom, len, TAIL)
    }

    /// Memory of which the device gets `len` bytes, and that becomes fragments of packets.
    ///
    /// # Errors
    ///
    /// As [`Shape::packet`].
    pub const fn fragment(len: u32) -> Result<Self> {
        Self::new(0, len, 0)
    }

    const fn new(headroom: u32, len: u32, tail: u32) -> Result<Self> {
        if len == 0 || len > PAGE || headroom > PAGE {
            return Err(EINVAL);
        }
        let size = (headroom + len).next_multiple_of(ALIGN) + tail;
        if size > PAGE {
            return Err(EINVAL);
        }
        Ok(Self {
            headroom,
            len,
            tail,
            size,
        })
    }

    /// Returns how many bytes the device gets.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Returns false: the device gets something.
    pub const fn is_empty(&self) -> bool {
        false
    }
}

/// What the pool and its fragments have in common.
struct Shared {
    pool: NonNull<bindings::page_pool>,
    mapped: bool,
    /// How many fragments were dropped.
    dropped: Atomic<u64>,
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
/// - `shared.pool` is a page pool of `device`, which maps what it gives if `shared.mapped`.
/// - `given` fragments were given that did not become a packet's; `shared.dropped` of them are back.
/// - If `linked`, that instance alone recycles into the pool's cache, and it allocates while that is
///   polled by the current context, or disabled.
pub struct PagePool {
    shared: ManuallyDrop<KBox<Shared>>,
    given: u64,
    linked: Option<Arc<Core>>,
    device: ManuallyDrop<Arc<Device>>,
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
            },
        );

        // INVARIANT: Nothing was given yet.
        Ok(Self {
            shared: ManuallyDrop::new(shared),
            given: 0,
            linked: None,
            device: ManuallyDrop::new(device.clone()),
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
        match &self.linked {
            Some(core) if !core::ptr::eq(&**core, napi::core_of(at)) => return None,
            Some(_) => (),
            None => self.link(at),
        }

        let mut size = shape.size;
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
        // INVARIANT: It was just allocated, of that size or more, and counted.
        Some(PoolFrag {
            start,
            address,
            size,
            shape,
            shared: NonNull::from(&**self.shared),
        })
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
        self.linked = Some(core.clone());
    }

    /// Returns whether `frag` is one of this pool.
    #[inline]
    fn owns(&self, frag: &PoolFrag) -> bool {
        core::ptr::eq(&**self.shared, frag.shared.as_ptr())
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
            && match &self.linked {
                Some(core) => core.while_disabled(destroy),
                None => destroy(true),
            };
        if destroyed {
            // SAFETY: They are not used after this. No fragment refers to what they share.
            unsafe {
                ManuallyDrop::drop(&mut self.shared);
                ManuallyDrop::drop(&mut self.device);
            }
        } else {
            dev_warn!(
                self.device.parent(),
                "a page pool was dropped while it was in use: leaked\n"
            );
            // What it refers to must not go either.
            core::mem::forget(self.linked.take());
        }
    }
}

/// Memory of a [`PagePool`] that a device may write to.
///
/// Dropped in task context or softirqs, it goes back to the pool.
///
/// # Invariants
///
/// - `start` points to `size` bytes, at least `shape.size`, of which this is the owner, that the device
///   sees at `address`.
/// - `shared` is that of the pool that it is from, which has counted it, and so is valid.
pub struct PoolFrag {
    start: NonNull<u8>,
    address: u64,
    size: u32,
    shape: Shape,
    shared: NonNull<Shared>,
}

// SAFETY: It owns its memory, which is no CPU's or task's.
unsafe impl Send for PoolFrag {}

// SAFETY: By shared reference it is only read.
unsafe impl Sync for PoolFrag {}

impl PoolFrag {
    /// Returns how many bytes the device may write.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        self.shape.len
    }

    #[inline]
    fn shared(&self) -> &Shared {
        // SAFETY: By the type invariants it is valid.
        unsafe { self.shared.as_ref() }
    }

    /// Returns where what the device writes begins.
    #[inline]
    fn data(&self) -> *mut u8 {
        self.start
            .as_ptr()
            .wrapping_add(self.shape.headroom as usize)
    }

    /// The device has written so many bytes, and is done with it. Task context or softirqs.
    #[inline]
    pub fn received(self, written: u32) -> Received {
        let len = written.min(self.len());

        if self.shared().mapped && len != 0 {
            // SAFETY: By the type invariants it is memory of that pool, which maps it.
            unsafe {
                raw::page_pool_sync(self.shared().pool.as_ptr(), self.data().cast(), len);
            }
        }
        // INVARIANT: It is not more than there is.
        Received { frag: self, len }
    }

    /// Takes the memory out, for a packet of `pool`.
    #[inline]
    fn into_start(self, pool: &mut PagePool) -> NonNull<u8> {
        pool.given -= 1;
        ManuallyDrop::new(self).start
    }
}

impl Drop for PoolFrag {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is memory of that pool, and it is not used after this.
        unsafe {
            raw::page_pool_free(self.shared().pool.as_ptr(), self.start.as_ptr().cast());
        }
        // After this, what is shared may be gone.
        self.shared().dropped.fetch_add(1, Release);
    }
}

// SAFETY: The segment is memory that the value owns, which stays where it is, is mapped for the device
// until the pool is destroyed, which is not before the value was dropped, and to which no references
// exist.
unsafe impl Buffer for PoolFrag {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        None.into_iter()
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        Some(Segment {
            address: self.address + u64::from(self.shape.headroom),
            len: self.shape.len,
        })
        .into_iter()
    }
}

/// Memory that a device has written.
///
/// What is in it is copied out, or becomes part of a packet: a device that does not keep to the rules
/// may still write there. Dropped in task context or softirqs, it goes back to the pool.
///
/// # Invariants
///
/// The first `len` bytes of what the device may write the CPU can read.
pub struct Received {
    frag: PoolFrag,
    len: u32,
}

impl Received {
    /// Returns how many bytes the device has written.
    #[inline]
    pub fn len(&self) -> u32 {
        self.len
    }

    /// Returns whether that is nothing.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns how much memory a packet takes that has all or part of it.
    #[inline]
    pub fn truesize(&self) -> u32 {
        self.frag.size
    }

    /// Returns where `len` bytes at `offset` are, if they were written.
    #[inline]
    fn at(&self, offset: u32, len: u32) -> Result<*mut u8> {
        match offset.checked_add(len) {
            Some(end) if end <= self.len => Ok(self.frag.data().wrapping_add(offset as usize)),
            _ => Err(EINVAL),
        }
    }

    /// Copies what is at `offset` to `to`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device has not written all of that.
    #[inline]
    pub fn read(&self, offset: u32, to: &mut [u8]) -> Result {
        let from = self.at(offset, to.len().try_into()?)?;

        // As for any memory of a device's, `memcpy()` of the kernel's own: the compiler may assume
        // nothing of the content.
        //
        // SAFETY: By the type invariants and the check above it is valid for so many bytes.
        unsafe { bindings::memcpy(to.as_mut_ptr().cast(), from.cast(), to.len()) };
        Ok(())
    }

    /// Copies `len` bytes at `offset` to the end of `skb`, for packets that are short.
    ///
    /// # Errors
    ///
    /// `EINVAL` if the device has not written all of that; else as [`SkBuff::put`].
    #[inline]
    pub fn copy_to(&self, skb: &mut SkBuff, offset: u32, len: u32) -> Result {
        let from = self.at(offset, len)?;

        skb.put_with(len as usize, |to| {
            // SAFETY: `to` is valid for so many bytes, and by the type invariants and the check above
            // `from` is.
            unsafe { bindings::memcpy(to.cast(), from.cast(), len as usize) };
        })
    }

    /// Gives the memory to the device again, after all of it was copied.
    #[inline]
    pub fn reuse(self) -> PoolFrag {
        if self.frag.shared().mapped && self.len != 0 {
            // SAFETY: By the type invariants it is memory of that pool, which maps it.
            unsafe {
                raw::page_pool_sync_back(
                    self.frag.shared().pool.as_ptr(),
                    self.frag.data().cast(),
                    self.len,
                );
            }
        }
        self.frag
    }

    /// Builds a packet around the `len` bytes at `offset`.
    ///
    /// Stands for `napi_build_skb()` and `skb_mark_for_recycle()`.
    ///
    /// # Errors
    ///
    /// With the memory, if the device has not written all of that, it is not of a shape for that, it is
    /// not from `pool`, or there is no memory for the packet's own structure.
    #[inline]
    pub fn into_skb(
        self,
        pool: &mut PagePool,
        _budget: &Budget<'_>,
        offset: u32,
        len: u32,
    ) -> Result<SkBuff, Self> {
        if self.frag.shape.tail == 0 || !pool.owns(&self.frag) || self.at(offset, len).is_err() {
            return Err(self);
        }

        let shape = self.frag.shape;
        let size = self.frag.size;
        // SAFETY: The memory is ours, of that size, and has the room at its end that it takes; the
        // budget is one of a poll that goes on, with softirqs off.
        let skb = unsafe { raw::napi_build_skb(self.frag.start.as_ptr().cast(), size) };
        if skb.is_null() {
            return Err(self);
        }
        // It is the packet's from here on.
        let _ = self.frag.into_start(pool);
        // SAFETY: It was just made, and is nobody else's; its memory is of a page pool.
        let mut skb = unsafe {
            raw::skb_mark_for_recycle(skb);
            SkBuff::from_raw(skb)
        };

        // Neither can fail: the packet is empty, and has as much room.
        let filled = skb
            .reserve(shape.headroom + offset)
            .and_then(|()| skb.put_with(len as usize, |_| ()));
        debug_assert!(filled.is_ok());
        Ok(skb)
    }
}

impl SkBuff {
    /// Adds the `len` bytes at `offset` of what a device has written to the end of the packet. They are
    /// not copied; if they follow what is at its end already, they become one with it.
    ///
    /// Stands for `skb_add_rx_frag()` and `skb_coalesce_rx_frag()`.
    ///
    /// # Errors
    ///
    /// With the memory, if the device has not written all of that, or it is nothing; it is not from
    /// `pool`; there is no memory for further fragments; or the memory of the packet is shared.
    #[inline]
    pub fn add_frag(
        &mut self,
        frag: Received,
        pool: &mut PagePool,
        offset: u32,
        len: u32,
    ) -> Result<(), Received> {
        let Ok(data) = frag.at(offset, len) else {
            return Err(frag);
        };
        if len == 0 || !pool.owns(&frag.frag) || self.is_shared() {
            return Err(frag);
        }

        // SAFETY: The packet is ours; so is the memory, a fragment of that pool's page, and what was
        // asked for is within.
        let added = unsafe {
            raw::skb_append_frag(
                self.as_raw(),
                pool.shared.pool.as_ptr(),
                data.cast(),
                len,
                frag.frag.size,
            )
        };
        if !added {
            return Err(frag);
        }
        // It is the packet's from here on.
        let _ = frag.frag.into_start(pool);
        Ok(())
    }
}
