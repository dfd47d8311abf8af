// SPDX-License-Identifier: GPL-2.0

//! A task has a way of its own to schedule NAPI, or nobody would poll for it soon.

use irqkit::{
    context::Task,
    net::{
        Napi,
        Poller, //
    },
    path::Stamp, //
};

pub fn schedule<P: Poller>(napi: &Napi<P>, task: Task<'_>) -> bool {
    napi.schedule(task, Stamp::NONE); //~ ERROR E0277 the trait bound `Task<'_>: Atomic` is not satisfied
    napi.schedule_from_task(task, Stamp::NONE)
}
