// SPDX-License-Identifier: GPL-2.0

//! A task does not stay on its CPU.

use irqkit::context::{
    Atomic,
    SoftIrq,
    Task, //
};
use kernel::cpu::CpuId;

pub fn cpus(soft: SoftIrq<'_>, task: Task<'_>) -> CpuId {
    let _ = task.cpu(); //~ ERROR E0599 no method named `cpu` found
    let _ = task;
    soft.cpu()
}
