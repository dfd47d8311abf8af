// SPDX-License-Identifier: GPL-2.0

//! A random number generator that tests can tell what to give, and that remembers what it was told.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc,
        Mutex, //
    }, //
};

use irqkit::{
    context::Task,
    hwrng::{
        Sink,
        Source,
        Wait, //
    }, //
};

use crate::support::until;

/// What a generator was told, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Init,
    Cleanup,
    GiveUp,
    Dropped,
}

/// The whole life of one that was read from, until it was unregistered.
pub(crate) const LIFE: [Told; 4] = [Told::Init, Told::GiveUp, Told::Cleanup, Told::Dropped];

/// What tests see of a generator, and what they tell it.
#[pin_data]
pub(crate) struct Seen {
    #[pin]
    told: Mutex<KVec<Told>>,
    given_up: Atomic<bool>,
    /// How many reads get something. Those beyond that find nothing.
    stock: Atomic<u64>,
    /// How many reads there were, and how many wait just now.
    reads: Atomic<u64>,
    waiting: Atomic<u64>,
    inside: Atomic<u64>,
    /// How often something was not as it must be: a read beside another one, or a sink that takes
    /// another number of bytes than it says.
    wrong: Atomic<u64>,
}

impl Seen {
    /// Of one that has something for so many reads.
    pub(crate) fn new(stock: u64) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                told <- new_mutex!(KVec::new()),
                given_up: Atomic::new(false),
                stock: Atomic::new(stock),
                reads: Atomic::new(0),
                waiting: Atomic::new(0),
                inside: Atomic::new(0),
                wrong: Atomic::new(0),
            }),
            GFP_KERNEL,
        )
    }

    fn note(&self, what: Told) {
        // What is not noted makes the test fail.
        let _ = self.told.lock().push(what, GFP_KERNEL);
    }

    /// Whether it was told just this, in this order.
    pub(crate) fn was_told(&self, what: &[Told]) -> bool {
        self.told.lock().as_slice() == what
    }

    /// Waits until somebody has read, and returns whether somebody has. It is the core's own thread,
    /// as long as no test reads; after a read that gave something it rests for a minute.
    pub(crate) fn was_read(&self) -> bool {
        until(|| self.reads.load(Acquire) != 0)
    }

    /// Waits until somebody waits in a read, and returns whether somebody does.
    pub(crate) fn is_awaited(&self) -> bool {
        until(|| self.waiting.load(Acquire) != 0)
    }

    /// Whether nobody reads, and nothing was ever wrong.
    pub(crate) fn is_well(&self) -> bool {
        self.inside.load(Acquire) == 0 && self.wrong.load(Relaxed) == 0
    }
}

/// The generator: bytes of one value.
pub(crate) struct Fake {
    seen: Arc<Seen>,
    byte: u8,
    /// What its `init` and its reads end with.
    pub(crate) init: Result,
    pub(crate) end: Result,
}

impl Fake {
    pub(crate) fn new(seen: &Arc<Seen>, byte: u8) -> Self {
        Self {
            seen: seen.clone(),
            byte,
            init: Ok(()),
            end: Ok(()),
        }
    }

    /// Puts as much as there is room for, and more.
    fn fill(&self, sink: &mut Sink<'_>) {
        let room = sink.room();
        let first = sink.put(&[self.byte; 8]);
        let rest = sink.put(&[self.byte; 4096]);
        let none = sink.put(&[self.byte]);

        if (first + rest, none) != (room, 0) || (sink.filled(), sink.room()) != (room, 0) {
            self.seen.wrong.fetch_add(1, Relaxed);
        }
    }

    fn give(&self, sink: &mut Sink<'_>, wait: Wait) -> Result {
        let seen = &*self.seen;

        if seen.given_up.load(Acquire) {
            return Err(ENODEV);
        }
        // There is one reader at a time.
        let stock = seen.stock.load(Relaxed);
        if stock != 0 {
            seen.stock.store(stock - 1, Relaxed);
            self.fill(sink);
        } else if wait == Wait::Yes && self.end.is_ok() {
            seen.waiting.fetch_add(1, Full);
            let told = until(|| seen.given_up.load(Acquire));
            seen.waiting.fetch_sub(1, Full);
            return Err(if told { ENODEV } else { ETIMEDOUT });
        }
        self.end
    }
}

impl Source for Fake {
    fn init(&self, _task: Task<'_>) -> Result {
        self.seen.note(Told::Init);
        self.init
    }

    fn read(&self, _task: Task<'_>, sink: &mut Sink<'_>, wait: Wait) -> Result {
        let seen = &*self.seen;

        if seen.inside.fetch_add(1, Full) != 0 {
            seen.wrong.fetch_add(1, Relaxed);
        }
        let result = self.give(sink, wait);
        seen.inside.fetch_sub(1, Full);
        seen.reads.fetch_add(1, Full);
        result
    }

    fn cleanup(&self, _task: Task<'_>) {
        self.seen.note(Told::Cleanup);
    }

    fn give_up(&self) {
        self.seen.note(Told::GiveUp);
        self.seen.given_up.store(true, Release);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.seen.note(Told::Dropped);
    }
}
