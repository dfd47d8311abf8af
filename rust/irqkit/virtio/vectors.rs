// SPDX-License-Identifier: GPL-2.0

//! The interrupts of a device: which vector says what, and who is told.

use kernel::{
    device::Bound,
    pci::{
        self,
        IrqType,
        IrqTypes, //
    },
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use super::{
    common::{
        status,
        Health, //
    },
    doorbell::Link,
    Device,
    State, //
};
use crate::{
    context::{
        HardIrq,
        Task, //
    },
    irq::{
        IrqReturn,
        Line,
        Registration,
        Request,
        Threaded,
        ThreadedHandler,
        ThreadedIrqReturn,
        Vectors, //
    },
    path::{
        Kind,
        PathSet,
        Run, //
    }, //
};

/// How a device uses its interrupt vectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// The first of the others that works, in their order.
    Best,
    /// MSI-X: one for each queue, and one for changes of the configuration.
    PerQueue,
    /// MSI-X: one for each pair of queues, whose numbers are 2n and 2n + 1, and one for changes of
    /// the configuration.
    PerPair,
    /// MSI-X: one for all queues, and one for changes of the configuration.
    Shared,
    /// The INTx pin for everything; the device says what it is about in its interrupt status.
    Intx,
}

impl Policy {
    /// Returns what is to be tried, in order.
    pub(super) fn tries(self) -> &'static [Self] {
        match self {
            Self::Best => &[Self::PerQueue, Self::PerPair, Self::Shared, Self::Intx],
            Self::PerQueue => &[Self::PerQueue],
            Self::PerPair => &[Self::PerPair],
            Self::Shared => &[Self::Shared],
            Self::Intx => &[Self::Intx],
        }
    }
}

/// Whether the interrupt's thread is to go on with a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// All is done, or somebody else goes on.
    No,
    /// [`Handler::used_threaded`] goes on.
    Thread,
}

/// What a device has to say beside its queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// Its configuration changed.
    Config,
    /// It is not well, which was said in the log, once. Queues that nothing comes back from any
    /// more should be given up; what helps [`Health::NeedsReset`] and [`Health::Lost`] is to begin
    /// anew.
    Trouble(Health),
}

/// What a driver does when its device interrupts.
///
/// All three may be called at any time from before [`Setup::start`](super::Setup::start) returns
/// until [`Live`](super::Live) is dropped or, with a queue's number that it knows, for no reason:
/// who looks into the queue finds out.
pub trait Handler: Send + Sync + 'static {
    /// The device may have used buffers of `queue`.
    ///
    /// Called in hard interrupt context, for one queue never beside itself.
    fn used(&self, queue: u16, ctx: HardIrq<'_>, run: &mut Run<'_>) -> Wake;

    /// Does the rest of [`Handler::used`] after it returned [`Wake::Thread`].
    ///
    /// Called in the interrupt's thread, for one queue never beside itself.
    fn used_threaded(&self, queue: u16, task: Task<'_>, run: &mut Run<'_>) {
        let _ = (queue, task, run);
    }

    /// The device has something to say.
    ///
    /// Called in the interrupt's thread, never beside itself.
    fn event(&self, event: Event, task: Task<'_>) {
        let _ = (event, task);
    }
}

/// Tells the driver of a change of the configuration, or of what is behind it.
fn tell<H: Handler>(device: &Device, handler: &H, task: Task<'_>) {
    let event = match device.state() {
        State::Live(Health::Good) => Event::Config,
        State::Live(health) => {
            device.report(health);
            Event::Trouble(health)
        }
        // From before or after.
        State::Idle | State::Setup => return,
    };

    handler.event(event, task);
}

/// The vector of changes of the configuration.
struct ConfigVector<H> {
    device: Arc<Device>,
    handler: Arc<H>,
}

impl<H: Handler> ThreadedHandler for ConfigVector<H> {
    fn handle(&self, _ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        run.items(1);
        ThreadedIrqReturn::WakeThread
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        run.items(1);
        tell(&self.device, &*self.handler, task);
        IrqReturn::Handled
    }
}

/// The vector of one queue.
struct QueueVector<H> {
    queue: u16,
    handler: Arc<H>,
}

impl<H: Handler> ThreadedHandler for QueueVector<H> {
    #[inline]
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        match self.handler.used(self.queue, ctx, run) {
            Wake::No => ThreadedIrqReturn::Handled,
            Wake::Thread => ThreadedIrqReturn::WakeThread,
        }
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        self.handler.used_threaded(self.queue, task, run);
        IrqReturn::Handled
    }
}

/// Queues of a device, by number, and whether each waits for the thread.
struct Queues<H> {
    queues: KVec<(u16, Atomic<bool>)>,
    handler: Arc<H>,
}

impl<H: Handler> Queues<H> {
    fn new(links: &[Arc<Link>], handler: &Arc<H>) -> Result<Self> {
        let mut queues = KVec::with_capacity(links.len(), GFP_KERNEL)?;
        for link in links {
            queues.push((link.index(), Atomic::new(false)), GFP_KERNEL)?;
        }

        Ok(Self {
            queues,
            handler: handler.clone(),
        })
    }

