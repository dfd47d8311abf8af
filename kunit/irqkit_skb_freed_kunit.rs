// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: why packets are freed, as `skb:kfree_skb` and `skb:consume_skb` tell it
//! ([`irqkit::net::Reason`]).

use kernel::prelude::*;

#[path = "support/freed.rs"]
mod freed;
#[path = "support/polled.rs"]
mod polled;
#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_skb_freed_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: why irqkit's packets are freed",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_skb_freed)]
mod tests {
    use kernel::{
        bindings::{
            skb_drop_reason_SKB_CONSUMED as CONSUMED,
            skb_drop_reason_SKB_DROP_REASON_DEV_HDR as DEV_HDR,
            skb_drop_reason_SKB_DROP_REASON_FULL_RING as FULL_RING,
            skb_drop_reason_SKB_DROP_REASON_NOMEM as NOMEM,
            skb_drop_reason_SKB_DROP_REASON_NOT_SPECIFIED as NOT_SPECIFIED,
            skb_drop_reason_SKB_DROP_REASON_PKT_TOO_BIG as PKT_TOO_BIG,
            skb_drop_reason_SKB_DROP_REASON_PKT_TOO_SMALL as PKT_TOO_SMALL, //
        },
        prelude::*, //
    };

    use irqkit::{
        context::Task,
        net::{
            Reason,
            SkBuff, //
        }, //
    };

    use crate::{
        freed::{
            mark,
            Watch, //
        },
        polled::Stand,
        support::{
            hardirq,
            two_cpus,
            until, //
        }, //
    };

    /// Packet `number`, shorter than an Ethernet header.
    fn packet(number: u8) -> Result<SkBuff> {
        let mut skb = SkBuff::new(64, 0, GFP_KERNEL)?;

        skb.put(&mark(number))?;
        Ok(skb)
    }

    /// How often each of `N` packets was freed, and why.
    fn seen<const N: usize>(watch: &Watch) -> [(u32, u32); N] {
        let mut number = 0;

        [(); N].map(|()| {
            let freed = watch.seen(number);
            number += 1;
            (freed.times, freed.reason)
        })
    }

    const REASONS: [(Reason, u32); 6] = [
        (Reason::NotSpecified, NOT_SPECIFIED),
        (Reason::NoMemory, NOMEM),
        (Reason::FullRing, FULL_RING),
        (Reason::HeaderTooShort, PKT_TOO_SMALL),
        (Reason::DeviceHeader, DEV_HDR),
        (Reason::TooLong, PKT_TOO_BIG),
    ];

    #[test]
    fn tasks_say_why() -> Result {
        let watch = Watch::new()?;
        for (number, (reason, _)) in (0..).zip(REASONS) {
            packet(number)?.drop_with(reason);
        }
        drop(packet(6)?);
        let kept = packet(7)?;
        let before: [_; 8] = seen(&watch);
        Task::with(|task| kept.consume(task))?;
        let after: [_; 8] = seen(&watch);
        drop(watch);

        assert_eq!(before[7], (0, 0));
        for (seen, (_, reason)) in after.into_iter().zip(REASONS) {
            assert_eq!(seen, (1, reason));
        }
        assert_eq!(after[6], (1, NOT_SPECIFIED));
        assert_eq!(after[7], (1, CONSUMED));
        Ok(())
    }

    /// Where a packet can't be freed at once, the reason goes with it.
    #[test]
    fn hard_interrupts_say_why() -> Result {
        let (_, cpu) = two_cpus()?;
        let watch = Watch::new()?;
        let (mut full, mut dropped) = (Some(packet(0)?), Some(packet(1)?));
        hardirq::on_cpu(cpu, || {
            if let Some(skb) = full.take() {
                skb.drop_with(Reason::FullRing);
            }
            drop(dropped.take());
        })?;
        let freed = until(|| seen::<2>(&watch).iter().all(|(times, _)| *times != 0));
        let seen: [_; 2] = seen(&watch);
        drop(watch);

        assert!(freed);
        assert_eq!(seen, [(1, FULL_RING), (1, NOT_SPECIFIED)]);
        Ok(())
    }

    #[test]
    fn polls_say_why() -> Result {
        let stand = Stand::new(c"polls")?;
        let watch = Watch::new()?;
        let polled = stand.poll_once(
            |_, _| Ok(()),
            |_, (), budget| -> Result {
                // Of this CPU: others' are freed there.
                let mut marked = |number| -> Result<SkBuff> {
                    let mut skb = budget.alloc_skb(64).ok_or(ENOMEM)?;
                    skb.put(&mark(number))?;
                    Ok(skb)
                };
                let (sent, short, full) = (marked(0)?, marked(1)?, marked(2)?);

                budget.consume(sent);
                let credit = budget.take().ok_or(EINVAL)?;
                budget.receive(credit, short);
                full.drop_with(Reason::NoMemory);
                Ok(())
            },
        );
        let seen: [_; 3] = seen(&watch);
        drop(watch);
        let result = polled.map(|(result, _)| result);
        drop(stand);

        assert_eq!(result, Ok(Ok(())));
        assert_eq!(seen, [(1, CONSUMED), (1, PKT_TOO_SMALL), (1, NOMEM)]);
        Ok(())
    }
}
