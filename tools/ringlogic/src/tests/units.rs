// SPDX-License-Identifier: GPL-2.0

//! One thing at a time.

use std::{cell::Cell, rc::Rc};

use super::memory::{pair, slots, Buf, Byte, Mem};
use crate::ring::{
    chain::{AddError, Segment},
    layout::Layout,
    poison::Poison,
    split::Split,
    virtqueue::Virtqueue,
};

fn segment(address: u64, len: u32) -> Segment {
    Segment { address, len }
}

#[test]
fn a_queue_has_a_slot_for_each_descriptor() {
    let layout = Layout::new(8, 0).unwrap();
    for n in [0, 7, 9] {
        assert!(Split::new(Mem::new(layout), slots::<Byte>(n), layout, false, false).is_none());
    }
}

#[test]
fn a_queue_of_one() {
    let (mut driver, mut device) = pair(1, 1, true);

    for number in 0..100_000u64 {
        assert!(driver.add(Byte(number)).is_ok());
        assert_eq!(driver.add(Byte(7)).unwrap_err().why, AddError::Full);
        let chain = device.pop().unwrap().unwrap();
        assert!(device.pop().unwrap().is_none());
        device.push(chain.head.into(), chain.room());
        let used = driver.get_used().unwrap();
        assert_eq!(
            (used.buffer, used.written),
            (Byte(number), (number % 2) as u32)
        );
        assert!(driver.get_used().is_none());
    }
    assert_eq!((driver.free(), driver.in_flight()), (1, 0));
}

/// What a refused buffer leaves behind must not show.
#[test]
fn a_refused_buffer_changes_nothing() {
    let alive = Rc::default();
    let (mut driver, mut device) = pair(4, 0, false);
    let read = |n: u64| vec![segment(n, 1)];
    let refused = [
        (vec![], vec![], AddError::Empty),
        (
            vec![segment(1, 1), segment(2, 0)],
            vec![],
            AddError::EmptySegment,
        ),
        (
            read(1),
            vec![segment(2, 8), segment(3, 0)],
            AddError::EmptySegment,
        ),
        (vec![segment(1, 1); 5], vec![], AddError::TooManySegments),
        (
            vec![segment(1, 1); 3],
            vec![segment(1, 1); 70_000],
            AddError::TooManySegments,
        ),
        (
            vec![segment(1, u32::MAX)],
            vec![segment(2, 1)],
            AddError::TooLong,
        ),
        (
            vec![segment(1, 1); 2],
            vec![segment(1, 1); 2],
            AddError::Full,
        ),
    ];

    assert!(driver.add(Buf::new(0, read(0), vec![], &alive)).is_ok());
    for (readable, writable, why) in refused {
        let refused = driver
            .add(Buf::new(9, readable, writable, &alive))
            .unwrap_err();
        assert_eq!((refused.why, refused.buffer.number), (why, 9));
        drop(refused);
        assert_eq!((driver.free(), driver.in_flight(), alive.get()), (3, 1, 1));
    }

    assert!(driver.add(Buf::new(1, read(1), read(2), &alive)).is_ok());
    let first = device.pop().unwrap().unwrap();
    let second = device.pop().unwrap().unwrap();
    assert!(device.pop().unwrap().is_none());
    assert_eq!(first.readable().collect::<Vec<_>>(), read(0));
    assert_eq!(second.readable().collect::<Vec<_>>(), read(1));
    assert_eq!(second.writable().collect::<Vec<_>>(), read(2));
}

#[test]
fn a_chain_goes_into_a_table_if_it_fits() {
    let alive = Rc::default();
    let (mut driver, mut device) = pair(8, 3, true);
    // Segments, and the descriptors that they take.
    for (segments, taken) in [(1, 1), (2, 1), (3, 1), (4, 4)] {
        let all: Vec<_> = (0..segments).map(|n| segment(n * 4096, 8)).collect();
        let free = driver.free();

        assert!(driver
            .add(Buf::new(segments, vec![], all.clone(), &alive))
            .is_ok());
        assert_eq!(free - driver.free(), taken);
        let chain = device.pop().unwrap().unwrap();
        assert_eq!(chain.writable().collect::<Vec<_>>(), all);
        device.push(chain.head.into(), 0);
        assert_eq!(driver.get_used().unwrap().buffer.number, segments);
        assert_eq!(driver.free(), 8);
    }
}

