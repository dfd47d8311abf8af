// SPDX-License-Identifier: GPL-2.0

//! Control files: a driver's own files in the debugfs directory of its device.
//!
//! # Examples
//!
//! ```ignore
//! /// `limit`: the most interrupts a second that are taken.
//! enum Limit {}
//!
//! impl Control for Limit {
//!     type Data = Device;
//!     const NAME: &'static CStr = c"limit";
//!     const ACCESS: Access = Access::ReadWrite;
//!
//!     fn show(device: &Device, _task: Task<'_>, out: &SeqFile) -> Result {
//!         seq_print!(out, "{}\n", device.limit());
//!         Ok(())
//!     }
//!
//!     fn store(device: &Device, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
//!         let limit = text
//!             .parse()
//!             .map_err(|_| Refusal::new(EINVAL, "expected a number from 0 to 4294967295"))?;
//!
//!         device.set_limit(limit);
//!         Ok(())
//!     }
//! }
//!
//! paths.control::<Limit>(device.clone())?;
//! ```

use core::marker::PhantomData;

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    sync::Arc, //
};

use super::tree::Node;
use crate::context::Task;

/// How a control file may be used. In any case by root alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Mode 0400.
    ReadOnly,
    /// Mode 0200.
    WriteOnly,
    /// Mode 0600.
    ReadWrite,
}

/// Why a write was refused: the error that the writer gets, and a line in the log.
#[derive(Clone, Copy, Debug)]
pub struct Refusal {
    errno: Error,
    why: &'static str,
}

impl Refusal {
    /// Refuses with `errno`; `why` tells, in a few words, what would have been right.
    pub const fn new(errno: Error, why: &'static str) -> Self {
        Self { errno, why }
    }

    /// Returns the error that the writer gets.
    pub const fn errno(&self) -> Error {
        self.errno
    }

    /// Returns why, in words; empty if the error says it all.
    pub const fn why(&self) -> &'static str {
        self.why
    }
}

impl From<Error> for Refusal {
    fn from(errno: Error) -> Self {
        Self::new(errno, "")
    }
}

/// A control file of a driver: a type without values for each, with the file's name and its
/// actions.
///
/// Both actions run in the task that reads or writes, and may sleep. They run beside each other, and
/// beside themselves. Removing the [`super::PathSet`] waits for those in
/// progress: a driver that has slow ones must make them give up first, and none of them may create
/// or drop a set.
pub trait Control: 'static {
    /// What the actions work on.
    type Data: Send + Sync + 'static;

    /// The file's name.
    const NAME: &'static CStr;

    /// How the file may be used.
    const ACCESS: Access;

    /// Writes the file's content to `out`, with [`kernel::seq_print!`]. It may be called several
    /// times for one read of the file, with ever more room.
    ///
    /// The reader gets the error if there is one.
    fn show(data: &Self::Data, task: Task<'_>, out: &SeqFile) -> Result {
        let _ = (data, task, out);
        Err(EINVAL)
    }

    /// Does what a write to the file says. `text` is what one `write()` brought, without
    /// white space at its ends; at most 4,095 bytes.
    ///
    /// If it is refused, irqkit logs one line that names the file, quotes the text and says why,
    /// unless a signal was the reason (`EINTR`, `ERESTARTSYS`).
    fn store(data: &Self::Data, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let _ = (data, task, text);
        Err(EINVAL.into())
    }
}

/// A [`Control`] together with its data.
pub(super) struct Bound<C: Control> {
    data: Arc<C::Data>,
    _control: PhantomData<fn() -> C>,
}

impl<C: Control> Bound<C> {
    /// Binds `C` to `data`.
    pub(super) fn new(data: Arc<C::Data>) -> Self {
        Self {
            data,
            _control: PhantomData,
        }
    }

    /// Returns the address of code that the file calls.
    pub(super) fn code() -> usize {
        // CAST: An address, for comparison.
        <Self as Node>::show as *const () as usize
    }
}

impl<C: Control> Node for Bound<C> {
    fn access(&self) -> Access {
        C::ACCESS
    }

    fn show(&self, task: Task<'_>, out: &SeqFile) -> Result {
        C::show(&self.data, task, out)
    }

    fn store(&self, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        C::store(&self.data, task, text)
    }
}
