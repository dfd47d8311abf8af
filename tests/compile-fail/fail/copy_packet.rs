// SPDX-License-Identifier: GPL-2.0

//! A packet has one owner.

use irqkit::net::SkBuff;

pub fn copy(skb: SkBuff) -> (SkBuff, Option<SkBuff>) {
    let other = None;
    let other = Some(skb.clone()); //~ ERROR E0599 no method named `clone` found
    (skb, other)
}
