// SPDX-License-Identifier: GPL-2.0

//! Reading what a user writes into a control file: words and numbers.

use kernel::str::{
    parse_int::ParseInt,
    BStr, //
};

/// Reads a number: decimal, or with the prefix `0x`, `0o` or `0b`. [`None`] if `word` is no number
/// or does not fit.
///
/// A sign is refused, and a 0 in front means nothing, while in C it would mean octal.
pub fn number(word: &str) -> Option<u64> {
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

/// Reads exactly `N` words; [`None`] if there are more or less.
pub fn words<const N: usize>(text: &str) -> Option<[&str; N]> {
    let mut words = text.split_ascii_whitespace();
    let mut found = [""; N];
    for slot in &mut found {
        *slot = words.next()?;
    }
    words.next().is_none().then_some(found)
}
