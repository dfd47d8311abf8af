// SPDX-License-Identifier: GPL-2.0

//! virtio-rng: buffers posted, taken back and posted again by work items.
//!
//! An interrupt wakes its thread; the thread queues the item of the queue that the user chose; the
//! item takes what the device has filled, puts the bytes where readers find them, and posts the
//! buffers again. So whatever kind of queue it is, the generator works by it.
//!
//! The device is asked for more only when half of what was there has been read, and then for all at
//! once. So there is an interrupt for many buffers, and readers hardly ever wait.

use kernel::{
    new_condvar,
    new_spinlock_irq,
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        CondVar,
        CondVarTimeoutResult,
        SpinLockIrq, //
    },
    time::msecs_to_jiffies, //
};

use irqkit::{
    context::{
        HardIrq,
        SoftIrq,
        Task, //
    },
    dma,
    hwrng::{
        Sink,
        Source,
        Wait, //
    },
    path::{
        Run,
        Stamp, //
    },
    virtio::{
        self,
        Event,
        InBuffer,
        SplitQueue,
        Wake, //
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
    bench::Bench,
    kinds::Kind,
    lanes::Work, //
};

pub(crate) mod driver;
mod file;
mod reservoir;

use reservoir::Reservoir;

/// How long a read waits before it lets the core look for signals, in milliseconds.
const SLICE_MS: u32 = 500;

/// How many buffers are taken in at a time: interrupts are off meanwhile.
const BATCH: usize = 16;

/// How often the item does that, before it lets others run.
const ROUNDS: u32 = 128;

/// After how many buffers without a byte in a row the device counts as broken: it would keep us
/// busy for ever.
const MOST_EMPTY: u32 = 1024;

/// How things stand.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
enum Health {
    Well = 0,
    /// The device does not do what it must: reads fail with `EIO`.
    Broken = 1,
    /// It was pulled out, or is being unbound: reads fail with `ENODEV`.
    Gone = 2,
}

/// What the lock protects.
struct State {
    /// The virtqueue; [`None`] before the device is set up and after it was given up.
    queue: Option<SplitQueue<InBuffer, virtio::Doorbell>>,
    /// Buffers that the device does not have. Room for all of them is reserved.
    spare: KVec<InBuffer>,
    /// How many the device has.
    posted: usize,
    /// A reader has asked for the item to run, and it has not begun yet.
    asked: bool,
    reservoir: Reservoir,
    buffer_bytes: usize,
    /// How many buffers in a row came back without a byte.
    empty: u32,
    totals: Totals,
}

/// What there was, for the file `rng`.
#[derive(Clone, Copy, Default)]
struct Totals {
    buffers: u64,
    bytes_in: u64,
    bytes_out: u64,
    reads: u64,
    waits: u64,
    timeouts: u64,
}

impl State {
    /// Takes in what the device has filled, [`BATCH`] buffers at most, and returns how many it were.
    fn harvest(&mut self) -> usize {
        let mut came = 0;
        let Some(queue) = self.queue.as_mut() else {
            return 0;
        };
        while came < BATCH {
            let Some(used) = queue.get_used() else {
                break;
            };
            let written = used.written as usize;
            let taken = self
                .reservoir
                .fill(written, |offset, to| used.buffer.read(offset, to))
                .unwrap_or(0);

            self.empty = if taken == 0 { self.empty + 1 } else { 0 };
            self.totals.bytes_in += taken as u64;
            self.posted = self.posted.saturating_sub(1);
            // There is room for all. If it were not so, the buffer would be freed here.
            let _ = self.spare.push_within_capacity(used.buffer);
            came += 1;
        }
        self.totals.buffers += came as u64;
        came
    }

    /// Whether it is time to ask for more: nothing is asked for, and what was read meanwhile is as
    /// much as the device gives at once.
    fn is_thirsty(&self) -> bool {
        self.posted == 0
            && self.queue.is_some()
            && self.reservoir.room() >= self.spare.len() * self.buffer_bytes
    }

    /// Gives the device all buffers, if it is time to.
    fn post(&mut self) {
        if !self.is_thirsty() {
            return;
        }
        let Some(queue) = self.queue.as_mut() else {
            return;
        };
        while let Some(buffer) = self.spare.pop() {
            match queue.add(buffer) {
                Ok(()) => self.posted += 1,
                Err(refused) => {
                    // It was popped, so there is room.
                    let _ = self.spare.push_within_capacity(refused.buffer);
                    break;
                }
            }
        }
        if self.posted != 0 {
            let _ = queue.kick();
        }
    }

    /// Takes in some, and posts all if it is time to. Returns how many buffers came, and whether
    /// there may be more.
    fn turn(&mut self) -> (usize, bool) {
        self.asked = false;
        let came = self.harvest();
        if came == BATCH {
            return (came, true);
        }
        self.post();
        let more = match self.queue.as_mut() {
            Some(queue) => !queue.enable_cb(),
            None => false,
        };
        (came, more)
    }

    /// Whether the device does what it must not.
    fn is_broken(&self) -> bool {
        self.empty > MOST_EMPTY || self.queue.as_ref().is_some_and(|q| q.poisoned().is_some())
    }
}

/// What items, interrupt and readers share.
#[pin_data]
struct Core {
    #[pin]
    state: SpinLockIrq<State>,
    /// Bytes have come, or nothing will any more.
    #[pin]
    arrived: CondVar,
    health: Atomic<u32>,
}

impl Core {
    fn health(&self) -> Health {
        match self.health.load(Relaxed) {
            0 => Health::Well,
            1 => Health::Broken,
            _ => Health::Gone,
        }
    }

    /// Things have become as bad as `health`, or worse. Readers that wait give up.
    fn fail(&self, health: Health) {
        if self.health.load(Relaxed) < health as u32 {
            self.health.store(health as u32, Relaxed);
        }
        // Under the lock, so that nobody is between looking and waiting.
        let _state = self.state.lock();
        self.arrived.notify_all();
    }

    /// What the item does, in whatever context its queue has.
    fn serve(&self, this: &Item, run: &mut Run<'_>) {
        let mut total = 0;
        let mut more = true;
        for _ in 0..ROUNDS {
            let came;
            (came, more) = self.state.lock().turn();
            total += came;
            if !more {
                break;
            }
        }
        run.items(total as u64);
        if total != 0 {
            self.arrived.notify_all();
        }
        if self.state.lock().is_broken() {
            self.fail(Health::Broken);
        } else if more {
            // A queue that refuses is being closed, and so is the device.
            let _ = this.schedule(run.cause());
        }
    }

    /// Frees the virtqueue and its buffers, while the device is still bound. Sleeps.
    fn dismantle(&self) {
        let (queue, spare) = {
            let mut state = self.state.lock();
            state.posted = 0;
            (state.queue.take(), core::mem::take(&mut state.spare))
        };
        drop(queue);
        drop(spare);
    }
}

/// The item: one for each kind of queue.
struct Refill(Arc<Core>);

impl Handler<Tasks> for Refill {
    fn run(&self, _task: Task<'_>, this: &Item, run: &mut Run<'_>) {
        self.0.serve(this, run);
    }
}

impl Handler<SoftIrqs> for Refill {
    fn run(&self, _ctx: SoftIrq<'_>, this: &Item, run: &mut Run<'_>) {
        self.0.serve(this, run);
    }
}

/// A virtio-rng device.
pub(crate) struct Rng {
    core: Arc<Core>,
    bench: Arc<Bench>,
    refills: KVec<(Kind, Work<Refill>)>,
    /// The generator's.
    name: CString,
    buffers: usize,
    buffer_bytes: usize,
}

impl Rng {
    /// Makes the state for `buffers` buffers of `bytes` bytes, from `pool`. May sleep.
    fn new(
        bench: Arc<Bench>,
        name: CString,
        pool: &Arc<dma::Pool>,
        buffers: usize,
        bytes: usize,
    ) -> Result<Arc<Self>> {
        let mut spare = KVec::with_capacity(buffers, GFP_KERNEL)?;
        for _ in 0..buffers {
            spare.push(InBuffer::new(pool.alloc(bytes, GFP_KERNEL)?), GFP_KERNEL)?;
        }
        // Twice what the device gives at once: the one half is read while it fills the other.
        let reservoir = Reservoir::new(buffers.checked_mul(2 * bytes).ok_or(EOVERFLOW)?)?;

        let core = Arc::pin_init(
            pin_init!(Core {
                state <- new_spinlock_irq!(
                    State {
                        queue: None,
                        spare,
                        posted: 0,
                        asked: false,
                        reservoir,
                        buffer_bytes: bytes,
                        empty: 0,
                        totals: Totals::default(),
                    },
                    "Rng::state"
                ),
                arrived <- new_condvar!("Rng::arrived"),
                health: Atomic::new(Health::Well as u32),
            }),
            GFP_KERNEL,
        )?;

        let mut refills = KVec::with_capacity(Kind::ALL.len(), GFP_KERNEL)?;
        for (kind, _) in Kind::ALL {
            let work = bench.lanes.work(kind, Refill(core.clone()))?;
            refills.push((kind, work), GFP_KERNEL)?;
        }
        let rng = Self {
            core,
            bench,
            refills,
            name,
            buffers,
            buffer_bytes: bytes,
        };
        Ok(Arc::new(rng, GFP_KERNEL)?)
    }

    /// Queues the item of the queue that is chosen. Any context.
    ///
    /// Returns whether it will run. A queue that refuses is being closed, and so is the device.
    fn refill(&self, at: Stamp) -> bool {
        let kind = self.bench.settings.queue.get();
        let work = self.refills.iter().find(|(of, _)| *of == kind);
        work.is_some_and(|(_, work)| !matches!(work.schedule(at), Request::Refused))
    }

    /// Nothing waits for the device any more.
    fn leave(&self) {
        self.core.fail(Health::Gone);
    }
}

impl virtio::Handler for Rng {
    #[inline]
    fn used(&self, _queue: u16, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> Wake {
        // All that there is to do takes the lock, which may not be taken here.
        Wake::Thread
    }

    fn used_threaded(&self, _queue: u16, _task: Task<'_>, run: &mut Run<'_>) {
        if let Some(queue) = self.core.state.lock().queue.as_mut() {
            // Until the item has looked: what comes before is its to find.
            queue.disable_cb();
        }
        run.items(1);
        let _ = self.refill(run.cause());
    }

    fn event(&self, event: Event, _task: Task<'_>) {
        match event {
            // It has no configuration.
            Event::Config => {}
            Event::Trouble(virtio::Health::Gone) => self.core.fail(Health::Gone),
            Event::Trouble(_) => self.core.fail(Health::Broken),
        }
    }
}

/// The device as the kernel's generator of random numbers.
struct Generator(Arc<Rng>);

impl Source for Generator {
    fn init(&self, _task: Task<'_>) -> Result {
        let _ = self.0.refill(Stamp::now());
        Ok(())
    }

    fn read(&self, _task: Task<'_>, sink: &mut Sink<'_>, wait: Wait) -> Result {
        let Self(rng) = self;
        let core = &*rng.core;
        let mut state = core.state.lock();
        state.totals.reads += 1;

        let mut patient = wait == Wait::Yes;
        loop {
            match core.health() {
                Health::Well => {}
                Health::Broken => return Err(EIO),
                Health::Gone => return Err(ENODEV),
            }
            let taken = state.reservoir.take(sink);
            state.totals.bytes_out += taken as u64;
            if state.is_thirsty() && !state.asked {
                state.asked = rng.refill(Stamp::now());
            }
            if sink.filled() != 0 || !patient {
                return Ok(());
            }

            state.totals.waits += 1;
            let slice = msecs_to_jiffies(SLICE_MS);
            match core.arrived.wait_interruptible_timeout(&mut state, slice) {
                CondVarTimeoutResult::Woken { .. } => {}
                // The core looks for signals, and comes again.
                CondVarTimeoutResult::Signal { .. } => patient = false,
                CondVarTimeoutResult::Timeout => {
                    state.totals.timeouts += 1;
                    patient = false;
                }
            }
        }
    }

    fn give_up(&self) {
        self.0.leave();
    }
}
