// SPDX-License-Identifier: GPL-2.0

//! Interrupt storms: found, contained, and made to order.
//!
//! A storm is a source that interrupts more often than `storm_limit` allows, or that keeps
//! interrupting though nothing could be acknowledged, or that does not let the thread run. (The
//! kernel has a last resort of its own: it disables a line for good after some 100,000 interrupts
//! that nobody handled, or that only ever woke a thread which never ran.)
//!
//! The hard handler finds it and masks the source, since whatever runs later may never get to run.
//! From then on the device is polled ([`crate::contain`]), [`POLL_INTERVAL`] apart, what it has is
//! served, and the source is unmasked after [`CALM_POLLS`] polls of which most found nothing, at a
//! rate below `storm_limit`: a source that goes on, but no faster than it may, is not a storm.
//!
//! Masked is the device, by the Interrupt Disable bit of its command register, where the line may
//! have other users (INTx); it is the line where it is ours alone (MSI).

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        new_mutex,
        new_spinlock_irq,
        Mutex,
        SpinLockIrq, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

/// The cause that a storm made to order raises.
pub(crate) const STORM_CAUSE: u32 = 0x8000_0000;

/// The longest storm to order, in milliseconds.
pub(crate) const MAX_STORM_MS: u64 = 60_000;

/// The highest `storm_limit`, in interrupts a second.
pub(crate) const MAX_LIMIT: u32 = 100_000_000;

/// Interrupts a second without anything to acknowledge from which on they are a storm.
const UNACKNOWLEDGED_LIMIT: u32 = 1000;

/// Interrupts handed to the thread without it getting to run once from which on they are a storm.
const STARVED_LIMIT: u64 = 10_000;

/// Time between two polls of a masked source.
pub(crate) const POLL_INTERVAL: Delta = Delta::from_millis(1);

/// After as many polls it is looked at whether the storm is over.
pub(crate) const CALM_POLLS: u32 = 20;

/// The time over which rates are measured; and where a tenth of the limit is but a few, a second.
const WINDOW_NS: u64 = 100_000_000;
const WINDOWS_PER_SECOND: u32 = 10;
const FEW: u32 = 100;
const SECOND_NS: u64 = 1_000_000_000;

/// Finds out whether something happens too often.
///
/// Reads the clock only once in a tenth of the limit, or in all of a low one. Used by the hard handler
/// alone, which never runs beside itself.
struct Meter {
    count: Atomic<u32>,
    began: Atomic<u64>,
}

impl Meter {
    fn new() -> Self {
        Self {
            count: Atomic::new(0),
            began: Atomic::new(0),
        }
    }

    /// Counts one; returns whether there were more than `limit` a second of late.
    #[inline]
    fn hit(&self, limit: u32, now: impl FnOnce() -> u64) -> bool {
        let (most, window) = if limit < FEW {
            (limit, SECOND_NS)
        } else {
            (limit / WINDOWS_PER_SECOND, WINDOW_NS)
        };
        let count = self.count.load(Relaxed).saturating_add(1);
        if count <= most {
            self.count.store(count, Relaxed);
            return false;
        }
        self.count.store(0, Relaxed);

        let now = now();
        let began = self.began.load(Relaxed);
        self.began.store(now, Relaxed);
        now.saturating_sub(began) < window
    }

    #[inline]
    fn reset(&self) {
        self.count.store(0, Relaxed);
    }
}

/// Why a source was masked.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Reason {
    /// More interrupts than `storm_limit`.
    Rate = 1,
    /// Interrupts with nothing acknowledged.
    Unacknowledged = 2,
    /// Interrupts that keep the thread from running.
    Starved = 3,
}

impl Reason {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Unacknowledged => "unacknowledged",
            Self::Starved => "starved",
        }
    }
}

/// A storm made to order.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Source {
    /// There is none.
    None = 0,
    /// The hard handler does not acknowledge [`STORM_CAUSE`]. On a level triggered line that is
    /// all it takes; under MSI the cause is raised again as well.
    NoAck = 1,
    /// The hard handler acknowledges [`STORM_CAUSE`], and it is raised again.
    Ack = 2,
}

impl Source {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::NoAck => "noack",
            Self::Ack => "ack",
        }
    }
}

const CALM: u32 = 0;
const MASKED: u32 = 1;

/// What is known of the storms of one device.
#[pin_data]
pub(crate) struct Storm {
    /// Interrupts a second; 0 is no limit.
    limit: Atomic<u32>,
    rate: Meter,
    unacknowledged: Meter,

    /// Changes together with the mask, under `turning`. Read without it.
    state: Atomic<u32>,
    /// Keeps the masking of one episode from meeting the unmasking of the last.
    #[pin]
    turning: SpinLockIrq<()>,
    reason: Atomic<u32>,
    episodes: Atomic<u64>,
    polls: Atomic<u64>,
    polled: Atomic<u64>,
    last_ms: Atomic<u64>,

    /// Nanoseconds are counted from here.
    epoch: Instant<Monotonic>,
    source: Atomic<u32>,
    /// When the storm to order ends.
    until: Atomic<u64>,
    #[pin]
    ordering: Mutex<()>,
}

