// SPDX-License-Identifier: GPL-2.0

//! Items by the number: queued at once, taken back at once.

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::Delta, //
};

use irqkit::{
    context::{
        SoftIrq,
        Task, //
    },
    path::{
        Run,
        Stamp, //
    },
    workqueue::{
        Handler,
        Item,
        Request,
        SoftIrqs,
        Tasks, //
    }, //
};

use crate::{
    kinds::Kind,
    lanes::{
        Lanes,
        Work, //
    },
    settings::Settings,
    tally::{
        Report,
        Tally, //
    }, //
};

/// The most items of a batch.
pub(crate) const MAX_ITEMS: u32 = 4096;

/// What an item does: what the settings say, and to take notes if it belongs to a batch.
pub(crate) struct Piece {
    settings: Arc<Settings>,
    tally: Arc<Tally>,
    index: usize,
}

impl Handler<Tasks> for Piece {
    fn run(&self, task: Task<'_>, _this: &Item, run: &mut Run<'_>) {
        let payload = self.settings.payload();
        self.tally.enter(self.index);
        payload.work();
        payload.sleep(task);
        run.items(1);
        self.tally.leave(self.index);
    }
}

impl Handler<SoftIrqs> for Piece {
    fn run(&self, _ctx: SoftIrq<'_>, _this: &Item, run: &mut Run<'_>) {
        self.tally.enter(self.index);
        self.settings.payload().work();
        run.items(1);
        self.tally.leave(self.index);
    }
}

/// Items for one queue.
pub(crate) struct Batch {
    kind: Kind,
    items: KVec<Work<Piece>>,
    settings: Arc<Settings>,
    tally: Arc<Tally>,
    /// How many requests were made that were to lead to a run of their own.
    queued: Atomic<u32>,
    cancelled: Atomic<u32>,
}

impl Batch {
    /// Makes `count` items for the queue of `kind`, none of them queued. May sleep.
    pub(crate) fn new(
        lanes: &Lanes,
        kind: Kind,
        settings: &Arc<Settings>,
        count: u32,
    ) -> Result<Arc<Self>> {
        let count = count as usize;
        let tally = Arc::new(Tally::new(count)?, GFP_KERNEL)?;
        let mut items = KVec::with_capacity(count, GFP_KERNEL)?;
        for index in 0..count {
            let piece = Piece {
                settings: settings.clone(),
                tally: tally.clone(),
                index,
            };
            items.push(lanes.work(kind, piece)?, GFP_KERNEL)?;
        }
        let batch = Self {
            kind,
            items,
            settings: settings.clone(),
            tally,
            queued: Atomic::new(0),
            cancelled: Atomic::new(0),
        };
        Ok(Arc::new(batch, GFP_KERNEL)?)
    }

    /// Queues item `index` where and when the settings say; `at` is its cause. Any context.
    ///
    /// # Errors
    ///
    /// `ENXIO` if the CPU that was set is not online, `ESHUTDOWN` if the queue takes no more,
    /// `ENOENT` if there is no such item.
    pub(crate) fn queue(&self, index: usize, at: Stamp) -> Result {
        let item = self.items.get(index).ok_or(ENOENT)?;
        let delay = Delta::from_millis(self.settings.delay_ms().into());

        self.tally.submit(index, delay);
        // Before it can run, or a reader could see a run that nobody asked for.
        self.queued.fetch_add(1, Relaxed);
        let request = match (self.settings.cpu(), delay.is_zero()) {
            (None, true) => Ok(item.schedule(at)),
            (Some(cpu), true) => item.schedule_on(cpu, at),
            (None, false) => Ok(item.schedule_after(delay, at)),
            (Some(cpu), false) => item.schedule_after_on(cpu, delay, at),
        };
        let result = request.and_then(|request| match request {
            Request::New => Ok(true),
            Request::Coalesced => Ok(false),
            Request::Refused => Err(ESHUTDOWN),
        });
        if !matches!(result, Ok(true)) {
            self.queued.fetch_sub(1, Relaxed);
        }
        result.map(|_| ())
    }

    /// Queues every item once, in order.
    ///
    /// # Errors
    ///
    /// As [`Batch::queue`]; the items before the one that failed stay queued.
    pub(crate) fn queue_all(&self) -> Result {
        for index in 0..self.items.len() {
            self.queue(index, Stamp::now())?;
        }
        Ok(())
    }

    /// Takes back what has not begun. Any context.
    pub(crate) fn cancel(&self) {
        for item in &self.items {
            self.cancelled.fetch_add(u32::from(item.cancel()), Relaxed);
        }
    }

    /// Takes back what has not begun, and waits for what runs.
    pub(crate) fn cancel_sync(&self, task: Task<'_>) {
        for item in &self.items {
            // It fails in an item's own handler alone, which does not call this.
            let was_pending = item.cancel_and_wait(task).unwrap_or(false);
            self.cancelled.fetch_add(u32::from(was_pending), Relaxed);
        }
    }

    /// Waits for every item that is queued or running. One that is delayed runs at once.
    pub(crate) fn flush(&self, task: Task<'_>) -> Result {
        for item in &self.items {
            item.flush(task)?;
        }
        Ok(())
    }

    /// Whether nothing is queued or running.
    pub(crate) fn is_over(&self) -> bool {
        // In this order: what was queued may end meanwhile, not the other way round.
        let ended = self.tally.ended().wrapping_add(self.cancelled());
        self.queued.load(Acquire) == ended
    }

    /// The kind of queue that the items are for.
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// How many were queued.
    pub(crate) fn queued(&self) -> u32 {
        self.queued.load(Relaxed)
    }

    /// How many were taken back.
    pub(crate) fn cancelled(&self) -> u32 {
        self.cancelled.load(Relaxed)
    }

    /// How many are running.
    pub(crate) fn running(&self) -> u32 {
        self.tally.running()
    }

    /// Sums up what has run. May sleep.
    pub(crate) fn report(&self) -> Result<Report> {
        self.tally.report()
    }
}
