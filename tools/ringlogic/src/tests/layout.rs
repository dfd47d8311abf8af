// SPDX-License-Identifier: GPL-2.0

use proptest::prelude::*;

use crate::ring::layout::*;

#[test]
fn sizes_are_the_specifications() {
    for size in [1u16, 2, 8, 256, 1024, MAX_SIZE] {
        let layout = Layout::new(size, 0).unwrap();
        let n = usize::from(size);

        assert_eq!(layout.descriptor_bytes(), 16 * n);
        assert_eq!(layout.driver_bytes(), 6 + 2 * n);
        assert_eq!(layout.device_bytes(), 6 + 8 * n);
        assert_eq!(layout.tables_bytes(), 0);
    }
}

#[test]
fn a_table_is_no_larger_than_the_queue() {
    let layout = Layout::new(8, 18).unwrap();
    assert_eq!((layout.size(), layout.table()), (8, 8));
    assert_eq!(layout.tables_bytes(), 8 * 8 * 16);
    assert_eq!(Layout::new(64, 18).unwrap().table_bytes(), 18 * 16);
}

#[test]
fn a_notification_carries_queue_and_position() {
    assert_eq!(notification_data(0, 0), 0);
    assert_eq!(notification_data(3, 0x8001), 0x8001_0003);
    assert_eq!(notification_data(u16::MAX, 1), 0x0001_ffff);
}

proptest! {
    #[test]
    fn every_other_size_is_refused(size: u16) {
        let good = size != 0 && size <= 32768 && size & (size - 1) == 0;
        prop_assert_eq!(Layout::new(size, 0).is_some(), good);
    }

    /// The definition in words: an event is wanted if the index passed `event`, one step after the
    /// other, on its way from `old` to `new`.
    #[test]
    fn an_event_is_needed_if_it_was_passed(event: u16, old: u16, steps in 0u16..300) {
        let new = old.wrapping_add(steps);
        let passed = (0..steps).any(|step| old.wrapping_add(step) == event);
        prop_assert_eq!(need_event(event, new, old), passed);
    }

    /// The same where it matters, close to the index and to the wrap.
    #[test]
    fn an_event_is_needed_near_the_wrap(near in -5i32..5, old in -20i32..20, steps in 0u16..40) {
        // CAST: Modulo 2^16 is what is meant.
        let (event, old) = ((old + near) as u16, old as u16);
        let new = old.wrapping_add(steps);
        let passed = (0..steps).any(|step| old.wrapping_add(step) == event);
        prop_assert_eq!(need_event(event, new, old), passed);
    }
}
