// SPDX-License-Identifier: GPL-2.0

//! How an interrupt is handed on from the hard handler, and the tasklets it may be handed to.

use kernel::sync::{
    atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    },
    Arc, //
};

use irqkit::{
    context::SoftIrq,
    path::Run,
    tasklet::TaskletHandler, //
};

use crate::device::Edu;

/// The path that the user chose.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Defer {
    /// The hard handler does it all.
    None = 0,
    /// The IRQ thread.
    Thread = 1,
    /// A tasklet of normal priority.
    Tasklet = 2,
    /// A tasklet of high priority.
    TaskletHi = 3,
    /// All three of them.
    All = 4,
}

impl Defer {
    const WORDS: [(&'static str, Self); 5] = [
        ("thread", Self::Thread),
        ("tasklet", Self::Tasklet),
        ("tasklet_hi", Self::TaskletHi),
        ("all", Self::All),
        ("none", Self::None),
    ];

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::WORDS
            .iter()
            .find_map(|&(name, value)| (name == word).then_some(value))
    }

    pub(crate) fn word(self) -> &'static str {
        Self::WORDS
            .iter()
            .find_map(|&(name, value)| (value == self).then_some(name))
            .unwrap_or("?")
    }

    pub(crate) fn to_thread(self) -> bool {
        matches!(self, Self::Thread | Self::All)
    }

    pub(crate) fn to_tasklet(self) -> bool {
        matches!(self, Self::Tasklet | Self::All)
    }

    pub(crate) fn to_tasklet_hi(self) -> bool {
        matches!(self, Self::TaskletHi | Self::All)
    }
}

/// A [`Defer`] that one task may change while interrupts arrive.
pub(crate) struct Choice(Atomic<u32>);

impl Choice {
    pub(crate) fn new(defer: Defer) -> Self {
        Self(Atomic::new(defer as u32))
    }

    pub(crate) fn get(&self) -> Defer {
        match self.0.load(Relaxed) {
            1 => Defer::Thread,
            2 => Defer::Tasklet,
            3 => Defer::TaskletHi,
            4 => Defer::All,
            _ => Defer::None,
        }
    }

    pub(crate) fn set(&self, defer: Defer) {
        self.0.store(defer as u32, Relaxed);
    }
}

/// The interrupts handed to one deferral that it has not worked off yet.
///
/// The hard handler puts an interrupt in before it schedules the deferral, so that a run which
/// begins later finds it. What several interrupts put in before one run is that run's batch.
pub(crate) struct Backlog {
    waiting: Atomic<u64>,
    /// `waiting`, and what a run has taken but not yet worked off.
    unfinished: Atomic<u64>,
}

impl Backlog {
    pub(crate) fn new() -> Self {
        Self {
            waiting: Atomic::new(0),
            unfinished: Atomic::new(0),
        }
    }

    /// Puts one interrupt in. Any context.
    #[inline]
    pub(crate) fn put(&self) {
        self.unfinished.fetch_add(1, Relaxed);
        self.waiting.fetch_add(1, Release);
    }

    /// How much nobody has begun to work off.
    #[inline]
    pub(crate) fn waiting(&self) -> u64 {
        self.waiting.load(Relaxed)
    }

    /// Takes all out. Called by the deferral at the start of its run.
    #[inline]
    pub(crate) fn take(&self) -> u64 {
        self.waiting.xchg(0, Acquire)
    }

    /// Says that `items` that were taken are worked off. Called at the end of the run.
    #[inline]
    pub(crate) fn finish(&self, items: u64) {
        self.unfinished.fetch_sub(items, Release);
    }

    /// Whether everything is worked off.
    pub(crate) fn is_empty(&self) -> bool {
        self.unfinished.load(Acquire) == 0
    }
}

/// What the tasklet of normal priority does.
pub(crate) struct Normal(pub(crate) Arc<Edu>);

impl TaskletHandler for Normal {
    #[inline]
    fn run(&self, _ctx: SoftIrq<'_>, run: &mut Run<'_>) {
        work_off(&self.0.tasklet, run);
    }
}

/// What the tasklet of high priority does.
pub(crate) struct High(pub(crate) Arc<Edu>);

impl TaskletHandler for High {
    #[inline]
    fn run(&self, _ctx: SoftIrq<'_>, run: &mut Run<'_>) {
        work_off(&self.0.tasklet_hi, run);
    }
}

/// The interrupts of this device carry no data, so the work on them is to count them.
#[inline]
fn work_off(backlog: &Backlog, run: &mut Run<'_>) {
    let items = backlog.take();
    run.items(items);
    backlog.finish(items);
}
