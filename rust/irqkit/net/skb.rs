// SPDX-License-Identifier: GPL-2.0

//! Packets: socket buffers.
//!
//! C header: [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h)

use core::{
    mem::ManuallyDrop,
    ptr::NonNull, //
};

use irqkit_bindings as raw;
use kernel::{
    alloc::Flags,
    bindings,
    prelude::*, //
};

use super::device::Device;
use crate::context::Context;

/// How many fragments a packet has at most, beside its linear part.
pub const MAX_FRAGS: usize = raw::irqkit_net_layout_IRQKIT_MAX_SKB_FRAGS as usize;

/// Why a packet is dropped: what the tracepoint `skb:kfree_skb` tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// For no reason that has a name.
    NotSpecified,
    /// There is no memory.
    NoMemory,
    /// A ring is full.
    FullRing,
    /// It is shorter than its header.
    HeaderTooShort,
    /// The device said what can't be.
    DeviceHeader,
    /// It is too long.
    TooLong,
}

impl Reason {
    const fn number(self) -> bindings::skb_drop_reason {
        match self {
            Self::NotSpecified => bindings::skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED,
            Self::NoMemory => bindings::skb_drop_reason_SKB_DROP_REASON_NOMEM,
            Self::FullRing => bindings::skb_drop_reason_SKB_DROP_REASON_FULL_RING,
            Self::HeaderTooShort => bindings::skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL,
            Self::DeviceHeader => bindings::skb_drop_reason_SKB_DROP_REASON_DEV_HDR,
            Self::TooLong => bindings::skb_drop_reason_SKB_DROP_REASON_PKT_TOO_BIG,
        }
    }
}

/// A packet, whose owner this is.
///
/// It is not [`Clone`], and whoever takes it takes it for good. Dropping it in any context frees it as
/// a packet that was dropped, for no special reason; [`SkBuff::drop_with`] says why, and
/// [`SkBuff::consume`] that it was not dropped at all. Forgetting it leaks it.
///
/// # Invariants
///
/// - It points to a valid `struct sk_buff` whose only user this is. Somebody else may hold on to it, as pktgen
///   does, who neither reads it nor writes to it and only lets it go: what the C side does to nobody's but a
///   sole holder's packet is not done then.
/// - That names no device: a packet may be kept for longer than the device that it came from, or was
///   to be sent by.
pub struct SkBuff(NonNull<bindings::sk_buff>);

// SAFETY: It owns the packet, which is no CPU's or task's.
unsafe impl Send for SkBuff {}

impl SkBuff {
    /// Takes a packet over.
    ///
    /// # Safety
    ///
    /// `skb` is a valid packet of which the caller is the only user, as the type invariants say, and gives it
    /// away.
    #[inline]
    pub(super) unsafe fn from_raw(skb: *mut bindings::sk_buff) -> Self {
        // SAFETY: By the safety requirements it is valid, and nobody else's.
        unsafe {
            (*skb)
                .__bindgen_anon_1
                .__bindgen_anon_1
                .__bindgen_anon_1
                .dev = core::ptr::null_mut();
        }
        // INVARIANT: By the safety requirements, and as just written.
        // SAFETY: By the safety requirements it is not null.
        Self(unsafe { NonNull::new_unchecked(skb) })
    }

    /// Gives the packet away.
    #[inline]
    pub(super) fn into_raw(self) -> *mut bindings::sk_buff {
        ManuallyDrop::new(self).as_raw()
    }

    #[inline]
    pub(super) fn as_raw(&self) -> *mut bindings::sk_buff {
        self.0.as_ptr()
    }

    /// Allocates a packet with room for `len` bytes behind `headroom` bytes. The contexts are those of
    /// `flags`. In a poll, [`Budget::alloc_skb`](super::Budget::alloc_skb) is quicker.
    ///
    /// Stands for `alloc_skb()`.
    ///
    /// # Errors
    ///
    /// `ENOMEM`; `EINVAL` if that is more than 4 GiB.
    pub fn new(len: u32, headroom: u32, flags: Flags) -> Result<Self> {
        let size = len.checked_add(headroom).ok_or(EINVAL)?;
        // SAFETY: It takes any size.
        let skb = unsafe { raw::alloc_skb_plain(size, flags_of(flags)) };
        // SAFETY: It was just allocated, and is nobody else's.
        let mut skb = unsafe { Self::from_raw(NonNull::new(skb).ok_or(ENOMEM)?.as_ptr()) };

        skb.reserve(headroom)?;
        Ok(skb)
    }

