// SPDX-License-Identifier: GPL-2.0

//! Interrupts on demand, exactly as many as asked for.

use kernel::{
    current,
    prelude::*,
    processor::cpu_relax,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::{
    context::Task,
    path::Cause, //
};

use crate::{
    device::{
        Edu,
        Station, //
    },
    gate::Gate, //
};

/// The most interrupts that one request raises.
pub(crate) const MAX_COUNT: u64 = 1_000_000;

/// How long one interrupt may take to be served.
const LIMIT: Delta = Delta::from_secs(1);

/// How long to spin for it before sleeping between looks.
const SPIN: Delta = Delta::from_micros(100);

/// How long to sleep between looks.
const NAP: Delta = Delta::from_micros(50);

/// After how many interrupts to sleep once, so that a long request does not keep its CPU.
const BREATH: u64 = 1024;

/// When the next interrupt is raised.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// When everything that the former was handed on to has run: nothing coalesces.
    Paced,
    /// When the hard handler has acknowledged the former: deferrals may coalesce.
    Acked,
    /// At once: interrupts may merge in the device.
    Burst,
}

impl Pace {
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "paced" => Some(Self::Paced),
            "acked" => Some(Self::Acked),
            "burst" => Some(Self::Burst),
            _ => None,
        }
    }
}

/// What the user asks for.
#[derive(Clone, Copy)]
pub(crate) struct Request {
    pub(crate) count: u64,
    pub(crate) causes: u32,
    pub(crate) pace: Pace,
}

/// How far the last request came.
pub(crate) struct Progress {
    pub(crate) requested: u64,
    pub(crate) raised: u64,
    pub(crate) causes: u32,
    /// None while it runs.
    pub(crate) result: Option<i32>,
}

/// `result` while a request runs.
const RUNNING: i32 = i32::MAX;

/// Raises interrupts.
#[pin_data]
pub(crate) struct Trigger {
    #[pin]
    gate: Gate,
    /// The causes that were raised last, until the hard handler has served them; else 0.
    awaited: Atomic<u32>,
    /// When they were raised.
    pub(crate) raised_at: Cause,
    requested: Atomic<u64>,
    raised: Atomic<u64>,
    causes: Atomic<u32>,
    result: Atomic<i32>,
}

impl Trigger {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            gate <- Gate::new(),
            awaited: Atomic::new(0),
            raised_at: Cause::new(),
            requested: Atomic::new(0),
            raised: Atomic::new(0),
            causes: Atomic::new(0),
            result: Atomic::new(0),
        })
    }

    /// Raises what `request` asks for. When it returns without an error, everything that the
    /// interrupts caused is over, and has been counted.
    ///
    /// # Errors
    ///
    /// `EINTR` on a signal, `ETIMEDOUT` if an interrupt was not served within a second, `ENODEV`
    /// if the device was lost. [`Trigger::progress`] tells how far it came.
    pub(crate) fn run(&self, task: Task<'_>, station: &Station, request: Request) -> Result {
        let edu = &*station.edu;
        let _turn = self.gate.enter(&edu.hw)?;

        self.requested.store(request.count, Relaxed);
        self.raised.store(0, Relaxed);
        self.causes.store(request.causes, Relaxed);
        self.result.store(RUNNING, Relaxed);

        let result = self
            .raise_all(task, edu, request)
            .and_then(|()| station.synchronize(task));

        // Whatever went wrong, nobody waits for the hard handler any more.
        self.awaited.store(0, Relaxed);
        self.result
            .store(result.err().map_or(0, |e| e.to_errno()), Relaxed);
        result
    }

    fn raise_all(&self, task: Task<'_>, edu: &Edu, request: Request) -> Result {
        for done in 1..=request.count {
            let pace = if done == request.count {
                // Whatever the pace, all is over when this returns.
                Pace::Paced
            } else {
                request.pace
            };
            if pace != Pace::Burst {
                // Before the device can interrupt, so that the hard handler finds it.
                self.awaited.store(request.causes, Release);
            }
            self.raised_at.set(edu.paths.hardirq.stamp());
            edu.hw.raise(request.causes)?;
            self.raised.store(done, Relaxed);

            match pace {
                Pace::Burst => self.look(edu)?,
                Pace::Acked => self.wait(task, edu, || self.is_served())?,
                Pace::Paced => self.wait(task, edu, || self.is_served() && edu.is_idle())?,
            }
            if done % BREATH == 0 {
                task.sleep(NAP);
            }
        }
        Ok(())
    }

    fn is_served(&self) -> bool {
        self.awaited.load(Acquire) == 0
    }

    /// Whether there is a reason to stop.
    fn look(&self, edu: &Edu) -> Result {
        if edu.hw.is_lost() {
            Err(ENODEV)
        } else if current!().signal_pending() {
            Err(EINTR)
        } else {
            Ok(())
        }
    }

    /// Waits until `is_done`.
    ///
    /// An interrupt takes microseconds, so this spins first, and nobody is woken up from the hard
    /// handler: a wake-up there would be part of what the suite measures.
    fn wait(&self, task: Task<'_>, edu: &Edu, is_done: impl Fn() -> bool) -> Result {
        let start = Instant::<Monotonic>::now();
        loop {
            for _ in 0..32 {
                if is_done() {
                    return Ok(());
                }
                cpu_relax();
            }
            self.look(edu)?;

            let waited = start.elapsed();
            if waited > LIMIT {
                return Err(ETIMEDOUT);
            }
            if waited > SPIN {
                task.sleep(NAP);
            }
        }
    }

    /// Called by whoever has acknowledged `causes`, last of all.
    #[inline]
    pub(crate) fn served(&self, causes: u32) {
        let awaited = self.awaited.load(Relaxed);
        // Only `raise_all` makes it other than 0, and only while it is 0.
        if awaited != 0 && causes & awaited == awaited {
            self.awaited.store(0, Release);
        }
    }

    pub(crate) fn progress(&self) -> Progress {
        let result = self.result.load(Relaxed);
        Progress {
            requested: self.requested.load(Relaxed),
            raised: self.raised.load(Relaxed),
            causes: self.causes.load(Relaxed),
            result: (result != RUNNING).then_some(result),
        }
    }
}
