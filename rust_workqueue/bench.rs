// SPDX-License-Identifier: GPL-2.0

//! What every source has: queues, settings, and items to try them with.

use kernel::{
    current,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex,
        SetOnce, //
    },
    time::Delta, //
};

use irqkit::{
    context::Task,
    path::{
        PathSet,
        Stamp, //
    }, //
};

use crate::{
    batch::Batch,
    kinds::Kind,
    lanes::Lanes,
    matrix::Matrix,
    settings::Settings, //
};

/// How many items the source uses in turn: so many can be under way at a time, and a tick that
/// finds its item still queued coalesces with the earlier one.
pub(crate) const TICK_ITEMS: u32 = 64;

/// How long a queue is drained for.
const PATIENCE: Delta = Delta::from_secs(120);

/// The queues of a device, and the items that its files make.
///
/// Fields are dropped in this order; the queues last, each waiting for what it runs.
#[pin_data]
pub(crate) struct Bench {
    pub(crate) settings: Arc<Settings>,
    /// What `burst` queued last.
    #[pin]
    batch: Mutex<Option<Arc<Batch>>>,
    #[pin]
    pub(crate) matrix: Matrix,
    /// What ticks queue, for each kind that was ever chosen; empty if the work comes from a device.
    /// Once made they stay, so that a tick finds them without a lock.
    ticks: KVec<(Kind, SetOnce<Arc<Batch>>)>,
    leaving: Atomic<bool>,
    pub(crate) lanes: Lanes,
}

impl Bench {
    /// Makes queues of the number `index`, with their paths in `set`. May sleep.
    ///
    /// `ticking` says that [`Bench::tick`] will be called.
    pub(crate) fn new(set: &PathSet, index: u32, ticking: bool) -> Result<Arc<Self>> {
        let lanes = Lanes::new(set, index)?;
        let settings = Arc::new(Settings::new(), GFP_KERNEL)?;
        let mut ticks = KVec::new();
        if ticking {
            for (kind, _) in Kind::ALL {
                ticks.push((kind, SetOnce::new()), GFP_KERNEL)?;
            }
        }

        let bench = Arc::pin_init(
            pin_init!(Self {
                settings,
                batch <- new_mutex!(None, "Bench::batch"),
                matrix <- Matrix::new(),
                ticks,
                leaving: Atomic::new(false),
                lanes,
            }),
            GFP_KERNEL,
        )?;
        bench.choose(bench.settings.queue.get())?;
        Ok(bench)
    }

    /// Chooses the queue that work goes to from now on. What is queued stays where it is. May sleep.
    pub(crate) fn choose(&self, kind: Kind) -> Result {
        if let Some(slot) = self.tick_slot(kind) {
            if slot.as_ref().is_none() {
                // If somebody else was quicker, those are as good.
                slot.populate(Batch::new(&self.lanes, kind, &self.settings, TICK_ITEMS)?);
            }
        }
        self.settings.queue.set(kind);
        Ok(())
    }

    fn tick_slot(&self, kind: Kind) -> Option<&SetOnce<Arc<Batch>>> {
        self.ticks
            .iter()
            .find_map(|(of, slot)| (*of == kind).then_some(slot))
    }

    /// Queues item `index` of those of the source, whose cause was at `at`. Any context.
    ///
    /// # Errors
    ///
    /// As [`Batch::queue`].
    #[inline]
    pub(crate) fn tick(&self, index: usize, at: Stamp) -> Result {
        let slot = self.tick_slot(self.settings.queue.get()).ok_or(ENOENT)?;
        slot.as_ref().ok_or(ENOENT)?.queue(index, at)
    }

    /// Queues `items` items at once.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the items of the last time have not ended, `ENODEV` if the device is being
    /// unbound, and as [`Batch::queue_all`].
    pub(crate) fn burst(&self, items: u32) -> Result {
        let mut last = self.batch.lock();
        if self.is_leaving() {
            return Err(ENODEV);
        }
        if last.as_ref().is_some_and(|batch| !batch.is_over()) {
            return Err(EBUSY);
        }
        let kind = self.settings.queue.get();
        let batch = Batch::new(&self.lanes, kind, &self.settings, items)?;
        *last = Some(batch.clone());
        batch.queue_all()
    }

    /// What was queued last by [`Bench::burst`].
    pub(crate) fn batch(&self) -> Option<Arc<Batch>> {
        self.batch.lock().clone()
    }

    /// Takes back what of the last burst has not begun.
    pub(crate) fn cancel(&self) {
        if let Some(batch) = self.batch() {
            batch.cancel();
        }
    }

    /// The same, and waits for what runs.
    pub(crate) fn cancel_sync(&self, task: Task<'_>) {
        if let Some(batch) = self.batch() {
            batch.cancel_sync(task);
        }
    }

    /// Waits for what was queued so far on the queue that is chosen; on a queue of the system's,
    /// for the last burst alone.
    pub(crate) fn flush(&self, task: Task<'_>) -> Result {
        match self.lanes.flush(task, self.settings.queue.get()) {
            Err(e) if e == EOPNOTSUPP => self.batch().map_or(Ok(()), |batch| batch.flush(task)),
            result => result,
        }
    }

    /// Waits until the queue that is chosen is empty; a queue of the system's, of our items.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` after two minutes.
    pub(crate) fn drain(&self, task: Task<'_>) -> Result {
        self.lanes.drain(task, self.settings.queue.get(), PATIENCE)
    }

    /// Makes whoever waits for items give up, for good.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Relaxed);
        self.cancel();
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Relaxed)
    }

    /// Whether there is a reason to stop waiting.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device is being unbound, `EINTR` on a signal.
    pub(crate) fn look(&self) -> Result {
        if self.is_leaving() {
            Err(ENODEV)
        } else if current!().signal_pending() {
            Err(EINTR)
        } else {
            Ok(())
        }
    }
}
