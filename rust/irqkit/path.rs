// SPDX-License-Identifier: GPL-2.0

//! Paths: what every kind of interrupt and deferred work has in common, counted and timed.
//!
//! A [`Path`] is one way that work takes: the hard handler of a device, its IRQ thread, a tasklet,
//! a work queue, a NAPI instance. It counts what was scheduled, coalesced, run, and cancelled,
//! always; and while `timing` is on it records how long work waited and how long it ran, in two
//! histograms; for a work queue, also how late its delayed work ran, and for NAPI how many packets a
//! poll had. The paths of a device make a
//! [`PathSet`], which shows them in debugfs in the one format that `docs/design.md` defines.
//!
//! # The books
//!
//! Every request to run is counted as `scheduled`, before it can have any effect, and ends in
//! exactly one of three ways: a run serves it (`runs`), it was merged with one that was pending
//! already (`coalesced`), or it was taken back (`cancelled`). So at rest `scheduled == runs +
//! coalesced + cancelled`, and at any other time the difference is what is in flight. [`Pending`]
//! is the piece that makes it exact.
//!
//! # Cost
//!
//! A counter is one `this_cpu_add()`. What only `timing` and the tracepoints need is behind static
//! branches: while they are off, scheduling passes one NOP and a run two. While they are on, a run
//! reads the clock twice and adds to two tables of its own CPU, with interrupts off for some thirty
//! instructions. There is no lock, no allocation, no division, and no loop in any of it but the
//! emptying of a table after a reset, so it may be used in every context but NMIs, nested in any
//! way.
//!
//! # Reset
//!
//! Writing to `reset` races with nothing. No counter is ever written by another CPU than its own,
//! so an increment can't get lost: a reset takes a reading of the counters as the baseline that
//! later readings are shown relative to ([`counters::rebase`]). Work in flight at that time is kept
//! as scheduled, so that the books balance when it has run. Histograms are emptied by the CPUs that
//! own them, when they next record ([`histogram::Cell`]). A run that a reset finds in the middle is
//! not in the histograms afterwards, and not in `runs`. One that begins at the very time of the reset
//! may be in the one and not in the other: first the counters are read, then the histograms' epoch is
//! raised.

use core::marker::PhantomData;

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        barrier,
        Arc, //
    }, //
};

use crate::{
    percpu::{
        Counters,
        PerCpu, //
    },
    trace, //
};

pub mod control;
pub mod counters;
pub mod histogram;
mod names;
mod registry;
mod run;
mod set;
mod stamp;
mod tree;

pub use control::{
    Access,
    Control,
    Refusal, //
};
pub use counters::{
    Counter,
    Kind, //
};
pub(crate) use names::is_component;
pub use registry::Registry;
pub use run::Run;
pub use set::PathSet;
pub use stamp::{
    Cause,
    Pending,
    Serial,
    Stamp, //
};

use counters::COUNTERS;
use histogram::{
    Cell,
    Word, //
};

/// A word of a histogram in per-CPU memory.
#[repr(transparent)]
struct Slot(Atomic<u64>);

impl Word for Slot {
    #[inline]
    fn load(&self) -> u64 {
        self.0.load(Relaxed)
    }

    #[inline]
    fn load_acquire(&self) -> u64 {
        self.0.load(Acquire)
    }

    #[inline]
    fn store(&self, value: u64) {
        self.0.store(value, Relaxed);
    }

    #[inline]
    fn store_release(&self, value: u64) {
        self.0.store(value, Release);
    }
}

/// One CPU's part of a path's two histograms.
#[repr(C)]
struct Times {
    wait: Cell<Slot>,
    run: Cell<Slot>,
}

// SAFETY: It consists of atomic integers alone, for which all zeroes are valid.
unsafe impl Zeroable for Times {}

/// What all paths of a set look at.
struct Switch {
    /// The device's name.
    device: CString,
    /// Whether this set's paths take times.
    timing: Atomic<bool>,
}

// SAFETY: It consists of atomic integers alone, for which all zeroes are valid.
unsafe impl Zeroable for Cell<Slot> {}

/// One way that work takes, counted and timed.
///
/// Made by [`PathSet::path`]. It outlives its set without harm; then no one sees it any more.
///
/// Except where they say otherwise, methods may be called from any context but NMIs, are wait-free
/// and neither allocate nor lock.
pub struct Path {
    switch: Arc<Switch>,
    name: CString,
    kind: Kind,
    counters: Counters<COUNTERS>,
    /// The histograms' epoch; see [`histogram::Cell`]. Raised by resets, under the set's lock.
    epoch: Atomic<u64>,
    times: PerCpu<Times>,
    /// Only where requests can have a due time.
    late: Option<PerCpu<Cell<Slot>>>,
    /// How many items the runs did; only where that is limited.
    packets: Option<PerCpu<Cell<Slot>>>,
}

