// SPDX-License-Identifier: GPL-2.0

//! A run ends in the context in which it began.

use irqkit::path::Run;

fn send<T: Send>(_: T) {}

pub fn send_run(run: Run<'_>) {
    send(run.cause());
    send(run); //~ ERROR E0277 cannot be sent between threads safely
}
