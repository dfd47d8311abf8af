// SPDX-License-Identifier: GPL-2.0

//! Which CPU works for which pair of queues.
//!
//! Each pair has CPUs of its own, as many as there are for each; if there are more pairs than CPUs, a
//! CPU has several. A pair's interrupts go to the first of its CPUs, and all of them send by its queue
//! (XPS). So what a CPU has sent is taken back by the same one, or its neighbour.

use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    prelude::*, //
};

use irqkit::{
    context::Task,
    irq::CpuList,
    percpu::possible_cpus, //
};

use crate::{
    kind::Kind,
    logic::{
        config,
        share, //
    },
    recover::Session, //
};

/// Returns the CPUs of a pair.
fn cpus_of(pair: usize, pairs: usize) -> impl Iterator<Item = CpuId> + Clone {
    let cpus = possible_cpus().count();

    possible_cpus()
        .enumerate()
        .filter(move |(number, _)| share::works_for(*number, cpus, pair, pairs))
        .map(|(_, cpu)| cpu)
}

/// Spreads the interrupts and the queues of a card over the CPUs.
///
/// Where interrupts can't be moved, or there is but one for all, they stay where they are: it is
/// not what the card's work depends on.
pub(crate) fn over_cpus<K: Kind>(session: &Session<K>, task: Task<'_>) -> Result {
    let nic = &*session.nic;
    let pairs = nic.rx.len();

    for (pair, index) in (0..pairs).zip(0u16..) {
        let Some((receive, transmit)) = config::queues_of(index) else {
            break;
        };
        for number in [receive, transmit] {
            if let Some(line) = session.live.line(number) {
                let first = CpuList::new(cpus_of(pair, pairs).take(1))?;
                let _ = line.set_affinity_and_hint(task, first);
            }
        }
        if pairs > 1 {
            let mut cpus = CpumaskVar::new_zero(GFP_KERNEL)?;
            for cpu in cpus_of(pair, pairs) {
                cpus.set(cpu);
            }
            nic.desk.device.set_xps(task, index, &cpus)?;
        }
    }
    Ok(())
}
