// SPDX-License-Identifier: GPL-2.0

use std::{
    cell::Cell,
    collections::HashMap, //
};

use proptest::{
    collection::vec,
    prelude::*, //
};

use super::space::{
    good,
    read,
    Space,
    DEVICE_BARS, //
};
use crate::layout::{
    walk,
    Area,
    Bar,
    Fault,
    Layout,
    Structure,
    BARS, //
};

fn laid(space: &Space) -> Result<Layout, Fault> {
    walk(|at| space.read(at), &DEVICE_BARS)
}

fn span(area: Area) -> (usize, usize, usize) {
    (area.bar(), area.offset(), area.len())
}

#[test]
fn a_good_device() {
    let layout = laid(&good()).unwrap();

    assert_eq!(span(layout.common()), (4, 0, 0x1000));
    assert_eq!(span(layout.isr()), (4, 0x1000, 0x1000));
    assert_eq!(layout.device().map(span), Some((4, 0x2000, 0x1000)));
    assert_eq!(layout.doorbell(0, 2).map(span), Some((4, 0x3000, 2)));
    assert_eq!(layout.doorbell(5, 4).map(span), Some((4, 0x3014, 4)));
}

#[test]
fn doorbells_stay_in_their_area() {
    let layout = laid(&good()).unwrap();

    assert_eq!(layout.doorbell(1023, 4).map(span), Some((4, 0x3ffc, 4)));
    assert_eq!(layout.doorbell(1024, 2), None);
    assert_eq!(layout.doorbell(u16::MAX, 2), None);
    assert_eq!(layout.doorbell(0, 0), None);

    let with = |len, multiplier| {
        laid(
            &Space::new()
                .notify(0x70, 4, 0x3000, len, multiplier)
                .virtio(0x50, 3, 4, 0x1000, 1)
                .virtio(0x40, 1, 4, 0, 56),
        )
        .unwrap()
    };
    // One doorbell for all.
    assert_eq!(with(2, 0).doorbell(9, 2).map(span), Some((4, 0x3000, 2)));
    assert_eq!(with(2, 0).doorbell(0, 4), None);
    // Odd offsets.
    assert_eq!(with(4096, 1).doorbell(1, 2), None);
    assert_eq!(with(4096, 2).doorbell(1, 4), None);
    // No overflow of 32 bits.
    assert_eq!(with(4096, u32::MAX).doorbell(u16::MAX, 2), None);
    assert_eq!(with(4096, 0x1_0000).doorbell(0xffff, 2), None);
}

#[test]
fn what_may_be_missing() {
    let no_device = Space::new()
        .notify(0x70, 4, 0x3000, 0x1000, 4)
        .virtio(0x50, 3, 4, 0x1000, 0x1000)
        .virtio(0x40, 1, 4, 0, 0x1000);
    assert_eq!(laid(&no_device).unwrap().device(), None);

    // An empty one is none.
    let empty = no_device.clone().virtio(0x60, 4, 4, 0x2000, 0);
    assert_eq!(laid(&empty).unwrap().device(), None);
}

#[test]
fn what_must_be_there() {
    let legacy = Space::new().msix(0x40, 3, 1, 0x801);
    assert_eq!(laid(&legacy), Err(Fault::Missing(Structure::Common)));

    let only_common = Space::new().virtio(0x40, 1, 4, 0, 56);
    assert_eq!(laid(&only_common), Err(Fault::Missing(Structure::Notify)));

    let no_isr = only_common.notify(0x50, 4, 0x3000, 2, 0);
    assert_eq!(laid(&no_isr), Err(Fault::Missing(Structure::Isr)));
}

#[test]
fn the_first_usable_one_counts() {
    let layout = laid(
        &Space::new()
            // Ports, a BAR that is not there, one that can't be: passed over.
            .virtio(0x40, 1, 0, 0, 0x1000)
            .virtio(0x50, 1, 2, 0, 0x1000)
            .virtio(0x60, 1, 6, 0, 0x1000)
            .virtio(0x70, 1, 255, 0, 0x1000)
            .virtio(0x80, 1, 4, 0x400, 0x100)
            .virtio(0x90, 1, 4, 0, 0x100)
            .virtio(0xa0, 3, 4, 0x1000, 0x1000)
            .notify(0xb0, 0, 0, 0x10, 0)
            .notify(0xc4, 4, 0x3000, 0x1000, 4),
    )
    .unwrap();

    assert_eq!(span(layout.common()), (4, 0x400, 0x100));
    assert_eq!(layout.doorbell(0, 2).map(span), Some((4, 0x3000, 2)));
}

