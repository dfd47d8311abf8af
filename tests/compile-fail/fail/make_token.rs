// SPDX-License-Identifier: GPL-2.0

//! Nor is there another way to make one, `unsafe` or not.

use irqkit::context::Task;

pub fn make() {
    // SAFETY: There is nothing to say: what `new` asks for, nobody outside the crate can promise.
    let _task = unsafe { Task::new() }; //~ ERROR E0624 associated function `new` is private
    let _ = Task::with(|task| task.sleep(kernel::time::Delta::from_millis(1)));
}