    /// Looks at all queues, and returns whether the thread is to go on with any.
    fn used(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> Wake {
        let mut wake = Wake::No;

        for (queue, waits) in self.queues.iter() {
            if self.handler.used(*queue, ctx, run) == Wake::Thread {
                waits.store(true, Relaxed);
                wake = Wake::Thread;
            }
        }
        wake
    }

    fn used_threaded(&self, task: Task<'_>, run: &mut Run<'_>) {
        for (queue, waits) in self.queues.iter() {
            // The kernel orders what a hard handler did before the thread that it woke.
            if waits.xchg(false, Relaxed) {
                self.handler.used_threaded(*queue, task, run);
            }
        }
    }
}

/// The vector of several queues.
struct SharedVector<H>(Queues<H>);

impl<H: Handler> ThreadedHandler for SharedVector<H> {
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        match self.0.used(ctx, run) {
            Wake::No => ThreadedIrqReturn::Handled,
            Wake::Thread => ThreadedIrqReturn::WakeThread,
        }
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        self.0.used_threaded(task, run);
        IrqReturn::Handled
    }
}

/// The INTx pin.
struct PinVector<H> {
    queues: Queues<H>,
    device: Arc<Device>,
    /// Whether a change of the configuration waits for the thread.
    config: Atomic<bool>,
}

/// Bits of the interrupt status.
const ISR_QUEUES: u8 = 1;
const ISR_CONFIG: u8 = 2;

impl<H: Handler> ThreadedHandler for PinVector<H> {
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn {
        let isr = self.device.take_isr();

        if isr & (ISR_QUEUES | ISR_CONFIG) == 0 {
            return ThreadedIrqReturn::None;
        }
        if isr == status::GONE && self.device.is_gone() {
            // The line is not held by what is not there. Its driver hears of it, once.
            if self.device.report(Health::Gone) {
                self.config.store(true, Relaxed);
                return ThreadedIrqReturn::WakeThread;
            }
            return ThreadedIrqReturn::None;
        }

        let mut wake = Wake::No;
        if isr & ISR_CONFIG != 0 {
            self.config.store(true, Relaxed);
            wake = Wake::Thread;
        }
        if isr & ISR_QUEUES != 0 && self.queues.used(ctx, run) == Wake::Thread {
            wake = Wake::Thread;
        }
        match wake {
            Wake::No => ThreadedIrqReturn::Handled,
            Wake::Thread => ThreadedIrqReturn::WakeThread,
        }
    }

    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn {
        if self.config.xchg(false, Relaxed) {
            tell(&self.device, &*self.queues.handler, task);
        }
        self.queues.used_threaded(task, run);
        IrqReturn::Handled
    }
}

/// A registered vector, or several.
type Hand<T> = Registration<Threaded<T>>;

enum Kinds<H: Handler> {
    PerQueue(Hand<ConfigVector<H>>, KVec<Hand<QueueVector<H>>>),
    PerPair(Hand<ConfigVector<H>>, KVec<Hand<SharedVector<H>>>),
    Shared(Hand<ConfigVector<H>>, Hand<SharedVector<H>>),
    Intx(Hand<PinVector<H>>),
}

/// Returns the queues by pairs.
fn pairs(links: &[Arc<Link>]) -> impl Iterator<Item = &[Arc<Link>]> {
    links.chunk_by(|a, b| a.index() / 2 == b.index() / 2)
}

/// Returns which of the pairs the `number`th queue is in.
fn pair_of(links: &[Arc<Link>], number: usize) -> usize {
    let upto = links.get(..=number).unwrap_or(links);

    pairs(upto).count().saturating_sub(1)
}

/// The interrupts of a device, by policy.
pub(super) struct Interrupts<H: Handler>(Kinds<H>);

/// What is the same for all vectors of a device.
struct Desk<'a> {
    dev: &'a pci::Device<Bound>,
    vectors: Arc<Vectors>,
    paths: &'a PathSet,
}

impl Desk<'_> {
    /// Registers a handler on a vector, by a name that tells them apart.
    fn register<T: ThreadedHandler>(
        &self,
        index: usize,
        name: Option<&CStr>,
        handler: T,
    ) -> Result<Hand<T>> {
        let device = self.dev.as_ref().name().to_str()?;
        let (user, hard, thread) = match name {
            Some(name) => {
                let name = name.to_str()?;
                (
                    CString::try_from_fmt(fmt!("virtio-{device}-{name}"))?,
                    CString::try_from_fmt(fmt!("hardirq/{name}"))?,
                    CString::try_from_fmt(fmt!("thread/{name}"))?,
                )
            }
            None => (
                CString::try_from_fmt(fmt!("virtio-{device}"))?,
                CString::try_from_fmt(fmt!("hardirq"))?,
                CString::try_from_fmt(fmt!("thread"))?,
            ),
        };

        Request::new(self.dev, &self.vectors, index, &user)?.threaded(
            self.paths.path_or_existing(Kind::HardIrq, &hard)?,
            self.paths.path_or_existing(Kind::Thread, &thread)?,
            handler,
        )
    }
}

