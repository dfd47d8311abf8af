// SPDX-License-Identifier: GPL-2.0

//! Packets on their way to a device.

use core::mem::ManuallyDrop;

use irqkit_bindings as raw;
use kernel::{
    error::to_result,
    prelude::*, //
};

use super::skb::{
    SkBuff,
    MAX_FRAGS, //
};
use crate::{
    dma::stream::{
        Mapper,
        Stream, //
    },
    virtio::ring::chain::{
        Buffer,
        Segment,
        Space, //
    }, //
};

/// A packet that was not mapped, and why.
pub struct Unmapped {
    /// It is the caller's again.
    pub skb: SkBuff,
    /// What was wrong.
    pub why: Error,
}

/// A packet that a device may read, behind a header of the device's own.
///
/// The header stands in front of the packet, in its own memory, so both are one segment; each fragment
/// is another one. Nothing is allocated for that: where addresses must be kept, they are in front of
/// the header.
///
/// Dropping it frees the packet as one that was dropped; [`MappedSkb::into_skb`] returns it.
///
/// # Invariants
///
/// - The `header` bytes in front of the packet are its own, and nobody writes to them.
/// - The packet consists of its linear part and `frags` fragments.
/// - If `mapper` is there, it has mapped all of that, and the addresses are where
///   [`MappedSkb::addresses`] says, in memory in front of the header that is the packet's own as well.
pub struct MappedSkb {
    skb: ManuallyDrop<SkBuff>,
    header: u16,
    frags: u16,
    mapper: Option<Mapper>,
}

/// How many bytes the addresses of `frags` fragments and a linear part take.
const fn table(frags: usize) -> usize {
    (frags + 1) * size_of::<u64>()
}

impl MappedSkb {
    /// Returns how many bytes in front of a packet it takes to send it with a header of `header` bytes
    /// without copying: for [`Builder::headroom`](super::Builder::headroom).
    pub const fn headroom(header: u16, stream: &Stream) -> u16 {
        match stream.maps() {
            // CAST: A few hundred bytes.
            true => header.saturating_add((table(MAX_FRAGS) + size_of::<u64>()) as u16),
            false => header,
        }
    }

    /// Puts `header` in front of a packet, and maps them. If there is no room, the linear part is moved
    /// to where there is. Task context or softirqs.
    ///
    /// # Errors
    ///
    /// With the packet: `EINVAL` if its fragments are not a plain list of memory, or there are too many;
    /// `EMSGSIZE` if the header is longer than 64 KiB; `ENODEV` if the device is no longer bound; `ENOMEM`.
    #[inline]
    pub fn new(skb: SkBuff, header: &[u8], stream: &Stream) -> Result<Self, Unmapped> {
        match Self::prepare(&skb, header, stream) {
            Ok((header, frags)) => Self::map(skb, header, frags, stream),
            Err(why) => Err(Unmapped { skb, why }),
        }
    }

    /// Makes room, writes the header, and returns how long it is and how many fragments there are.
    #[inline]
    fn prepare(skb: &SkBuff, header: &[u8], stream: &Stream) -> Result<(u16, u16)> {
        let len = u16::try_from(header.len()).map_err(|_| EMSGSIZE)?;
        // SAFETY: The packet is valid.
        if !unsafe { raw::skb_is_flat(skb.as_raw()) } {
            return Err(EINVAL);
        }
        let frags = skb.frags() as usize;
        if frags > MAX_FRAGS {
            return Err(EINVAL);
        }

        let room = match stream.maps() {
            true => u32::from(len) + (table(frags) + size_of::<u64>()) as u32,
            false => u32::from(len),
        };
        // SAFETY: The packet is ours.
        to_result(unsafe { raw::skb_cow_head(skb.as_raw(), room) })?;
        // SAFETY: There are now so many bytes in front of it, and more, that are nobody else's.
        unsafe {
            let data = (*skb.as_raw()).data;
            data.sub(header.len())
                .copy_from_nonoverlapping(header.as_ptr(), header.len());
        }
        // CAST: Not more than `MAX_FRAGS`.
        Ok((len, frags as u16))
    }

