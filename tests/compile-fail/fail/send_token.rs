// SPDX-License-Identifier: GPL-2.0

//! A token proves nothing to another thread.

use irqkit::context::{
    HardIrq,
    SoftIrq,
    Task, //
};

fn send<T: Send>(_: T) {}

pub fn send_all(hard: HardIrq<'_>, soft: SoftIrq<'_>, task: Task<'_>) {
    send(hard); //~ ERROR E0277 cannot be sent between threads safely
    send(soft); //~ ERROR E0277 cannot be sent between threads safely
    send(task); //~ ERROR E0277 cannot be sent between threads safely
    send((size_of_val(&hard), size_of_val(&soft), size_of_val(&task)));
}
