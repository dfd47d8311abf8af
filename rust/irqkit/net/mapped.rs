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
        Only,
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
///   [`addresses`] says, in memory in front of the header that is the packet's own as well.
pub struct MappedSkb {
    skb: ManuallyDrop<SkBuff>,
    header: u16,
    frags: u16,
    mapper: Option<Mapper>,
}

/// The size of an address; it takes less than that to align the first one.
const ADDRESS: u32 = size_of::<u64>() as u32;

/// How many bytes the addresses of `frags` fragments and a linear part take.
#[inline]
const fn table(frags: usize) -> usize {
    (frags + 1) * size_of::<u64>()
}

/// Returns where the addresses of a packet are: aligned, in front of the header.
#[inline]
fn addresses(skb: &SkBuff, header: u16, frags: u16) -> *mut u64 {
    // SAFETY: The packet is valid.
    let data = unsafe { (*skb.as_raw()).data };
    let end = data.wrapping_sub(header.into());
    let aligned = end.wrapping_sub(end as usize % size_of::<u64>());

    aligned.wrapping_sub(table(frags.into())).cast::<u64>()
}

/// Maps a packet: apart, so that the way without is short.
///
/// # Safety
///
/// The packet is as [`MappedSkb::prepare`] has left it, for this stream, and said that it is.
#[inline(never)]
unsafe fn map_for(skb: &SkBuff, header: u16, frags: u16, stream: &Stream) -> Result<Mapper> {
    let to = addresses(skb, header, frags);

    // SAFETY: The packet is ours, and by the safety requirements there is room for the addresses.
    stream.map(|dev| unsafe { to_result(raw::skb_map(dev, skb.as_raw(), header.into(), to)) })
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
    /// `EMSGSIZE` if the header is longer than 64 KiB; `ENODEV` if the device is no longer bound; `EBUSY` if it
    /// would have to be moved, and somebody still holds on to it; `ENOMEM`.
    #[inline]
    pub fn new(skb: SkBuff, header: &[u8], stream: &Stream) -> Result<Self, Unmapped> {
        match Self::prepare(&skb, header, stream) {
            // SAFETY: It has just said so.
            Ok((header, frags)) => unsafe { Self::map(skb, header, frags, stream) },
            Err(why) => Err(Unmapped { skb, why }),
        }
    }

    /// Makes room, writes the header, and returns how long it is and how many fragments there are.
    #[inline]
    fn prepare(skb: &SkBuff, header: &[u8], stream: &Stream) -> Result<(u16, u16)> {
        let len = u16::try_from(header.len()).map_err(|_| EMSGSIZE)?;
        let (fixed, each) = match stream.maps() {
            // The alignment, and the linear part's.
            true => (u32::from(len) + 2 * ADDRESS, ADDRESS),
            false => (u32::from(len), 0),
        };
        // SAFETY: The packet is ours.
        let frags = unsafe { raw::skb_make_room(skb.as_raw(), fixed, each) };
        if frags < 0 {
            return Err(Error::from_errno(frags));
        }
        // SAFETY: There are now so many bytes in front of it, and more, that are nobody else's.
        unsafe {
            let data = (*skb.as_raw()).data;
            data.sub(header.len())
                .copy_from_nonoverlapping(header.as_ptr(), header.len());
        }
        // CAST: Not more than `MAX_FRAGS`.
        Ok((len, frags as u16))
    }

    /// Maps what was prepared, if it has to be.
    ///
    /// # Safety
    ///
    /// The packet is as [`MappedSkb::prepare`] has left it, for this stream, and said that it is.
    #[inline]
    unsafe fn map(skb: SkBuff, header: u16, frags: u16, stream: &Stream) -> Result<Self, Unmapped> {
        let mapper = match stream.maps() {
            // SAFETY: By the safety requirements.
            true => match unsafe { map_for(&skb, header, frags, stream) } {
                Ok(mapper) => Some(mapper),
                Err(why) => return Err(Unmapped { skb, why }),
            },
            false => None,
        };

        // INVARIANT: By the safety requirements the first ones. The mapper has just mapped it, if there is
        // one.
        Ok(Self {
            skb: ManuallyDrop::new(skb),
            header,
            frags,
            mapper,
        })
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
            self.unmap_by(mapper);
        }
    }

    /// Apart, so that the way without is short.
    #[inline(never)]
    fn unmap_by(&self, mapper: Mapper) {
        let addresses = addresses(&self.skb, self.header, self.frags);

        // SAFETY: By the type invariants it was mapped so, by that mapper, and the packet has not
        // changed.
        mapper.unmap(|dev| unsafe {
            raw::skb_unmap(dev, self.skb.as_raw(), self.header.into(), addresses);
        });
    }

    /// Returns the linear part, behind the header.
    #[inline]
    fn linear(&self) -> Segment {
        // SAFETY: The packet is valid; what is in front of it is in the direct mapping as well.
        let physical = unsafe {
            let data = (*self.skb.as_raw()).data.wrapping_sub(self.header.into());
            raw::virt_to_phys(data.cast())
        };

        Segment {
            address: self.mapped(0).unwrap_or(physical),
            len: self.skb.headlen().wrapping_add(self.header.into()),
        }
    }

    /// Returns a segment: the linear part, or a fragment.
    #[inline]
    fn segment(&self, index: usize) -> Segment {
        let Some(frag) = index.checked_sub(1) else {
            return self.linear();
        };
        let mut physical = 0;
        // CAST: Not more than `MAX_FRAGS`.
        //
        // SAFETY: The packet is valid.
        let len = unsafe { raw::skb_frag(self.skb.as_raw(), frag as u32, &mut physical) };

        Segment {
            address: self.mapped(index).unwrap_or(physical),
            len,
        }
    }

    /// Returns the address that segment `index`, which there is, was mapped to.
    #[inline]
    fn mapped(&self, index: usize) -> Option<u64> {
        self.mapper.as_ref()?;
        // SAFETY: By the type invariants there are as many addresses as segments.
        Some(unsafe {
            addresses(&self.skb, self.header, self.frags)
                .wrapping_add(index)
                .read()
        })
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
    fn only(&self) -> Option<Only> {
        (self.frags == 0).then(|| Only::Readable(self.linear()))
    }

    #[inline]
    fn is_in(&self, space: Space) -> bool {
        match &self.mapper {
            Some(mapper) => mapper.space() == space,
            None => space == Space::PHYSICAL,
        }
    }
}
