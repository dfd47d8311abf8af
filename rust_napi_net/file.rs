// SPDX-License-Identifier: GPL-2.0

//! `nic`: what a card is, and what was made of it.

use core::marker::PhantomData;

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
    },
    virtio::Rings, //
};

use crate::{
    kind::Kind,
    param,
    recover::Session, //
};

/// The card.
pub(crate) struct NicFile<K>(PhantomData<K>);

impl<K: Kind> Control for NicFile<K> {
    type Data = Session<K>;
    const NAME: &'static CStr = c"nic";
    const ACCESS: Access = Access::ReadOnly;

    fn show(session: &Session<K>, _task: Task<'_>, out: &SeqFile) -> Result {
        let nic = &*session.nic;
        let plan = &nic.desk.plan;

        seq_print!(out, "vectors {}\n", param::name_of(session.live.policy()));
        seq_print!(out, "features {:#x}\n", plan.features.bits());
        seq_print!(
            out,
            "ring {}\n",
            if K::Rings::PACKED { "packed" } else { "split" }
        );
        seq_print!(out, "receive {}\n", plan.receive.name());
        seq_print!(out, "tx_completion {}\n", plan.parameters.completion.name());
        seq_print!(out, "pairs {}\n", plan.used_pairs);
        seq_print!(out, "pairs_of_device {}\n", plan.pairs);
        // All queues of a direction are as long, unless the device has it otherwise.
        if let Some(shortest) = nic.rx.iter().map(|rx| rx.ring).min() {
            seq_print!(out, "rx_ring {shortest}\n");
        }
        if let Some(shortest) = nic.tx.iter().map(|tx| tx.ring).min() {
            seq_print!(out, "tx_ring {shortest}\n");
        }
        for (index, rx) in nic.rx.iter().enumerate() {
            seq_print!(out, "rx{index}_kicks {}\n", rx.kicks.get());
        }
        for (index, tx) in nic.tx.iter().enumerate() {
            seq_print!(out, "tx{index}_kicks {}\n", tx.kicks.get());
        }
        Ok(())
    }
}
