// SPDX-License-Identifier: GPL-2.0

//! `matrix`: the same items through every kind of queue, in one table.

use super::*;

use crate::matrix::MAX_ITEMS;

/// `N`: N items through each kind; reading shows what came of it last.
pub(super) enum Matrix {}

impl Control for Matrix {
    type Data = Bench;
    const NAME: &'static CStr = c"matrix";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(
            out,
            "# queue                         items  wait_p50_ns  wait_p99_ns  wait_max_ns  \
             run_p50_ns   run_max_ns  peak  workers  cpus\n"
        );
        bench.matrix.for_each(|kind, report| {
            seq_print!(
                out,
                "{:<30} {:>6} {:>12} {:>12} {:>12} {:>11} {:>12} {:>5} {:>8}  {}\n",
                kind.word(),
                report.items,
                report.wait.p50,
                report.wait.p99,
                report.wait.max,
                report.run.p50,
                report.run.max,
                report.peak,
                report.workers,
                report.cpus
            );
        });
        Ok(())
    }

    fn store(bench: &Bench, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let items = limited(text, 1, MAX_ITEMS, "expected a number of items, 1 to 1024")?;
        bench.matrix.run(bench, task, items).map_err(explain)
    }
}
