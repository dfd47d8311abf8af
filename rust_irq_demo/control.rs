// SPDX-License-Identifier: GPL-2.0

//! The driver's own files in debugfs, beside those of the paths.
//!
//! Every file reads as lines of a name and a value. Writing takes words and numbers; numbers are
//! decimal, or hexadecimal with `0x`. What is refused is refused with an error number and one line
//! in the log that says why.

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
    text::{
        number,
        words, //
    }, //
};

use crate::device::{
    Edu,
    Station, //
};

mod engines;
mod line;
mod trigger;

/// Adds all files of the driver to the directory of a device.
pub(crate) fn add_files(set: &PathSet, station: Arc<Station>) -> Result {
    let edu = &station.edu;
    set.control::<engines::Factorial>(edu.clone())?;
    set.control::<engines::Dma>(edu.clone())?;
    set.control::<engines::Journal>(edu.clone())?;
    set.control::<line::Defer>(edu.clone())?;
    set.control::<line::Storm>(edu.clone())?;
    set.control::<line::StormLimit>(edu.clone())?;
    set.control::<line::Irq>(station.clone())?;
    set.control::<trigger::Trigger>(station)
}

/// Says in words what `e` means where the device was asked to do something.
fn explain(e: Error) -> Refusal {
    let why = if e == ETIMEDOUT {
        "the device did not interrupt in time"
    } else if e == EBUSY {
        "the device is still at an earlier request"
    } else if e == ENODEV {
        "the device is gone or being unbound"
    } else if e == EINTR {
        "interrupted by a signal"
    } else if e == EIO {
        "the device gave wrong data"
    } else if e == EFAULT {
        "the device cannot reach the memory"
    } else {
        return e.into();
    };
    Refusal::new(e, why)
}
