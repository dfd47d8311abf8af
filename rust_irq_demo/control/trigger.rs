// SPDX-License-Identifier: GPL-2.0

//! `trigger`: raise interrupts.

use super::*;

use crate::trigger::{
    Pace,
    Request,
    MAX_COUNT, //
};

const USAGE: &str =
    "expected 'COUNT [CAUSES] [paced|acked|burst]', COUNT 1 to 1000000, CAUSES 32 bits, not 0";

/// The causes of a trigger for which none were given: one that means nothing else to the driver.
const DEFAULT_CAUSES: u32 = 0x2;

/// `COUNT [CAUSES] [paced|acked|burst]`, mask and word in any order.
pub(super) enum Trigger {}

fn parse(text: &str) -> Result<Request, Refusal> {
    let usage = || Refusal::new(EINVAL, USAGE);
    let mut words = text.split_ascii_whitespace();

    let count = words.next().and_then(number).ok_or_else(usage)?;
    if count == 0 || count > MAX_COUNT {
        return Err(Refusal::new(ERANGE, USAGE));
    }

    let mut causes = None;
    let mut pace = None;
    for word in words {
        if let Some(chosen) = Pace::from_word(word) {
            if pace.replace(chosen).is_some() {
                return Err(usage());
            }
        } else {
            let mask = number(word).ok_or_else(usage)?;
            let mask = u32::try_from(mask)
                .ok()
                .filter(|&mask| mask != 0)
                .ok_or_else(|| Refusal::new(ERANGE, USAGE))?;
            if causes.replace(mask).is_some() {
                return Err(usage());
            }
        }
    }

    Ok(Request {
        count,
        causes: causes.unwrap_or(DEFAULT_CAUSES),
        pace: pace.unwrap_or(Pace::Paced),
    })
}

impl Control for Trigger {
    type Data = Station;
    const NAME: &'static CStr = c"trigger";
    const ACCESS: Access = Access::ReadWrite;

    fn show(station: &Station, _task: Task<'_>, out: &SeqFile) -> Result {
        let progress = station.edu.trigger.progress();
        seq_print!(out, "requested {}\n", progress.requested);
        seq_print!(out, "raised {}\n", progress.raised);
        seq_print!(out, "causes {:#x}\n", progress.causes);
        match progress.result {
            Some(result) => seq_print!(out, "result {}\n", result),
            None => seq_print!(out, "result running\n"),
        }
        Ok(())
    }

    fn store(station: &Station, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let request = parse(text)?;
        station
            .edu
            .trigger
            .run(task, station, request)
            .map_err(explain)
    }
}
