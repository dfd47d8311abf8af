// SPDX-License-Identifier: GPL-2.0

use crate::config::{
    check_address,
    check_mtu,
    check_pairs,
    control_queue,
    queues_of,
    Fault, //
};

#[test]
fn an_address_is_one_cards() {
    assert_eq!(
        check_address([0x52, 0x54, 0, 0, 0, 1]),
        Ok([0x52, 0x54, 0, 0, 0, 1])
    );
    assert_eq!(check_address([0; 6]), Err(Fault::Address));
    assert_eq!(check_address([0xff; 6]), Err(Fault::Address));
    assert_eq!(check_address([1, 0, 0, 0, 0, 1]), Err(Fault::Address));
}

#[test]
fn an_mtu_is_enough_for_ip() {
    assert_eq!(check_mtu(67), Err(Fault::Mtu(67)));
    assert_eq!(check_mtu(68), Ok(68));
    assert_eq!(check_mtu(u16::MAX), Ok(u16::MAX));
}

#[test]
fn pairs_have_their_queues() {
    let check_pairs =
        |pairs, queues: u16, control| check_pairs(pairs, control, |number| number < queues);

    assert_eq!(check_pairs(0, 3, true), Err(Fault::Pairs(0)));
    assert_eq!(
        check_pairs(0x8001, u16::MAX, true),
        Err(Fault::Pairs(0x8001))
    );
    assert_eq!(check_pairs(1, 2, false), Ok(1));
    assert_eq!(check_pairs(1, 2, true), Err(Fault::Queues(3)));
    assert_eq!(check_pairs(4, 9, true), Ok(4));
    assert_eq!(check_pairs(4, 8, true), Err(Fault::Queues(9)));
    assert_eq!(
        check_pairs(0x8000, u16::MAX, false),
        Err(Fault::Queues(0x10000))
    );
}

#[test]
fn queues_have_their_numbers() {
    assert_eq!(queues_of(0), Some((0, 1)));
    assert_eq!(queues_of(3), Some((6, 7)));
    assert_eq!(queues_of(0x8000), None);
    assert_eq!(control_queue(4), Some(8));
    assert_eq!(control_queue(0x8000), None);
}

#[test]
fn faults_have_words() {
    assert_eq!(
        Fault::Mtu(20).to_string(),
        "a greatest MTU of 20: expected 68 or more"
    );
    assert_eq!(
        Fault::Pairs(0).to_string(),
        "0 pairs of queues: expected 1 to 32768"
    );
    assert_eq!(
        Fault::Queues(3).to_string(),
        "not the 3 queues that it needs"
    );
}
