// SPDX-License-Identifier: GPL-2.0

//! `queue`, `cost_us`, `sleep_us`, `delay_ms` and `cpu`: what the items to come do, and where.

use super::*;

use kernel::cpu::{
    nr_cpu_ids,
    CpuId, //
};

use crate::{
    kinds::Kind,
    settings::{
        MAX_COST_US,
        MAX_DELAY_MS,
        MAX_SLEEP_US, //
    }, //
};

/// The queue that work goes to from now on.
pub(super) enum Queue {}

impl Control for Queue {
    type Data = Bench;
    const NAME: &'static CStr = c"queue";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        // As sysfs shows a choice: all words, the one that holds in brackets.
        let chosen = bench.settings.queue.get();
        for (i, (kind, word)) in Kind::ALL.into_iter().enumerate() {
            let gap = if i == 0 { "" } else { " " };
            if kind == chosen {
                seq_print!(out, "{gap}[{word}]");
            } else {
                seq_print!(out, "{gap}{word}");
            }
        }
        seq_print!(out, "\n");
        Ok(())
    }

    fn store(bench: &Bench, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let kind = Kind::from_word(text).ok_or(Refusal::new(
            EINVAL,
            "no such queue; reading tells which there are",
        ))?;
        bench.choose(kind).map_err(explain)
    }
}

/// How long an item keeps its CPU busy.
pub(super) enum CostUs {}

impl Control for CostUs {
    type Data = Bench;
    const NAME: &'static CStr = c"cost_us";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(out, "{}\n", bench.settings.payload().cost_us);
        Ok(())
    }

    fn store(bench: &Bench, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let us = limited(text, 0, MAX_COST_US, "expected microseconds, 0 to 1000000")?;
        bench.settings.set_cost_us(us);
        Ok(())
    }
}

/// How long an item sleeps after that. Those of BH queues, which can't, don't.
pub(super) enum SleepUs {}

impl Control for SleepUs {
    type Data = Bench;
    const NAME: &'static CStr = c"sleep_us";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(out, "{}\n", bench.settings.payload().sleep_us);
        Ok(())
    }

    fn store(bench: &Bench, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let us = limited(
            text,
            0,
            MAX_SLEEP_US,
            "expected microseconds, 0 to 60000000",
        )?;
        bench.settings.set_sleep_us(us);
        Ok(())
    }
}

/// How long after being asked for an item is due.
pub(super) enum DelayMs {}

impl Control for DelayMs {
    type Data = Bench;
    const NAME: &'static CStr = c"delay_ms";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(out, "{}\n", bench.settings.delay_ms());
        Ok(())
    }

    fn store(bench: &Bench, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let ms = limited(text, 0, MAX_DELAY_MS, "expected milliseconds, 0 to 60000")?;
        bench.settings.set_delay_ms(ms);
        Ok(())
    }
}

/// The CPU to queue on: a number, or `any`.
pub(super) enum Cpu {}

impl Control for Cpu {
    type Data = Bench;
    const NAME: &'static CStr = c"cpu";
    const ACCESS: Access = Access::ReadWrite;

    fn show(bench: &Bench, _task: Task<'_>, out: &SeqFile) -> Result {
        match bench.settings.cpu() {
            Some(cpu) => seq_print!(out, "{}\n", cpu.as_u32()),
            None => seq_print!(out, "any\n"),
        }
        Ok(())
    }

    fn store(bench: &Bench, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        const USAGE: &str = "expected the number of a CPU that is there, or 'any'";

        if text == "any" {
            bench.settings.set_cpu(None);
            return Ok(());
        }
        let cpu = limited(text, 0, nr_cpu_ids().saturating_sub(1), USAGE)?;
        let cpu = CpuId::from_u32(cpu).ok_or(Refusal::new(ERANGE, USAGE))?;
        bench.settings.set_cpu(Some(cpu));
        Ok(())
    }
}
