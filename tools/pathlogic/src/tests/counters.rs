// SPDX-License-Identifier: GPL-2.0

use proptest::prelude::*;

use crate::counters::*;

const KINDS: [Kind; 8] = [
    Kind::HardIrq,
    Kind::Thread,
    Kind::Tasklet,
    Kind::TaskletHi,
    Kind::Bh,
    Kind::BhHi,
    Kind::Work,
    Kind::Napi,
];

fn balanced(row: &Row) -> bool {
    row.get(Counter::Scheduled)
        == row.get(Counter::Runs) + row.get(Counter::Coalesced) + row.get(Counter::Cancelled)
}

fn sum(rows: &[Row]) -> Row {
    let mut sum = Row::ZERO;
    rows.iter().for_each(|row| sum.add(row));
    sum
}

#[test]
fn names_are_the_formats() {
    let names = |kind: Kind| {
        kind.counters()
            .map(|c| c.name())
            .collect::<Vec<_>>()
            .join(" ")
    };

    assert_eq!(
        names(Kind::Tasklet),
        "scheduled coalesced runs items cancelled context_mismatch overlap"
    );
    assert_eq!(
        names(Kind::HardIrq),
        "scheduled coalesced runs items cancelled handled wake_thread none context_mismatch overlap"
    );
    assert_eq!(
        names(Kind::Napi),
        "scheduled coalesced runs items cancelled budget_exhausted completed rescheduled missed \
         context_mismatch overlap"
    );
}

#[test]
fn every_counter_has_its_own_place_and_name() {
    let mut seen = Vec::new();
    for kind in KINDS {
        for counter in kind.counters() {
            assert!((counter as usize) < COUNTERS);
            if !seen.contains(&counter) {
                seen.push(counter);
            }
        }
    }
    assert_eq!(seen.len(), COUNTERS);
    let mut names: Vec<_> = seen.iter().map(|counter| counter.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), COUNTERS);
}

#[test]
fn kinds_have_distinct_names() {
    let mut names: Vec<_> = KINDS.iter().map(|kind| kind.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), KINDS.len());
}

#[test]
fn only_work_has_due_times() {
    for kind in KINDS {
        let queued = matches!(kind, Kind::Bh | Kind::BhHi | Kind::Work);
        assert_eq!(kind.has_due_times(), queued);
    }
}

#[test]
fn fill_reads_each_counter_once_and_the_requests_last() {
    for kind in KINDS {
        let mut read = Vec::new();
        let mut row = Row::ZERO;
        for pass in 0..2 {
            fill(&mut row, pass, kind, |counter| {
                read.push(counter);
                counter as u64 + 1
            });
        }

        assert_eq!(read.last(), Some(&Counter::Scheduled));
        assert_eq!(read.len(), kind.counters().count());
        for counter in kind.counters() {
            assert_eq!(row.get(counter), counter as u64 + 1);
        }
    }
}

#[test]
fn since_takes_no_counter_below_zero() {
    let (mut now, mut base) = (Row::ZERO, Row::ZERO);
    now.set(Counter::Runs, 5);
    base.set(Counter::Runs, 7);
    base.set(Counter::Items, 1);
    now.set(Counter::Items, 3);

    assert_eq!(now.since(&base).get(Counter::Runs), 0);
    assert_eq!(now.since(&base).get(Counter::Items), 2);
}

/// A step of a simulated path, on a CPU.
#[derive(Clone, Debug)]
enum Step {
    Schedule(usize),
    Run(usize),
    Cancel(usize),
    Reset,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3usize).prop_map(Step::Schedule),
        3 => (0..3usize).prop_map(Step::Run),
        1 => (0..3usize).prop_map(Step::Cancel),
        1 => Just(Step::Reset),
    ]
}

proptest! {
    /// Requests, runs, cancellations on any CPUs and resets at any time: the books, as read since
    /// the last reset, tell what is in flight at each step and balance when all is done.
    #[test]
    fn the_books_balance_over_resets(steps in prop::collection::vec(step(), 0..300)) {
        let mut live = [Row::ZERO; 3];
        let mut base = [Row::ZERO; 3];
        let mut pending = 0u64;
        let mut runs_since = 0u64;
        let count = |rows: &mut [Row; 3], cpu: usize, counter| {
            let n = rows[cpu].get(counter);
            rows[cpu].set(counter, n + 1);
        };

        for step in steps {
            match step {
                // One in two requests finds another one pending.
                Step::Schedule(cpu) => {
                    count(&mut live, cpu, Counter::Scheduled);
                    if pending % 2 == 1 {
                        count(&mut live, cpu, Counter::Coalesced);
                    } else {
                        pending += 1;
                    }
                }
                Step::Run(cpu) if pending > 0 => {
                    count(&mut live, cpu, Counter::Runs);
                    pending -= 1;
                    runs_since += 1;
                }
                Step::Cancel(cpu) if pending > 0 => {
                    count(&mut live, cpu, Counter::Cancelled);
                    pending -= 1;
                }
                Step::Reset => {
                    base = live;
                    rebase(&mut base);
                    prop_assert!(balanced(&sum(&base)));
                    runs_since = 0;
                }
                _ => {}
            }

            let shown: Vec<_> = live.iter().zip(&base).map(|(l, b)| l.since(b)).collect();
            prop_assert_eq!(sum(&shown).in_flight(), pending);
            prop_assert_eq!(sum(&shown).get(Counter::Runs), runs_since);
        }

        while pending > 0 {
            count(&mut live, 0, Counter::Runs);
            pending -= 1;
        }
        let shown: Vec<_> = live.iter().zip(&base).map(|(l, b)| l.since(b)).collect();
        prop_assert!(balanced(&sum(&shown)));
    }
}