macro_rules! count {
    ($path:expr, $counter:ident, $n:expr) => {
        $path.counters.add::<{ Counter::$counter as usize }>($n)
    };
}

impl Path {
    /// Creates a path. It may sleep.
    fn new(switch: Arc<Switch>, kind: Kind, name: &CStr) -> Result<Self> {
        Ok(Self {
            switch,
            name: CString::try_from(name)?,
            kind,
            counters: Counters::new(GFP_KERNEL)?,
            epoch: Atomic::new(1),
            times: PerCpu::zeroed(GFP_KERNEL)?,
            late: match kind.has_due_times() {
                true => Some(PerCpu::zeroed(GFP_KERNEL)?),
                false => None,
            },
            packets: match kind.has_budget() {
                true => Some(PerCpu::zeroed(GFP_KERNEL)?),
                false => None,
            },
        })
    }

    /// Returns the path's name, such as `work/refill`.
    pub fn name(&self) -> &CStr {
        &self.name
    }

    /// Returns the path's kind.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Returns whether times are being taken: this path's set has `timing` on.
    ///
    /// A NOP while no set has. Checks that are too dear to be always on ask it, too.
    #[inline(never)]
    pub fn timing(&self) -> bool {
        self.is_timed()
    }

    /// [`Path::timing`], for use within this crate.
    #[inline(always)]
    fn is_timed(&self) -> bool {
        trace::timing() && self.switch.timing.load(Relaxed)
    }

    /// Returns the current time if someone wants this path's times, else [`Stamp::NONE`].
    #[inline(never)]
    pub fn stamp(&self) -> Stamp {
        self.clock(self.is_timed())
    }

    /// Reads the clock if `timed` or if someone listens to the tracepoint.
    #[inline(always)]
    fn clock(&self, timed: bool) -> Stamp {
        if timed || trace::path_run_enabled() {
            Stamp::read()
        } else {
            Stamp::NONE
        }
    }

    /// Counts a request to run the object that `pending` belongs to, made at time `at`.
    ///
    /// Returns true if the object was idle: the caller must now queue it, or take the request back
    /// with [`Path::cancel`]. Returns false if a request is pending already, which serves both;
    /// this one is counted as coalesced, and there is nothing to do. [`Pending`] has the protocol.
    #[must_use = "if it returns true, the object must now be queued"]
    #[inline(never)]
    pub fn schedule(&self, pending: &Pending, at: Stamp) -> bool {
        // Before it can run, or a reader could see a run without its request.
        count!(self, Scheduled, 1);

        let first = pending.set(at);
        if !first {
            count!(self, Coalesced, 1);
        }
        trace::path_schedule(&self.switch.device, &self.name, !first);

        first
    }

    /// Begins the run that serves the request in `pending`.
    ///
    /// Returns [`None`] if there is none: an earlier run has served it, and the caller has nothing
    /// to do. [`Pending`] has the protocol.
    #[must_use = "the run ends when the value is dropped"]
    pub fn start<'a>(&'a self, pending: &'a Pending) -> Option<Run<'a>> {
        let at = pending.take()?;

        Some(self.run(at, Some(pending.serial())))
    }

    /// Takes back the request in `pending`, when its object can no longer run.
    ///
    /// Returns whether there was one; it is counted as cancelled then.
    pub fn cancel(&self, pending: &Pending) -> bool {
        let was_pending = pending.take().is_some();

        if was_pending {
            count!(self, Cancelled, 1);
        }
        was_pending
    }

    /// Begins a run that nobody had to schedule: the cause itself enters it, as an interrupt does
    /// its hard handler, or a timer its callback.
    ///
    /// It counts as scheduled and run. `cause` is the time of the cause, if known;
    /// [`Run::since`] can supply it later. `serial` belongs to the handler that is entered.
    #[must_use = "the run ends when the value is dropped"]
    pub fn arrive<'a>(&'a self, serial: &'a Serial, cause: Stamp) -> Run<'a> {
        count!(self, Scheduled, 1);
        // A reader that sees the run sees the request as well.
        barrier::smp_mb(barrier::Write);

        self.run(cause, Some(serial))
    }

    /// Begins a run of the object that `pending` belongs to which nobody asked for: whoever calls the
    /// object has reasons of its own. As [`Path::arrive`].
    #[must_use = "the run ends when the value is dropped"]
    pub(crate) fn arrive_unasked<'a>(&'a self, pending: &'a Pending, cause: Stamp) -> Run<'a> {
        self.arrive(pending.serial(), cause)
    }

