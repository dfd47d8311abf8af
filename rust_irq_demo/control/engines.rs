// SPDX-License-Identifier: GPL-2.0

//! `factorial`, `dma` and `journal`: have the device work, and see what the thread did.

use super::*;

use crate::{
    dma,
    factorial, //
};

/// `N`: compute N!.
pub(super) enum Factorial {}

impl Control for Factorial {
    type Data = Edu;
    const NAME: &'static CStr = c"factorial";
    const ACCESS: Access = Access::ReadWrite;

    fn show(edu: &Edu, _task: Task<'_>, out: &SeqFile) -> Result {
        if let Some(last) = edu.factorial.last() {
            seq_print!(out, "n {}\n", last.n);
            match last.result {
                Ok(value) => seq_print!(out, "value {value}\nresult 0\n"),
                Err(errno) => seq_print!(out, "value none\nresult {errno}\n"),
            }
        } else {
            seq_print!(out, "n none\nvalue none\nresult none\n");
        }
        seq_print!(out, "late {}\n", edu.factorial.late());
        Ok(())
    }

    fn store(edu: &Edu, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let n = number(text).ok_or(Refusal::new(EINVAL, "expected a number from 0 to 12"))?;
        let n = u32::try_from(n)
            .ok()
            .filter(|&n| n <= factorial::MAX_N)
            .ok_or(Refusal::new(
                ERANGE,
                "12! is the largest that fits in 32 bits",
            ))?;
        edu.factorial.run(task, edu, n).map(|_| ()).map_err(explain)
    }
}

/// `to OFFSET LEN`, `from OFFSET LEN` or `roundtrip LEN [OFFSET]`.
pub(super) enum Dma {}

const DMA_USAGE: &str = "expected 'to OFFSET LEN', 'from OFFSET LEN' or 'roundtrip LEN [OFFSET]'";
const DMA_RANGE: &str = "the device's buffer takes at least 1 byte, and offset + length up to 4095";

fn parse_dma(text: &str) -> Result<(dma::Kind, dma::Range), Refusal> {
    let usage = || Refusal::new(EINVAL, DMA_USAGE);

    let (word, first, second) = if let Some([word, first, second]) = words(text) {
        (word, first, Some(second))
    } else {
        let [word, first] = words(text).ok_or_else(usage)?;
        (word, first, None)
    };
    let kind = dma::Kind::from_word(word).ok_or_else(usage)?;
    let first = number(first).ok_or_else(usage)?;
    let second = second
        .map(|word| number(word).ok_or_else(usage))
        .transpose()?;

    let (offset, len) = match (kind, second) {
        (dma::Kind::RoundTrip, offset) => (offset.unwrap_or(0), first),
        (_, Some(len)) => (first, len),
        (_, None) => return Err(usage()),
    };
    let range = dma::Range::new(offset, len).ok_or(Refusal::new(ERANGE, DMA_RANGE))?;
    Ok((kind, range))
}

impl Control for Dma {
    type Data = Edu;
    const NAME: &'static CStr = c"dma";
    const ACCESS: Access = Access::ReadWrite;

    fn show(edu: &Edu, _task: Task<'_>, out: &SeqFile) -> Result {
        if let Some(last) = edu.dma.last() {
            seq_print!(out, "op {}\n", last.kind.word());
            seq_print!(out, "offset {}\n", last.offset);
            seq_print!(out, "length {}\n", last.len);
            seq_print!(out, "bytes {}\n", last.bytes);
            seq_print!(out, "checksum {:#018x}\n", last.checksum);
            seq_print!(out, "mismatches {}\n", last.mismatches);
            seq_print!(out, "result {}\n", last.result);
        } else {
            seq_print!(out, "op none\n");
        }
        seq_print!(out, "late {}\n", edu.dma.late());
        Ok(())
    }

    fn store(edu: &Edu, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let (kind, range) = parse_dma(text)?;
        edu.dma.run(edu, kind, range).map_err(explain)
    }
}

/// The last runs of the IRQ thread.
pub(super) enum Journal {}

impl Control for Journal {
    type Data = Edu;
    const NAME: &'static CStr = c"journal";
    const ACCESS: Access = Access::ReadOnly;

    fn show(edu: &Edu, _task: Task<'_>, out: &SeqFile) -> Result {
        let (recorded, lost) = edu.journal.totals();
        seq_print!(out, "recorded {recorded}\n");
        seq_print!(out, "lost {lost}\n");
        edu.journal.for_each(|number, entry| {
            seq_print!(
                out,
                "run {number} at_ns {} items {}\n",
                entry.at_ns,
                entry.items
            );
        });
        Ok(())
    }
}
