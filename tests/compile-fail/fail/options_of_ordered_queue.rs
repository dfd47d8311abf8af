// SPDX-License-Identifier: GPL-2.0

//! An ordered queue runs one item at a time, and nothing can change that.

use irqkit::workqueue::Queue;

pub fn make() {
    let _ = Queue::ordered(c"plain").freezable().mem_reclaim();
    let _ = Queue::ordered(c"active").max_active(4); //~ ERROR E0599 the method `max_active` exists for struct `Builder
    let _ = Queue::ordered(c"high").highpri(); //~ ERROR E0599 the method `highpri` exists for struct `Builder
    let _ = Queue::ordered(c"shown").sysfs(); //~ ERROR E0599 the method `sysfs` exists for struct `Builder
}