    /// Counts `n` requests that are kept track of elsewhere, such as by the core of a subsystem.
    ///
    /// Each of them must also be counted by one of [`Path::begin`], [`Path::coalesced`] and
    /// [`Path::cancelled`], later than this.
    #[inline(never)]
    pub fn scheduled(&self, n: u64) {
        count!(self, Scheduled, n);
        // A reader that sees one of them end sees it as well.
        barrier::smp_mb(barrier::Write);
        trace::path_schedule(&self.switch.device, &self.name, false);
    }

    /// Counts `n` requests, already counted as scheduled, that another one's run serves.
    pub fn coalesced(&self, n: u64) {
        count!(self, Coalesced, n);
    }

    /// Counts `n` requests, already counted as scheduled, that will not run.
    pub fn cancelled(&self, n: u64) {
        count!(self, Cancelled, n);
    }

    /// Begins the run of a request that was counted by [`Path::scheduled`] and made at time `at`.
    #[must_use = "the run ends when the value is dropped"]
    pub fn begin(&self, at: Stamp) -> Run<'_> {
        self.run(at, None)
    }

    /// Begins a run.
    #[inline(never)]
    fn run<'a>(&'a self, at: Stamp, serial: Option<&'a Serial>) -> Run<'a> {
        count!(self, Runs, 1);

        let timed = self.is_timed();
        let mut run = Run {
            path: self,
            at,
            due: Stamp::NONE,
            start: Stamp::NONE,
            items: 0,
            epoch: None,
            serial: None,
            _context: PhantomData,
        };

        if timed {
            run.epoch = Some(self.epoch.load(Relaxed));
            run.serial = serial;
            if serial.is_some_and(Serial::enter) {
                count!(self, Overlap, 1);
            }
        }
        run.start = self.clock(timed);

        run
    }

    /// Ends `run`, whose start was timed: someone wanted to know.
    #[inline(never)]
    fn end(&self, run: &Run<'_>) {
        let run_ns = Stamp::read().since(run.start).unwrap_or(0);
        let wait_ns = run.start.since(run.at);

        if let Some(epoch) = run.epoch {
            self.times.with_irqs_off(|times| {
                // With interrupts off this is the only writer of this CPU's tables, and no reset
                // can come between two records on it.
                if self.epoch.load(Relaxed) != epoch {
                    return;
                }
                if let Some(wait_ns) = wait_ns {
                    times.wait.record(epoch, wait_ns);
                }
                times.run.record(epoch, run_ns);
            });
            if let (Some(late), Some(late_ns)) = (&self.late, run.start.since(run.due)) {
                late.with_irqs_off(|late| {
                    if self.epoch.load(Relaxed) == epoch {
                        late.record(epoch, late_ns);
                    }
                });
            }
            if let Some(packets) = &self.packets {
                packets.with_irqs_off(|packets| {
                    if self.epoch.load(Relaxed) == epoch {
                        packets.record(epoch, run.items);
                    }
                });
            }
        }

        trace::path_run(
            &self.switch.device,
            &self.name,
            wait_ns.unwrap_or(0),
            run_ns,
            run.items,
        );
    }

    /// So many units of its work were done beside its runs, by another path that came across them.
    pub fn items(&self, n: u64) {
        count!(self, Items, n);
    }

    /// A hard handler returned `IRQ_HANDLED`.
    ///
    /// By the value returned, `runs == handled + wake_thread + none`.
    pub fn handled(&self) {
        count!(self, Handled, 1);
    }

    /// A hard handler returned `IRQ_WAKE_THREAD`.
    pub fn wake_thread(&self) {
        count!(self, WakeThread, 1);
    }

    /// A hard handler returned `IRQ_NONE`: it was not our device.
    pub fn none(&self) {
        count!(self, None, 1);
    }

    /// A poll used up its budget.
    pub fn budget_exhausted(&self) {
        count!(self, BudgetExhausted, 1);
    }

    /// A poll completed.
    pub fn completed(&self) {
        count!(self, Completed, 1);
    }

    /// A poll asked to be polled again.
    pub fn rescheduled(&self) {
        count!(self, Rescheduled, 1);
    }

    /// An event arrived while a poll was completing.
    pub fn missed(&self) {
        count!(self, Missed, 1);
    }

    /// A run found itself in another context than promised.
    pub fn context_mismatch(&self) {
        count!(self, ContextMismatch, 1);
    }
}
