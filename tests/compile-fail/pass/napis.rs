// SPDX-License-Identifier: GPL-2.0

//! A receive queue as a driver has it, without a lock of its own.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq,
        Task, //
    },
    net::{
        Budget,
        InNapi,
        Napi,
        Next,
        PagePool,
        Poller,
        PoolFrag,
        Shape, //
    },
    path::Run,
    virtio::{
        Port,
        SplitQueue,
        Used, //
    }, //
};

pub struct Receiver<P: Port> {
    pub queue: SplitQueue<PoolFrag, P>,
    pub pool: PagePool,
    pub shape: Shape,
}

impl<P: Port> Receiver<P> {
    pub fn fill(&mut self, at: &impl InNapi) {
        while let Some(frag) = self.pool.alloc(at, self.shape) {
            if self.queue.add(frag).is_err() {
                break;
            }
        }
        self.queue.kick();
    }
}

impl<P: Port> Poller for Receiver<P> {
    fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
        while let Some(credit) = budget.take() {
            let Some(Used { buffer, written }) = self.queue.get_used() else {
                return Next::Done;
            };
            let received = buffer.received(written);
            let len = received.len();
            if let Ok(skb) = received.into_skb(&mut self.pool, budget, 0, len) {
                budget.receive(credit, skb);
            }
        }
        self.fill(budget);
        Next::Again
    }

    fn mask(&mut self) {
        self.queue.disable_cb();
    }

    fn unmask(&mut self) -> bool {
        self.queue.enable_cb()
    }
}

pub fn interrupt<P: Port>(napi: &Napi<Receiver<P>>, ctx: HardIrq<'_>, run: &mut Run<'_>) {
    napi.schedule(ctx, run.cause());
}

pub fn open<P: Port>(napi: &Napi<Receiver<P>>, task: Task<'_>) {
    napi.with(task, |receiver, idle| receiver.fill(idle));
}
