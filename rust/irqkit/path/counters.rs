// SPDX-License-Identifier: GPL-2.0

//! The kinds of path, their counters, and how the books stay balanced over a reset.
//!
//! Pure logic, compiled and tested on the host as well (`tools/pathlogic`).

use core::ffi::CStr;

/// What carries a path's work.
///
/// It decides which counters a path has; see [`Kind::counters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A hard interrupt handler.
    HardIrq,
    /// The thread of an interrupt.
    Thread,
    /// A tasklet (`TASKLET_SOFTIRQ`).
    Tasklet,
    /// A high-priority tasklet (`HI_SOFTIRQ`).
    TaskletHi,
    /// A work item on a BH workqueue (`WQ_BH`).
    Bh,
    /// A work item on a high-priority BH workqueue.
    BhHi,
    /// A work item on an ordinary workqueue.
    Work,
    /// A NAPI instance.
    Napi,
}

/// A counter of a path.
///
/// All of them are monotonic. The books balance: at rest,
/// `scheduled == runs + coalesced + cancelled`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Counter {
    /// Requests to run, whether or not one was pending already.
    Scheduled,
    /// Requests that found an earlier one still pending, whose run served both.
    Coalesced,
    /// Runs begun.
    Runs,
    /// Units of work done by the runs; what a unit is, is the driver's to say.
    Items,
    /// Requests taken back before they ran.
    Cancelled,
    /// The hard handler returned `IRQ_HANDLED`.
    Handled,
    /// The hard handler returned `IRQ_WAKE_THREAD`.
    WakeThread,
    /// The hard handler returned `IRQ_NONE`: not our device.
    None,
    /// The poll used up its budget.
    BudgetExhausted,
    /// The poll completed, interrupts were switched on again.
    Completed,
    /// The poll asked to be polled again with budget left, or found something when it switched
    /// interrupts on.
    Rescheduled,
    /// An event arrived while the poll was completing, which is polled for.
    Missed,
    /// The run found itself in another context than promised; must stay 0. Looked for with
    /// `timing`.
    ContextMismatch,
    /// A run began while another of the same object had not ended; must stay 0. Looked for with
    /// `timing`.
    Overlap,
}

/// The number of counters; each path has room for all of them.
pub const COUNTERS: usize = Counter::Overlap as usize + 1;

/// What ends a request, in the order in which a reader adds them up.
const ENDS: [Counter; 3] = [Counter::Runs, Counter::Coalesced, Counter::Cancelled];

impl Counter {
    /// All counters, in the order in which they are shown.
    const ALL: [Self; COUNTERS] = [
        Self::Scheduled,
        Self::Coalesced,
        Self::Runs,
        Self::Items,
        Self::Cancelled,
        Self::Handled,
        Self::WakeThread,
        Self::None,
        Self::BudgetExhausted,
        Self::Completed,
        Self::Rescheduled,
        Self::Missed,
        Self::ContextMismatch,
        Self::Overlap,
    ];

    /// Returns the counter's name in the debugfs files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Coalesced => "coalesced",
            Self::Runs => "runs",
            Self::Items => "items",
            Self::Cancelled => "cancelled",
            Self::Handled => "handled",
            Self::WakeThread => "wake_thread",
            Self::None => "none",
            Self::BudgetExhausted => "budget_exhausted",
            Self::Completed => "completed",
            Self::Rescheduled => "rescheduled",
            Self::Missed => "missed",
            Self::ContextMismatch => "context_mismatch",
            Self::Overlap => "overlap",
        }
    }
}

