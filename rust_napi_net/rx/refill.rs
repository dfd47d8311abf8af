// SPDX-License-Identifier: GPL-2.0

//! Buffers for a queue that found no memory: by a work item, which may wait for some.

use kernel::{
    new_mutex,
    prelude::*,
    static_lock_class,
    sync::{
        Arc,
        Mutex, //
    },
    time::Delta, //
};

use irqkit::{
    context::Task,
    net::Napi,
    path::{
        Run,
        Stamp, //
    },
    workqueue::{
        ArcWork,
        Handler,
        Item,
        Queue, //
    }, //
};

use super::Receiver;
use crate::kind::Kind;

/// How long to wait before the next try, when there was no memory even for a task.
const PAUSE: Delta = Delta::from_millis(100);

/// Fills a queue.
#[pin_data]
pub(crate) struct Filler<K: Kind> {
    /// The queue; [`None`] before it is there and after it went.
    #[pin]
    napi: Mutex<Option<Arc<Napi<Receiver<K>>>>>,
}

impl<K: Kind> Handler for Filler<K> {
    fn run(&self, task: Task<'_>, this: &Item, run: &mut Run<'_>) {
        let Some(napi) = self.napi.lock().clone() else {
            return;
        };

        run.items(1);
        if !napi.with(task, |receiver, at| receiver.retry(at)) {
            // The device has all that there is, or nothing: either way it is tried until it has
            // enough.
            let _ = this.schedule_after(PAUSE, this.path().stamp());
        }
    }
}

/// Asks for buffers.
pub(crate) struct Refill<K: Kind>(ArcWork<Filler<K>>);

impl<K: Kind> Refill<K> {
    /// Makes one that runs on `queue`.
    pub(crate) fn new(queue: &Queue) -> Result<Self> {
        let filler = pin_init!(Filler {
            napi <- new_mutex!(None, "Filler::napi"),
        });

        Ok(Self(ArcWork::new(
            filler,
            queue,
            static_lock_class!(),
            GFP_KERNEL,
        )?))
    }

    /// Says which queue it is for.
    pub(crate) fn attach(&self, napi: Arc<Napi<Receiver<K>>>) {
        *self.0.handler().napi.lock() = Some(napi);
    }

    /// Lets the queue go, which holds a clone of this.
    pub(crate) fn detach(&self) {
        // Its drop may sleep, and is none of the lock's business.
        let napi = self.0.handler().napi.lock().take();
        drop(napi);
    }

    /// Asks for buffers. Any context.
    #[cold]
    pub(crate) fn request(&self) {
        // If it is refused, the device is being unbound.
        let _ = self.0.schedule(Stamp::now());
    }
}

impl<K: Kind> Clone for Refill<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
