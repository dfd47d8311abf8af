// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: the header that a network device writes before each frame, with every field of it bad.
//!
//! The driver's own source is compiled in here, so that it can be given headers that QEMU's device does not
//! write. The tests of `tools/netlogic` on the host say the same with more words; this is the code as it runs
//! in the kernel, with the kernel's compiler and flags.

use kernel::prelude::*;

use irqkit::virtio::Features;

// The suite does not use all of them.
#[allow(dead_code)]
#[path = "../rust_napi_net/logic/features.rs"]
mod features;
#[allow(dead_code)]
#[path = "../rust_napi_net/logic/header.rs"]
mod header;
#[path = "support/noise.rs"]
mod noise;

module! {
    type: Suite,
    name: "rust_napi_net_header_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: headers of frames, good and bad",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(rust_napi_net_header)]
mod tests {
    use crate::{
        features::{
            GUEST_CSUM,
            GUEST_ECN,
            GUEST_TSO4,
            GUEST_TSO6,
            GUEST_USO4,
            GUEST_USO6,
            WANTED, //
        },
        header::{
            Checksum,
            Fault,
            Gso,
            Kind,
            Partial,
            Raw,
            Received,
            ETHERNET,
            LEN, //
        },
        noise::Noise,
        Features, //
    };

    /// The header of a large frame of TCP over IPv4, to which nothing can be said.
    const GOOD: Header = Header {
        flags: 1,
        kind: 1,
        size: 1448,
        start: 34,
        offset: 16,
        buffers: 1,
    };
    const LONG: u32 = 4000;

    #[derive(Clone, Copy)]
    struct Header {
        flags: u8,
        kind: u8,
        size: u16,
        start: u16,
        offset: u16,
        buffers: u16,
    }

    impl Header {
        fn raw(self) -> Raw {
            let [s0, s1] = self.size.to_le_bytes();
            let [c0, c1] = self.start.to_le_bytes();
            let [o0, o1] = self.offset.to_le_bytes();
            let [b0, b1] = self.buffers.to_le_bytes();

            // The length of the headers is not believed, whatever it is.
            Raw::from_bytes([
                self.flags, self.kind, 0xff, 0xff, s0, s1, c0, c1, o0, o1, b0, b1,
            ])
        }

        fn fault(self, agreed: Features, len: u32) -> Option<Fault> {
            self.raw().check(agreed, len).err()
        }
    }

    #[test]
    fn what_is_good_is_believed() {
        let partial = |start, offset| Checksum::Partial(Partial { start, offset });

        for (header, checksum, kind, ecn) in [
            (GOOD, partial(34, 16), Kind::TcpV4, false),
            (
                Header { kind: 0x81, ..GOOD },
                partial(34, 16),
                Kind::TcpV4,
                true,
            ),
            (
                Header {
                    kind: 4,
                    start: 54,
                    ..GOOD
                },
                partial(54, 16),
                Kind::TcpV6,
                false,
            ),
            (
                Header {
                    kind: 5,
                    offset: 6,
                    ..GOOD
                },
                partial(34, 6),
                Kind::Udp,
                false,
            ),
        ] {
            let gso = Some(Gso {
                kind,
                ecn,
                size: 1448,
            });

            assert_eq!(
                header.raw().check(WANTED, LONG),
                Ok(Received { checksum, gso })
            );
        }
        let plain = Header {
            flags: 0,
            kind: 0,
            ..GOOD
        };
        assert_eq!(plain.raw().check(WANTED, LONG), Ok(Received::PLAIN));
        let verified = Header {
            flags: 2,
            kind: 0,
            ..GOOD
        };
        assert_eq!(
            verified.raw().check(WANTED, LONG).map(|said| said.checksum),
            Ok(Checksum::Verified)
        );
    }

