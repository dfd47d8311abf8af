// SPDX-License-Identifier: GPL-2.0

//! The containment of a storm: a source that the hard handler has masked is polled until it is calm.
//!
//! Under MSI the IRQ thread does that, as long as the line, which is ours alone, stays disabled for
//! it. An INTx line may have other users, and whoever waits for the handlers of a line waits for the
//! threads of all its users: a thread that polled would keep the others' `free_irq()` waiting until
//! the storm is over. So there a work item polls, and the thread is woken for what it finds.

use kernel::{
    device::Device,
    prelude::*,
    str::CString,
    sync::Arc,
    time::{
        Instant,
        Monotonic, //
    }, //
};

use irqkit::{
    context::Task,
    irq::Line,
    path::{
        PathSet,
        Run,
        Stamp, //
    },
    workqueue::{
        self,
        ArcWork,
        Item,
        Queue, //
    }, //
};

use crate::{
    intake::Intake,
    storm::{
        CALM_POLLS,
        POLL_INTERVAL, //
    }, //
};

/// Polls the device by `poll`, which returns whether there was anything to do, until it has calmed
/// down; then has its source speak again.
pub(crate) fn contain(intake: &Intake, task: Task<'_>, mut poll: impl FnMut() -> Result<bool>) {
    let edu = &*intake.edu;
    let began = Instant::<Monotonic>::now();

    dev_warn!(
        edu.hw.dev,
        "interrupt storm ({}): {} masked, polled every {} ms until it is calm\n",
        edu.storm.reason().map_or("?", |reason| reason.word()),
        if intake.intx { "INTx pin" } else { "MSI" },
        POLL_INTERVAL.as_millis(),
    );

    let mut look = Instant::<Monotonic>::now();
    let (mut polls, mut found) = (0, 0);
    while !edu.hw.is_lost() {
        task.sleep(POLL_INTERVAL);
        match poll() {
            Ok(something) => found += u32::from(something),
            Err(_) => break,
        }
        polls += 1;
        if polls == CALM_POLLS {
            if edu.storm.is_over(found, look.elapsed()) {
                break;
            }
            look = Instant::now();
            (polls, found) = (0, 0);
        }
    }

    edu.storm.end(began.elapsed(), || {
        // A device that is being unbound stays silent.
        if intake.intx && !edu.hw.is_lost() {
            edu.pin.unmask();
        }
    });
}

/// Contains the storms of a device whose line may have other users.
///
/// When it is dropped it waits for what it is doing, which ends soon once the device is left.
pub(crate) struct Watch {
    work: ArcWork<Watcher>,
    _queue: Queue,
}

impl Watch {
    /// Creates that of the device of `intake`, whose interrupt is `line`.
    pub(crate) fn new(files: &PathSet, intake: Arc<Intake>, line: Arc<Line>) -> Result<Self> {
        let dev: &Device = intake.edu.hw.dev.as_ref();
        let name = CString::try_from_fmt(fmt!("{}_storm", dev.name()))?;
        // It sleeps most of the time, but what it polls should not have to wait for others.
        let queue = Queue::unbound(&name).highpri().build_as(files, c"storm")?;
        let watcher = Watcher { intake, line };

        Ok(Self {
            work: ArcWork::new(watcher, &queue, kernel::static_lock_class!(), GFP_KERNEL)?,
            _queue: queue,
        })
    }

    /// Begins to contain a storm that was found at time `at`. Any context but NMIs.
    pub(crate) fn begin(&self, at: Stamp) {
        let _ = self.work.schedule(at);
    }
}

/// The work of a [`Watch`].
struct Watcher {
    intake: Arc<Intake>,
    line: Arc<Line>,
}

impl workqueue::Handler for Watcher {
    fn run(&self, task: Task<'_>, _this: &Item, run: &mut Run<'_>) {
        // A request for the thread that is still to be made: the first interrupts of a device come
        // before it is said to be registered.
        let mut owed = None;

        contain(&self.intake, task, || {
            let found = self.intake.poll(|at| owed = Some(at))?;

            if let Some(at) = owed {
                if self.line.wake_thread(at).is_ok() {
                    owed = None;
                }
            }
            run.items(u64::from(found));
            Ok(found || owed.is_some())
        });
    }
}
