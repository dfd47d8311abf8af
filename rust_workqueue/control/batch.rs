// SPDX-License-Identifier: GPL-2.0

//! `burst`, `cancel`, `flush` and `drain`: queue items, take them back, wait for them.

use super::*;

use irqkit::text::words;

use crate::batch::MAX_ITEMS;

/// `N`: queue N items at once.
pub(super) enum Burst {}

impl Control for Burst {
    type Data = Bench;
    const NAME: &'static CStr = c"burst";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        let Some(batch) = bench.batch() else {
            seq_print!(out, "queue none\n");
            return Ok(());
        };
        let report = batch.report()?;
        seq_print!(out, "queue {}\n", batch.kind().word());
        seq_print!(out, "queued {}\n", batch.queued());
        seq_print!(out, "done {}\n", report.items);
        seq_print!(out, "running {}\n", batch.running());
        seq_print!(out, "cancelled {}\n", batch.cancelled());
        seq_print!(out, "peak {}\n", report.peak);
        seq_print!(out, "workers {}\n", report.workers);
        seq_print!(out, "cpus {}\n", report.cpus);
        seq_print!(out, "inversions {}\n", report.inversions);
        seq_print!(out, "early {}\n", report.early);
        seq_print!(out, "wait_p50_ns {}\n", report.wait.p50);
        seq_print!(out, "wait_p99_ns {}\n", report.wait.p99);
        seq_print!(out, "wait_max_ns {}\n", report.wait.max);
        seq_print!(out, "run_p50_ns {}\n", report.run.p50);
        seq_print!(out, "run_max_ns {}\n", report.run.max);
        Ok(())
    }

    fn store(bench: &Bench, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let items = limited(text, 1, MAX_ITEMS, "expected a number of items, 1 to 4096")?;
        bench.burst(items).map_err(explain)
    }
}

/// `1` takes back what is queued; `sync` also waits for what is running.
pub(super) enum Cancel {}

impl Control for Cancel {
    type Data = Bench;
    const NAME: &'static CStr = c"cancel";
    const ACCESS: Access = Access::WriteOnly;

    fn store(bench: &Bench, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        match words(text) {
            Some(["1"]) => bench.cancel(),
            Some(["sync"]) => bench.cancel_sync(task),
            _ => return Err(Refusal::new(EINVAL, "expected 1 or 'sync'")),
        }
        Ok(())
    }
}

/// `1`: wait for what was queued so far.
pub(super) enum Flush {}

impl Control for Flush {
    type Data = Bench;
    const NAME: &'static CStr = c"flush";
    const ACCESS: Access = Access::WriteOnly;

    fn store(bench: &Bench, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        match words(text) {
            Some(["1"]) => bench.flush(task).map_err(explain),
            _ => Err(Refusal::new(EINVAL, "expected 1")),
        }
    }
}

/// `1`: wait until the queue is empty; meanwhile only its own items may queue more.
pub(super) enum Drain {}

impl Control for Drain {
    type Data = Bench;
    const NAME: &'static CStr = c"drain";
    const ACCESS: Access = Access::WriteOnly;

    fn store(bench: &Bench, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        match words(text) {
            Some(["1"]) => bench.drain(task).map_err(explain),
            _ => Err(Refusal::new(EINVAL, "expected 1")),
        }
    }
}
