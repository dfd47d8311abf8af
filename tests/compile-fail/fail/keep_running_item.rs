// SPDX-License-Identifier: GPL-2.0

//! The item that runs is lent to its handler for the run.

use irqkit::{
    context::Task,
    path::Run,
    workqueue::{
        Handler,
        Item, //
    }, //
};

pub struct Keeper;

pub fn keep(_item: &'static Item) {}

impl Handler for Keeper {
    fn run(&self, _task: Task<'_>, this: &Item, _run: &mut Run<'_>) {
        keep(this); //~ ERROR E0521 borrowed data escapes outside of method
        let _ = this;
    }
}
