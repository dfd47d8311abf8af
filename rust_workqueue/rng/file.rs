// SPDX-License-Identifier: GPL-2.0

//! `rng`: what the generator is made of, and what it has given.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print, //
};

use irqkit::{
    context::Task,
    path::{
        Access,
        Control, //
    }, //
};

use super::{
    driver::Session,
    Health, //
};

/// The generator.
pub(super) enum RngFile {}

impl Control for RngFile {
    type Data = Session;
    const NAME: &'static CStr = c"rng";
    const ACCESS: Access = Access::ReadOnly;

    fn show(session: &Session, _task: Task<'_>, out: &SeqFile) -> Result {
        let Session { live, rng } = session;
        let (posted, ready, poison, totals) = {
            let state = rng.core.state.lock();
            (
                state.posted,
                state.reservoir.len(),
                state.queue.as_ref().and_then(|queue| queue.poisoned()),
                state.totals,
            )
        };
        let health = match rng.core.health() {
            Health::Well => "well",
            Health::Broken => "broken",
            Health::Gone => "gone",
        };
        seq_print!(out, "name {}\n", &*rng.name);
        seq_print!(out, "health {health}\n");
        match poison {
            Some(poison) => seq_print!(out, "poison {poison}\n"),
            None => seq_print!(out, "poison none\n"),
        }
        seq_print!(out, "vectors {}\n", crate::param::name_of(live.policy()));
        seq_print!(out, "features {:#x}\n", live.features().bits());
        seq_print!(out, "buffers {}\n", rng.buffers);
        seq_print!(out, "buffer_bytes {}\n", rng.buffer_bytes);
        seq_print!(out, "posted {posted}\n");
        seq_print!(out, "ready_bytes {ready}\n");
        seq_print!(out, "filled {}\n", totals.buffers);
        seq_print!(out, "bytes_in {}\n", totals.bytes_in);
        seq_print!(out, "bytes_out {}\n", totals.bytes_out);
        seq_print!(out, "reads {}\n", totals.reads);
        seq_print!(out, "waits {}\n", totals.waits);
        seq_print!(out, "timeouts {}\n", totals.timeouts);
        Ok(())
    }
}
