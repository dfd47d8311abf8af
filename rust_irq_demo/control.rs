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
    str::{
        parse_int::ParseInt,
        BStr, //
    },
    sync::Arc, //
};

use irqkit::path::{
    Access,
    Control,
    PathSet,
    Refusal, //
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

/// Reads a number, decimal or with a prefix.
fn number(word: &str) -> Option<u64> {
    // A sign would be taken by the parser, and a 0 in front for octal, as in C. Neither is meant.
    let bytes = word.as_bytes();
    if !bytes.first()?.is_ascii_digit() {
        return None;
    }
    let word = match word.trim_start_matches('0') {
        "" => "0",
        rest if rest.starts_with(|c: char| c.is_ascii_digit()) => rest,
        _ => word,
    };
    u64::from_str(BStr::from_bytes(word.as_bytes())).ok()
}

/// Reads exactly `N` words.
fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut words = text.split_ascii_whitespace();
    let mut found = [""; N];
    for slot in &mut found {
        *slot = words.next()?;
    }
    words.next().is_none().then_some(found)
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
