// SPDX-License-Identifier: GPL-2.0

//! Nor does a reference to it.

use irqkit::context::{
    HardIrq,
    SoftIrq,
    Task, //
};

fn share<T: Sync>(_: &T) {}

pub fn share_all(hard: HardIrq<'_>, soft: SoftIrq<'_>, task: Task<'_>) {
    share(&hard); //~ ERROR E0277 cannot be shared between threads safely
    share(&soft); //~ ERROR E0277 cannot be shared between threads safely
    share(&task); //~ ERROR E0277 cannot be shared between threads safely
    share(&(size_of_val(&hard), size_of_val(&soft), size_of_val(&task)));
}
