// SPDX-License-Identifier: GPL-2.0

//! The lock of a transmit queue is not for hard interrupts, and softirqs and tasks take it each in
//! their own way: a task has to switch softirqs off.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq,
        Task, //
    },
    net::TxCell, //
};

pub fn hard(cell: &TxCell<u32>, ctx: HardIrq<'_>) {
    let _ = cell.lock(ctx); //~ ERROR E0308 expected `SoftIrq<'_>`, found `HardIrq<'_>`
    let _ = cell.try_lock(ctx); //~ ERROR E0308 expected `SoftIrq<'_>`, found `HardIrq<'_>`
    let _ = cell.lock_task(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = (cell, ctx);
}

pub fn soft(cell: &TxCell<u32>, ctx: SoftIrq<'_>) -> u32 {
    let _ = cell.lock_task(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    *cell.lock(ctx).locked()
}

pub fn task(cell: &TxCell<u32>, ctx: Task<'_>) -> u32 {
    let _ = cell.lock(ctx); //~ ERROR E0308 expected `SoftIrq<'_>`, found `Task<'_>`
    let _ = cell.try_lock(ctx); //~ ERROR E0308 expected `SoftIrq<'_>`, found `Task<'_>`
    *cell.lock_task(ctx).locked()
}
