// SPDX-License-Identifier: GPL-2.0

//! A handler that needs a task does not go onto a BH queue.

use irqkit::{
    context::Task,
    path::Run,
    workqueue::{
        Handler,
        Item,
        Queue,
        SoftIrqs,
        Tasks,
        Work, //
    }, //
};
use kernel::{
    prelude::*,
    static_lock_class, //
};

pub struct Sleeper;

impl Handler<Tasks> for Sleeper {
    fn run(&self, task: Task<'_>, _this: &Item, _run: &mut Run<'_>) {
        task.sleep(kernel::time::Delta::from_millis(1));
    }
}

pub fn make(bh: &Queue<SoftIrqs>, tasks: &Queue<Tasks>) -> Result {
    let key = static_lock_class!();

    KBox::pin_init(Work::<Sleeper, _>::new(Sleeper, tasks, key), GFP_KERNEL)?;
    KBox::pin_init(Work::<Sleeper, _>::new(Sleeper, bh, key), GFP_KERNEL)?; //~ ERROR E0308 mismatched types
    Ok(())
}
