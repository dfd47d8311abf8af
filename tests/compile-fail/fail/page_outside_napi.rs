// SPDX-License-Identifier: GPL-2.0

//! Pages of a pool are had where its NAPI instance can't run elsewhere, and no driver adds such a
//! place.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq,
        Task, //
    },
    net::{
        Budget,
        Idle,
        InNapi,
        PagePool,
        PoolFrag,
        Shape, //
    }, //
};
use kernel::{
    alloc::Flags,
    prelude::*, //
};

pub struct Anywhere;

#[rustfmt::skip]
impl InNapi for Anywhere { const ATOMIC: bool = false; fn alloc_flags(&self) -> Flags { GFP_KERNEL } } //~ ERROR E0277 Sealed` is not satisfied

pub fn elsewhere(pool: &mut PagePool, shape: Shape, hard: HardIrq<'_>, soft: SoftIrq<'_>) {
    let _ = pool.alloc(&hard, shape); //~ ERROR E0277 HardIrq<'_>: InNapi` is not satisfied
    let _ = pool.alloc(&soft, shape); //~ ERROR E0277 SoftIrq<'_>: InNapi` is not satisfied
    let _ = (pool, shape, hard, soft);
}

pub fn task(pool: &mut PagePool, shape: Shape, task: Task<'_>) {
    let _ = pool.alloc(&task, shape); //~ ERROR E0277 Task<'_>: InNapi` is not satisfied
    let _ = (pool, shape, task);
}

pub fn here(pool: &mut PagePool, shape: Shape, budget: &Budget<'_>) -> Option<PoolFrag> {
    pool.alloc(budget, shape)
}

pub fn idle(pool: &mut PagePool, shape: Shape, idle: &Idle<'_>) -> Option<PoolFrag> {
    pool.alloc(idle, shape)
}