impl Storm {
    pub(crate) fn new(limit: u32) -> impl PinInit<Self> {
        pin_init!(Self {
            limit: Atomic::new(limit.min(MAX_LIMIT)),
            rate: Meter::new(),
            unacknowledged: Meter::new(),
            state: Atomic::new(CALM),
            turning <- new_spinlock_irq!((), "Storm::turning"),
            reason: Atomic::new(0),
            episodes: Atomic::new(0),
            polls: Atomic::new(0),
            polled: Atomic::new(0),
            last_ms: Atomic::new(0),
            epoch: Instant::now(),
            source: Atomic::new(Source::None as u32),
            until: Atomic::new(0),
            ordering <- new_mutex!((), "Storm::ordering"),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(0)
    }

    /// Called by the hard handler for every interrupt of the device: is it one too many?
    ///
    /// `acknowledged` is false if there was nothing that could be acknowledged, and `waiting` is
    /// how many interrupts the thread was given and has not begun with. If it is a storm, the
    /// source is silenced by `mask`, and the caller has it contained.
    #[inline]
    pub(crate) fn judge(&self, acknowledged: bool, waiting: u64, mask: impl FnOnce()) -> bool {
        let Some(reason) = self.find(acknowledged, waiting) else {
            return false;
        };

        self.episodes.fetch_add(1, Relaxed);
        self.reason.store(reason as u32, Relaxed);

        let _turning = self.turning.lock();
        self.state.store(MASKED, Release);
        mask();
        true
    }

    #[inline]
    fn find(&self, acknowledged: bool, waiting: u64) -> Option<Reason> {
        if acknowledged {
            self.unacknowledged.reset();
        } else if self.unacknowledged.hit(UNACKNOWLEDGED_LIMIT, || self.now()) {
            return Some(Reason::Unacknowledged);
        }

        if waiting > STARVED_LIMIT {
            return Some(Reason::Starved);
        }

        let limit = self.limit.load(Relaxed);
        (limit != 0 && self.rate.hit(limit, || self.now())).then_some(Reason::Rate)
    }

    /// Whether the source is masked.
    #[inline]
    pub(crate) fn is_masked(&self) -> bool {
        self.state.load(Acquire) == MASKED
    }

    /// Counts a poll, and what it found.
    pub(crate) fn poll(&self, found: bool) {
        self.polls.fetch_add(1, Relaxed);
        self.polled.fetch_add(u64::from(found), Relaxed);
    }

    /// Whether [`CALM_POLLS`] polls of which `found` found something, and which took `time`, say that
    /// the storm is over.
    ///
    /// A poll that finds something can't tell how often that happened. So if most of them do, it may be
    /// faster than any limit.
    pub(crate) fn is_over(&self, found: u32, time: Delta) -> bool {
        let limit = u64::from(self.limit.load(Relaxed));
        let ns = u64::try_from(time.as_nanos()).unwrap_or(0);

        found <= CALM_POLLS / 2
            && (limit == 0 || found == 0 || u64::from(found) * SECOND_NS < limit.saturating_mul(ns))
    }

    /// Ends an episode: from now on the hard handler may find the next one. `unmask` lets the
    /// source speak again.
    ///
    /// The lock keeps interrupts off: else a source that storms at once would keep us from ever
    /// saying that it is unmasked, and the hard handler from dealing with it.
    pub(crate) fn end(&self, lasted: Delta, unmask: impl FnOnce()) {
        self.last_ms
            .store(u64::try_from(lasted.as_millis()).unwrap_or(0), Relaxed);
        self.rate.reset();
        self.unacknowledged.reset();

        let _turning = self.turning.lock();
        self.state.store(CALM, Release);
        unmask();
    }

    /// Orders a storm of `ms` milliseconds; the caller then raises [`STORM_CAUSE`].
    ///
    /// # Errors
    ///
    /// `EBUSY` if there is one already.
    pub(crate) fn order(&self, source: Source, ms: u64) -> Result {
        // One who orders at a time.
        let _ordering = self.ordering.lock();
        if self.source() != Source::None {
            return Err(EBUSY);
        }
        let ns = ms.min(MAX_STORM_MS) * 1_000_000;
        self.until.store(self.now() + ns, Relaxed);
        self.source.store(source as u32, Release);
        Ok(())
    }

    /// Calls the storm off.
    pub(crate) fn call_off(&self) {
        self.source.store(Source::None as u32, Release);
    }

    /// The storm to order that is going on. Reads the clock only if there may be one.
    #[inline]
    pub(crate) fn source(&self) -> Source {
        let source = match self.source.load(Acquire) {
            1 => Source::NoAck,
            2 => Source::Ack,
            _ => return Source::None,
        };
        if self.now() < self.until.load(Relaxed) {
            source
        } else {
            Source::None
        }
    }

    pub(crate) fn limit(&self) -> u32 {
        self.limit.load(Relaxed)
    }

    pub(crate) fn set_limit(&self, limit: u32) {
        self.limit.store(limit, Relaxed);
        // What was counted under the last one may be more than the new one allows.
        self.rate.reset();
    }

    /// Why the last episode began.
    pub(crate) fn reason(&self) -> Option<Reason> {
        match self.reason.load(Relaxed) {
            1 => Some(Reason::Rate),
            2 => Some(Reason::Unacknowledged),
            3 => Some(Reason::Starved),
            _ => None,
        }
    }

    /// How often a source was masked.
    pub(crate) fn episodes(&self) -> u64 {
        self.episodes.load(Relaxed)
    }

    /// How often a masked source was polled.
    pub(crate) fn polls(&self) -> u64 {
        self.polls.load(Relaxed)
    }

    /// How often a poll found something to serve.
    pub(crate) fn polled(&self) -> u64 {
        self.polled.load(Relaxed)
    }

    /// How long the last episode took.
    pub(crate) fn last_ms(&self) -> u64 {
        self.last_ms.load(Relaxed)
    }
}
