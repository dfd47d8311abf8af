// SPDX-License-Identifier: GPL-2.0

use proptest::prelude::*;

use crate::{
    features::*,
    header::*,
    Features, //
};

/// All that can be agreed on.
const ALL: Features = WANTED;

/// Bytes of a header: flags, kind, hdr_len, gso_size, csum_start, csum_offset, num_buffers.
fn raw(flags: u8, kind: u8, size: u16, start: u16, offset: u16) -> Raw {
    let mut bytes = [0; LEN];
    bytes[0] = flags;
    bytes[1] = kind;
    bytes[4..6].copy_from_slice(&size.to_le_bytes());
    bytes[6..8].copy_from_slice(&start.to_le_bytes());
    bytes[8..10].copy_from_slice(&offset.to_le_bytes());
    bytes[10] = 1;
    Raw::from_bytes(bytes)
}

fn partial(start: u16, offset: u16) -> Checksum {
    Checksum::Partial(Partial { start, offset })
}

#[test]
fn a_plain_frame() {
    assert_eq!(
        raw(0, 0, 0, 0, 0).check(Features::NONE, 14),
        Ok(Received::PLAIN)
    );
    assert_eq!(raw(0, 0, 0, 0, 0).check(ALL, 1514), Ok(Received::PLAIN));
    // Fields that the flags say nothing of mean nothing, and nor do unknown flags.
    assert_eq!(raw(0, 0, 9, 9999, 9999).check(ALL, 14), Ok(Received::PLAIN));
    assert_eq!(raw(0xfc, 0, 0, 0, 0).check(ALL, 14), Ok(Received::PLAIN));
}

#[test]
fn a_short_frame() {
    for len in 0..14 {
        assert_eq!(raw(0, 0, 0, 0, 0).check(ALL, len), Err(Fault::Short));
    }
}

#[test]
fn a_verified_checksum() {
    let verified = Received {
        checksum: Checksum::Verified,
        gso: None,
    };
    assert_eq!(raw(2, 0, 0, 0, 0).check(ALL, 60), Ok(verified));
    // Not believed if it was not agreed on.
    assert_eq!(
        raw(2, 0, 0, 0, 0).check(Features::NONE, 60),
        Ok(Received::PLAIN)
    );
}

#[test]
fn a_partial_checksum() {
    let check = |start, offset, len| {
        raw(1, 0, 0, start, offset)
            .check(ALL, len)
            .map(|received| received.checksum)
    };

    assert_eq!(check(34, 16, 54), Ok(partial(34, 16)));
    assert_eq!(check(34, 16, 52), Ok(partial(34, 16)));
    assert_eq!(check(34, 16, 51), Err(Fault::ChecksumPlace));
    assert_eq!(check(13, 16, 54), Err(Fault::ChecksumPlace));
    assert_eq!(check(0, 0, 54), Err(Fault::ChecksumPlace));
    assert_eq!(check(0xffff, 0xffff, 54), Err(Fault::ChecksumPlace));
    assert_eq!(
        raw(1, 0, 0, 34, 16).check(ALL.without(GUEST_CSUM), 54),
        Err(Fault::ChecksumNotAgreed)
    );
    // With both flags, it is not there.
    assert_eq!(
        raw(3, 0, 0, 34, 16).check(ALL, 54).map(|r| r.checksum),
        Ok(partial(34, 16))
    );
}

#[test]
fn large_frames() {
    for (code, kind, start, offset) in [
        (1, Kind::TcpV4, 34, 16),
        (4, Kind::TcpV6, 54, 16),
        (5, Kind::Udp, 34, 6),
        (5, Kind::Udp, 54, 6),
    ] {
        let gso = |ecn| Gso {
            kind,
            ecn,
            size: 1448,
        };
        assert_eq!(
            raw(1, code, 1448, start, offset).check(ALL, 4000),
            Ok(Received {
                checksum: partial(start, offset),
                gso: Some(gso(false)),
            })
        );
        let ecn = raw(1, code | 0x80, 1448, start, offset).check(ALL, 4000);
        if kind == Kind::Udp {
            assert_eq!(ecn, Err(Fault::Ecn));
        } else {
            assert_eq!(ecn.map(|r| r.gso), Ok(Some(gso(true))));
        }
    }
}

#[test]
fn large_frames_are_agreed_on() {
    for (code, start, offset, needs) in [
        (1, 34, 16, GUEST_TSO4),
        (4, 54, 16, GUEST_TSO6),
        (5, 34, 6, GUEST_USO4 | GUEST_USO6),
    ] {
        assert_eq!(
            raw(1, code, 1448, start, offset).check(ALL.without(needs), 4000),
            Err(Fault::GsoNotAgreed)
        );
    }
    assert_eq!(
        raw(1, 0x81, 1448, 34, 16).check(ALL.without(GUEST_ECN), 4000),
        Err(Fault::Ecn)
    );
    assert_eq!(
        raw(1, 3, 1448, 34, 6).check(ALL, 4000),
        Err(Fault::GsoNotAgreed)
    );
}

