// SPDX-License-Identifier: GPL-2.0

//! The driver's own files in debugfs, beside those of the paths.
//!
//! Writing takes words and numbers; numbers are decimal, or hexadecimal with `0x`. What is refused
//! is refused with an error number and one line in the log that says why.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::Arc, //
};

use irqkit::{
    context::Task,
    path::{
        Access,
        Control,
        PathSet,
        Refusal, //
    },
    text::number, //
};

use crate::bench::Bench;

mod batch;
mod matrix;
mod settings;

/// Adds the files that every source has to the directory of a device.
pub(crate) fn add_files(set: &PathSet, bench: &Arc<Bench>) -> Result {
    set.control::<settings::Queue>(bench.clone())?;
    set.control::<settings::CostUs>(bench.clone())?;
    set.control::<settings::SleepUs>(bench.clone())?;
    set.control::<settings::DelayMs>(bench.clone())?;
    set.control::<settings::Cpu>(bench.clone())?;
    set.control::<batch::Burst>(bench.clone())?;
    set.control::<batch::Cancel>(bench.clone())?;
    set.control::<batch::Flush>(bench.clone())?;
    set.control::<batch::Drain>(bench.clone())?;
    set.control::<matrix::Matrix>(bench.clone())
}

/// Reads a number from `min` to `max`.
pub(crate) fn limited(text: &str, min: u32, max: u32, usage: &'static str) -> Result<u32, Refusal> {
    let value = number(text).ok_or(Refusal::new(EINVAL, usage))?;
    u32::try_from(value)
        .ok()
        .filter(|&value| (min..=max).contains(&value))
        .ok_or(Refusal::new(ERANGE, usage))
}

/// Says in words what `e` means where work was to be done.
fn explain(e: Error) -> Refusal {
    let why = if e == EBUSY {
        "the last batch has not ended; cancel it, or flush the queue"
    } else if e == ENODEV {
        "the device is gone or being unbound"
    } else if e == EINTR {
        "interrupted by a signal"
    } else if e == ETIMEDOUT {
        "the items did not end in time"
    } else if e == ENOMEM {
        "not enough memory for so many items"
    } else {
        return e.into();
    };
    Refusal::new(e, why)
}
