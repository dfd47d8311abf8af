// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: what is left to the other side, and what can't be ([`irqkit::net::Offload`]).

use kernel::prelude::*;

module! {
    type: Suite,
    name: "irqkit_offload_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's offloads of packets",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_offload)]
mod tests {
    use kernel::prelude::*;

    use irqkit::net::{
        Checksum,
        Gso,
        GsoKind,
        Offload,
        SkBuff, //
    };

    /// An Ethernet frame with IPv4 and TCP, of `payload` bytes.
    fn tcp(payload: u32) -> Result<SkBuff> {
        let mut skb = SkBuff::new(54 + payload, 64, GFP_KERNEL)?;
        let total = u16::try_from(40 + payload)?.to_be_bytes();

        skb.put(&[0x02, 0, 0, 0, 0, 1, 0x02, 0, 0, 0, 0, 2, 0x08, 0x00])?;
        skb.put(&[0x45, 0, total[0], total[1], 0, 0, 0x40, 0, 64, 6, 0, 0])?;
        skb.put(&[10, 0, 0, 1, 10, 0, 0, 2])?;
        skb.put(&[
            0, 80, 0, 81, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 0x10, 1, 0, 0, 0, 0, 0,
        ])?;
        skb.put_zeroes(payload)?;
        Ok(skb)
    }

    const CHECKSUM: Checksum = Checksum {
        start: 34,
        offset: 16,
    };

    const GSO: Gso = Gso {
        kind: GsoKind::Tcp4,
        ecn: false,
        size: 1000,
        hdr_len: 54,
    };

    #[test]
    fn good_offloads_come_through() -> Result {
        let mut plain = tcp(100)?;
        let none = plain.set_offload(&Offload::default());
        let plain_checksum = plain.checksum();
        let plain = (none, plain.is_partial(), plain.is_gso(), plain.offload());

        let mut large = tcp(3000)?;
        let wanted = Offload {
            checksum: Some(CHECKSUM),
            gso: Some(GSO),
        };
        let set = large.set_offload(&wanted);
        let checksum = large.checksum();
        let large = (set, large.is_partial(), large.is_gso(), large.offload());

        assert_eq!(plain_checksum, None);
        assert_eq!(checksum, Some(CHECKSUM));
        assert_eq!(plain, (Ok(()), false, false, Ok(Offload::default())));
        assert_eq!(large, (Ok(()), true, true, Ok(wanted)));
        Ok(())
    }

    #[test]
    fn bad_offloads_are_refused() -> Result {
        let bad = [
            // Beyond the end, in the midst of the Ethernet header, and with an overflow.
            Offload {
                checksum: Some(Checksum {
                    start: 34,
                    offset: 5000,
                }),
                gso: None,
            },
            Offload {
                checksum: Some(Checksum {
                    start: 3,
                    offset: 0,
                }),
                gso: None,
            },
            Offload {
                checksum: Some(Checksum {
                    start: u16::MAX,
                    offset: u16::MAX,
                }),
                gso: None,
            },
            // Cut into nothing, as another protocol, by another's checksum, and by fragments.
            Offload {
                checksum: Some(CHECKSUM),
                gso: Some(Gso { size: 0, ..GSO }),
            },
            Offload {
                checksum: None,
                gso: Some(Gso {
                    kind: GsoKind::Tcp6,
                    ..GSO
                }),
            },
            Offload {
                checksum: Some(Checksum {
                    offset: 6,
                    ..CHECKSUM
                }),
                gso: Some(GSO),
            },
            Offload {
                checksum: None,
                gso: Some(Gso {
                    kind: GsoKind::UdpL4,
                    ..GSO
                }),
            },
            Offload {
                checksum: Some(CHECKSUM),
                gso: Some(Gso {
                    size: u16::MAX,
                    ..GSO
                }),
            },
        ];
        let mut answers = KVec::new();
        for offload in &bad {
            answers.push(tcp(3000)?.set_offload(offload), GFP_KERNEL)?;
        }

        for answer in answers {
            assert_eq!(answer, Err(EINVAL));
        }
        Ok(())
    }
}