impl<H: Handler> Interrupts<H> {
    /// Allocates vectors for `policy`, which is not [`Policy::Best`], and registers the handlers.
    pub(super) fn new(
        policy: Policy,
        dev: &pci::Device<Bound>,
        device: &Arc<Device>,
        links: &[Arc<Link>],
        paths: &PathSet,
        handler: &Arc<H>,
    ) -> Result<Self> {
        let (count, kind) = match policy {
            Policy::Best | Policy::PerQueue => (links.len() + 1, IrqType::MsiX),
            Policy::PerPair => (pairs(links).count() + 1, IrqType::MsiX),
            Policy::Shared => (2, IrqType::MsiX),
            Policy::Intx => (1, IrqType::Intx),
        };
        let count = u32::try_from(count)?;
        let desk = Desk {
            dev,
            vectors: Vectors::new(dev, count, count, IrqTypes::default().with(kind))?,
            paths,
        };
        let config = || {
            desk.register(
                0,
                Some(c"config"),
                ConfigVector {
                    device: device.clone(),
                    handler: handler.clone(),
                },
            )
        };

        let kinds = match policy {
            Policy::Best | Policy::PerQueue => {
                let config = config()?;
                let mut queues = KVec::with_capacity(links.len(), GFP_KERNEL)?;
                for (number, link) in links.iter().enumerate() {
                    let vector = QueueVector {
                        queue: link.index(),
                        handler: handler.clone(),
                    };
                    queues.push(
                        desk.register(number + 1, Some(link.name()), vector)?,
                        GFP_KERNEL,
                    )?;
                }
                Kinds::PerQueue(config, queues)
            }
            Policy::PerPair => {
                let config = config()?;
                let mut vectors = KVec::with_capacity(links.len(), GFP_KERNEL)?;
                for (number, pair) in pairs(links).enumerate() {
                    let name = CString::try_from_fmt(fmt!("pair{number}"))?;
                    let vector = SharedVector(Queues::new(pair, handler)?);
                    vectors.push(desk.register(number + 1, Some(&name), vector)?, GFP_KERNEL)?;
                }
                Kinds::PerPair(config, vectors)
            }
            Policy::Shared => {
                let queues = SharedVector(Queues::new(links, handler)?);
                Kinds::Shared(config()?, desk.register(1, Some(c"queues"), queues)?)
            }
            Policy::Intx => {
                let pin = PinVector {
                    queues: Queues::new(links, handler)?,
                    device: device.clone(),
                    config: Atomic::new(false),
                };
                Kinds::Intx(desk.register(0, None, pin)?)
            }
        };
        Ok(Self(kinds))
    }

    /// Tells the device of its vectors. To be called in a session.
    pub(super) fn assign(&self, device: &Device, links: &[Arc<Link>]) -> Result {
        let common = device.common();
        let vector = |number: usize| match &self.0 {
            Kinds::PerQueue(..) => u16::try_from(number + 1),
            Kinds::PerPair(..) => u16::try_from(pair_of(links, number) + 1),
            Kinds::Shared(..) | Kinds::Intx(_) => Ok(1),
        };

        if let Kinds::Intx(_) = &self.0 {
            return Ok(());
        }
        common.set_config_vector(0)?;
        for (number, link) in links.iter().enumerate() {
            let vector = vector(number)?;

            common.set_queue_vector(link.index(), vector)?;
            link.set_vector(vector);
        }
        Ok(())
    }

    pub(super) fn policy(&self) -> Policy {
        match &self.0 {
            Kinds::PerQueue(..) => Policy::PerQueue,
            Kinds::PerPair(..) => Policy::PerPair,
            Kinds::Shared(..) => Policy::Shared,
            Kinds::Intx(_) => Policy::Intx,
        }
    }

    /// Returns the line of the `number`th of the queues `links`.
    pub(super) fn line(&self, links: &[Arc<Link>], number: usize) -> Option<&Arc<Line>> {
        match &self.0 {
            Kinds::PerPair(_, pairs) => {
                let pair = pairs.get(pair_of(links, number))?;
                Some(pair.line())
            }
            Kinds::PerQueue(_, queues) => queues.get(number).map(|hand| hand.line()),
            Kinds::Shared(_, hand) => Some(hand.line()),
            Kinds::Intx(hand) => Some(hand.line()),
        }
    }

    pub(super) fn config_line(&self) -> &Arc<Line> {
        match &self.0 {
            Kinds::PerQueue(hand, _) | Kinds::PerPair(hand, _) | Kinds::Shared(hand, _) => {
                hand.line()
            }
            Kinds::Intx(hand) => hand.line(),
        }
    }
}