/// Nothing was written to a buffer that can't be written to, whatever the device says.
#[test]
fn lengths_of_buffers_to_read_are_ignored() {
    let (mut driver, mut device) = pair(2, 0, false);

    assert!(driver.add(Byte(0)).is_ok());
    device.push(0, 1234);
    assert_eq!(driver.get_used().unwrap().written, 0);
    assert_eq!(driver.poisoned(), None);
}

#[test]
fn poison_lasts_until_the_queue_is_restarted() {
    let (mut driver, mut device) = pair(4, 2, true);

    for number in 0..3 {
        assert!(driver.add(Byte(number)).is_ok());
    }
    device.push(0, 0);
    device.push(9, 0);
    device.push(1, 0);
    assert_eq!(driver.get_used().unwrap().buffer, Byte(0));
    assert!(driver.get_used().is_none());
    let poison = Some(Poison::IdOutOfRange { id: 9, size: 4 });
    assert_eq!(driver.poisoned(), poison);

    // The first reason stays, and nobody waits for what never comes.
    driver.give_up();
    assert!(driver.get_used().is_none());
    assert_eq!(driver.poisoned(), poison);
    assert!(!driver.has_used() && driver.enable_cb() && driver.enable_cb_delayed());
    assert!(!driver.kick_needed());
    assert_eq!(driver.add(Byte(8)).unwrap_err().why, AddError::Poisoned);

    // Nothing is taken out of a queue that a device may be using.
    assert!(driver.take(0).is_none());
    assert!(!driver.restart());
    driver.stop();
    assert_eq!(driver.poisoned(), None);
    assert_eq!(driver.add(Byte(8)).unwrap_err().why, AddError::Stopped);
    assert!(!driver.restart());

    let (one, next) = driver.take(0).unwrap();
    let (two, next) = driver.take(next).unwrap();
    assert_eq!((one, two), (Byte(1), Byte(2)));
    assert!(driver.take(next).is_none() && driver.take(0).is_none());
    assert_eq!(driver.in_flight(), 0);

    assert!(driver.restart());
    device.reset();
    assert_eq!(
        (driver.free(), driver.in_flight(), driver.position()),
        (4, 0, 0)
    );
    assert!(!driver.has_used() && driver.get_used().is_none());
    for number in 0..4 {
        assert!(driver.add(Byte(number)).is_ok());
    }
    assert!(driver.kick_needed());
    let chain = device.pop().unwrap().unwrap();
    device.push(chain.head.into(), 0);
    assert_eq!(driver.get_used().unwrap().buffer, Byte(0));
}

#[test]
fn a_device_that_failed_poisons() {
    let (mut driver, _device) = pair::<Byte>(4, 0, false);
    driver.give_up();
    assert_eq!(driver.poisoned(), Some(Poison::DeviceFailed));
    assert_eq!(driver.poisoned().unwrap().name(), "device_failed");
}

#[test]
fn buffers_go_with_their_queue() {
    let alive = Rc::<Cell<usize>>::default();
    let (mut driver, _device) = pair(4, 0, false);
    let buffer = |n| Buf::new(n, vec![segment(1, 1)], vec![], &alive);

    for n in 0..4 {
        assert!(driver.add(buffer(n)).is_ok());
    }
    assert!(driver.add(buffer(4)).is_err());
    assert_eq!(alive.get(), 4);
    drop(driver);
    assert_eq!(alive.get(), 0);
}

#[test]
fn every_reason_has_words() {
    let jump = Poison::UsedIndexJump {
        from: 1,
        to: 0,
        in_flight: 2,
    };
    let long = Poison::LengthTooLong {
        id: 3,
        len: 5,
        limit: 4,
    };
    for (poison, name, words) in [
        (
            jump,
            "used_index_jump",
            "the used index jumped from 1 to 0 with 2 buffers in flight",
        ),
        (
            long,
            "length_too_long",
            "5 bytes written to used buffer 3, which holds 4",
        ),
        (
            Poison::IdOutOfRange {
                id: 70_000,
                size: 8,
            },
            "id_out_of_range",
            "used buffer 70000 of a queue of 8",
        ),
        (
            Poison::NotInFlight { id: 3 },
            "not_in_flight",
            "used buffer 3, which is not in flight",
        ),
        (Poison::DeviceFailed, "device_failed", "the device failed"),
    ] {
        assert_eq!((poison.name(), poison.to_string().as_str()), (name, words));
    }
    assert_eq!(AddError::Full.to_string(), "not enough free descriptors");
}