#[test]
fn lists_that_lead_nowhere() {
    let mut none = good();
    none.bytes[6] = 0;
    assert_eq!(laid(&none), Err(Fault::NoList));

    let mut empty = good();
    empty.bytes[0x34] = 0;
    assert_eq!(laid(&empty), Err(Fault::Missing(Structure::Common)));

    assert_eq!(laid(&good().link(0x3c)), Err(Fault::Pointer(0x3c)));
    assert_eq!(laid(&good().link(0x98)), Err(Fault::Loop(0x98)));
    // The two lowest bits mean nothing.
    assert_eq!(laid(&good().link(0x43)), Err(Fault::Loop(0x40)));
    assert_eq!(laid(&good().link(0x02)).map(drop), Ok(()));

    let gone = walk(|_| u32::MAX, &DEVICE_BARS);
    assert_eq!(gone, Err(Fault::Gone));
    // In the middle of it.
    let reads = Cell::new(0);
    let going = walk(
        |at| {
            reads.set(reads.get() + 1);
            if reads.get() > 5 {
                u32::MAX
            } else {
                good().read(at)
            }
        },
        &DEVICE_BARS,
    );
    assert_eq!(going, Err(Fault::Gone));
}

#[test]
fn capabilities_that_are_cut_off() {
    let short = |len| Space::new().capability(0x40, 9, &[len, 1, 4, 0, 0, 0]);
    assert_eq!(laid(&short(15)), Err(Fault::Short(0x40)));
    assert_eq!(laid(&short(0)), Err(Fault::Short(0x40)));

    let notify = Space::new().capability(0x40, 9, &[19, 2, 4, 0, 0, 0]);
    assert_eq!(laid(&notify), Err(Fault::Short(0x40)));

    let end = Space::new().capability(0xf4, 9, &[16, 1, 4, 0, 0, 0]);
    assert_eq!(laid(&end), Err(Fault::Beyond(0xf4)));
    let long = Space::new().capability(0xc0, 9, &[255, 1, 4, 0, 0, 0]);
    assert_eq!(laid(&long), Err(Fault::Beyond(0xc0)));
    let msix = Space::new().capability(0xf8, 0x11, &[0, 0]);
    assert_eq!(laid(&msix), Err(Fault::Beyond(0xf8)));

    // Of a type that is not looked at.
    let other = Space::new().capability(0xfc, 9, &[0, 9]);
    assert_eq!(laid(&other), Err(Fault::Missing(Structure::Common)));
}

#[test]
fn structures_that_do_not_fit() {
    let common = |offset, len| {
        laid(
            &Space::new()
                .virtio(0x40, 1, 4, offset, len)
                .notify(0x50, 4, 0x3000, 4, 0)
                .virtio(0x64, 3, 4, 0x2000, 1),
        )
    };

    assert_eq!(common(0, 56).map(drop), Ok(()));
    assert_eq!(common(0, 55), Err(Fault::Small(Structure::Common, 55)));
    assert_eq!(common(2, 56), Err(Fault::Alignment(Structure::Common, 2)));
    assert_eq!(common(0x3fc8, 56), Ok(common(0x3fc8, 56).unwrap()));
    assert_eq!(common(0x3fcc, 56), Err(Fault::Outside(Structure::Common)));
    assert_eq!(
        common(0xffff_fffc, 56),
        Err(Fault::Outside(Structure::Common))
    );
    assert_eq!(
        common(0xffff_fffc, u32::MAX),
        Err(Fault::Outside(Structure::Common))
    );
    assert_eq!(common(0, u32::MAX), Err(Fault::Outside(Structure::Common)));
}

#[test]
fn structures_that_overlap() {
    let with = |isr, table, pending| {
        laid(
            &Space::new()
                .virtio(0x40, 1, 4, 0, 56)
                .notify(0x50, 4, 0x3000, 0x100, 4)
                .virtio(0x64, 3, 4, isr, 1)
                .msix(0x80, 65, table, pending),
        )
    };
    use Structure::*;

    assert_eq!(with(56, 1, 0x801).map(drop), Ok(()));
    assert_eq!(with(55, 1, 0x801), Err(Fault::Overlap(Common, Isr)));
    assert_eq!(with(0x30ff, 1, 0x801), Err(Fault::Overlap(Notify, Isr)));
    assert_eq!(with(0x3100, 1, 0x801).map(drop), Ok(()));
    // 65 vectors: a table of 1040 bytes, and pending bits of 16.
    assert_eq!(
        with(56, 4 + 0x2c00, 0x801),
        Err(Fault::Overlap(Notify, MsixTable))
    );
    assert_eq!(with(56, 4 + 0x2bf0, 0x801).map(drop), Ok(()));
    assert_eq!(
        with(0x1008, 1, 4 + 0x1000),
        Err(Fault::Overlap(Isr, MsixPending))
    );
    assert_eq!(with(0x1010, 1, 4 + 0x1000).map(drop), Ok(()));
    assert_eq!(
        with(56, 1, 0x409),
        Err(Fault::Overlap(MsixTable, MsixPending))
    );
}

