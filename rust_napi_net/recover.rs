// SPDX-License-Identifier: GPL-2.0

//! Bringing queues, or the whole device, back to work.
//!
//! A transmit queue from which nothing comes back is reset on its own, if the device can do that.
//! Else, and if the device has failed altogether, it is reset as a whole and set up again.

use kernel::{
    cpu::CpuId,
    new_mutex,
    prelude::*,
    static_lock_class,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::{
    context::Task,
    cpu_hotplug::Watcher,
    net::TxStat,
    path::{
        Run,
        Stamp, //
    },
    pm::Sleeper,
    virtio::{
        Buffer,
        Control,
        Live,
        Stopped,
        Virtqueue, //
    },
    workqueue::{
        ArcWork,
        Handler,
        Item,
        Queue, //
    }, //
};

use crate::{
    kind::Kind,
    logic::{
        config,
        patience::Patience, //
    },
    nic::Nic,
    spread,
    tx, //
};

/// Commands to the device: the class of those about several pairs of queues, and the one that says
/// how many are in use.
const CLASS_PAIRS: u8 = 4;
const SET_PAIRS: u8 = 0;

/// The device's answer to a command that it has done.
const DONE: u8 = 0;

/// The bytes of the longest command, and of the longest answer.
pub(crate) const COMMAND: usize = 8;
pub(crate) const ANSWER: usize = 1;

/// What a transmit queue had got back when it came to a standstill. As long as it has no more, it stands still.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct Note(u64);

impl Note {
    /// What it has now. The queue's lock is held.
    pub(crate) fn of(device: &irqkit::net::Device, index: u16) -> Self {
        Self(
            device
                .tx_stats(index)
                .map_or(0, |stats| stats.get(TxStat::Packets)),
        )
    }
}

/// The note that was taken last, if there is one.
pub(crate) struct Ill(Atomic<u64>);

impl Ill {
    /// No packet count.
    const NONE: u64 = u64::MAX;

    pub(crate) const fn new() -> Self {
        Self(Atomic::new(Self::NONE))
    }

    /// Any context.
    pub(crate) fn put(&self, note: Note) {
        self.0.store(note.0, Relaxed);
    }

    /// Takes it away.
    fn take(&self) -> Option<Note> {
        match self.0.xchg(Self::NONE, Full) {
            Self::NONE => None,
            packets => Some(Note(packets)),
        }
    }
}

/// How a card spends the time in which the machine sleeps.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Rest {
    /// It does not sleep.
    Awake,
    /// It was taken down, and is to be set to work again.
    Asleep,
    /// It could not be taken down in order, and is to be reset.
    Faint,
}

/// A card at work, for what is to be done to it as a whole.
#[pin_data]
pub(crate) struct Session<K: Kind> {
    pub(crate) live: Live<Nic<K>>,
    #[pin]
    control: Mutex<Option<Control>>,
    /// Whether the machine sleeps or is about to: nobody but who wakes it touches the device then. Who holds this
    /// does something to the card as a whole.
    #[pin]
    rest: Mutex<Rest>,
    pub(crate) nic: Arc<Nic<K>>,
}

impl<K: Kind> Session<K> {
    pub(crate) fn new(
        live: Live<Nic<K>>,
        control: Option<Control>,
        nic: Arc<Nic<K>>,
    ) -> Result<Arc<Self>> {
        Arc::pin_init(
            pin_init!(Self {
                live,
                control <- new_mutex!(control, "Session::control"),
                rest <- new_mutex!(Rest::Awake, "Session::rest"),
                nic,
            }),
            GFP_KERNEL,
        )
    }

    /// Tells the device how many pairs of queues to use.
    ///
    /// # Errors
    ///
    /// `EIO` if it does not, or says so in time, with a line in the log.
    pub(crate) fn use_pairs(&self, task: Task<'_>) -> Result {
        let pairs = self.nic.desk.plan.used_pairs;
        // It begins with one.
        if pairs == 1 {
            return Ok(());
        }
        let mut control = self.control.lock();
        let Some(control) = &mut *control else {
            return Err(EIO);
        };
        let mut answer = [!DONE; ANSWER];

        control
            .command(
                task,
                &[&[CLASS_PAIRS, SET_PAIRS], &pairs.to_le_bytes()],
                &mut answer,
            )
            .and_then(|written| match (written, answer) {
                (1.., [DONE]) => Ok(()),
                _ => Err(EIO),
            })
            .inspect_err(|e| {
                let desk = &self.nic.desk;
                dev_err!(
                    desk.function,
                    "the device does not use {pairs} pairs of queues ({})\n",
                    e.to_errno()
                );
            })
    }

