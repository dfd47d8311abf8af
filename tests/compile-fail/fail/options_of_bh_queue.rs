// SPDX-License-Identifier: GPL-2.0

//! A BH queue has no threads to be configured.

use irqkit::workqueue::Queue;

pub fn make() {
    let _ = Queue::bh(c"plain");
    let _ = Queue::bh(c"active").max_active(4); //~ ERROR E0599 the method `max_active` exists for struct `Builder
    let _ = Queue::bh(c"frozen").freezable(); //~ ERROR E0599 the method `freezable` exists for struct `Builder
    let _ = Queue::bh_highpri(c"rescued").mem_reclaim(); //~ ERROR E0599 the method `mem_reclaim` exists for struct `Builder
    let _ = Queue::bh(c"shown").sysfs(); //~ ERROR E0599 the method `sysfs` exists for struct `Builder
    let _ = Queue::bh(c"high").highpri(); //~ ERROR E0599 the method `highpri` exists for struct `Builder
}
