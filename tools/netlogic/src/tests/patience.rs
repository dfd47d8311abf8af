// SPDX-License-Identifier: GPL-2.0

use crate::patience::{
    Patience,
    CALM,
    FIRST,
    TRIES, //
};

#[test]
fn one_that_fails_is_tried_again_later_and_later_and_given_up() {
    let mut patience = Patience::new();
    let pauses: Vec<_> = std::iter::from_fn(|| patience.failed()).collect();

    assert_eq!(pauses.len(), TRIES as usize - 1);
    assert_eq!(pauses[0], FIRST);
    assert!(pauses.windows(2).all(|pair| pair[1] == 2 * pair[0]));
    // Whoever asks for it then begins anew.
    assert_eq!(patience.failed(), Some(FIRST));
}

#[test]
fn one_that_works_ends_the_count() {
    let mut patience = Patience::new();

    assert_eq!(patience.failed(), Some(FIRST));
    assert_eq!(patience.failed(), Some(2 * FIRST));
    patience.worked(0);
    assert_eq!(patience.failed(), Some(FIRST));
}

#[test]
fn seldom_resets_do_not_wait() {
    let mut patience = Patience::new();

    for now in [0, CALM, 5 * CALM, 6 * CALM] {
        assert_eq!(patience.wait(now), 0);
        patience.worked(now);
    }
    assert_eq!(patience.wait(6 * CALM), 0);
}

#[test]
fn one_after_the_other_they_wait() {
    let mut patience = Patience::new();
    let mut now = 1000;
    let mut waits = Vec::new();

    for _ in 0..20 {
        let wait = patience.wait(now);
        waits.push(wait);
        assert!(wait < CALM);
        now += wait;
        assert_eq!(patience.wait(now), 0);
        patience.worked(now);
    }
    // The second might be chance.
    assert_eq!(waits[..4], [0, 0, FIRST, 2 * FIRST]);
    assert!(waits.windows(2).all(|pair| pair[0] <= pair[1]));
    // It has worked for a while.
    now += CALM;
    patience.worked(now);
    assert_eq!(patience.wait(now), 0);
}
