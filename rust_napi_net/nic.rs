// SPDX-License-Identifier: GPL-2.0

//! The network card: its queues, and what the network core and the device's interrupts do with
//! them.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use irqkit::{
    context::{
        HardIrq,
        SoftIrq,
        Task, //
    },
    net::{
        self,
        Napi,
        SkBuff,
        Tx,
        TxCell,
        TxStat,
        Xmit, //
    },
    path::{
        Run,
        Stamp, //
    },
    virtio::{
        Device,
        Event,
        Handler,
        Health,
        Wake, //
    }, //
};

use crate::{
    desk::{
        link_is_up,
        Desk,
        Kicks, //
    },
    kind::Kind,
    recover::{
        Ill,
        Note,
        Recover, //
    },
    rx::{
        refill::Refill,
        Receiver, //
    },
    tx::{
        self,
        complete::Completer,
        Transmitter, //
    }, //
};

/// A queue by which frames come in.
pub(crate) struct RxPath<K: Kind> {
    pub(crate) napi: Arc<Napi<Receiver<K>>>,
    pub(crate) refill: Refill<K>,
    pub(crate) kicks: Arc<Kicks>,
    /// How many descriptors its ring has.
    pub(crate) ring: u16,
}

/// A queue by which frames go out.
pub(crate) struct TxPath<K: Kind> {
    pub(crate) cell: Arc<TxCell<Transmitter<K>>>,
    pub(crate) completer: Completer<K>,
    pub(crate) kicks: Arc<Kicks>,
    /// How many descriptors its ring has.
    pub(crate) ring: u16,
    /// It came to a standstill, and is to be reset unless it goes on.
    pub(crate) ill: Ill,
}

/// A network card.
#[pin_data]
pub(crate) struct Nic<K: Kind> {
    pub(crate) desk: Arc<Desk>,
    pub(crate) virtio: Arc<Device>,
    pub(crate) rx: KVec<RxPath<K>>,
    pub(crate) tx: KVec<TxPath<K>>,
    pub(crate) recover: Recover<K>,
    /// It is up.
    pub(crate) open: Atomic<bool>,
    /// Who holds this asks for the state of the link and tells the core: of two who do, the last one is right.
    #[pin]
    pub(crate) link: Mutex<()>,
}

impl<K: Kind> Nic<K> {
    /// Tells the core whether the link is up.
    pub(crate) fn update_link(&self, task: Task<'_>) {
        let _guard = self.link.lock();
        let up = link_is_up(&self.desk.plan, &self.virtio);

        self.desk.device.set_carrier(task, up);
    }

    /// Tells the core that there is no link, whatever the device would say.
    pub(crate) fn cut_link(&self, task: Task<'_>) {
        let _guard = self.link.lock();

        self.desk.device.set_carrier(task, false);
    }

    /// Lets go of what holds the queues in a circle. Nobody opens the device any more.
    pub(crate) fn dismantle(&self) {
        for rx in self.rx.iter() {
            rx.refill.detach();
        }
        self.recover.detach();
    }
}

impl<K: Kind> Handler for Nic<K> {
    #[inline]
    fn used(&self, queue: u16, ctx: HardIrq<'_>, run: &mut Run<'_>) -> Wake {
        let pair = usize::from(queue / 2);

        // Who polls waits from here on: nobody knows when the device used the buffer.
        let at = run.started();

        run.items(1);
        if queue % 2 == 0 {
            if let Some(rx) = self.rx.get(pair) {
                rx.napi.schedule(ctx, at);
            }
        } else if let Some(tx) = self.tx.get(pair) {
            tx.completer.schedule(ctx, at);
        }
        Wake::No
    }

    fn event(&self, event: Event, task: Task<'_>) {
        match event {
            Event::Config => self.update_link(task),
            // What is gone can't be brought back, and is about to be unbound.
            Event::Trouble(Health::Gone) => self.cut_link(task),
            Event::Trouble(_) => self.recover.request_all(),
        }
    }
}

impl<K: Kind> net::Driver for Nic<K> {
    fn open(&self, _device: &net::Device, task: Task<'_>) -> Result {
        for rx in self.rx.iter() {
            rx.napi.with(task, |receiver, at| receiver.refill(at));
            rx.napi.enable(task)?;
            // What came before is not announced again.
            rx.napi.schedule_from_task(task, Stamp::now());
        }
        for tx in self.tx.iter() {
            if let Some(napi) = tx.completer.napi() {
                napi.enable(task)?;
                napi.schedule_from_task(task, Stamp::now());
            }
        }
        self.update_link(task);
        self.open.store(true, Relaxed);
        Ok(())
    }

    fn stop(&self, _device: &net::Device, task: Task<'_>) {
        self.open.store(false, Relaxed);
        for tx in self.tx.iter() {
            if let Some(napi) = tx.completer.napi() {
                napi.disable(task);
            }
        }
        for rx in self.rx.iter() {
            rx.napi.disable(task);
        }
    }

    #[inline]
    fn start_xmit(
        &self,
        device: &net::Device,
        skb: SkBuff,
        tx: &mut Tx<'_>,
        ctx: SoftIrq<'_>,
    ) -> Xmit {
        let (index, more) = (tx.index(), tx.more());
        let Some(path) = self.tx.get(usize::from(index)) else {
            // There are no more queues than that.
            return Xmit::Done;
        };

        match tx.locked(&path.cell) {
            Ok(mut queue) => {
                if tx::send(&mut queue, device, index, more, skb, ctx) {
                    path.completer.schedule(ctx, Stamp::NONE);
                }
            }
            Err(_) => tx::count(device, index, TxStat::Dropped, 1),
        }
        Xmit::Done
    }

    fn tx_timeout(&self, device: &net::Device, queue: u16, _ctx: SoftIrq<'_>) {
        if let Some(tx) = self.tx.get(usize::from(queue)) {
            tx.ill.put(Note::of(device, queue));
            self.recover.request();
        }
    }
}
