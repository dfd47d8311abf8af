// SPDX-License-Identifier: GPL-2.0

//! A packet is freed once.

use irqkit::{
    context::SoftIrq,
    net::{
        Reason,
        SkBuff, //
    }, //
};

pub fn free(skb: SkBuff, ctx: SoftIrq<'_>) {
    skb.consume(ctx);
    skb.drop_with(Reason::NotSpecified); //~ ERROR E0382 use of moved value: `skb`
    let _ = ctx;
}
