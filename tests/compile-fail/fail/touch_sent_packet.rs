// SPDX-License-Identifier: GPL-2.0

//! A packet that was handed over is nobody else's to look at.

use irqkit::{
    dma::stream::Stream,
    net::{
        MappedSkb,
        SkBuff, //
    }, //
};

pub fn send(skb: SkBuff, stream: &Stream) -> u32 {
    let mapped = MappedSkb::new(skb, &[0; 12], stream);

    drop(mapped);
    let _ = skb.len(); //~ ERROR E0382 borrow of moved value: `skb`
    0
}