    /// Maps what was prepared.
    #[inline]
    fn map(skb: SkBuff, header: u16, frags: u16, stream: &Stream) -> Result<Self, Unmapped> {
        // INVARIANT: `prepare` has seen to the first ones. As to the last one, there is none yet.
        let mut this = Self {
            skb: ManuallyDrop::new(skb),
            header,
            frags,
            mapper: None,
        };
        if stream.maps() {
            let to = this.addresses();
            // SAFETY: The packet is ours, as `prepare` left it, and there is room for the addresses.
            let mapped = stream.map(|dev| unsafe {
                to_result(raw::skb_map(dev, this.skb.as_raw(), header.into(), to))
            });
            match mapped {
                // INVARIANT: It has just mapped it.
                Ok(mapper) => this.mapper = Some(mapper),
                Err(why) => {
                    return Err(Unmapped {
                        skb: this.into_skb(),
                        why,
                    });
                }
            }
        }
        Ok(this)
    }

    /// Returns where the addresses are: aligned, in front of the header.
    #[inline]
    fn addresses(&self) -> *mut u64 {
        // SAFETY: The packet is valid.
        let data = unsafe { (*self.skb.as_raw()).data };
        let end = data.wrapping_sub(self.header.into());
        let aligned = end.wrapping_sub(end as usize % size_of::<u64>());

        aligned.wrapping_sub(table(self.frags.into())).cast::<u64>()
    }

    /// Returns the length of the packet, without the header.
    #[allow(clippy::len_without_is_empty)]
    #[inline]
    pub fn len(&self) -> u32 {
        self.skb.len()
    }

    /// Returns the packet, which the device no longer reads.
    #[inline]
    pub fn into_skb(self) -> SkBuff {
        let mut this = ManuallyDrop::new(self);

        this.unmap();
        // SAFETY: It is not used after this. There is nothing else to be dropped: `unmap` has taken it.
        unsafe { ManuallyDrop::take(&mut this.skb) }
    }

    #[inline]
    fn unmap(&mut self) {
        if let Some(mapper) = self.mapper.take() {
            // SAFETY: By the type invariants it was mapped so, by that mapper, and the packet has not
            // changed.
            mapper.unmap(|dev| unsafe {
                raw::skb_unmap(dev, self.skb.as_raw(), self.header.into(), self.addresses());
            });
        }
    }

    /// Returns a segment: the linear part behind the header, or a fragment.
    #[inline]
    fn segment(&self, index: usize) -> Segment {
        let mut address = 0;
        let len = match index.checked_sub(1) {
            None => {
                // SAFETY: The packet is valid; what is in front of it is in the direct mapping as well.
                unsafe {
                    let data = (*self.skb.as_raw()).data.wrapping_sub(self.header.into());
                    address = raw::virt_to_phys(data.cast());
                }
                self.skb.headlen() + u32::from(self.header)
            }
            // CAST: Not more than `MAX_FRAGS`.
            //
            // SAFETY: The packet is valid.
            Some(frag) => unsafe { raw::skb_frag(self.skb.as_raw(), frag as u32, &mut address) },
        };
        if self.mapper.is_some() {
            // SAFETY: By the type invariants there are as many addresses as segments.
            address = unsafe { self.addresses().wrapping_add(index).read() };
        }
        Segment { address, len }
    }
}

impl Drop for MappedSkb {
    fn drop(&mut self) {
        self.unmap();
        // SAFETY: It is not used after this.
        unsafe { ManuallyDrop::drop(&mut self.skb) };
    }
}

// SAFETY: The segments are memory of the packet, which the value owns and nobody writes to, which stays
// where it is, and is mapped for the device, if it has to be, until the value is dropped: by `mapper`,
// which knows the address space, or its addresses are physical ones.
unsafe impl Buffer for MappedSkb {
    #[inline]
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        (0..usize::from(self.frags) + 1).map(|index| self.segment(index))
    }

    #[inline]
    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        None.into_iter()
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        match &self.mapper {
            Some(mapper) => mapper.space() == space,
            None => space == Space::PHYSICAL,
        }
    }
}
