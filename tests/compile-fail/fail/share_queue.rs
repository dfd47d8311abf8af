// SPDX-License-Identifier: GPL-2.0

//! One at a time uses a virtqueue.

use irqkit::virtio::{
    InBuffer,
    Port,
    SplitQueue, //
};

pub fn take<P: Port>(queue: &SplitQueue<InBuffer, P>) -> bool {
    queue.get_used(); //~ ERROR E0596 cannot borrow `*queue` as mutable
    queue.has_used()
}
