// SPDX-License-Identifier: GPL-2.0

//! All that one `edu` device is made of, shared by its handlers and its files.

use kernel::{
    device::Bound,
    pci,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::{
    context::Task,
    irq::Line,
    path::{
        Kind,
        Path,
        PathSet, //
    },
    pci::Intx, //
};

use crate::{
    defer::{
        Backlog,
        Choice,
        Defer, //
    },
    dma::Dma,
    factorial::Factorial,
    hw::Hw,
    intake::Intake,
    journal::Journal,
    regs::{
        CAUSE_DMA,
        CAUSE_FACTORIAL, //
    },
    storm::{
        Storm,
        POLL_INTERVAL, //
    },
    trigger::Trigger, //
};

/// The paths that an interrupt of this device may travel.
pub(crate) struct Paths {
    pub(crate) hardirq: Arc<Path>,
    pub(crate) thread: Arc<Path>,
    pub(crate) tasklet: Arc<Path>,
    pub(crate) tasklet_hi: Arc<Path>,
}

impl Paths {
    pub(crate) fn new(set: &PathSet) -> Result<Self> {
        Ok(Self {
            hardirq: set.path(Kind::HardIrq, c"hardirq")?,
            thread: set.path(Kind::Thread, c"thread")?,
            tasklet: set.path(Kind::Tasklet, c"tasklet")?,
            tasklet_hi: set.path(Kind::TaskletHi, c"tasklet_hi")?,
        })
    }
}

/// One device.
#[pin_data]
pub(crate) struct Edu {
    pub(crate) hw: Hw,
    /// The INTx pin, which must be silent whenever nobody listens.
    pub(crate) pin: Intx,
    pub(crate) paths: Paths,
    pub(crate) defer: Choice,

    /// What was handed to each deferral.
    pub(crate) thread: Backlog,
    pub(crate) tasklet: Backlog,
    pub(crate) tasklet_hi: Backlog,

    /// Causes that only the thread can deal with, as they were acknowledged.
    factorial_due: Atomic<bool>,
    dma_due: Atomic<bool>,

    #[pin]
    pub(crate) trigger: Trigger,
    #[pin]
    pub(crate) factorial: Factorial,
    #[pin]
    pub(crate) dma: Dma,
    #[pin]
    pub(crate) journal: Journal,
    #[pin]
    pub(crate) storm: Storm,
}

impl Edu {
    /// Makes a device of the live hardware `hw`.
    pub(crate) fn new(
        dev: &pci::Device<Bound>,
        hw: Hw,
        pin: Intx,
        paths: Paths,
        storm_limit: u32,
    ) -> Result<Arc<Self>> {
        let dma = Dma::new(dev)?;

        Arc::pin_init(
            pin_init!(Self {
                hw,
                pin,
                paths,
                defer: Choice::new(Defer::Thread),
                thread: Backlog::new(),
                tasklet: Backlog::new(),
                tasklet_hi: Backlog::new(),
                factorial_due: Atomic::new(false),
                dma_due: Atomic::new(false),
                trigger <- Trigger::new(),
                factorial <- Factorial::new(),
                dma <- dma,
                journal <- Journal::new(),
                storm <- Storm::new(storm_limit),
            }),
            GFP_KERNEL,
        )
    }

    /// Remembers those of `causes` that only the thread can deal with; returns whether there are.
    #[inline]
    pub(crate) fn remember(&self, causes: u32) -> bool {
        if causes & CAUSE_FACTORIAL != 0 {
            self.factorial_due.store(true, Relaxed);
        }
        if causes & CAUSE_DMA != 0 {
            self.dma_due.store(true, Relaxed);
        }
        causes & (CAUSE_FACTORIAL | CAUSE_DMA) != 0
    }

    /// Deals with what [`Edu::remember`] remembered. Sleeps.
    pub(crate) fn complete(&self) {
        // Nothing is ordered by these flags: the registers are read anew.
        if self.factorial_due.xchg(false, Relaxed) {
            self.factorial.complete(&self.hw);
        }
        if self.dma_due.xchg(false, Relaxed) {
            self.dma.complete(&self.hw);
        }
    }

    /// Whether all that was handed on has been worked off.
    pub(crate) fn is_idle(&self) -> bool {
        self.thread.is_empty() && self.tasklet.is_empty() && self.tasklet_hi.is_empty()
    }

    /// Makes whoever waits for the device give up, and the device silent.
    pub(crate) fn leave(&self) {
        self.hw.leave();
        self.storm.call_off();
        self.hw.quiesce();
    }
}

/// How long a storm is waited for.
const CALM_LIMIT: Delta = Delta::from_secs(1);

/// What drives a device from outside, for its files.
pub(crate) struct Station {
    pub(crate) edu: Arc<Edu>,
    pub(crate) line: Arc<Line>,
    intake: Arc<Intake>,
}

impl Station {
    pub(crate) fn new(intake: Arc<Intake>, line: Arc<Line>) -> Result<Arc<Self>> {
        let station = Self {
            edu: intake.edu.clone(),
            line,
            intake,
        };
        Ok(Arc::new(station, GFP_KERNEL)?)
    }

    /// Whether the interrupt is INTx; else it is MSI.
    pub(crate) fn is_intx(&self) -> bool {
        self.intake.intx
    }

    /// Waits for the handlers that are running, to their very end.
    ///
    /// What they have done shows earlier, but a handler is counted when it returns. The end of a
    /// storm is waited for as well, but no longer than [`CALM_LIMIT`]: under MSI the thread is busy
    /// with it.
    pub(crate) fn synchronize(&self, task: Task<'_>) -> Result {
        let edu = &*self.edu;
        let start = Instant::<Monotonic>::now();
        while edu.storm.is_masked() && !edu.hw.is_lost() && start.elapsed() < CALM_LIMIT {
            task.sleep(POLL_INTERVAL);
        }
        if self.intake.intx || !edu.storm.is_masked() {
            self.line.synchronize(task)?;
        }
        self.intake.tasklets.synchronize(task);
        Ok(())
    }
}
