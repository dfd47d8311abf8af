// SPDX-License-Identifier: GPL-2.0

//! A BH queue has no limit that could be set.

use irqkit::{
    context::Task,
    workqueue::{
        Queue,
        SoftIrqs,
        Tasks, //
    }, //
};

pub fn limit(task: Task<'_>, tasks: &Queue<Tasks>, softirqs: &Queue<SoftIrqs>) {
    let _ = tasks.set_max_active(task, 4);
    let _ = softirqs.set_max_active(task, 4); //~ ERROR E0599 no method named `set_max_active` found
    let _ = softirqs;
}