    /// Resets one transmit queue, and lets it go on. One that `note` was taken of, and from which something came
    /// back since, or does now, is left alone: returns false.
    fn reset_tx(&self, task: Task<'_>, index: u16, note: Note) -> Result<bool> {
        let tx = self.nic.tx.get(usize::from(index)).ok_or(ENOENT)?;
        let (_, number) = config::queues_of(index).ok_or(ENOENT)?;

        {
            let mut guard = tx.cell.lock_task(task);
            let mut queue = guard.locked();
            // Who is to see to it may have been kept from that for as long.
            tx::complete(&mut queue, |skb| skb.consume(task));
            if note != Note::of(&self.nic.desk.device, index) {
                return Ok(false);
            }
            // If what follows fails, all of the device is reset, and this with it.
            tx::park(&mut queue);
        }
        self.live.reset_queue(task, number)?;

        let mut guard = tx.cell.lock_task(task);
        let mut queue = guard.locked();
        let lost = empty(queue.ring().stopped()?)?;
        self.live.enable_queue(queue.ring())?;
        queue.reset();
        tx::unpark(&mut queue);
        tx::count(&self.nic.desk.device, index, TxStat::Dropped, lost);
        Ok(true)
    }

    /// Resets the device, and empties its queues.
    fn down(&self, task: Task<'_>) -> Result {
        let nic = &*self.nic;

        // What is completed until then would let the core send again.
        for tx in nic.tx.iter() {
            tx::park(&mut tx.cell.lock_task(task).locked());
        }
        nic.desk.device.set_present(task, false);
        self.live.suspend(task)?;
        for rx in nic.rx.iter() {
            rx.napi
                .with(task, |receiver, _| empty(receiver.ring().stopped()?))?;
        }
        for (tx, index) in nic.tx.iter().zip(0u16..) {
            let mut guard = tx.cell.lock_task(task);
            let mut queue = guard.locked();
            let lost = empty(queue.ring().stopped()?)?;
            queue.reset();
            tx::count(&nic.desk.device, index, TxStat::Dropped, lost);
        }
        Ok(())
    }

    /// Sets the device to work again.
    fn up(&self, task: Task<'_>) -> Result {
        let nic = &*self.nic;

        let resume = self.live.resume(task)?;
        for rx in nic.rx.iter() {
            rx.napi
                .with(task, |receiver, _| resume.queue(receiver.ring()))?;
        }
        for tx in nic.tx.iter() {
            resume.queue(tx.cell.lock_task(task).locked().ring())?;
            // It was about what is no more.
            tx.ill.take();
        }
        if let Some(control) = &mut *self.control.lock() {
            resume.control(control)?;
        }
        resume.start()?;
        self.use_pairs(task)?;

        let open = nic.open.load(Relaxed);
        for rx in nic.rx.iter() {
            rx.napi.with(task, |receiver, at| receiver.resume(at, open));
        }
        // That wakes them all, whether there is room or not, but not if the interface is down.
        nic.desk.device.set_present(task, true);
        for tx in nic.tx.iter() {
            tx::unpark(&mut tx.cell.lock_task(task).locked());
        }
        nic.update_link(task);
        Ok(())
    }
}

