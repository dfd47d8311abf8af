// SPDX-License-Identifier: GPL-2.0

//! What concerns the concurrency on a CPU has no meaning for a queue that is bound to none.

use irqkit::workqueue::Queue;

pub fn make() {
    let _ = Queue::unbound(c"plain").highpri().sysfs().max_active(4);
    let _ = Queue::unbound(c"intensive").cpu_intensive(); //~ ERROR E0599 no method named `cpu_intensive` found
    let _ = Queue::unbound(c"saving").power_efficient(); //~ ERROR E0599 no method named `power_efficient` found
}
