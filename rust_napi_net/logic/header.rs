// SPDX-License-Identifier: GPL-2.0

//! The header that goes before each frame, in both directions.
//!
//! What a device writes is read once, into a [`Raw`] of ours, and becomes a [`Received`] only if
//! all of it makes sense for a frame of that length and what was agreed on.
//!
//! Virtio 1.3, sections 5.1.6, 5.1.6.2 and 5.1.6.4.

use core::fmt;

use super::{
    features,
    Features, //
};

/// The length of the header, of devices of version 1.
pub(crate) const LEN: usize = 12;

/// That of a frame which goes out and needs nothing done.
pub(crate) const PLAIN: [u8; LEN] = [0; LEN];

/// The length of the shortest frame: Ethernet's header.
pub(crate) const ETHERNET: u32 = 14;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;

const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
const GSO_UDP: u8 = 3;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// The shortest headers, and where they have their checksums.
const IPV4: u32 = 20;
const IPV6: u32 = 40;
const TCP: u32 = 20;
const TCP_CHECKSUM: u16 = 16;
const UDP: u32 = 8;
const UDP_CHECKSUM: u16 = 6;

/// A size of segments that has a meaning of its own in the kernel (`GSO_BY_FRAGS`), and is none.
const NO_SIZE: u16 = 0xffff;

/// `struct virtio_net_hdr_v1`, as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Raw {
    flags: u8,
    gso_type: u8,
    hdr_len: u16,
    gso_size: u16,
    csum_start: u16,
    csum_offset: u16,
    num_buffers: u16,
}

impl Raw {
    /// Reads it from the device's bytes.
    #[inline]
    pub(crate) fn from_bytes(bytes: [u8; LEN]) -> Self {
        let [flags, gso_type, h0, h1, g0, g1, s0, s1, o0, o1, n0, n1] = bytes;

        Self {
            flags,
            gso_type,
            hdr_len: u16::from_le_bytes([h0, h1]),
            gso_size: u16::from_le_bytes([g0, g1]),
            csum_start: u16::from_le_bytes([s0, s1]),
            csum_offset: u16::from_le_bytes([o0, o1]),
            num_buffers: u16::from_le_bytes([n0, n1]),
        }
    }

    /// Returns the bytes for the device.
    #[inline]
    pub(crate) fn to_bytes(self) -> [u8; LEN] {
        // In two words, not twelve bytes: the compiler does not put them together again.
        let first = u64::from(self.flags)
            | (u64::from(self.gso_type) << 8)
            | (u64::from(self.hdr_len) << 16)
            | (u64::from(self.gso_size) << 32)
            | (u64::from(self.csum_start) << 48);
        let second = u32::from(self.csum_offset) | (u32::from(self.num_buffers) << 16);
        let mut bytes = [0; LEN];

        bytes[..8].copy_from_slice(&first.to_le_bytes());
        bytes[8..].copy_from_slice(&second.to_le_bytes());
        bytes
    }

    /// Returns in how many buffers the frame came, at most `most`.
    ///
    /// # Errors
    ///
    /// [`Fault::Buffers`] if there are none, or more than `most`.
    #[inline]
    pub(crate) fn buffers(&self, most: u16) -> Result<u16, Fault> {
        if self.num_buffers == 0 || self.num_buffers > most {
            return Err(Fault::Buffers);
        }
        Ok(self.num_buffers)
    }

    /// Returns in how many buffers the device says that the frame is, whether that can be or not.
    pub(crate) fn said_buffers(&self) -> u16 {
        self.num_buffers
    }

    /// Makes the header of a frame that goes out.
    #[inline]
    pub(crate) fn transmit(checksum: Option<Partial>, gso: Option<Gso>, header_len: u16) -> Self {
        let mut raw = Self::default();

        if let Some(partial) = checksum {
            raw.flags = NEEDS_CSUM;
            raw.csum_start = partial.start;
            raw.csum_offset = partial.offset;
        }
        if let Some(gso) = gso {
            raw.gso_type = match gso.kind {
                Kind::TcpV4 => GSO_TCPV4,
                Kind::TcpV6 => GSO_TCPV6,
                Kind::Udp => GSO_UDP_L4,
            };
            if gso.ecn {
                raw.gso_type |= GSO_ECN;
            }
            raw.gso_size = gso.size;
            raw.hdr_len = header_len;
        }
        raw
    }

    /// Checks it as that of a frame of `len` bytes that has come in, with what was agreed on.
    ///
    /// # Errors
    ///
    /// The [`Fault`] that makes the frame one to drop.
    #[inline]
    pub(crate) fn check(&self, agreed: Features, len: u32) -> Result<Received, Fault> {
        if len < ETHERNET {
            return Err(Fault::Short);
        }
        // Most frames, without offloads.
        if self.flags & (NEEDS_CSUM | DATA_VALID) == 0 && self.gso_type == GSO_NONE {
            return Ok(Received::PLAIN);
        }
        self.check_offloads(agreed, len)
    }

    fn check_offloads(&self, agreed: Features, len: u32) -> Result<Received, Fault> {
        // What we never agreed to we need not understand.
        let checksum = if !agreed.contains(features::GUEST_CSUM) {
            if self.flags & NEEDS_CSUM != 0 {
                return Err(Fault::ChecksumNotAgreed);
            }
            Checksum::Unknown
        } else if self.flags & NEEDS_CSUM != 0 {
            Checksum::Partial(self.partial(len)?)
        } else if self.flags & DATA_VALID != 0 {
            Checksum::Verified
        } else {
            Checksum::Unknown
        };

        let gso = match self.gso_type {
            GSO_NONE => None,
            _ => Some(self.gso(agreed, checksum, len)?),
        };
        Ok(Received { checksum, gso })
    }