#[test]
fn large_frames_that_are_none() {
    let check = |flags, code, size, start, offset, len| {
        raw(flags, code, size, start, offset)
            .check(ALL, len)
            .unwrap_err()
    };

    for code in [2, 6, 7, 0x7f, 0xff, 0x80] {
        assert_eq!(check(1, code, 1448, 34, 16, 4000), Fault::GsoKind);
    }
    assert_eq!(check(0, 1, 1448, 34, 16, 4000), Fault::GsoWithoutChecksum);
    assert_eq!(check(2, 1, 1448, 34, 16, 4000), Fault::GsoWithoutChecksum);
    assert_eq!(check(1, 1, 0, 34, 16, 4000), Fault::GsoSize);
    assert_eq!(check(1, 1, 0xffff, 34, 16, 4000), Fault::GsoSize);
    assert_eq!(check(1, 1, 1448, 34, 6, 4000), Fault::GsoHeaders);
    assert_eq!(check(1, 1, 1448, 33, 16, 4000), Fault::GsoHeaders);
    assert_eq!(check(1, 4, 1448, 53, 16, 4000), Fault::GsoHeaders);
    assert_eq!(check(1, 1, 1448, 34, 16, 53), Fault::GsoHeaders);
    assert_eq!(check(1, 5, 1448, 34, 16, 4000), Fault::GsoHeaders);
    // Room for the checksum, but not for all of the header.
    assert_eq!(check(1, 1, 1448, 34, 16, 52), Fault::GsoHeaders);
}

#[test]
fn numbers_of_buffers() {
    let buffers = |n: u16, most| {
        let mut bytes = [0; LEN];
        bytes[10..12].copy_from_slice(&n.to_le_bytes());
        Raw::from_bytes(bytes).buffers(most)
    };

    assert_eq!(buffers(0, 17), Err(Fault::Buffers));
    assert_eq!(buffers(1, 17), Ok(1));
    assert_eq!(buffers(17, 17), Ok(17));
    assert_eq!(buffers(18, 17), Err(Fault::Buffers));
    assert_eq!(buffers(u16::MAX, 17), Err(Fault::Buffers));
    assert_eq!(buffers(1, 0), Err(Fault::Buffers));

    // What is to be skipped, whether it can be or not.
    let mut bytes = [0; LEN];
    bytes[10..].copy_from_slice(&[0xfe, 0xff]);
    assert_eq!(Raw::from_bytes(bytes).said_buffers(), 65534);
}

#[test]
fn bytes_are_where_the_specification_has_them() {
    let bytes = [1, 0x84, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12];
    assert_eq!(Raw::from_bytes(bytes).to_bytes(), bytes);

    let gso = Gso {
        kind: Kind::TcpV6,
        ecn: true,
        size: 0x0605,
    };
    let checksum = Partial {
        start: 0x0807,
        offset: 0x0a09,
    };
    assert_eq!(
        Raw::transmit(Some(checksum), Some(gso), 0x0403).to_bytes(),
        [1, 0x84, 3, 4, 5, 6, 7, 8, 9, 10, 0, 0]
    );
    assert_eq!(Raw::transmit(None, None, 54).to_bytes(), PLAIN);
}

fn kinds() -> impl Strategy<Value = Kind> {
    prop_oneof![Just(Kind::TcpV4), Just(Kind::TcpV6), Just(Kind::Udp)]
}

proptest! {
    /// Whatever a device says: what is believed of it has its place in the frame, and was agreed
    /// on.
    #[test]
    fn what_is_believed_is_sound(
        bytes in any::<[u8; LEN]>(),
        likely in any::<bool>(),
        bits in any::<u64>(),
        len in 0u32..70_000,
    ) {
        let mut bytes = bytes;
        if likely {
            bytes[0] &= 3;
            bytes[1] &= 0x85;
            bytes[7] = 0;
            bytes[9] = 0;
        }
        let agreed = Features::from_bits(bits);
        let Ok(received) = Raw::from_bytes(bytes).check(agreed, len) else {
            return Ok(());
        };

        prop_assert!(len >= ETHERNET);
        match received.checksum {
            Checksum::Unknown => {}
            Checksum::Verified => prop_assert!(agreed.contains(GUEST_CSUM)),
            Checksum::Partial(partial) => {
                prop_assert!(agreed.contains(GUEST_CSUM));
                prop_assert!(u32::from(partial.start) >= ETHERNET);
                let end = u32::from(partial.start) + u32::from(partial.offset) + 2;
                prop_assert!(end <= len);
            }
        }
        if let Some(gso) = received.gso {
            let needs = match gso.kind {
                Kind::TcpV4 => GUEST_TSO4,
                Kind::TcpV6 => GUEST_TSO6,
                Kind::Udp => GUEST_USO4 | GUEST_USO6,
            };
            prop_assert!(agreed & needs != Features::NONE);
            prop_assert!(!gso.ecn || agreed.contains(GUEST_ECN));
            prop_assert!(gso.size != 0 && gso.size != u16::MAX);
            prop_assert!(matches!(received.checksum, Checksum::Partial(_)));
        }
    }

    /// What we say ourselves we would believe.
    #[test]
    fn what_is_said_is_understood(
        kind in kinds(),
        large in any::<bool>(),
        ecn in any::<bool>(),
        size in 1u16..u16::MAX,
        more in 0u16..200,
        header_len in any::<u16>(),
    ) {
        let start = 54 + more;
        let offset = if kind == Kind::Udp { 6 } else { 16 };
        let checksum = Partial { start, offset };
        let gso = large.then_some(Gso { kind, ecn: ecn && kind != Kind::Udp, size });
        let raw = Raw::from_bytes(Raw::transmit(Some(checksum), gso, header_len).to_bytes());

        prop_assert_eq!(
            raw.check(ALL, 1000),
            Ok(Received { checksum: Checksum::Partial(checksum), gso })
        );
    }
}
