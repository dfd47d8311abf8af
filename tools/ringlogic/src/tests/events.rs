// SPDX-License-Identifier: GPL-2.0

//! Notifications and interrupts, on their way around the 16-bit indices.

use super::memory::{pair, Byte};
use crate::ring::virtqueue::Virtqueue;

/// Each side sleeps after each buffer, so each buffer takes one event each way, also where the
/// index wraps, and no event more.
#[test]
fn one_event_a_buffer_when_both_sleep() {
    for event_idx in [false, true] {
        let (mut driver, mut device) = pair(8, 0, event_idx);
        let (mut kicks, mut interrupts) = (0u64, 0u64);

        for number in 0..200_000u64 {
            assert!(device.sleep());
            assert!(driver.enable_cb());
            assert!(driver.add(Byte(number)).is_ok());
            kicks += u64::from(driver.kick_needed());
            assert!(!driver.kick_needed(), "nothing is new");

            let chain = device.pop().unwrap().unwrap();
            device.push(chain.head.into(), 0);
            interrupts += u64::from(device.interrupt_needed());
            assert_eq!(driver.get_used().unwrap().buffer, Byte(number));
        }
        assert_eq!((kicks, interrupts), (200_000, 200_000), "{event_idx}");
    }
}

/// While the other side is awake there are no events, save where the index comes round.
#[test]
fn no_events_while_awake() {
    for event_idx in [false, true] {
        let (mut driver, mut device) = pair(64, 0, event_idx);
        let (mut kicks, mut interrupts) = (0u64, 0u64);

        driver.disable_cb();
        for number in 0..60_000u64 {
            device.stay_awake();
            assert!(driver.add(Byte(number)).is_ok());
            kicks += u64::from(driver.kick_needed());
            let chain = device.pop().unwrap().unwrap();
            device.push(chain.head.into(), 0);
            interrupts += u64::from(device.interrupt_needed());
            assert!(driver.get_used().is_some());
        }
        assert_eq!((kicks, interrupts), (0, 0), "{event_idx}");
    }
}

/// With the event index the flags of the available ring stay 0 (section 2.7.7.1); without it they
/// are all that counts.
#[test]
fn callbacks_are_switched_by_what_was_negotiated() {
    for event_idx in [false, true] {
        let (mut driver, mut device) = pair(8, 0, event_idx);

        for number in 0..70_000u64 {
            assert!(driver.add(Byte(number)).is_ok());
            let chain = device.pop().unwrap().unwrap();
            device.push(chain.head.into(), 0);
            assert!(driver.get_used().is_some());
        }
        let flags = |driver: &super::memory::Driver<Byte>| driver.memory().flags_and_event().0;

        driver.disable_cb();
        assert_eq!(flags(&driver), u16::from(!event_idx));
        assert!(driver.enable_cb());
        assert_eq!(flags(&driver), 0);
        driver.disable_cb();
        assert!(driver.enable_cb_delayed());
        assert_eq!(flags(&driver), 0);
    }
}

/// One notification for a batch, at whichever of its buffers the device went to sleep.
#[test]
fn one_kick_a_batch() {
    let (mut driver, mut device) = pair(256, 0, true);

    for round in 0..2000u64 {
        let batch = round % 200 + 1;

        assert!(device.sleep());
        for number in 0..batch {
            assert!(driver.add(Byte(number)).is_ok());
        }
        assert!(driver.kick_needed());
        assert!(!driver.kick_needed());
        while let Some(chain) = device.pop().unwrap() {
            device.push(chain.head.into(), 0);
        }
        for _ in 0..batch {
            assert!(driver.get_used().is_some());
        }
    }
}

/// Nobody decided on a notification for so long that the index came round: it might be needed.
#[test]
fn a_kick_that_is_long_overdue() {
    for added in [65_534u32, 65_535, 65_536, 65_537, 131_072, 200_000] {
        let (mut driver, mut device) = pair(4, 0, true);

        assert!(device.sleep());
        for _ in 0..added {
            assert!(driver.add(Byte(0)).is_ok());
            let chain = device.pop().unwrap().unwrap();
            device.push(chain.head.into(), 0);
            assert!(driver.get_used().is_some());
        }
        assert!(driver.kick_needed(), "{added}");
        assert!(!driver.kick_needed());
    }
}

#[test]
fn a_delayed_callback_waits_for_three_quarters() {
    let (mut driver, mut device) = pair(64, 0, true);

    for _ in 0..1100 {
        for number in 0..60 {
            assert!(driver.add(Byte(number)).is_ok());
        }
        driver.disable_cb();
        assert!(driver.enable_cb_delayed());
        let mut until = 0;
        while let Some(chain) = device.pop().unwrap() {
            device.push(chain.head.into(), 0);
            if device.interrupt_needed() {
                break;
            }
            until += 1;
        }
        // The one after three quarters of 60.
        assert_eq!(until, 45);
        // It is too late to wait now.
        driver.disable_cb();
        assert!(!driver.enable_cb_delayed());
        while let Some(chain) = device.pop().unwrap() {
            device.push(chain.head.into(), 0);
            device.interrupt_needed();
        }
        while driver.get_used().is_some() {}
        assert_eq!(driver.in_flight(), 0);
    }
}

/// Buffers that came back before the device could know that it should call are not slept on.
#[test]
fn enabling_says_what_is_there_already() {
    for event_idx in [false, true] {
        let (mut driver, mut device) = pair(8, 0, event_idx);

        driver.disable_cb();
        assert!(driver.add(Byte(0)).is_ok());
        assert!(driver.enable_cb());
        driver.disable_cb();
        let chain = device.pop().unwrap().unwrap();
        device.push(chain.head.into(), 0);
        assert!(!device.interrupt_needed());
        assert!(driver.has_used());
        assert!(!driver.enable_cb());
        assert!(driver.get_used().is_some());
        assert!(driver.enable_cb());
    }
}
