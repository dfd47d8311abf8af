// SPDX-License-Identifier: GPL-2.0

//! A virtio-rng at work: its queue, its interrupts, and a handler that tests look at.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};

use irqkit::{
    context::{
        HardIrq,
        Task, //
    },
    path::Run,
    virtio::{
        Doorbell,
        Event,
        Features,
        Handler,
        Health,
        InBuffer,
        Live,
        Policy,
        SplitQueue,
        Wake,
        RING_FEATURES, //
    }, //
};

use crate::{
    rng::Rng,
    support::{
        books::Books,
        until, //
    }, //
};

/// How many bytes a buffer has.
pub(crate) const BYTES: usize = 64;

/// What the handler saw.
pub(crate) struct Seen {
    pub(crate) wake: Wake,
    pub(crate) hard: Atomic<u64>,
    pub(crate) thread: Atomic<u64>,
    pub(crate) config: Atomic<u64>,
    pub(crate) needs_reset: Atomic<u64>,
    pub(crate) lost: Atomic<u64>,
    pub(crate) gone: Atomic<u64>,
    pub(crate) wrong_queue: Atomic<u64>,
}

impl Seen {
    pub(crate) fn new(wake: Wake) -> Result<Arc<Self>> {
        Ok(Arc::new(
            Self {
                wake,
                hard: Atomic::new(0),
                thread: Atomic::new(0),
                config: Atomic::new(0),
                needs_reset: Atomic::new(0),
                lost: Atomic::new(0),
                gone: Atomic::new(0),
                wrong_queue: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }
}

impl Handler for Seen {
    fn used(&self, queue: u16, _ctx: HardIrq<'_>, run: &mut Run<'_>) -> Wake {
        run.items(1);
        if queue != 0 {
            self.wrong_queue.fetch_add(1, Relaxed);
        }
        self.hard.fetch_add(1, Full);
        self.wake
    }

    fn used_threaded(&self, _queue: u16, _task: Task<'_>, run: &mut Run<'_>) {
        run.items(1);
        self.thread.fetch_add(1, Full);
    }

    fn event(&self, event: Event, _task: Task<'_>) {
        let counter = match event {
            Event::Trouble(Health::NeedsReset) => &self.needs_reset,
            Event::Trouble(Health::Lost) => &self.lost,
            Event::Trouble(Health::Gone) => &self.gone,
            Event::Trouble(Health::Good) | Event::Config => &self.config,
        };
        counter.fetch_add(1, Full);
    }
}

/// The queue of a device.
pub(crate) type Queue = SplitQueue<InBuffer, Doorbell>;

/// A device at work.
pub(crate) struct Rig {
    pub(crate) live: Live<Seen>,
    pub(crate) queue: Queue,
    /// The buffer, while it is not in the queue.
    pub(crate) buffer: Option<InBuffer>,
    pub(crate) seen: Arc<Seen>,
    pub(crate) books: Books,
    pub(crate) rng: Arc<Rng>,
}

impl Rig {
    /// Sets the device to work.
    pub(crate) fn new(name: &CStr, policy: Policy, wake: Wake) -> Result<Self> {
        Self::with(Books::new(name)?, policy, wake, RING_FEATURES)
    }

    /// The same, counted in `books`, with features of `want`.
    pub(crate) fn with(books: Books, policy: Policy, wake: Wake, want: Features) -> Result<Self> {
        let rng = Rng::get()?;
        let seen = Seen::new(wake)?;

        books.set.set_timing(true);
        let mut setup = Task::with(|task| rng.device.negotiate(task, want, Features::NONE))??;
        let queue: Queue = setup.queue(rng.bound(), 0, c"input", 8)?;
        let region = setup.pool(rng.bound())?.alloc(BYTES, GFP_KERNEL)?;

        Ok(Self {
            live: setup.start(rng.bound(), policy, &books.set, seen.clone())?,
            queue,
            buffer: Some(InBuffer::new(region)),
            seen,
            books,
            rng,
        })
    }

    /// Asks for random bytes, and returns them if an interrupt came, and they with it.
    ///
    /// The buffer is added here and no earlier: a device that finds one fills it without being
    /// asked, and two interrupts that come together are one.
    pub(crate) fn roll(&mut self) -> Result<[u8; BYTES]> {
        let before = self.seen.hard.load(Relaxed);
        let buffer = self.buffer.take().ok_or(EINVAL)?;
        let mut bytes = [0; BYTES];
        let mut used = None;

        self.queue.add(buffer).map_err(|refused| refused.why)?;
        self.queue.kick();
        if !until(|| self.seen.hard.load(Relaxed) > before) {
            return Err(EIO);
        }
        until(|| {
            used = self.queue.get_used();
            used.is_some()
        });
        let mut buffer = used.ok_or(ETIMEDOUT)?.buffer;
        buffer.read(0, &mut bytes)?;
        buffer.clear();
        self.buffer = Some(buffer);

        // There is nothing that could have come back meanwhile.
        if !self.queue.enable_cb() {
            return Err(EIO);
        }
        Ok(bytes)
    }

    /// Leaves a buffer with the device, which may fill it or not.
    pub(crate) fn leave(&mut self) -> Result {
        let buffer = self.buffer.take().ok_or(EINVAL)?;

        self.queue.add(buffer).map_err(|refused| refused.why)?;
        self.queue.kick();
        Ok(())
    }

    /// Tells the device that there is more in its queue than there can be, as no driver does that
    /// is not broken.
    pub(crate) fn lie(&mut self) -> Result {
        const INDEX: usize = 2;
        let ring = self.queue.addresses().driver;

        // SAFETY: Without an IOMMU the address is that of memory, which the queue owns. The index is
        // within it, and the mapping goes before this returns.
        unsafe {
            let memory = bindings::memremap(ring, 4, bindings::MEMREMAP_WB as usize);
            if memory.is_null() {
                return Err(ENOMEM);
            }
            memory.byte_add(INDEX).cast::<u16>().write_volatile(0x7777);
            bindings::memunmap(memory);
        }
        self.queue.notify();
        Ok(())
    }

    /// Resets the device and sets it to work again, with its queue as new. Buffers in that are lost.
    pub(crate) fn again(&mut self) -> Result {
        Task::with(|task| self.live.suspend(task))??;

        let mut stopped = self.queue.stop()?;
        while stopped.detach().is_some() {}
        stopped.restart()?;

        let resume = Task::with(|task| self.live.resume(task))??;
        resume.queue(&mut self.queue)?;
        resume.start()
    }

    /// Counts the rolls, of `times`, that gave bytes that the one before did not.
    pub(crate) fn rolls(&mut self, times: usize) -> Result<usize> {
        let mut last = [0; BYTES];
        let mut good = 0;

        for _ in 0..times {
            let bytes = self.roll()?;

            good += usize::from(bytes != last);
            last = bytes;
        }
        Ok(good)
    }
}
