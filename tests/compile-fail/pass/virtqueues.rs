// SPDX-License-Identifier: GPL-2.0

//! A virtqueue as a driver has it: behind a lock that hard interrupts take, too.

use irqkit::virtio::{
    InBuffer,
    OutBuffer,
    Port,
    SplitQueue,
    Used, //
};
use kernel::{
    prelude::*,
    sync::SpinLockIrq, //
};

pub struct Shared<P: Port> {
    pub queue: SpinLockIrq<SplitQueue<(OutBuffer, InBuffer), P>>,
}

fn shared<T: Send + Sync + 'static>() {}

pub fn may_be_shared<P: Port>() {
    shared::<Shared<P>>();
}

pub fn poll<P: Port>(queue: &mut SplitQueue<InBuffer, P>, mut f: impl FnMut(&InBuffer, u32)) {
    loop {
        while let Some(Used { buffer, written }) = queue.get_used() {
            f(&buffer, written);
            if queue.add(buffer).is_err() {
                return;
            }
        }
        queue.kick();
        if queue.enable_cb() {
            return;
        }
    }
}
