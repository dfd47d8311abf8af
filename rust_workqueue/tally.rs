// SPDX-License-Identifier: GPL-2.0

//! What became of the items of a batch: when, where and beside how many others each ran.
//!
//! The statistics of a path know nothing of single items. Here each has a record that only its own
//! run writes, so that taking notes costs the items no lock and no shared cache line but that of
//! the three counters.

use kernel::{
    cpu::CpuId,
    current,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Full,
        Relaxed,
        Release, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::irq::CpuList;

/// What became of one item. Times are in nanoseconds since the batch was made.
struct Record {
    /// When it was due: when it was queued, or the delay later.
    due: Atomic<u64>,
    started: Atomic<u64>,
    ended: Atomic<u64>,
    /// How many items had started before.
    place: Atomic<u32>,
    /// How many items were running when it started, itself included.
    beside: Atomic<u32>,
    cpu: Atomic<u32>,
    worker: Atomic<i32>,
    /// Whether it ran to its end.
    is_done: Atomic<bool>,
}

impl Record {
    fn new() -> Self {
        Self {
            due: Atomic::new(0),
            started: Atomic::new(0),
            ended: Atomic::new(0),
            place: Atomic::new(0),
            beside: Atomic::new(0),
            cpu: Atomic::new(0),
            worker: Atomic::new(0),
            is_done: Atomic::new(false),
        }
    }
}

/// The records of a batch of items.
pub(crate) struct Tally {
    base: Instant<Monotonic>,
    records: KVec<Record>,
    started: Atomic<u32>,
    running: Atomic<u32>,
    ended: Atomic<u32>,
}

impl Tally {
    /// Makes records for `items` items. May sleep.
    pub(crate) fn new(items: usize) -> Result<Self> {
        let mut records = KVec::with_capacity(items, GFP_KERNEL)?;
        for _ in 0..items {
            records.push(Record::new(), GFP_KERNEL)?;
        }
        Ok(Self {
            base: Instant::now(),
            records,
            started: Atomic::new(0),
            running: Atomic::new(0),
            ended: Atomic::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(0)
    }

    /// Item `index` is about to be queued, and due after `delay`.
    pub(crate) fn submit(&self, index: usize, delay: Delta) {
        if let Some(record) = self.records.get(index) {
            let delay = u64::try_from(delay.as_nanos()).unwrap_or(0);
            record.due.store(self.now() + delay, Relaxed);
        }
    }

    /// Item `index` starts.
    pub(crate) fn enter(&self, index: usize) {
        let place = self.started.fetch_add(1, Relaxed);
        let beside = self.running.fetch_add(1, Full) + 1;
        if let Some(record) = self.records.get(index) {
            record.started.store(self.now(), Relaxed);
            record.place.store(place, Relaxed);
            record.beside.store(beside, Relaxed);
            record.cpu.store(CpuId::current().as_u32(), Relaxed);
            record.worker.store(current!().pid(), Relaxed);
        }
    }

    /// Item `index` ends.
    pub(crate) fn leave(&self, index: usize) {
        self.running.fetch_sub(1, Full);
        if let Some(record) = self.records.get(index) {
            record.ended.store(self.now(), Relaxed);
            // Whoever sees this sees the rest of the record.
            record.is_done.store(true, Release);
        }
        self.ended.fetch_add(1, Release);
    }

    /// How many items ran to their end.
    pub(crate) fn ended(&self) -> u32 {
        self.ended.load(Acquire)
    }

    /// How many are running.
    pub(crate) fn running(&self) -> u32 {
        self.running.load(Relaxed)
    }

    /// Sums up those items that ran to their end. May sleep.
    pub(crate) fn report(&self) -> Result<Report> {
        let len = self.records.len();
        let mut waits = KVec::with_capacity(len, GFP_KERNEL)?;
        let mut runs = KVec::with_capacity(len, GFP_KERNEL)?;
        let mut workers = KVec::with_capacity(len, GFP_KERNEL)?;
        let mut early = 0;
        let mut peak = 0;
        let mut inversions = 0;
        let mut last_place = None;

        let done = || self.records.iter().filter(|r| r.is_done.load(Acquire));
        for record in done() {
            let due = record.due.load(Relaxed);
            let started = record.started.load(Relaxed);
            let place = record.place.load(Relaxed);

            early += u32::from(started < due);
            waits.push(started.saturating_sub(due), GFP_KERNEL)?;
            runs.push(
                record.ended.load(Relaxed).saturating_sub(started),
                GFP_KERNEL,
            )?;
            workers.push(record.worker.load(Relaxed), GFP_KERNEL)?;
            peak = peak.max(record.beside.load(Relaxed));
            // Records are in the order of queueing.
            inversions += u32::from(last_place.is_some_and(|last| last > place));
            last_place = Some(place);
        }
        sort(&mut workers);
        let changes = workers
            .windows(2)
            .filter(|pair| matches!(pair, [a, b] if a != b))
            .count();

        Ok(Report {
            items: runs.len(),
            wait: Spread::of(&mut waits),
            run: Spread::of(&mut runs),
            cpus: CpuList::new(done().filter_map(|r| CpuId::from_u32(r.cpu.load(Relaxed))))?,
            workers: if workers.is_empty() { 0 } else { changes + 1 },
            peak,
            inversions,
            early,
        })
    }
}

/// What a batch came to.
pub(crate) struct Report {
    /// How many items ran to their end; the rest is about those.
    pub(crate) items: usize,
    pub(crate) wait: Spread,
    pub(crate) run: Spread,
    pub(crate) cpus: CpuList,
    /// How many tasks ran them. For BH: how many were interrupted to.
    pub(crate) workers: usize,
    /// The most that ran at a time.
    pub(crate) peak: u32,
    /// How many started before the one that was queued just before them.
    pub(crate) inversions: u32,
    /// How many started before they were due.
    pub(crate) early: u32,
}

/// A distribution of nanoseconds. Percentiles are exact: the value of the item of that rank.
#[derive(Clone, Copy)]
pub(crate) struct Spread {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

impl Spread {
    fn of(values: &mut [u64]) -> Self {
        sort(values);
        let rank = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).copied().unwrap_or(0)
        };
        Self {
            p50: rank(50),
            p99: rank(99),
            max: rank(100),
        }
    }
}

/// Sorts in place: heapsort, whose worst case is as good as any, and which can't panic, as the
/// standard library's may where an order contradicts itself.
fn sort<T: Ord>(values: &mut [T]) {
    for root in (0..values.len() / 2).rev() {
        sift(values, root);
    }
    for end in (1..values.len()).rev() {
        values.swap(0, end);
        if let Some(heap) = values.get_mut(..end) {
            sift(heap, 0);
        }
    }
}

/// Moves the value at `root` down to where both below it are no larger.
fn sift<T: Ord>(heap: &mut [T], mut root: usize) {
    loop {
        let left = 2 * root + 1;
        let child = match (heap.get(left), heap.get(left + 1)) {
            (Some(a), Some(b)) if a < b => left + 1,
            (Some(_), _) => left,
            (None, _) => return,
        };
        match (heap.get(root), heap.get(child)) {
            (Some(a), Some(b)) if a < b => heap.swap(root, child),
            _ => return,
        }
        root = child;
    }
}
