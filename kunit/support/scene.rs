// SPDX-License-Identifier: GPL-2.0

//! Handlers for the `edu` device that tests look at and control, and what it takes to register
//! them.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    cpu::CpuId,
    pci::{
        IrqType,
        IrqTypes, //
    },
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    time::Delta, //
};

use irqkit::{
    context::{
        Atomic as _,
        HardIrq,
        Task, //
    },
    irq::{
        CpuList,
        Handler,
        IrqReturn,
        Line,
        Plain,
        Registration,
        Request,
        ThreadHandler,
        Threaded,
        ThreadedHandler,
        ThreadedIrqReturn,
        Vectors, //
    },
    path::{
        Kind,
        Path,
        Run, //
    }, //
};

use crate::{
    edu::Edu,
    support::{
        books::Books,
        crew::on_cpus,
        gate::Gate,
        until, //
    }, //
};

/// What handlers do and see.
pub(crate) struct Scene {
    pub(crate) edu: Arc<Edu>,
    pub(crate) answer: ThreadedIrqReturn,
    pub(crate) hard: Atomic<u64>,
    pub(crate) thread: Atomic<u64>,
    pub(crate) not_ours: Atomic<u64>,
    /// The CPU of the last hard handler.
    pub(crate) cpu: Atomic<u32>,
    pub(crate) wrong: Atomic<u64>,
    pub(crate) hard_gate: Gate,
    pub(crate) thread_gate: Gate,
    pub(crate) dropped: Atomic<u64>,
}

impl Scene {
    pub(crate) fn new(edu: &Arc<Edu>, answer: ThreadedIrqReturn) -> Result<Arc<Self>> {
        edu.acknowledge();

        Ok(Arc::new(
            Self {
                edu: edu.clone(),
                answer,
                hard: Atomic::new(0),
                thread: Atomic::new(0),
                not_ours: Atomic::new(0),
                cpu: Atomic::new(u32::MAX),
                wrong: Atomic::new(0),
                hard_gate: Gate::open(),
                thread_gate: Gate::open(),
                dropped: Atomic::new(0),
            },
            GFP_KERNEL,
        )?)
    }

    /// Raises an interrupt, and waits until the hard handler has counted it.
    pub(crate) fn raise(&self) -> bool {
        let before = self.hard.load(Relaxed);

        self.edu.raise(1);
        until(|| self.hard.load(Relaxed) > before)
    }

    fn hard(&self, ctx: HardIrq<'_>) -> bool {
        if self.edu.acknowledge() == 0 {
            self.not_ours.fetch_add(1, Relaxed);
            return false;
        }
        self.cpu.store(ctx.cpu().as_u32(), Relaxed);
        self.hard.fetch_add(1, Full);
        self.hard_gate.pass_spinning();
        true
    }

    fn thread(&self, task: Task<'_>) -> IrqReturn {
        task.sleep(Delta::from_micros(10));
        if KBox::new([0u8; 8192], GFP_KERNEL).is_err() {
            self.wrong.fetch_add(1, Relaxed);
        }
        self.thread.fetch_add(1, Full);
        self.thread_gate.pass_sleeping();
        IrqReturn::Handled
    }
}

/// The handlers of a [`Scene`].
pub(crate) struct Hand(pub(crate) Arc<Scene>);

impl Drop for Hand {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Full);
    }
}

impl Handler for Hand {
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> IrqReturn {
        run.items(1);
        if self.0.hard(ctx) {
            IrqReturn::Handled
        } else {
            IrqReturn::None
        }
    }
}

impl ThreadedHandler for Hand {
    fn handle(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) -> ThreadedIrqReturn {
        if self.0.hard(ctx) {
            self.0.answer
        } else {
            ThreadedIrqReturn::None
        }
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        run.items(1);
        self.0.thread(task)
    }
}

impl ThreadHandler for Hand {
    fn handle_threaded(&self, task: Task<'_>, _run: &mut Run<'_>) -> IrqReturn {
        // The line is masked; the device is silenced here.
        if self.0.edu.acknowledge() == 0 {
            return IrqReturn::None;
        }
        self.0.thread(task)
    }
}

/// A device with its vectors, and paths to count on.
pub(crate) struct Bench {
    pub(crate) books: Books,
    pub(crate) hard: Arc<Path>,
    pub(crate) thread: Arc<Path>,
    pub(crate) vectors: Arc<Vectors>,
    pub(crate) edu: Arc<Edu>,
}

impl Bench {
    pub(crate) fn new(device: &CStr, kind: IrqType) -> Result<Self> {
        let edu = Edu::get()?;
        let books = Books::new(device)?;

        books.set.set_timing(true);
        Ok(Self {
            hard: books.path(Kind::HardIrq)?,
            thread: books.path(Kind::Thread)?,
            books,
            vectors: Vectors::new(edu.bound(), 1, 1, IrqTypes::default().with(kind))?,
            edu,
        })
    }

    pub(crate) fn scene(&self, answer: ThreadedIrqReturn) -> Result<Arc<Scene>> {
        Scene::new(&self.edu, answer)
    }

    pub(crate) fn request(&self) -> Result<Request<'_>> {
        Request::new(self.edu.bound(), &self.vectors, 0, c"irqkit_kunit")
    }

    pub(crate) fn plain(&self, scene: &Arc<Scene>) -> Result<Registration<Plain<Hand>>> {
        self.request()?
            .plain(self.hard.clone(), Hand(scene.clone()))
    }

    pub(crate) fn threaded(&self, scene: &Arc<Scene>) -> Result<Registration<Threaded<Hand>>> {
        self.request()?
            .threaded(self.hard.clone(), self.thread.clone(), Hand(scene.clone()))
    }

    /// Returns what must be 0: handlers beside themselves or in another context than promised.
    pub(crate) fn faults(&self) -> Result<u64> {
        let hard = self
            .books
            .stats("hardirq", ["overlap", "context_mismatch"])?;
        let thread = self
            .books
            .stats("thread", ["overlap", "context_mismatch"])?;

        Ok(hard.into_iter().sum::<u64>() + thread.into_iter().sum::<u64>())
    }
}

/// Moves the interrupt of `line` to `cpu`. It arrives there after an interrupt or more: chips
/// may move it only when one comes, and x86 not before it has cleaned up after the last move.
pub(crate) fn move_to(line: &Line, scene: &Scene, cpu: CpuId) -> Result<bool> {
    Task::with(|task| line.set_affinity_and_hint(task, CpuList::new([cpu])?))??;

    Ok(until(|| {
        scene.raise() && scene.cpu.load(Relaxed) == cpu.as_u32()
    }))
}

/// Waits until `cpu` has taken all interrupts that were sent to it so far.
pub(crate) fn flush(cpu: CpuId) -> Result {
    on_cpus(&[cpu], |_| ())
}