    #[inline]
    fn get(&self) -> &bindings::sk_buff {
        // SAFETY: By the type invariants it is valid, and nobody else writes to it.
        unsafe { self.0.as_ref() }
    }

    /// Returns what stands at the end of its memory: `skb_shinfo()`.
    #[inline]
    fn shared_info(&self) -> *const bindings::skb_shared_info {
        let skb = self.get();

        skb.head.wrapping_add(skb.end.offset_from(skb.head)).cast()
    }

    /// Returns its length in bytes, fragments included.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        self.get().len
    }

    /// Returns the length of its linear part.
    #[inline]
    pub fn headlen(&self) -> u32 {
        self.get().len.wrapping_sub(self.get().data_len)
    }

    /// Returns how many bytes there are in front of it.
    #[inline]
    pub fn headroom(&self) -> u32 {
        let skb = self.get();

        // CAST: The linear part and what is around it are smaller than 4 GiB.
        (skb.data as usize).wrapping_sub(skb.head as usize) as u32
    }

    /// Returns how many bytes there are behind its linear part; 0 if it has fragments.
    #[inline]
    pub fn tailroom(&self) -> u32 {
        let skb = self.get();

        if skb.data_len != 0 {
            return 0;
        }
        // CAST: As above; where they are pointers, they are from one allocation.
        (skb.end as usize).wrapping_sub(skb.tail as usize) as u32
    }

    /// Returns how many fragments it has.
    #[inline]
    pub fn frags(&self) -> u32 {
        // SAFETY: By the type invariants it is valid, and nobody else writes there.
        unsafe { (*self.shared_info()).nr_frags.into() }
    }

    /// Returns the transmit queue that the stack chose.
    #[inline]
    pub fn queue(&self) -> u16 {
        self.get().queue_mapping
    }

    /// Returns where the flags of its headers are.
    #[inline]
    pub(super) fn headers(&self) -> *mut bindings::sk_buff__bindgen_ty_4__bindgen_ty_2 {
        // SAFETY: By the type invariants it is valid; only the address is taken. All of the union is
        // readable as any of its members.
        unsafe { (&raw mut (*self.as_raw()).__bindgen_anon_4).cast() }
    }

    #[inline]
    fn ip_summed(&self) -> u8 {
        // SAFETY: By the type invariants it is valid, and nobody else's.
        unsafe { (*self.headers()).ip_summed() }
    }

    /// Returns whether its checksum is still to be computed.
    #[inline]
    pub fn is_partial(&self) -> bool {
        u32::from(self.ip_summed()) == bindings::CHECKSUM_PARTIAL
    }

    /// Returns whether the device said that its checksum is right.
    #[inline]
    pub fn is_verified(&self) -> bool {
        u32::from(self.ip_summed()) == bindings::CHECKSUM_UNNECESSARY
    }

    /// Says that the device found its checksum right.
    #[inline]
    pub fn set_verified(&mut self) {
        // CAST: It is 1.
        let verified = bindings::CHECKSUM_UNNECESSARY as u8;
        // SAFETY: By the type invariants it is valid, and nobody else's.
        unsafe { (*self.headers()).set_ip_summed(verified) };
    }

    /// Returns whether it is one packet for several.
    #[inline]
    pub fn is_gso(&self) -> bool {
        // SAFETY: By the type invariants it is valid, and nobody else writes there.
        unsafe { (*self.shared_info()).gso_size != 0 }
    }

    /// Returns how many packets the device makes of it, as far as the stack knows; 1 if it is one.
    pub fn segments(&self) -> u32 {
        // SAFETY: By the type invariants it is valid, and nobody else writes there.
        unsafe { (*self.shared_info()).gso_segs.max(1).into() }
    }

    /// Returns whether somebody else still holds on to it: see the type invariants.
    #[inline]
    pub(super) fn is_held(&self) -> bool {
        // SAFETY: By the type invariants it is valid; others change the count as an atomic.
        unsafe {
            (&raw const (*self.as_raw()).users)
                .cast::<i32>()
                .read_volatile()
                != 1
        }
    }

    /// Returns whether it has been the stack's: somebody has or had a packet with the same memory, holds on to
    /// it, waits for it, or has noted something about it. One test: what it looks at is looked at by whoever
    /// receives the packet.
    #[inline]
    pub(super) fn was_sent(&self) -> bool {
        let skb = self.get();
        // SAFETY: By the type invariants it is valid, and nobody else's.
        let noted = unsafe { (*self.headers()).slow_gro() };

        self.is_shared() | self.is_held() | !skb.sk.is_null() | (noted != 0)
    }

    /// Returns how far it is from the beginning of its memory to the end of its linear part.
    #[inline]
    pub(super) fn reach(&self) -> usize {
        let skb = self.get();

        skb.tail.offset_from(skb.head)
    }

    /// Returns whether somebody else has a packet with the same memory.
    #[inline]
    pub(super) fn is_shared(&self) -> bool {
        self.get().cloned() != 0
    }

    /// Leaves `n` bytes free in front of a packet that is empty.
    ///
    /// Stands for `skb_reserve()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is not empty; `ENOSPC` if it has less room; `EBUSY` if its memory is shared.
    pub fn reserve(&mut self, n: u32) -> Result {
        if self.len() != 0 {
            return Err(EINVAL);
        }
        self.has_tailroom(n)?;
        // SAFETY: By the type invariants it is ours; it is empty, and there are so many bytes behind
        // where it begins.
        unsafe {
            let skb = self.0.as_mut();
            skb.data = skb.data.add(n as usize);
            skb.tail = advanced(skb.tail, n);
        }
        Ok(())
    }

    fn has_tailroom(&self, n: u32) -> Result {
        if self.is_shared() {
            return Err(EBUSY);
        }
        if n > self.tailroom() {
            return Err(ENOSPC);
        }
        Ok(())
    }

    /// Adds `bytes` to the end of a packet without fragments.
    ///
    /// Stands for `skb_put_data()`.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if it has less room, or has fragments; `EBUSY` if its memory is shared.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> Result {
        self.put_with(bytes.len(), |to| {
            // SAFETY: `to` is valid for so many bytes, which are nobody else's.
            unsafe { to.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        })
    }

    /// Adds `n` zero bytes to the end of a packet without fragments.
    ///
    /// # Errors
    ///
    /// As [`SkBuff::put`].
    pub fn put_zeroes(&mut self, n: u32) -> Result {
        self.put_with(n as usize, |to| {
            // SAFETY: `to` is valid for so many bytes, which are nobody else's.
            unsafe { to.write_bytes(0, n as usize) };
        })
    }

    /// Adds `n` bytes that `fill` writes, all of them.
    #[inline]
    pub(super) fn put_with(&mut self, n: usize, fill: impl FnOnce(*mut u8)) -> Result {
        let n = u32::try_from(n).map_err(|_| ENOSPC)?;

        self.has_tailroom(n)?;
        let linear = self.headlen() as usize;
        // SAFETY: By the type invariants it is ours; there are so many bytes behind its linear part.
        unsafe {
            let skb = self.0.as_mut();
            fill(skb.data.add(linear));
            skb.tail = advanced(skb.tail, n);
            skb.len += n;
        }
        Ok(())
    }

    /// Adds `bytes` in front.
    ///
    /// Stands for `skb_push()`.
    ///
    /// # Errors
    ///
    /// `ENOSPC` if there is less room; `EBUSY` if its memory is shared.
    pub fn push(&mut self, bytes: &[u8]) -> Result {
        let n = u32::try_from(bytes.len()).map_err(|_| ENOSPC)?;

        if self.is_shared() {
            return Err(EBUSY);
        }
        if n > self.headroom() {
            return Err(ENOSPC);
        }
        let len = self.len().checked_add(n).ok_or(ENOSPC)?;
        // SAFETY: By the type invariants it is ours; there are so many bytes in front of it.
        unsafe {
            let skb = self.0.as_mut();
            skb.data = skb.data.sub(bytes.len());
            skb.data
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            skb.len = len;
        }
        Ok(())
    }

    /// Takes `n` bytes off the front of its linear part.
    ///
    /// Stands for `skb_pull()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is shorter.
    pub fn pull(&mut self, n: u32) -> Result {
        if n > self.headlen() {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants it is ours, and its linear part is that long.
        unsafe {
            let skb = self.0.as_mut();
            skb.data = skb.data.add(n as usize);
            skb.len -= n;
        }
        Ok(())
    }

    /// Sees to it that the first `n` bytes are linear. The memory that they were in may change.
    ///
    /// Stands for `pskb_may_pull()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is shorter; `EBUSY` if somebody still holds on to it; `ENOMEM`.
    pub fn pull_tail(&mut self, n: u32) -> Result {
        let missing = n.saturating_sub(self.headlen());

        if missing == 0 {
            return Ok(());
        }
        if n > self.len() {
            return Err(EINVAL);
        }
        if self.is_held() {
            return Err(EBUSY);
        }
        // CAST: A packet is shorter than 2 GiB.
        //
        // SAFETY: By the type invariants it is ours, and there are so many bytes beyond the linear
        // part.
        let end = unsafe { raw::__pskb_pull_tail(self.as_raw(), missing as i32) };
        if end.is_null() {
            return Err(ENOMEM);
        }
        Ok(())
    }

    /// Copies what is at `offset` to `to`, wherever it is.
    ///
    /// Stands for `skb_copy_bits()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is not all within the packet.
    pub fn read(&self, offset: u32, to: &mut [u8]) -> Result {
        let end = u32::try_from(to.len())
            .ok()
            .and_then(|n| offset.checked_add(n));
        if end.is_none_or(|end| end > self.len()) {
            return Err(EINVAL);
        }
        // CAST: A packet is shorter than 2 GiB, and so is what is within.
        //
        // SAFETY: By the type invariants it is valid; `to` is valid for so many bytes.
        let error = unsafe {
            raw::skb_copy_bits(
                self.as_raw(),
                offset as i32,
                to.as_mut_ptr().cast(),
                to.len() as i32,
            )
        };
        if error != 0 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Takes the time at which `device` sends it, if someone wants to know: to be called just before
    /// the device is told of it.
    ///
    /// Stands for `skb_tx_timestamp()`.
    #[inline]
    pub fn tx_timestamp(&mut self, device: &Device) {
        // SAFETY: By the type invariants it is ours, and names no device; nor does it after this.
        unsafe { raw::skb_tx_timestamp(self.as_raw(), device.as_raw()) };
    }

    /// Frees it: it has arrived. In a poll, [`Budget::consume`](super::Budget::consume) is quicker.
    ///
    /// Stands for `dev_consume_skb_any()`.
    #[inline]
    pub fn consume(self, _ctx: impl Context) {
        // SAFETY: By the type invariants it is ours, and it is not used after this. Any context.
        unsafe {
            raw::dev_kfree_skb_any_reason(self.into_raw(), bindings::skb_drop_reason_SKB_CONSUMED);
        }
    }

    /// Frees it: it was dropped for `reason`. Any context.
    ///
    /// Stands for `dev_kfree_skb_any_reason()`.
    pub fn drop_with(self, reason: Reason) {
        // SAFETY: By the type invariants it is ours, and it is not used after this. Any context.
        unsafe { raw::dev_kfree_skb_any_reason(self.into_raw(), reason.number()) };
    }
}

impl Drop for SkBuff {
    fn drop(&mut self) {
        // SAFETY: By the type invariants it is ours, and it is not used after this. Any context.
        unsafe {
            raw::dev_kfree_skb_any_reason(self.as_raw(), Reason::NotSpecified.number());
        }
    }
}

/// Returns `flags` as C has them.
fn flags_of(flags: Flags) -> bool {
    // Whether they may sleep is all that matters for a packet.
    flags.contains(GFP_KERNEL)
}

/// An end within the linear part, as the configuration has it: an offset or a pointer.
trait Position {
    fn by(self, n: u32) -> Self;

    /// Returns how far it is from the beginning of the memory.
    fn offset_from(self, head: *mut u8) -> usize;
}

impl Position for u32 {
    #[inline]
    fn by(self, n: u32) -> Self {
        self + n
    }

    #[inline]
    fn offset_from(self, _head: *mut u8) -> usize {
        // CAST: No loss, on any architecture.
        self as usize
    }
}

impl Position for *mut u8 {
    #[inline]
    fn by(self, n: u32) -> Self {
        self.wrapping_add(n as usize)
    }

    #[inline]
    fn offset_from(self, head: *mut u8) -> usize {
        self as usize - head as usize
    }
}

#[inline]
fn advanced<P: Position>(position: P, n: u32) -> P {
    position.by(n)
}