    fn partial(&self, len: u32) -> Result<Partial, Fault> {
        let start = u32::from(self.csum_start);
        let end = start + u32::from(self.csum_offset) + 2;

        if start < ETHERNET || end > len {
            return Err(Fault::ChecksumPlace);
        }
        Ok(Partial {
            start: self.csum_start,
            offset: self.csum_offset,
        })
    }

    fn gso(&self, agreed: Features, checksum: Checksum, len: u32) -> Result<Gso, Fault> {
        let ecn = self.gso_type & GSO_ECN != 0;
        let (kind, needs, ip, transport, at) = match self.gso_type & !GSO_ECN {
            GSO_TCPV4 => (Kind::TcpV4, features::GUEST_TSO4, IPV4, TCP, TCP_CHECKSUM),
            GSO_TCPV6 => (Kind::TcpV6, features::GUEST_TSO6, IPV6, TCP, TCP_CHECKSUM),
            GSO_UDP_L4 => (
                Kind::Udp,
                features::GUEST_USO4 | features::GUEST_USO6,
                IPV4,
                UDP,
                UDP_CHECKSUM,
            ),
            GSO_UDP => return Err(Fault::GsoNotAgreed),
            _ => return Err(Fault::GsoKind),
        };

        // Either is enough: it does not say which version of IP it is.
        if agreed & needs == Features::NONE {
            return Err(Fault::GsoNotAgreed);
        }
        if ecn && (kind == Kind::Udp || !agreed.contains(features::GUEST_ECN)) {
            return Err(Fault::Ecn);
        }
        let Checksum::Partial(partial) = checksum else {
            return Err(Fault::GsoWithoutChecksum);
        };
        let start = u32::from(partial.start);
        if partial.offset != at || start < ETHERNET + ip || start + transport > len {
            return Err(Fault::GsoHeaders);
        }
        if self.gso_size == 0 || self.gso_size == NO_SIZE {
            return Err(Fault::GsoSize);
        }
        Ok(Gso {
            kind,
            ecn,
            size: self.gso_size,
        })
    }
}

/// A checksum that is still to be finished.
///
/// Of the frame from `start` on, and to be put `offset` bytes behind that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Partial {
    /// Where the bytes begin that it is of.
    pub(crate) start: u16,
    /// Where behind that it belongs.
    pub(crate) offset: u16,
}

/// What is known of a frame's checksum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Checksum {
    /// Nothing.
    Unknown,
    /// That it is right.
    Verified,
    /// That it is not there yet. The frame comes from a neighbour, and no wire has garbled it.
    Partial(Partial),
}

/// What a large frame is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Segments of TCP over IPv4.
    TcpV4,
    /// Segments of TCP over IPv6.
    TcpV6,
    /// Datagrams of UDP.
    Udp,
}

/// How a large frame is to be cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Gso {
    /// Into what.
    pub(crate) kind: Kind,
    /// Whether the congestion bit is in the first segment only.
    pub(crate) ecn: bool,
    /// The bytes behind the headers of each, but for the last, which may have less.
    pub(crate) size: u16,
}

/// What a device says of a frame, checked.
///
/// # Invariants
///
/// - A partial checksum lies within the frame, behind Ethernet's header.
/// - A large frame has a partial checksum, and room for the headers of its kind.
/// - Nothing is said that was not agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Received {
    /// Of its checksum.
    pub(crate) checksum: Checksum,
    /// Of its segments, if it is large.
    pub(crate) gso: Option<Gso>,
}

impl Received {
    /// A frame of which nothing is said.
    pub(crate) const PLAIN: Self = Self {
        checksum: Checksum::Unknown,
        gso: None,
    };
}

/// Why a frame is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It is shorter than Ethernet's header.
    Short,
    /// It comes in no buffers, or in more than there can be.
    Buffers,
    /// It lacks a checksum, which was not agreed on.
    ChecksumNotAgreed,
    /// The place of its checksum is not in it.
    ChecksumPlace,
    /// It is large, in a way that does not exist.
    GsoKind,
    /// It is large, in a way that was not agreed on.
    GsoNotAgreed,
    /// It has the congestion bit, which was not agreed on, or is not TCP's.
    Ecn,
    /// It is large, and does not say where its checksum belongs.
    GsoWithoutChecksum,
    /// It is large, and its headers can't be where it says.
    GsoHeaders,
    /// It is to be cut into segments of no size.
    GsoSize,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Short => "a frame shorter than a header",
            Self::Buffers => "a frame in no buffers, or too many",
            Self::ChecksumNotAgreed => "a frame without checksum, which was not agreed on",
            Self::ChecksumPlace => "a checksum out of its frame",
            Self::GsoKind => "a large frame of no known kind",
            Self::GsoNotAgreed => "a large frame of a kind that was not agreed on",
            Self::Ecn => "a large frame with ECN that was not agreed on",
            Self::GsoWithoutChecksum => "a large frame without place of its checksum",
            Self::GsoHeaders => "a large frame with headers out of place",
            Self::GsoSize => "a large frame of segments of no size",
        })
    }
}