    #[test]
    fn each_field_is_looked_at() {
        // The frame itself.
        for len in 0..ETHERNET {
            assert_eq!(GOOD.fault(WANTED, len), Some(Fault::Short));
        }
        // Flags: large, and no checksum to be finished.
        for flags in [0, 2, 0xfe] {
            let bad = Header { flags, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoWithoutChecksum));
        }
        // Kinds that there are not, one that is not used, and the bit of congestion for what has none.
        for kind in [2, 6, 0x7f, 0x80, 0xff] {
            let bad = Header { kind, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoKind));
        }
        assert_eq!(
            Header { kind: 3, ..GOOD }.fault(WANTED, LONG),
            Some(Fault::GsoNotAgreed)
        );
        assert_eq!(
            Header {
                kind: 0x85,
                offset: 6,
                ..GOOD
            }
            .fault(WANTED, LONG),
            Some(Fault::Ecn)
        );
        // The size of segments.
        for size in [0, 0xffff] {
            let bad = Header { size, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoSize));
        }
        // Where the checksum begins, and where it belongs.
        for start in [0, 13, 3999, 0xffff] {
            let bad = Header { start, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::ChecksumPlace));
        }
        for start in [14, 33, 3981] {
            let bad = Header { start, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoHeaders));
        }
        for offset in [0, 6, 15, 17] {
            let bad = Header { offset, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoHeaders));
        }
        for offset in [3965, 0xffff] {
            let bad = Header { offset, ..GOOD };
            assert_eq!(bad.fault(WANTED, LONG), Some(Fault::ChecksumPlace));
        }
        // The number of buffers.
        for buffers in [0, 65, 0xffff] {
            let bad = Header { buffers, ..GOOD };
            assert_eq!(bad.raw().buffers(64), Err(Fault::Buffers));
            assert_eq!(bad.raw().said_buffers(), buffers);
        }
        assert_eq!(
            Header {
                buffers: 64,
                ..GOOD
            }
            .raw()
            .buffers(64),
            Ok(64)
        );
    }

    /// A frame that is not large, of any kind of protocol: what is known is where its checksum belongs.
    #[test]
    fn checksums_are_within_their_frame() {
        // Alone, and with the flag that says that there is nothing to finish.
        for flags in [1, 3] {
            let at = |start, offset, len| {
                let header = Header {
                    flags,
                    kind: 0,
                    start,
                    offset,
                    ..GOOD
                };
                header.raw().check(WANTED, len)
            };

            for (start, offset, len) in [(34, 16, 52), (14, 0, 16), (58, 0, 60)] {
                let checksum = Checksum::Partial(Partial { start, offset });
                let said = Received {
                    checksum,
                    gso: None,
                };
                assert_eq!(at(start, offset, len), Ok(said));
                // One byte less has no room for it.
                assert_eq!(at(start, offset, len - 1), Err(Fault::ChecksumPlace));
            }
            for (start, offset) in [
                // In Ethernet's header, behind the end, and where 16 bits are not enough.
                (0, 0),
                (0, 16),
                (13, 16),
                (59, 0),
                (34, 25),
                (34, 0xffff),
                (0xffff, 0),
                (0xffff, 0xffff),
            ] {
                assert_eq!(at(start, offset, 60), Err(Fault::ChecksumPlace));
            }
        }
    }

    #[test]
    fn headers_of_all_kinds_have_room() {
        // Where the checksum of each begins at the earliest, where it belongs, and its header's length.
        for (kind, start, offset, transport) in [(1, 34, 16, 20), (4, 54, 16, 20), (5, 34, 6, 8)] {
            let good = Header {
                kind,
                start,
                offset,
                ..GOOD
            };
            let shortest = u32::from(start) + transport;

            assert_eq!(good.fault(WANTED, LONG), None);
            assert_eq!(good.fault(WANTED, shortest), None);
            // UDP's checksum is at the end of its header, and so is what is missed first.
            let missing = match kind {
                5 => Fault::ChecksumPlace,
                _ => Fault::GsoHeaders,
            };
            assert_eq!(good.fault(WANTED, shortest - 1), Some(missing));
            // A header of IP that is too short, or another protocol's place.
            for start in [14, start - 1] {
                let bad = Header { start, ..good };
                assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoHeaders));
            }
            for other in [0, 4, 6, 8, 15, 16, 17, 36] {
                let bad = Header {
                    offset: other,
                    ..good
                };
                let fault = (other != offset).then_some(Fault::GsoHeaders);
                assert_eq!(bad.fault(WANTED, LONG), fault);
            }
            for start in [0, 13, 3999, 0xffff] {
                let bad = Header { start, ..good };
                assert_eq!(bad.fault(WANTED, LONG), Some(Fault::ChecksumPlace));
            }
            for size in [0, 0xffff] {
                let bad = Header { size, ..good };
                assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoSize));
            }
            for flags in [0, 2] {
                let bad = Header { flags, ..good };
                assert_eq!(bad.fault(WANTED, LONG), Some(Fault::GsoWithoutChecksum));
            }
        }
    }

    #[test]
    fn what_was_not_agreed_on_is_refused() {
        for (kind, start, offset, needs) in [
            (1, 34, 16, GUEST_TSO4),
            (4, 54, 16, GUEST_TSO6),
            (5, 34, 6, GUEST_USO4 | GUEST_USO6),
        ] {
            let header = Header {
                kind,
                start,
                offset,
                ..GOOD
            };

            assert_eq!(header.fault(WANTED, LONG), None);
            assert_eq!(
                header.fault(WANTED.without(needs), LONG),
                Some(Fault::GsoNotAgreed)
            );
        }
        assert_eq!(
            Header { kind: 0x81, ..GOOD }.fault(WANTED.without(GUEST_ECN), LONG),
            Some(Fault::Ecn)
        );
        assert_eq!(
            GOOD.fault(WANTED.without(GUEST_CSUM), LONG),
            Some(Fault::ChecksumNotAgreed)
        );
    }

    /// The invariants of [`Received`], for anything a device can say.
    #[test]
    fn noise_is_refused_or_sound() {
        let mut noise = Noise::new();
        let mut believed = 0;

        for _ in 0..50_000 {
            let mut bytes = [0; LEN];
            for byte in &mut bytes {
                // CAST: The lowest bits.
                *byte = noise.next() as u8;
            }
            // Often enough what comes near to a large frame.
            bytes[0] &= 3;
            bytes[1] &= 0x87;
            bytes[7] = 0;
            bytes[8] &= 0x16;
            bytes[9] = 0;
            // CAST: Below 4096.
            let len = noise.below(4096) as u32;
            let Ok(said) = Raw::from_bytes(bytes).check(WANTED, len) else {
                continue;
            };

            assert!(len >= ETHERNET);
            if let Checksum::Partial(at) = said.checksum {
                assert!(u32::from(at.start) >= ETHERNET);
                assert!(u32::from(at.start) + u32::from(at.offset) + 2 <= len);
            }
            if let Some(gso) = said.gso {
                believed += 1;
                assert!(matches!(said.checksum, Checksum::Partial(_)));
                assert!(gso.size != 0 && gso.size != 0xffff);
            }
        }
        assert!(believed > 0);
    }
}
