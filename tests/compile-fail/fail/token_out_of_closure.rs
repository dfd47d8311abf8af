// SPDX-License-Identifier: GPL-2.0

//! The token of `Task::with` stays in the closure that the check was made for.

use irqkit::context::Task;

pub fn get() {
    let _ = Task::with(|task| task); //~ ERROR - lifetime may not live long enough
    let _ = Task::with(|task| size_of_val(&task));
}
