// SPDX-License-Identifier: GPL-2.0

//! Pieces of a pool's memory: with a device, and back from it.

use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use irqkit_bindings as raw;
use kernel::{
    bindings,
    pr_warn_once,
    prelude::*,
    sync::atomic::Release, //
};

use super::{
    budget::Budget,
    page_pool::{
        PagePool,
        Shared, //
    },
    shape::Shape,
    skb::SkBuff, //
};
use crate::virtio::ring::chain::{
    Buffer,
    Only,
    Segment,
    Space, //
};

/// Memory of a [`PagePool`] that a device may write to.
///
/// Dropped in task context or softirqs, it goes back to the pool; in a hard interrupt it is leaked.
///
/// # Invariants
///
/// - `start` points to `size` bytes, at least that of `shape`, of which this is the owner, that the device
///   sees at `address`.
/// - `shared` is that of the pool that it is from, which has counted it, and so is valid; and so is the
///   pool, since it has memory that is not back.
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
    /// # Safety
    ///
    /// The memory was allocated from the pool of `shared`, of that size and for that shape; the device
    /// sees it at `address`. The pool has counted it.
    #[inline]
    pub(super) unsafe fn new(
        start: NonNull<u8>,
        address: u64,
        size: u32,
        shape: Shape,
        shared: NonNull<Shared>,
    ) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            start,
            address,
            size,
            shape,
            shared,
        }
    }

    /// Returns how many bytes the device may write.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        self.shape.len()
    }

    /// Returns the shape that it was allocated with. Any context.
    #[inline]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Returns what the device may write.
    #[inline]
    pub(super) fn segment(&self) -> Segment {
        Segment {
            address: self.address + u64::from(self.shape.headroom()),
            len: self.shape.len(),
        }
    }

    /// Returns whether it is one of `pool`.
    #[inline]
    fn is_of(&self, pool: &PagePool) -> bool {
        core::ptr::eq(pool.shared(), self.shared.as_ptr())
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
            .wrapping_add(self.shape.headroom() as usize)
    }

    /// The device has written so many bytes, and is done with it. Task context or softirqs.
    #[inline]
    pub fn received(self, written: u32) -> Received {
        let len = written.min(self.len());

        if len != 0 {
            self.shared().if_mapped(|pool| {
                // SAFETY: By the type invariants it is memory of that pool, which maps it.
                unsafe { raw::page_pool_sync(pool, self.data().cast(), len) }
            });
        }
        // INVARIANT: It is not more than there is.
        Received { frag: self, len }
    }

    /// Takes the memory out, for a packet of `pool`.
    #[inline]
    fn into_start(self, pool: &mut PagePool) -> NonNull<u8> {
        pool.handed_on();
        ManuallyDrop::new(self).start
    }
}

impl Drop for PoolFrag {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is memory of that pool, which is there as long as it is; it
        // is not used after this.
        let freed =
            unsafe { raw::page_pool_free(self.shared().pool.as_ptr(), self.start.as_ptr().cast()) };
        if !freed {
            pr_warn_once!("memory of a page pool was dropped in a hard interrupt: leaked\n");
            return;
        }
        // After this, what is shared may be gone.
        self.shared().dropped.fetch_add(1, Release);
    }
}

// SAFETY: The segment is memory that the value owns, which stays where it is, is mapped for the device
// until the pool is destroyed, which is not before the value was dropped, and to which no references
// exist. The pool knows the address space.
unsafe impl Buffer for PoolFrag {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        None.into_iter()
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        Some(self.segment()).into_iter()
    }

    #[inline]
    fn only(&self) -> Option<Only> {
        Some(Only::Writable(self.segment()))
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        self.shared().space() == space
    }
}

/// Memory that a device has written.
///
/// What is in it is copied out, or becomes part of a packet: a device that does not keep to the rules
/// may still write there. Dropped in task context or softirqs, it goes back to the pool; in a hard
/// interrupt it is leaked.
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

    /// Returns whether it is of a shape that a packet can be built around: [`Received::into_skb`].
    #[inline]
    pub fn is_for_packets(&self) -> bool {
        self.frag.shape.is_for_packets()
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

    /// Makes a buffer of it again, to be posted once more: after what is in it was copied, which saves the way to the
    /// pool and back. Task context or softirqs.
    ///
    /// Stands for `dma_sync_single_range_for_device()`.
    #[inline]
    pub fn reuse(self) -> PoolFrag {
        if self.len != 0 {
            self.frag.shared().if_mapped(|pool| {
                // SAFETY: By the type invariants it is memory of that pool, which maps it.
                unsafe { raw::page_pool_sync_back(pool, self.frag.data().cast(), self.len) }
            });
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
        if !self.frag.shape.is_for_packets()
            || !self.frag.is_of(pool)
            || self.at(offset, len).is_err()
        {
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
            .reserve(shape.headroom() + offset)
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
    /// `pool`; there is no memory for further fragments; the memory of the packet is shared, or some of its
    /// fragments are not of page pools; or this is a hard interrupt.
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
        if len == 0 || !frag.frag.is_of(pool) || self.is_shared() {
            return Err(frag);
        }

        // SAFETY: The packet is ours; so is the memory, a fragment of that pool's page, and what was
        // asked for is within. A packet whose fragments are others' is refused.
        let added = unsafe {
            raw::skb_append_frag(
                self.as_raw(),
                pool.shared().pool.as_ptr(),
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
