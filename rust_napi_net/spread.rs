// SPDX-License-Identifier: GPL-2.0

//! Which CPU works for which pair of queues.
//!
//! Each pair has CPUs of its own, as many as there are for each; if there are more pairs than CPUs, a
//! CPU has several. A pair's interrupts go to the first of its CPUs that is online and stays so, and all of them send by its
//! queue (XPS). So what a CPU has sent is taken back by the same one, or its neighbour.

use kernel::{
    cpu::CpuId,
    cpumask::CpumaskVar,
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    context::Task,
    irq::{
        CpuList,
        Line, //
    },
    percpu::{
        is_online,
        possible_cpus, //
    }, //
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

/// Returns whether `line` is that of another pair than `index` as well.
fn is_shared<K: Kind>(session: &Session<K>, line: &Arc<Line>, index: u16) -> bool {
    (0u16..)
        .zip(session.nic.rx.iter())
        .filter(|(other, _)| *other != index)
        .filter_map(|(other, _)| config::queues_of(other))
        .any(|(receive, transmit)| {
            [receive, transmit]
                .into_iter()
                .filter_map(|number| session.live.line(number))
                .any(|other| Arc::ptr_eq(other, line))
        })
}

/// Spreads the interrupts and the queues of a card over the CPUs.
///
/// Where interrupts can't be moved, none of a pair's CPUs is online, or a vector is for several pairs,
/// they stay where they are: it is not what the card's work depends on. If it fails, the log says so.
pub(crate) fn over_cpus<K: Kind>(session: &Session<K>, task: Task<'_>) {
    if let Err(e) = try_over_cpus(session, task) {
        dev_warn!(
            session.nic.desk.function,
            "not spread over the CPUs ({})\n",
            e.to_errno()
        );
    }
}

fn try_over_cpus<K: Kind>(session: &Session<K>, task: Task<'_>) -> Result {
    let nic = &*session.nic;
    let pairs = nic.rx.len();

    for (pair, index) in (0..pairs).zip(0u16..) {
        let Some((receive, transmit)) = config::queues_of(index) else {
            break;
        };
        for number in [receive, transmit] {
            let Some(line) = session.live.line(number) else {
                continue;
            };
            let stays = |cpu: &CpuId| is_online(*cpu) && !nic.recover.is_leaving(*cpu);
            let Some(first) = cpus_of(pair, pairs).find(stays) else {
                continue;
            };
            if !is_shared(session, line, index) {
                let _ = line.set_affinity_and_hint(task, CpuList::new([first])?);
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
