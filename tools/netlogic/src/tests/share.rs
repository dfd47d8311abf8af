// SPDX-License-Identifier: GPL-2.0

use crate::share::works_for;

/// The CPUs of each pair.
fn shares(cpus: usize, pairs: usize) -> Vec<Vec<usize>> {
    let of = |pair| {
        (0..cpus)
            .filter(|cpu| works_for(*cpu, cpus, pair, pairs))
            .collect()
    };

    (0..pairs).map(of).collect()
}

#[test]
fn cpus_are_shared_out() {
    assert_eq!(shares(4, 1), [[0, 1, 2, 3]]);
    assert_eq!(shares(4, 2), [[0, 2], [1, 3]]);
    assert_eq!(shares(3, 2), [vec![0, 2], vec![1]]);
    assert_eq!(shares(2, 2), [[0], [1]]);
}

#[test]
fn where_there_are_more_pairs_a_cpu_has_several() {
    assert_eq!(shares(2, 4), [[0], [1], [0], [1]]);
    assert_eq!(shares(1, 3), [[0], [0], [0]]);
    assert_eq!(shares(3, 4), [[0], [1], [2], [0]]);
}

#[test]
fn no_pair_is_without_a_cpu_and_no_cpu_without_a_pair() {
    for cpus in 1..20 {
        for pairs in 1..20 {
            let shares = shares(cpus, pairs);

            assert!(shares.iter().all(|share| !share.is_empty()));
            assert!((0..cpus).all(|cpu| shares.iter().any(|share| share.contains(&cpu))));
        }
    }
}

#[test]
fn there_are_no_others() {
    assert!(!works_for(0, 0, 0, 0));
    assert!(!works_for(0, 1, 1, 1));
    assert!(!works_for(1, 1, 0, 1));
}
