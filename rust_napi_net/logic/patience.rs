// SPDX-License-Identifier: GPL-2.0

//! How long to wait before a device is reset once more. Times are in milliseconds.

/// How often in a row a reset may fail before the device is given up.
pub(crate) const TRIES: u32 = 8;

/// The first pause. Each is twice as long as the one before it, up to this many.
pub(crate) const FIRST: u64 = 500;
const MOST: u32 = 7;

/// A reset so long after the last one has nothing to do with that.
pub(crate) const CALM: u64 = 60_000;

/// What became of the resets so far.
pub(crate) struct Patience {
    /// How many have failed since one that worked.
    failed: u32,
    /// How many that worked came soon after another one.
    again: u32,
    /// When the last one worked.
    last: Option<u64>,
}

impl Patience {
    /// There was none.
    pub(crate) const fn new() -> Self {
        Self {
            failed: 0,
            again: 0,
            last: None,
        }
    }

    /// How long a reset that is asked for at `now` has to wait: a device that breaks the rules each time
    /// that it works again would else do nothing but be reset.
    pub(crate) fn wait(&self, now: u64) -> u64 {
        match self.last {
            Some(last) => (last + pause(self.again)).saturating_sub(now),
            None => 0,
        }
    }

    /// The device works again, at `now`.
    pub(crate) fn worked(&mut self, now: u64) {
        let soon = self
            .last
            .is_some_and(|last| now.saturating_sub(last) < CALM);

        self.failed = 0;
        self.again = if soon { (self.again + 1).min(MOST) } else { 0 };
        self.last = Some(now);
    }

    /// It does not. Returns after how long to try again; [`None`] if it is given up.
    pub(crate) fn failed(&mut self) -> Option<u64> {
        self.failed += 1;
        if self.failed >= TRIES {
            self.failed = 0;
            return None;
        }
        Some(pause(self.failed))
    }
}

/// The pause number `n`, from 1 on; none for 0.
fn pause(n: u32) -> u64 {
    match n.min(MOST) {
        0 => 0,
        n => FIRST << (n - 1),
    }
}
