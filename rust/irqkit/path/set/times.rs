// SPDX-License-Identifier: GPL-2.0

//! The files of a path's histograms.

use core::fmt::{
    self,
    Write, //
};

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::Relaxed,
        Arc, //
    }, //
};

use super::{
    super::{
        control::{
            Access,
            Refusal, //
        },
        counters::Kind,
        histogram,
        tree::Node,
        Path, //
    },
    Shared, //
};
use crate::context::Task;

/// One of a path's histograms.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    Wait,
    Run,
    Late,
    Packets,
}

impl Which {
    /// Returns whether paths of this kind have it.
    pub(super) fn is_of(self, kind: Kind) -> bool {
        match self {
            Self::Wait | Self::Run => true,
            Self::Late => kind.has_due_times(),
            Self::Packets => kind.has_budget(),
        }
    }
}

/// The files of the histograms.
pub(super) const HISTOGRAMS: [(&CStr, Which); 4] = [
    (c"wait_ns", Which::Wait),
    (c"run_ns", Which::Run),
    (c"late_ns", Which::Late),
    (c"packets", Which::Packets),
];

/// The file of a histogram.
pub(super) struct Histogram {
    pub(super) shared: Arc<Shared>,
    pub(super) path: Arc<Path>,
    pub(super) which: Which,
}

/// Text that goes to a seq_file.
struct Text<'a>(&'a SeqFile);

impl Write for Text<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        seq_print!(self.0, "{text}");
        Ok(())
    }
}

impl Node for Histogram {
    fn access(&self) -> Access {
        Access::ReadOnly
    }

    fn show(&self, _task: Task<'_>, out: &SeqFile) -> Result {
        // Under the lock the epoch does not change.
        let _books = self.shared.books.lock();

        let epoch = self.path.epoch.load(Relaxed);
        let times = self.path.times.iter().map(|(_, times)| times);
        let out = &mut Text(out);
        match self.which {
            Which::Wait => histogram::write(out, epoch, times.map(|times| &times.wait))?,
            Which::Run => histogram::write(out, epoch, times.map(|times| &times.run))?,
            Which::Late => {
                let late = self.path.late.iter().flat_map(|late| late.iter());
                histogram::write(out, epoch, late.map(|(_, late)| late))?;
            }
            Which::Packets => {
                let packets = self.path.packets.iter().flat_map(|packets| packets.iter());
                histogram::write(out, epoch, packets.map(|(_, packets)| packets))?;
            }
        }
        Ok(())
    }

    fn store(&self, _task: Task<'_>, _text: &str) -> Result<(), Refusal> {
        Err(EINVAL.into())
    }
}
