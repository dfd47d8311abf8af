// SPDX-License-Identifier: GPL-2.0

//! What a run has to say of itself.

use core::marker::PhantomData;

use super::{
    counters::Counter,
    Path,
    Serial,
    Stamp, //
};

/// A run of a path, from its beginning to when this value is dropped.
///
/// It stays in the context in which it began. Should it be leaked, its items and its running time
/// are not recorded, and the object that ran will seem to overlap with itself.
pub struct Run<'a> {
    pub(super) path: &'a Path,
    /// When the request was made, or what caused it happened.
    pub(super) at: Stamp,
    /// When it was due, if it was asked for a certain time.
    pub(super) due: Stamp,
    /// When the run began; none if nobody wanted to know.
    pub(super) start: Stamp,
    pub(super) items: u64,
    /// The epoch in which the run began, if it is to be recorded.
    pub(super) epoch: Option<u64>,
    /// The overlap detector that was entered.
    pub(super) serial: Option<&'a Serial>,
    /// Neither `Send` nor `Sync`.
    pub(super) _context: PhantomData<*mut ()>,
}

impl Run<'_> {
    /// Adds `n` units of work.
    #[inline]
    pub fn items(&mut self, n: u64) {
        self.items = self.items.wrapping_add(n);
    }

    /// Says that the run's cause happened at `cause`, which counts as the time of the request from
    /// now on; nothing happens if `cause` is [`Stamp::NONE`].
    #[inline]
    pub fn since(&mut self, cause: Stamp) {
        if !cause.is_none() {
            self.at = cause;
        }
    }

    /// Says that the run was due at `due`, from which its lateness counts.
    #[inline]
    pub(crate) fn due(&mut self, due: Stamp) {
        self.due = due;
    }

    /// Returns the time of the request or its cause, as far as it is known, to be handed on to what
    /// this run schedules.
    #[inline]
    pub fn cause(&self) -> Stamp {
        self.at
    }

    /// Returns when the run began, or [`Stamp::NONE`] if nobody takes times.
    #[inline]
    pub fn started(&self) -> Stamp {
        self.start
    }

    /// Returns the path that runs.
    #[inline]
    pub fn path(&self) -> &Path {
        self.path
    }
}

impl Drop for Run<'_> {
    fn drop(&mut self) {
        if self.items != 0 {
            self.path
                .counters
                .add::<{ Counter::Items as usize }>(self.items);
        }
        if !self.start.is_none() {
            self.path.end(self);
        }
        if let Some(serial) = self.serial {
            serial.leave();
        }
    }
}
