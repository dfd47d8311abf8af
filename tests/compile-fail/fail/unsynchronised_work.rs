// SPDX-License-Identifier: GPL-2.0

//! What a handler has is shared with its owner while it runs.

use core::cell::Cell;

use irqkit::{
    context::Task,
    path::Run,
    workqueue::{
        Handler,
        Item, //
    }, //
};

pub struct Counter(pub Cell<u32>);

impl Counter {
    pub fn count(&self) {
        self.0.set(self.0.get() + 1);
    }
}

#[rustfmt::skip]
impl Handler for Counter { fn run(&self, _ctx: Task<'_>, _this: &Item, _run: &mut Run<'_>) { self.count() } } //~ ERROR E0277 `core::cell::Cell<u32>` cannot be shared between threads safely

pub fn item(item: &Item) -> bool {
    item.is_pending()
}

pub fn names(_: Task<'_>, _: &mut Run<'_>, _: &dyn Handler) {}
