// SPDX-License-Identifier: GPL-2.0

//! While buffers are taken out of a queue that was stopped, nobody can start it.

use irqkit::virtio::{
    InBuffer,
    Port,
    SplitQueue, //
};
use kernel::prelude::*;

pub fn empty<P: Port>(queue: &mut SplitQueue<InBuffer, P>) -> Result {
    let mut stopped = queue.stop()?;

    queue.kick(); //~ ERROR E0499 cannot borrow `*queue` as mutable more than once at a time
    while stopped.detach().is_some() {}
    stopped.restart()
}
