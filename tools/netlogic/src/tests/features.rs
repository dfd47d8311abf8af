// SPDX-License-Identifier: GPL-2.0

use proptest::prelude::*;

use crate::{
    features::*,
    Features, //
};

fn checked(offered: Features) -> (Result<Features, Nonsense>, Vec<&'static str>) {
    let mut left_out = Vec::new();
    let result = check(offered, |nonsense| left_out.push(nonsense.name));
    (result, left_out)
}

#[test]
fn bits_are_where_the_specification_has_them() {
    for (feature, bit) in [
        (CSUM, 0),
        (GUEST_CSUM, 1),
        (MTU, 3),
        (MAC, 5),
        (GUEST_TSO4, 7),
        (GUEST_TSO6, 8),
        (GUEST_ECN, 9),
        (GUEST_UFO, 10),
        (HOST_TSO4, 11),
        (HOST_TSO6, 12),
        (HOST_ECN, 13),
        (HOST_UFO, 14),
        (MRG_RXBUF, 15),
        (STATUS, 16),
        (CTRL_VQ, 17),
        (CTRL_RX, 18),
        (CTRL_VLAN, 19),
        (GUEST_ANNOUNCE, 21),
        (MQ, 22),
        (CTRL_MAC_ADDR, 23),
        (HASH_TUNNEL, 51),
        (VQ_NOTF_COAL, 52),
        (NOTF_COAL, 53),
        (GUEST_USO4, 54),
        (GUEST_USO6, 55),
        (HOST_USO, 56),
        (HASH_REPORT, 57),
        (GUEST_HDRLEN, 59),
        (RSS, 60),
        (RSC_EXT, 61),
    ] {
        assert_eq!(feature, Features::bit(bit));
    }
}

#[test]
fn what_is_sound_is_taken_as_it_is() {
    let all = WANTED | CTRL_RX | RSS | Features::VERSION_1 | Features::RING_PACKED;

    assert_eq!(checked(all), (Ok(all), vec![]));
    assert_eq!(checked(Features::NONE), (Ok(Features::NONE), vec![]));
}

#[test]
fn a_device_without_control_queue_has_nothing_to_control() {
    for (feature, name) in [
        (CTRL_RX, "CTRL_RX"),
        (CTRL_VLAN, "CTRL_VLAN"),
        (GUEST_ANNOUNCE, "GUEST_ANNOUNCE"),
        (MQ, "MQ"),
        (CTRL_MAC_ADDR, "CTRL_MAC_ADDR"),
        (NOTF_COAL, "NOTF_COAL"),
        (VQ_NOTF_COAL, "VQ_NOTF_COAL"),
        (RSS, "RSS"),
        (HASH_REPORT, "HASH_REPORT"),
    ] {
        let nonsense = checked(feature).0.unwrap_err();
        assert_eq!(nonsense.to_string(), format!("{name} without CTRL_VQ"));
        assert_eq!(checked(feature | CTRL_VQ).0, Ok(feature | CTRL_VQ));
    }
}

#[test]
fn what_needs_version_1_has_it() {
    for feature in [
        Features::RING_RESET,
        Features::RING_PACKED,
        Features::NOTIF_CONFIG_DATA,
    ] {
        assert!(checked(feature).0.is_err());
        assert!(checked(feature | Features::VERSION_1).0.is_ok());
    }
}

#[test]
fn offloads_go_with_the_one_that_they_build_on() {
    let guest = GUEST_LARGE | GUEST_UFO;
    let host = HOST_TSO4 | HOST_TSO6 | HOST_ECN | HOST_UFO | HOST_USO;

    let (left, names) = checked(guest | CSUM);
    assert_eq!(left, Ok(CSUM));
    assert_eq!(
        names,
        [
            "GUEST_TSO4",
            "GUEST_TSO6",
            "GUEST_UFO",
            "GUEST_USO4",
            "GUEST_USO6",
            "GUEST_ECN"
        ]
    );

    let (left, names) = checked(host | GUEST_CSUM);
    assert_eq!(left, Ok(GUEST_CSUM));
    assert_eq!(
        names,
        ["HOST_TSO4", "HOST_TSO6", "HOST_UFO", "HOST_USO", "HOST_ECN"]
    );
}

#[test]
fn one_of_two_is_enough() {
    for tso in [GUEST_TSO4, GUEST_TSO6] {
        let offered = GUEST_CSUM | tso | GUEST_ECN;
        assert_eq!(checked(offered), (Ok(offered), vec![]));
    }
    assert_eq!(
        checked(GUEST_CSUM | GUEST_ECN),
        (Ok(GUEST_CSUM), vec!["GUEST_ECN"])
    );
    for hash in [RSS, HASH_REPORT] {
        let offered = CTRL_VQ | hash | HASH_TUNNEL;
        assert_eq!(checked(offered), (Ok(offered), vec![]));
    }
    assert_eq!(
        checked(CTRL_VQ | HASH_TUNNEL),
        (Ok(CTRL_VQ), vec!["HASH_TUNNEL"])
    );
    assert!(checked(HASH_TUNNEL).0.is_err());
}

proptest! {
    /// Whatever is offered: what is left is part of it, and nothing in it lacks what it needs.
    #[test]
    fn what_is_left_is_sound(bits in any::<u64>()) {
        let offered = Features::from_bits(bits);
        let (result, left_out) = checked(offered);

        if let Ok(sound) = result {
            prop_assert!(offered.contains(sound));
            prop_assert_eq!(check(sound, |_| panic!("again")), Ok(sound));
            prop_assert_eq!((bits ^ sound.bits()).count_ones() as usize, left_out.len());

            let needs = |feature, one: Features| {
                !sound.contains(feature) || sound & one != Features::NONE
            };
            prop_assert!(needs(GUEST_TSO4, GUEST_CSUM));
            prop_assert!(needs(GUEST_TSO6, GUEST_CSUM));
            prop_assert!(needs(GUEST_ECN, GUEST_TSO4 | GUEST_TSO6));
            prop_assert!(needs(GUEST_USO4, GUEST_CSUM));
            prop_assert!(needs(HOST_TSO4, CSUM));
            prop_assert!(needs(HOST_USO, CSUM));
            prop_assert!(needs(HOST_ECN, HOST_TSO4 | HOST_TSO6));
            prop_assert!(needs(MQ, CTRL_VQ));
            prop_assert!(needs(HASH_TUNNEL, RSS | HASH_REPORT));
        }
    }
}
