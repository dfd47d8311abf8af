// SPDX-License-Identifier: GPL-2.0

use crate::features::Features;

#[test]
fn bits_are_where_the_specification_has_them() {
    for (feature, bit) in [
        (Features::RING_INDIRECT_DESC, 28),
        (Features::RING_EVENT_IDX, 29),
        (Features::VERSION_1, 32),
        (Features::ACCESS_PLATFORM, 33),
        (Features::RING_PACKED, 34),
        (Features::IN_ORDER, 35),
        (Features::ORDER_PLATFORM, 36),
        (Features::SR_IOV, 37),
        (Features::NOTIFICATION_DATA, 38),
        (Features::NOTIF_CONFIG_DATA, 39),
        (Features::RING_RESET, 40),
    ] {
        assert_eq!(feature.bits(), 1 << bit);
        assert_eq!(feature, Features::bit(bit));
    }
}

#[test]
fn there_are_64() {
    assert_eq!(Features::bit(0).bits(), 1);
    assert_eq!(Features::bit(63).bits(), 1 << 63);
    assert_eq!(Features::bit(64), Features::NONE);
    assert_eq!(Features::bit(u32::MAX), Features::NONE);
}

#[test]
fn a_set_is_a_set() {
    let both = Features::VERSION_1 | Features::RING_RESET;

    assert!(both.contains(Features::VERSION_1));
    assert!(both.contains(both));
    assert!(both.contains(Features::NONE));
    assert!(!Features::VERSION_1.contains(both));
    assert_eq!(both.without(Features::RING_RESET), Features::VERSION_1);
    assert_eq!(both & Features::RING_RESET, Features::RING_RESET);
    assert_eq!(format!("{both}"), "0x10100000000");
}
