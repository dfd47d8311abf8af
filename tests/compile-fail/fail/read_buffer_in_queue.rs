// SPDX-License-Identifier: GPL-2.0

//! What the device is writing nobody reads: a buffer is the queue's until it comes back.

use irqkit::virtio::{
    InBuffer,
    Port,
    SplitQueue, //
};
use kernel::prelude::*;

pub fn read<P: Port>(queue: &mut SplitQueue<InBuffer, P>, buffer: InBuffer) -> Result {
    let mut byte = [0];

    queue.add(buffer).map_err(|refused| refused.why)?;
    buffer.read(0, &mut byte)?; //~ ERROR E0382 borrow of moved value: `buffer`
    Ok(())
}
