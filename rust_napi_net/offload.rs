// SPDX-License-Identifier: GPL-2.0

//! Between what the device says of a frame's checksum and segments, and what the stack does.

use kernel::error::Result;

use irqkit::net::{
    self,
    SkBuff, //
};

use crate::logic::header::{
    Checksum,
    Gso,
    Kind,
    Partial,
    Raw,
    Received,
    LEN,
    PLAIN, //
};

/// What the stack is told of a frame that came in.
#[inline]
pub(crate) fn of_received(said: Received) -> net::Offload {
    let checksum = match said.checksum {
        Checksum::Partial(Partial { start, offset }) => Some(net::Checksum { start, offset }),
        Checksum::Unknown | Checksum::Verified => None,
    };

    net::Offload {
        checksum,
        gso: said.gso.map(|gso| net::Gso {
            kind: match gso.kind {
                Kind::TcpV4 => net::GsoKind::Tcp4,
                Kind::TcpV6 => net::GsoKind::Tcp6,
                Kind::Udp => net::GsoKind::UdpL4,
            },
            ecn: gso.ecn,
            size: gso.size,
            // A hint of the device's, which is as good as none.
            hdr_len: 0,
        }),
    }
}

/// The header of a frame that goes out, and is not one for several: most have a checksum to be computed,
/// and nothing else.
#[inline]
pub(crate) fn header_of_one(skb: &SkBuff) -> [u8; LEN] {
    match skb.checksum() {
        None => PLAIN,
        Some(net::Checksum { start, offset }) => {
            Raw::transmit(Some(Partial { start, offset }), None, 0).to_bytes()
        }
    }
}

/// The header of any frame that goes out.
///
/// # Errors
///
/// Those of [`SkBuff::offload`].
pub(crate) fn header_of(skb: &SkBuff) -> Result<[u8; LEN]> {
    let offload = skb.offload()?;
    let checksum = offload.checksum.map(|checksum| Partial {
        start: checksum.start,
        offset: checksum.offset,
    });
    let gso = offload.gso.map(|gso| Gso {
        kind: match gso.kind {
            net::GsoKind::Tcp4 => Kind::TcpV4,
            net::GsoKind::Tcp6 => Kind::TcpV6,
            net::GsoKind::UdpL4 => Kind::Udp,
        },
        ecn: gso.ecn,
        size: gso.size,
    });

    Ok(Raw::transmit(checksum, gso, offload.gso.map_or(0, |gso| gso.hdr_len)).to_bytes())
}