/// Takes back what is in a queue, and makes it as good as new. Returns how many there were.
fn empty<B, P, R>(mut stopped: Stopped<'_, B, P, R>) -> Result<u64>
where
    B: Buffer + Send + 'static,
    P: irqkit::virtio::Port,
    R: Virtqueue<B>,
{
    let mut count = 0;

    while stopped.detach().is_some() {
        count += 1;
    }
    stopped.restart()?;
    Ok(count)
}

/// No CPU.
const NOBODY: u32 = u32::MAX;

/// What the work item does.
#[pin_data]
pub(crate) struct Doctor<K: Kind> {
    /// The card; [`None`] before it works and after it went.
    #[pin]
    session: Mutex<Option<Arc<Session<K>>>>,
    /// The device failed as a whole.
    all: Atomic<bool>,
    /// A CPU has come, or is about to go.
    spread: Atomic<bool>,
    /// The CPU that goes or has gone last: it is online for a while yet. One at a time goes.
    leaving: Atomic<u32>,
    /// What became of resets so far.
    #[pin]
    patience: Mutex<Patience>,
    /// When this was made, from which its times count.
    epoch: Instant<Monotonic>,
}

impl<K: Kind> Doctor<K> {
    /// Returns how many milliseconds it is there.
    fn now(&self) -> u64 {
        self.epoch.elapsed().as_millis().try_into().unwrap_or(0)
    }

    /// Has the device reset after so many milliseconds.
    fn reset_after(&self, this: &Item, ms: u64) {
        self.all.store(true, Relaxed);
        // If it is refused, the device is being unbound. What was asked for meanwhile waits, too.
        let _ = this.reschedule_after(
            Delta::from_millis(ms.try_into().unwrap_or(i64::MAX)),
            this.path().stamp(),
        );
    }

    /// The device was reset, to no avail: tries again after a while, if there is hope.
    fn try_again(&self, this: &Item, session: &Session<K>, e: Error) {
        let desk = &session.nic.desk;
        let pause = self.patience.lock().failed();

        match pause {
            // What is gone does not come back.
            Some(ms) if e != ENODEV => {
                dev_warn!(
                    desk.function,
                    "the device was reset, and does not come back ({}): once more in {ms} ms\n",
                    e.to_errno()
                );
                self.reset_after(this, ms);
            }
            _ => {
                // What was asked for meanwhile was asked for in vain.
                self.all.store(false, Relaxed);
                dev_err!(
                    desk.function,
                    "the device was reset, and does not come back ({}): given up\n",
                    e.to_errno()
                );
            }
        }
    }

    /// The device is about to be made anew: what went wrong before has nothing to do with it.
    fn forget(&self) {
        self.all.store(false, Relaxed);
        *self.patience.lock() = Patience::new();
    }
}

impl<K: Kind> Handler for Doctor<K> {
    fn run(&self, task: Task<'_>, this: &Item, run: &mut Run<'_>) {
        let Some(session) = self.session.lock().clone() else {
            return;
        };
        let rest = session.rest.lock();
        if *rest != Rest::Awake {
            // Who wakes it asks again.
            return;
        }
        let desk = &session.nic.desk;
        if self.spread.xchg(false, Full) {
            run.items(1);
            spread::over_cpus(&session, task);
        }
        let mut all = self.all.xchg(false, Full);

        for (tx, index) in session.nic.tx.iter().zip(0u16..) {
            let Some(note) = tx.ill.take().filter(|_| !all) else {
                continue;
            };
            match session.reset_tx(task, index, note) {
                Ok(true) => {
                    run.items(1);
                    dev_warn!(desk.function, "tx{index}: nothing came back: reset\n");
                }
                Ok(false) => {
                    dev_info!(desk.function, "tx{index}: it came back late: not reset\n");
                }
                Err(e) => {
                    dev_warn!(
                        desk.function,
                        "tx{index}: nothing came back, and it can't be reset alone ({})\n",
                        e.to_errno()
                    );
                    all = true;
                }
            }
        }
        if !all {
            return;
        }
        let wait = self.patience.lock().wait(self.now());
        if wait != 0 {
            self.reset_after(this, wait);
            return;
        }
        run.items(1);
        match session.down(task).and_then(|()| session.up(task)) {
            Ok(()) => {
                self.patience.lock().worked(self.now());
                dev_warn!(desk.function, "the device was reset, and works again\n");
            }
            Err(e) => {
                session.nic.cut_link(task);
                self.try_again(this, &session, e);
            }
        }
    }
}

/// Asks for help.
pub(crate) struct Recover<K: Kind>(ArcWork<Doctor<K>>);

impl<K: Kind> Recover<K> {
    /// Makes one that works on `queue`.
    pub(crate) fn new(queue: &Queue) -> Result<Self> {
        let doctor = pin_init!(Doctor {
            session <- new_mutex!(None, "Doctor::session"),
            all: Atomic::new(false),
            spread: Atomic::new(false),
            leaving: Atomic::new(NOBODY),
            patience <- new_mutex!(Patience::new(), "Doctor::patience"),
            epoch: Instant::now(),
        });

        Ok(Self(ArcWork::new(
            doctor,
            queue,
            static_lock_class!(),
            GFP_KERNEL,
        )?))
    }

    /// Says who is to be helped, and helps if somebody has asked already.
    pub(crate) fn attach(&self, session: Arc<Session<K>>) {
        *self.0.handler().session.lock() = Some(session);
        self.request();
    }

    /// Lets the session go, which holds this.
    pub(crate) fn detach(&self) {
        let session = self.0.handler().session.lock().take();
        drop(session);
    }

    /// Asks for queues that are ill to be reset. Any context.
    pub(crate) fn request(&self) {
        let _ = self.0.schedule(Stamp::now());
    }

    /// Asks for interrupts and queues to be spread over the CPUs again. Any context.
    fn request_spread(&self) {
        self.0.handler().spread.store(true, Relaxed);
        self.request();
    }

    /// Returns whether a CPU is about to go.
    pub(crate) fn is_leaving(&self, cpu: CpuId) -> bool {
        self.0.handler().leaving.load(Relaxed) == cpu.as_u32()
    }

    /// Asks for the device to be reset. Any context.
    pub(crate) fn request_all(&self) {
        self.0.handler().all.store(true, Relaxed);
        self.request();
    }
}

impl<K: Kind> Clone for Recover<K> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Spreads the card over the CPUs when one comes or goes. The kernel would move the interrupts of one that goes as
/// well, but to anywhere, and not back.
pub(crate) struct Spreader<K: Kind>(pub(crate) Recover<K>);

impl<K: Kind> Watcher for Spreader<K> {
    fn online(&self, cpu: CpuId, _task: Task<'_>) {
        // It may have stayed after all.
        if self.0.is_leaving(cpu) {
            self.0 .0.handler().leaving.store(NOBODY, Relaxed);
        }
        // Not here: XPS waits for the CPU to be there altogether.
        self.0.request_spread();
    }

    fn offline(&self, cpu: CpuId, _task: Task<'_>) {
        self.0 .0.handler().leaving.store(cpu.as_u32(), Relaxed);
        self.0.request_spread();
    }
}

/// Takes the card down before the machine sleeps, and brings it back.
pub(crate) struct Nap<K: Kind>(pub(crate) Arc<Session<K>>);

impl<K: Kind> Sleeper for Nap<K> {
    fn sleep(&self, task: Task<'_>) -> Result {
        let mut rest = self.0.rest.lock();

        *rest = match self.0.down(task) {
            Ok(()) => Rest::Asleep,
            // That is no reason for the machine to stay awake. It loses its power, which helps, if anything.
            Err(e) => {
                dev_err!(
                    self.0.nic.desk.function,
                    "the device can't be stopped ({}): it is reset when the machine wakes\n",
                    e.to_errno()
                );
                Rest::Faint
            }
        };
        Ok(())
    }

    fn wake(&self, task: Task<'_>) {
        let mut rest = self.0.rest.lock();
        let before = core::mem::replace(&mut *rest, Rest::Awake);
        if before == Rest::Awake {
            // It came while others went to sleep, and may have lost its power with them.
            self.0.nic.recover.request_all();
            return;
        }
        self.0.nic.recover.0.handler().forget();
        if before == Rest::Faint {
            self.0.nic.recover.request_all();
            return;
        }
        let result = self.0.up(task);

        // What was asked for meanwhile.
        self.0.nic.recover.request();
        if let Err(e) = result {
            self.0.nic.recover.request_all();
            dev_err!(
                self.0.nic.desk.function,
                "the device does not come back ({})\n",
                e.to_errno()
            );
        }
    }
}
