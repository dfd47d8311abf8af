// SPDX-License-Identifier: GPL-2.0

//! Netpoll comes without a budget, and without one nothing is received: neither a packet made nor
//! one handed to the stack.

use core::marker::PhantomData;

use irqkit::{
    context::SoftIrq,
    net::{
        Budget,
        Credit,
        Next,
        PagePool,
        Poller,
        Received,
        SkBuff, //
    }, //
};

pub struct Receiver {
    pub pool: PagePool,
    pub waiting: Option<Received>,
    pub skb: Option<SkBuff>,
}

impl Poller for Receiver {
    fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
        if let (Some(skb), Some(credit)) = (self.skb.take(), budget.take()) {
            budget.receive(credit, skb);
        }
        Next::Done
    }

    fn mask(&mut self) {}

    fn unmask(&mut self) -> bool {
        true
    }

    fn netpoll(&mut self, ctx: SoftIrq<'_>) {
        let _ = self.poll(ctx, ctx); //~ ERROR E0308 expected `&mut Budget<'_>`, found `SoftIrq<'_>`
        if let Some(received) = self.waiting.take() {
            let _ = received.into_skb(&mut self.pool, ctx, 0, 60); //~ ERROR E0308 expected `&Budget<'_>`, found `SoftIrq<'_>`
        }
        let _ = Credit(PhantomData); //~ ERROR E0423 cannot initialize a tuple struct which contains private fields
        let _ = (self.skb.take(), ctx);
    }
}
