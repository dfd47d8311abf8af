// SPDX-License-Identifier: GPL-2.0

//! Points in time, and the cells that carry them from a cause to the run that it causes.

use core::num::NonZeroU64;

use kernel::{
    bindings,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        barrier, //
    }, //
};

use crate::trace;

/// A point in time on the monotonic clock (`ktime_get()`), or [`Stamp::NONE`] when no one asked for
/// the time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(Option<NonZeroU64>);

impl Stamp {
    /// No point in time: what waits from here on has no waiting time.
    pub const NONE: Self = Self(None);

    /// Returns the current time if someone wants times (some set's `timing` or the tracepoint
    /// `irqkit:path_run` is on), else [`Stamp::NONE`], which costs two NOPs.
    ///
    /// May be called from any context but NMIs.
    #[inline(never)]
    pub fn now() -> Self {
        if trace::timing() || trace::path_run_enabled() {
            Self::read()
        } else {
            Self::NONE
        }
    }

    /// Reads the clock. Not in NMIs.
    #[inline]
    pub(super) fn read() -> Self {
        // SAFETY: May be called from any context but NMIs.
        let now = unsafe { bindings::ktime_get() };

        // CAST: The monotonic clock does not run below 0.
        Self(NonZeroU64::new(now as u64))
    }

    /// The point in time `ktime` of the monotonic clock; none if it is not after boot.
    #[inline]
    pub(crate) fn of_ktime(ktime: bindings::ktime_t) -> Self {
        Self(u64::try_from(ktime).ok().and_then(NonZeroU64::new))
    }

    /// Returns whether this is [`Stamp::NONE`].
    #[inline]
    pub const fn is_none(self) -> bool {
        self.0.is_none()
    }

    /// Returns the nanoseconds from `earlier` to `self`, or [`None`] if one of them is no time.
    /// Never negative: 0 if `earlier` is the later one.
    #[inline]
    pub fn since(self, earlier: Self) -> Option<u64> {
        Some(self.0?.get().saturating_sub(earlier.0?.get()))
    }

    /// Returns the time `ns` nanoseconds after `self`; [`Stamp::NONE`] stays what it is.
    #[inline]
    pub(crate) fn after(self, ns: u64) -> Self {
        Self(self.0.map(|at| at.saturating_add(ns)))
    }

    /// Returns the seconds since boot. It divides: not for hot paths.
    pub(super) const fn whole_seconds(self) -> u64 {
        self.to_raw() / 1_000_000_000
    }

    #[inline]
    const fn to_raw(self) -> u64 {
        match self.0 {
            Some(ns) => ns.get(),
            None => 0,
        }
    }

    #[inline]
    const fn from_raw(raw: u64) -> Self {
        Self(NonZeroU64::new(raw))
    }
}

/// The time of a cause, on its way to the run that it causes: from the register write that makes a
/// device raise an interrupt, to the hard handler.
///
/// All methods may be called from any context and are wait-free.
pub struct Cause(Atomic<u64>);

impl Cause {
    /// Creates an empty cell.
    pub const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// Puts `stamp` in. The latest one counts: what is left from a cause without effect is
    /// forgotten.
    #[inline]
    pub fn set(&self, stamp: Stamp) {
        self.0.store(stamp.to_raw(), Relaxed);
    }

    /// Takes the stamp out; [`Stamp::NONE`] if there was none.
    #[inline]
    pub fn take(&self) -> Stamp {
        // No write to a cell that is always empty because no one wants times.
        if self.0.load(Relaxed) == 0 {
            return Stamp::NONE;
        }
        Stamp::from_raw(self.0.xchg(0, Relaxed))
    }
}

impl Default for Cause {
    fn default() -> Self {
        Self::new()
    }
}

/// Detects that an object's runs overlap, which must not happen for anything in this crate: a
/// handler never runs beside itself.
///
/// Watched while `timing` is on; see [`super::Counter::Overlap`].
pub struct Serial(Atomic<u32>);

impl Serial {
    /// Creates the detector of an object that is not running.
    pub const fn new() -> Self {
        Self(Atomic::new(0))
    }

    /// A run begins. Returns whether another one has not ended yet.
    #[inline]
    pub(super) fn enter(&self) -> bool {
        self.0.fetch_add(1, Full) != 0
    }

    /// Ends a run that called [`Serial::enter`].
    #[inline]
    pub(super) fn leave(&self) {
        self.0.fetch_sub(1, Full);
    }
}

impl Default for Serial {
    fn default() -> Self {
        Self::new()
    }
}

/// Whether a request to run is pending, and since when.
///
/// One such cell belongs to each object that can be scheduled: a tasklet, an interrupt's thread, a
/// work item. It is the truth about whether a request coalesces with an earlier one, because the
/// kernel's own pending bits cannot be asked at the very moment at which a run begins. The
/// protocol:
///
/// 1. Whoever schedules calls [`super::Path::schedule`]. If it returns true, the object was idle,
///    and it must now be queued (`tasklet_schedule()`, `IRQ_WAKE_THREAD`, …). Otherwise a request
///    is pending already; its run begins after this call, and sees whatever was written before it.
/// 2. The run begins with [`super::Path::start`], before it looks at anything that schedulers
///    write. Should it find no request, which happens when the kernel's pending bit was set again
///    between clearing it and this call, then an earlier run has served it and there is nothing to
///    do.
pub struct Pending {
    /// 0: idle. Otherwise pending, since then in nanoseconds, or [`Pending::UNTIMED`].
    since: Atomic<u64>,
    serial: Serial,
}

impl Pending {
    /// Pending, but no one wanted to know since when. As a time, it is a nanosecond after boot.
    const UNTIMED: u64 = 1;

    /// Creates the cell of an object that is idle.
    pub const fn new() -> Self {
        Self {
            since: Atomic::new(0),
            serial: Serial::new(),
        }
    }

    /// Returns whether a request is pending. It may change at any time.
    ///
    /// May be called from any context.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.since.load(Relaxed) != 0
    }

    /// Makes a request, and returns whether it is the first one since the last run began.
    ///
    /// Wait-free. If it is not the first, everything written before is seen by the run that takes
    /// the pending one.
    #[inline]
    pub(super) fn set(&self, stamp: Stamp) -> bool {
        let since = match stamp.to_raw() {
            0 => Self::UNTIMED,
            ns => ns,
        };

        // A failed `cmpxchg` orders nothing by itself. With this barrier, and the one in `take`:
        // either we see that the request was taken, or the one who takes it sees what we have
        // written.
        barrier::smp_mb(barrier::Full);
        self.since.cmpxchg(0, since, Full).is_ok()
    }

    /// Takes the pending request, or returns [`None`] if there is none.
    #[inline]
    pub(super) fn take(&self) -> Option<Stamp> {
        match self.since.xchg(0, Full) {
            0 => None,
            Self::UNTIMED => Some(Stamp::NONE),
            ns => Some(Stamp::from_raw(ns)),
        }
    }

    /// Returns the overlap detector of the object.
    #[inline]
    pub(super) fn serial(&self) -> &Serial {
        &self.serial
    }
}

impl Default for Pending {
    fn default() -> Self {
        Self::new()
    }
}
