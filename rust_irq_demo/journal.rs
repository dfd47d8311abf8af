// SPDX-License-Identifier: GPL-2.0

//! What the IRQ thread did last.
//!
//! The thread may sleep, and here it does what only a thread can: it allocates with `GFP_KERNEL`
//! and takes a mutex, on every run.

use kernel::{
    new_mutex,
    prelude::*,
    sync::Mutex,
    time::{
        Instant,
        Monotonic, //
    }, //
};

use irqkit::context::{
    Context,
    Task, //
};

/// How many runs are kept.
const KEPT: usize = 16;

/// One run of the thread.
pub(crate) struct Entry {
    /// When, in nanoseconds since probe.
    pub(crate) at_ns: i64,
    /// How many interrupts it worked off.
    pub(crate) items: u64,
}

struct Ring {
    /// The oldest entry is overwritten first.
    slots: [Option<KBox<Entry>>; KEPT],
    /// Runs that were written down, ever.
    recorded: u64,
    /// Runs for which there was no memory.
    lost: u64,
}

impl Ring {
    fn slot(&mut self, number: u64) -> Option<&mut Option<KBox<Entry>>> {
        let index = usize::try_from(number % KEPT as u64).ok()?;
        self.slots.get_mut(index)
    }
}

/// The last runs of the IRQ thread.
#[pin_data]
pub(crate) struct Journal {
    epoch: Instant<Monotonic>,
    #[pin]
    ring: Mutex<Ring>,
}

impl Journal {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            epoch: Instant::now(),
            ring <- new_mutex!(
                Ring {
                    slots: [const { None }; KEPT],
                    recorded: 0,
                    lost: 0,
                },
                "Journal::ring"
            ),
        })
    }

    /// Writes a run down. Sleeps.
    pub(crate) fn record(&self, task: Task<'_>, items: u64) {
        let entry = Entry {
            at_ns: self.epoch.elapsed().as_nanos(),
            items,
        };
        let entry = KBox::new(entry, task.alloc_flags());

        let mut ring = self.ring.lock();
        match entry {
            Ok(entry) => {
                let number = ring.recorded;
                if let Some(slot) = ring.slot(number) {
                    *slot = Some(entry);
                }
                ring.recorded += 1;
            }
            Err(_) => ring.lost += 1,
        }
    }

    /// How many runs were written down, and for how many there was no memory.
    pub(crate) fn totals(&self) -> (u64, u64) {
        let ring = self.ring.lock();
        (ring.recorded, ring.lost)
    }

    /// Calls `f` with the number of each run that is kept, and the run; oldest first.
    pub(crate) fn for_each(&self, mut f: impl FnMut(u64, &Entry)) {
        let mut ring = self.ring.lock();
        let end = ring.recorded;
        for number in end.saturating_sub(KEPT as u64)..end {
            if let Some(Some(entry)) = ring.slot(number) {
                f(number, entry);
            }
        }
    }
}
