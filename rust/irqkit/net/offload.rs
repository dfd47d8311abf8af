// SPDX-License-Identifier: GPL-2.0

//! What is left to the other side of a link: checksums, and cutting into segments.

use irqkit_bindings as raw;
use kernel::{
    error::to_result,
    prelude::*, //
};

use super::skb::SkBuff;

/// A checksum that is still to be computed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checksum {
    /// From where on, in bytes from the beginning of the frame.
    pub start: u16,
    /// Where it belongs, in bytes from `start`.
    pub offset: u16,
}

/// A protocol whose packets can be cut into segments.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum GsoKind {
    /// TCP over IPv4.
    Tcp4,
    /// TCP over IPv6.
    Tcp6,
    /// UDP, into datagrams of one size.
    UdpL4,
}

/// A packet that is one for several.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gso {
    /// What they are.
    pub kind: GsoKind,
    /// Whether it has the ECN bits of TCP set.
    pub ecn: bool,
    /// How many bytes of payload each has, but for the last one.
    pub size: u16,
    /// How long the headers are that each has; of a received packet, a hint.
    pub hdr_len: u16,
}

/// What is left to be done with a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Offload {
    /// Its checksum, if it is not complete.
    pub checksum: Option<Checksum>,
    /// How to cut it, if it is one for several.
    pub gso: Option<Gso>,
}

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`.
const NEEDS_CSUM: u8 = 1;

/// `VIRTIO_NET_HDR_GSO_ECN`.
const ECN: u8 = 0x80;

/// Nothing to be done, as C says it.
const NOTHING: raw::irqkit_offload = raw::irqkit_offload {
    flags: 0,
    gso_type: 0,
    hdr_len: 0,
    gso_size: 0,
    csum_start: 0,
    csum_offset: 0,
};

impl GsoKind {
    /// Returns what it is in `struct virtio_net_hdr`, which the kernel takes for others as well.
    const fn number(self) -> u8 {
        match self {
            Self::Tcp4 => 1,
            Self::Tcp6 => 4,
            Self::UdpL4 => 5,
        }
    }

    const fn of_number(number: u8) -> Option<Self> {
        match number {
            1 => Some(Self::Tcp4),
            4 => Some(Self::Tcp6),
            5 => Some(Self::UdpL4),
            _ => None,
        }
    }
}

impl SkBuff {
    /// Says of a received packet, which begins with its Ethernet header, what its sender left undone.
    ///
    /// Headers may be pulled into the linear part. All of it is checked against the packet: that its
    /// checksum is within and behind a network header, that it is of the protocol that it is to be
    /// cut as. What is so found is believed by the stack no further than what any sender may write.
    ///
    /// Stands for `virtio_net_hdr_to_skb()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that can't be, or it is to be cut though it has its checksum already; `EBUSY` if its memory
    /// is shared. The packet is to be dropped.
    pub fn set_offload(&mut self, offload: &Offload) -> Result {
        if *offload == Offload::default() {
            return Ok(());
        }

        let mut all = NOTHING;
        if let Some(checksum) = offload.checksum {
            all.flags = NEEDS_CSUM;
            all.csum_start = checksum.start;
            all.csum_offset = checksum.offset;
        }
        if let Some(gso) = offload.gso {
            all.gso_type = gso.kind.number() | if gso.ecn { ECN } else { 0 };
            all.gso_size = gso.size;
            all.hdr_len = gso.hdr_len;
        }
        // SAFETY: The packet is ours, by the type invariants.
        to_result(unsafe { raw::skb_set_offload(self.as_raw(), &all) })
    }

    /// Returns the checksum that is still to be computed, if there is one: all that the stack asks of the device
    /// for a packet that is not one for several.
    ///
    /// Stands for `skb_checksum_start_offset()` and `csum_offset`.
    #[inline]
    pub fn checksum(&self) -> Option<Checksum> {
        if !self.is_partial() {
            return None;
        }
        // SAFETY: By the type invariants it is valid. What is still to be computed has this in place of a sum.
        let place = unsafe { (*self.headers()).__bindgen_anon_1.__bindgen_anon_1 };

        Some(Checksum {
            // CAST: It is counted from the beginning of the memory, and so both fit.
            start: place.csum_start.wrapping_sub(self.headroom() as u16),
            offset: place.csum_offset,
        })
    }

    /// Returns whether the stack asks nothing of the device for a packet that is to be sent.
    #[inline]
    pub fn is_plain(&self) -> bool {
        !self.is_partial() && !self.is_gso()
    }

    /// Returns what the stack asks of the device for a packet that is to be sent.
    ///
    /// Stands for `virtio_net_hdr_from_skb()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is to be cut in a way that has no name here, and which the device did not offer.
    #[inline]
    pub fn offload(&self) -> Result<Offload> {
        if self.is_plain() {
            return Ok(Offload::default());
        }

        let mut all = NOTHING;
        // SAFETY: The packet is ours, by the type invariants.
        to_result(unsafe { raw::skb_offload(self.as_raw(), &mut all) })?;

        let checksum = (all.flags & NEEDS_CSUM != 0).then_some(Checksum {
            start: all.csum_start,
            offset: all.csum_offset,
        });
        let gso = match all.gso_type & !ECN {
            0 => None,
            number => Some(Gso {
                kind: GsoKind::of_number(number).ok_or(EINVAL)?,
                ecn: all.gso_type & ECN != 0,
                size: all.gso_size,
                hdr_len: all.hdr_len,
            }),
        };
        Ok(Offload { checksum, gso })
    }
}
