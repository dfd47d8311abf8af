// SPDX-License-Identifier: GPL-2.0

//! A boxed item that was requested belongs to its queue.

use irqkit::{
    path::Stamp,
    workqueue::{
        BoxWork,
        Job, //
    }, //
};

pub fn twice<J: Job>(work: BoxWork<J>) -> bool {
    let first = work.schedule(Stamp::NONE);
    let second = work.schedule(Stamp::NONE); //~ ERROR E0382 use of moved value: `work`
    first.is_ok()
}