impl Kind {
    /// Returns the usual name of a path of this kind. One that has a queue is named
    /// `work/<queue>` or `napi/<queue>` instead.
    pub const fn name(self) -> &'static CStr {
        match self {
            Self::HardIrq => c"hardirq",
            Self::Thread => c"thread",
            Self::Tasklet => c"tasklet",
            Self::TaskletHi => c"tasklet_hi",
            Self::Bh => c"bh",
            Self::BhHi => c"bh_hi",
            Self::Work => c"work",
            Self::Napi => c"napi",
        }
    }

    /// Returns whether work of this kind can be asked for a certain time, so that it has a lateness.
    pub const fn has_due_times(self) -> bool {
        matches!(self, Self::Bh | Self::BhHi | Self::Work)
    }

    /// Returns whether runs of this kind have a budget, so that it counts how much they do of it.
    pub const fn has_budget(self) -> bool {
        matches!(self, Self::Napi)
    }

    /// Returns the counters of a path of this kind, in the order in which they are shown.
    pub fn counters(self) -> impl Iterator<Item = Counter> {
        Counter::ALL
            .into_iter()
            .filter(move |counter| match counter {
                Counter::Handled | Counter::WakeThread | Counter::None => self == Self::HardIrq,
                Counter::BudgetExhausted
                | Counter::Completed
                | Counter::Rescheduled
                | Counter::Missed => self == Self::Napi,
                _ => true,
            })
    }
}

/// One value for each counter: those of one CPU, or a sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row([u64; COUNTERS]);

impl Row {
    /// All counters at 0.
    pub const ZERO: Self = Self([0; COUNTERS]);

    /// Returns the value of `counter`.
    #[inline]
    pub const fn get(&self, counter: Counter) -> u64 {
        // Cannot be out of bounds: `COUNTERS` is one more than the last discriminant.
        self.0[counter as usize]
    }

    /// Sets the value of `counter`.
    #[inline]
    pub fn set(&mut self, counter: Counter, value: u64) {
        self.0[counter as usize] = value;
    }

    /// Adds `other`, counter by counter.
    pub fn add(&mut self, other: &Row) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine = mine.wrapping_add(*theirs);
        }
    }

    /// Returns what was counted since `base`.
    ///
    /// A counter that is behind its baseline, which only a reader on a weakly ordered machine can
    /// see and only for an instant, is taken as 0.
    pub fn since(&self, base: &Row) -> Row {
        let mut row = *self;

        for (value, base) in row.0.iter_mut().zip(&base.0) {
            *value = value.saturating_sub(*base);
        }
        row
    }

    /// Returns how many requests have neither run, nor been coalesced, nor been cancelled.
    pub fn in_flight(&self) -> u64 {
        ENDS.iter().fold(self.get(Counter::Scheduled), |n, &end| {
            n.saturating_sub(self.get(end))
        })
    }
}

/// Fills `row` with `read`, in the order that makes [`Row::in_flight`] meaningful under load.
///
/// A request is counted as scheduled before it can end. So what ends requests must be read first,
/// for all CPUs (`pass` 0), and the requests themselves last (`pass` 1): then no end is seen
/// without its request, and `scheduled >= runs + coalesced + cancelled` in every reading. The
/// caller orders the two passes by a read barrier.
pub fn fill(row: &mut Row, pass: usize, kind: Kind, mut read: impl FnMut(Counter) -> u64) {
    for counter in kind.counters() {
        if (counter == Counter::Scheduled) == (pass == 1) {
            row.set(counter, read(counter));
        }
    }
}

/// Turns `rows`, a reading with one row a CPU, into the baseline of a reset.
///
/// Readers show what was counted since the baseline; the counters themselves are never written by a
/// reset, and so no increment can be lost to it. What is in flight at that time will end after it:
/// it must also be shown as scheduled after it, or the books would never balance again. So as many
/// requests are left out of the baseline. Then `scheduled == runs + coalesced + cancelled` holds in
/// the baseline itself, and since it holds in the counters at rest, it holds in the difference,
/// whatever the reset raced with.
///
/// The requests carried over are shown on the first CPUs that ever scheduled any.
pub fn rebase(rows: &mut [Row]) {
    let mut sum = Row::ZERO;
    for row in rows.iter() {
        sum.add(row);
    }

    let mut carried = sum.in_flight();
    for row in rows.iter_mut() {
        let scheduled = row.get(Counter::Scheduled);
        let here = carried.min(scheduled);

        row.set(Counter::Scheduled, scheduled - here);
        carried -= here;
    }
}
