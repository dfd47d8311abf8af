// SPDX-License-Identifier: GPL-2.0

//! The same items through every kind of queue, one kind after the other.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc,
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::context::Task;

use crate::{
    batch::Batch,
    bench::Bench,
    kinds::Kind,
    tally::Report, //
};

/// The most items for each kind.
pub(crate) const MAX_ITEMS: u32 = 1024;

/// How long all items of all kinds may take, one after the other.
const MAX_TOTAL: Delta = Delta::from_secs(120);

/// How much longer than that to wait for those of one kind.
const GRACE: Delta = Delta::from_secs(10);

/// Time between two looks at a batch.
const NAP: Delta = Delta::from_micros(500);

/// What came of the last time.
#[pin_data]
pub(crate) struct Matrix {
    #[pin]
    rows: Mutex<KVec<(Kind, Report)>>,
    busy: Atomic<bool>,
}

impl Matrix {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            rows <- new_mutex!(KVec::new(), "Matrix::rows"),
            busy: Atomic::new(false),
        })
    }

    /// Calls `row` for each kind, if there was a run to its end.
    pub(crate) fn for_each(&self, mut row: impl FnMut(Kind, &Report)) {
        for (kind, report) in &*self.rows.lock() {
            row(*kind, report);
        }
    }

    /// Runs `items` items of `bench` through each kind.
    ///
    /// # Errors
    ///
    /// `EBUSY` if somebody is at it, `ERANGE` if it would take more than two minutes, `EINTR` on a
    /// signal, `ENODEV` if the device is being unbound, `ETIMEDOUT` if the items of a kind did not
    /// end. The table is that of the last time without an error.
    pub(crate) fn run(&self, bench: &Bench, task: Task<'_>, items: u32) -> Result {
        let us = bench.settings.payload().total().as_micros_ceil()
            + i64::from(bench.settings.delay_ms()) * 1000;
        let kinds = Kind::ALL.len() as i64;
        if us * i64::from(items) * kinds > MAX_TOTAL.as_micros_ceil() {
            return Err(ERANGE);
        }
        if self.busy.xchg(true, Acquire) {
            return Err(EBUSY);
        }
        let result = Self::collect(bench, task, items);
        self.busy.store(false, Release);

        let old = core::mem::replace(&mut *self.rows.lock(), result?);
        drop(old);
        Ok(())
    }

    fn collect(bench: &Bench, task: Task<'_>, items: u32) -> Result<KVec<(Kind, Report)>> {
        let mut rows = KVec::with_capacity(Kind::ALL.len(), GFP_KERNEL)?;
        for (kind, _) in Kind::ALL {
            let batch = Batch::new(&bench.lanes, kind, &bench.settings, items)?;
            let result = batch
                .queue_all()
                .and_then(|()| Self::wait(bench, task, &batch));
            if result.is_err() {
                batch.cancel_sync(task);
            }
            result?;
            rows.push((kind, batch.report()?), GFP_KERNEL)?;
        }
        Ok(rows)
    }

    fn wait(bench: &Bench, task: Task<'_>, batch: &Arc<Batch>) -> Result {
        let start = Instant::<Monotonic>::now();
        while !batch.is_over() {
            bench.look()?;
            if start.elapsed() > MAX_TOTAL + GRACE {
                return Err(ETIMEDOUT);
            }
            task.sleep(NAP);
        }
        Ok(())
    }
}
