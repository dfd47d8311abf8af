// SPDX-License-Identifier: GPL-2.0

//! `irq`, `defer`, `storm` and `storm_limit`: the interrupt, and what the handlers do with it.

use super::*;

use crate::{
    defer,
    storm::{
        Source,
        MAX_LIMIT,
        MAX_STORM_MS,
        STORM_CAUSE, //
    }, //
};

/// The interrupt.
pub(super) enum Irq {}

impl Control for Irq {
    type Data = Station;
    const NAME: &'static CStr = c"irq";
    const ACCESS: Access = Access::ReadOnly;

    fn show(station: &Station, task: Task<'_>, out: &SeqFile) -> Result {
        let line = &station.line;
        let (affinity, effective) = (line.affinity(task)?, line.effective_affinity(task)?);

        seq_print!(out, "irq {}\n", line.irq());
        seq_print!(
            out,
            "mode {}\n",
            if station.is_intx() { "intx" } else { "msi" }
        );
        seq_print!(out, "affinity {affinity}\n");
        seq_print!(out, "effective_affinity {effective}\n");
        Ok(())
    }
}

/// The path that interrupts take from now on.
pub(super) enum Defer {}

impl Control for Defer {
    type Data = Edu;
    const NAME: &'static CStr = c"defer";
    const ACCESS: Access = Access::ReadWrite;

    fn show(edu: &Edu, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(out, "{}\n", edu.defer.get().word());
        Ok(())
    }

    fn store(edu: &Edu, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let defer = defer::Defer::from_word(text).ok_or(Refusal::new(
            EINVAL,
            "expected one of: thread, tasklet, tasklet_hi, all, none",
        ))?;
        edu.defer.set(defer);
        Ok(())
    }
}

/// `noack [MS]` or `ack [MS]` starts a storm, `stop` ends it.
pub(super) enum Storm {}

const STORM_USAGE: &str = "expected 'noack [MS]', 'ack [MS]' or 'stop', MS 1 to 60000";

/// How long a storm takes if nobody says.
const DEFAULT_STORM_MS: u64 = 1000;

fn parse_storm(text: &str) -> Result<(Source, u64), Refusal> {
    let usage = || Refusal::new(EINVAL, STORM_USAGE);

    let (word, ms) = if let Some([word, ms]) = words(text) {
        (word, Some(number(ms).ok_or_else(usage)?))
    } else {
        let [word] = words(text).ok_or_else(usage)?;
        (word, None)
    };
    let source = match (word, ms) {
        ("noack", _) => Source::NoAck,
        ("ack", _) => Source::Ack,
        ("stop", None) => Source::None,
        _ => return Err(usage()),
    };
    match ms.unwrap_or(DEFAULT_STORM_MS) {
        ms @ 1..=MAX_STORM_MS => Ok((source, ms)),
        _ => Err(Refusal::new(ERANGE, STORM_USAGE)),
    }
}

impl Control for Storm {
    type Data = Edu;
    const NAME: &'static CStr = c"storm";
    const ACCESS: Access = Access::ReadWrite;

    fn show(edu: &Edu, _task: Task<'_>, out: &SeqFile) -> Result {
        let storm = &edu.storm;
        let state = if storm.is_masked() { "masked" } else { "calm" };
        seq_print!(out, "state {state}\n");
        seq_print!(out, "source {}\n", storm.source().word());
        seq_print!(out, "limit {}\n", storm.limit());
        seq_print!(out, "episodes {}\n", storm.episodes());
        seq_print!(
            out,
            "reason {}\n",
            storm.reason().map_or("none", |reason| reason.word())
        );
        seq_print!(out, "polls {}\n", storm.polls());
        seq_print!(out, "polled {}\n", storm.polled());
        seq_print!(out, "last_ms {}\n", storm.last_ms());
        Ok(())
    }

    fn store(edu: &Edu, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        match parse_storm(text)? {
            (Source::None, _) => {
                edu.storm.call_off();
                Ok(())
            }
            (source, ms) => {
                if edu.hw.is_lost() {
                    return Err(explain(ENODEV));
                }
                edu.storm
                    .order(source, ms)
                    .map_err(|e| Refusal::new(e, "a storm is going on already"))?;
                edu.hw.raise(STORM_CAUSE).map_err(explain)
            }
        }
    }
}

/// Interrupts a second from which on they are a storm; 0 is no limit.
pub(super) enum StormLimit {}

impl Control for StormLimit {
    type Data = Edu;
    const NAME: &'static CStr = c"storm_limit";
    const ACCESS: Access = Access::ReadWrite;

    fn show(edu: &Edu, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(out, "{}\n", edu.storm.limit());
        Ok(())
    }

    fn store(edu: &Edu, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        const USAGE: &str = "expected interrupts per second, 1 to 100000000, or 0 for no limit";

        let limit = number(text).ok_or(Refusal::new(EINVAL, USAGE))?;
        let limit = u32::try_from(limit)
            .ok()
            .filter(|&limit| limit <= MAX_LIMIT)
            .ok_or(Refusal::new(ERANGE, USAGE))?;
        edu.storm.set_limit(limit);
        Ok(())
    }
}