#[test]
fn every_fault_says_what_is_wrong() {
    for (fault, text) in [
        (
            Fault::Loop(0x40),
            "the list of capabilities comes back to 0x40",
        ),
        (
            Fault::Small(Structure::Common, 3),
            "common configuration: 3 bytes are too few",
        ),
        (
            Fault::Overlap(Structure::Isr, Structure::MsixTable),
            "interrupt status and MSI-X table overlap",
        ),
        (
            Fault::Outside(Structure::Notify),
            "notifications: beyond the end of its BAR",
        ),
    ] {
        assert_eq!(fault.to_string(), text);
    }
}

/// What a layout promises, looked at from outside.
fn holds(layout: &Layout, bars: &[Bar; BARS]) {
    let mut areas = vec![layout.common(), layout.isr()];
    areas.extend(layout.device());

    assert!(layout.common().len() >= 56);
    for area in &areas {
        assert!(area.len() > 0);
        assert!(bars[area.bar()].memory);
        assert!(area.offset() as u64 + area.len() as u64 <= bars[area.bar()].len);
    }
    for off in [0, 1, 2, 100, u16::MAX] {
        for width in [2, 4] {
            let Some(bell) = layout.doorbell(off, width) else {
                continue;
            };
            assert_eq!(bell.offset() % width as usize, 0);
            assert!(bell.offset() as u64 + u64::from(width) <= bars[bell.bar()].len);
            for area in &areas {
                assert!(
                    area.bar() != bell.bar()
                        || area.offset() + area.len() <= bell.offset()
                        || bell.offset() + bell.len() <= area.offset()
                );
            }
        }
    }
}

fn bar() -> impl Strategy<Value = Bar> {
    (
        prop_oneof![Just(0u64), (4u32..24).prop_map(|n| 1 << n), any::<u64>()],
        any::<bool>(),
    )
        .prop_map(|(len, memory)| Bar { len, memory })
}

fn bars() -> impl Strategy<Value = [Bar; BARS]> {
    prop::array::uniform6(bar())
}

/// Capabilities that are nearly right, chained in any order.
fn nearly() -> impl Strategy<Value = [u8; 256]> {
    let capability = (
        0u8..48,
        prop_oneof![Just(9u8), Just(0x11), any::<u8>()],
        prop_oneof![Just(16u8), Just(20), any::<u8>()],
        0u8..7,
        0u8..8,
        prop_oneof![(0u32..16).prop_map(|n| n * 0x100), any::<u32>()],
        prop_oneof![Just(0x100u32), Just(56), 0u32..64, any::<u32>()],
        prop_oneof![Just(0u32), Just(4), any::<u32>()],
    );
    vec(capability, 0..12).prop_map(|capabilities| {
        let mut bytes = [0u8; 256];
        bytes[6] = 0x10;
        let mut link = 0x34;
        for (slot, id, len, kind, bar, offset, size, multiplier) in capabilities {
            let at = 0x40 + usize::from(slot) * 4;
            bytes[link] = at as u8;
            let mut put = |n: usize, value: &[u8]| {
                for (place, &byte) in bytes.iter_mut().skip(at + n).zip(value) {
                    *place = byte;
                }
            };
            put(0, &[id]);
            put(2, &[len, kind, bar]);
            put(8, &offset.to_le_bytes());
            put(12, &size.to_le_bytes());
            put(16, &multiplier.to_le_bytes());
            link = at + 1;
        }
        bytes
    })
}

proptest! {
    /// Noise never gets past the checks, and never past the end of anything.
    #[test]
    fn noise(bytes in vec(any::<u8>(), 256), bars in bars()) {
        let mut bytes: [u8; 256] = bytes.try_into().unwrap();
        bytes[6] |= 0x10;
        if let Ok(layout) = walk(|at| read(&bytes, at), &bars) {
            holds(&layout, &bars);
        }
    }

    /// What is nearly right is right or refused.
    #[test]
    fn nearly_right(bytes in nearly(), bars in bars()) {
        if let Ok(layout) = walk(|at| read(&bytes, at), &bars) {
            holds(&layout, &bars);
        }
    }

    /// A device that never answers the same twice gets no second chance: each double word is read
    /// once, and never more than there are.
    #[test]
    fn each_word_is_read_once(words in vec(any::<u32>(), 1..200), bars in bars()) {
        let mut reads = HashMap::new();
        let mut answers = words.iter().cycle().copied();

        let layout = walk(
            |at| {
                *reads.entry(at).or_insert(0) += 1;
                match (at, answers.next().unwrap()) {
                    (4, _) => 0x0010_0000,
                    (_, word) => word,
                }
            },
            &bars,
        );
        prop_assert!(reads.values().sum::<u32>() <= 2 + 48 * 5);
        prop_assert!(reads[&4] == 1);
        if let Ok(layout) = layout {
            holds(&layout, &bars);
        }
    }

    /// One bit flipped in a good device.
    #[test]
    fn flipped(bit in 0usize..2048) {
        let mut space = good();
        space.bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(layout) = laid(&space) {
            holds(&layout, &DEVICE_BARS);
        }
    }
}
