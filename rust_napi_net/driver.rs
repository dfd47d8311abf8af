// SPDX-License-Identifier: GPL-2.0

//! The PCI driver: what is set up when a card appears, and taken down when it goes.

use kernel::{
    device::Core,
    new_mutex,
    pci,
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

use irqkit::{
    context::Task,
    cpu_hotplug,
    dma::{
        stream::Stream,
        Pool, //
    },
    net::{
        self,
        Link,
        MappedSkb,
        PagePool,
        PoolChain,
        PoolFrag, //
    },
    path::{
        self,
        PathSet, //
    },
    pci::device_id,
    pm,
    virtio::{
        Device,
        Features,
        PackedRings,
        Setup,
        SplitRings,
        PACKED_FEATURES, //
    },
    workqueue::Queue, //
};

use crate::{
    desk::{
        Desk,
        Kicks, //
    },
    file,
    kind::{
        Kind,
        Of, //
    },
    logic::{
        config,
        features,
        header, //
    },
    nic::{
        Nic,
        RxPath,
        TxPath, //
    },
    param::Parameters,
    plan::{
        Plan,
        Receive, //
    },
    recover::{
        self,
        Ill,
        Nap,
        Recover,
        Session,
        Spreader, //
    },
    rx::{
        refill::Refill,
        Receiver, //
    },
    spread,
    tx::{
        complete::{
            Completer,
            Sibling, //
        },
        Transmitter,
        LEAST_RING,
        SEGMENTS, //
    }, //
};

/// virtio's vendor number, and the numbers of its network card: the transitional one, and that of
/// version 1.
const VIRTIO_VENDOR: u16 = 0x1af4;
const NET_TRANSITIONAL: u16 = 0x1000;
const NET_MODERN: u16 = 0x1041;

/// The type of device that a network card is.
const NETWORK: u16 = 1;

/// After how many milliseconds a transmit queue from which nothing comes back is taken to be stuck.
const WATCHDOG_MS: u32 = 5000;

kernel::pci_device_table!(
    PCI_TABLE,
    <NetDriver as pci::Driver>::IdInfo,
    [
        (device_id(VIRTIO_VENDOR, NET_TRANSITIONAL), ()),
        (device_id(VIRTIO_VENDOR, NET_MODERN), ())
    ]
);

/// The most pages that a pool keeps.
const MOST_PAGES: u32 = 16384;

/// How many devices there were, for names that nobody else has.
static NUMBER: Atomic<u32> = Atomic::new(0);

/// The driver.
pub(crate) struct NetDriver;

/// What the driver keeps for a bound device.
///
/// Fields are dropped in this order, and each relies on those before it being gone:
///
/// 1. The files: nobody looks any more.
/// 2. The network device, unregistered: nobody sends or opens.
/// 3. The sleeper and the watcher: the device is not brought to life again, or moved.
/// 4. The circles: the items of the work queues let go of what they work on.
/// 5. The session, with the last who holds it: the device is reset, so that it neither interrupts
///    nor touches memory, and the handlers have ended.
/// 6. The work queues, with whatever runs on them.
pub(crate) struct Card<K: Kind> {
    _files: PathSet,
    _registration: net::Registration<Nic<K>>,
    _sleeper: pm::Registration<Nap<K>>,
    _watcher: cpu_hotplug::Registration<Spreader<K>>,
    _circles: Circles<K>,
    _session: Arc<Session<K>>,
    _work: Work,
}

/// A card with rings of either kind.
pub(crate) enum Bound {
    #[allow(dead_code)]
    Split(Card<Of<SplitRings, PoolFrag>>),
    #[allow(dead_code)]
    SplitBig(Card<Of<SplitRings, PoolChain>>),
    #[allow(dead_code)]
    Packed(Card<Of<PackedRings, PoolFrag>>),
    #[allow(dead_code)]
    PackedBig(Card<Of<PackedRings, PoolChain>>),
}

/// Cuts the circles of references when dropped.
struct Circles<K: Kind>(Arc<Nic<K>>);

impl<K: Kind> Drop for Circles<K> {
    fn drop(&mut self) {
        self.0.dismantle();
    }
}

/// The work queues of a card.
struct Work {
    refill: Queue,
    recover: Queue,
}

impl Work {
    fn new(files: &PathSet) -> Result<Self> {
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = |what: &str| CString::try_from_fmt(fmt!("rnn{number}_{what}"));

        Ok(Self {
            // What it does may be what memory is waited for.
            refill: Queue::percpu(&name("refill")?)
                .mem_reclaim()
                .build_as(files, c"refill")?,
            recover: Queue::ordered(&name("recover")?).build_as(files, c"recover")?,
        })
    }
}

impl pci::Driver for NetDriver {
    type IdInfo = ();
    type Data<'bound> = Bound;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        Self::set_up(pdev)
    }
}

impl NetDriver {
    /// Sets a device up. What is left undone where it fails is undone by the drops.
    fn set_up(pdev: &pci::Device<Core<'_>>) -> Result<Bound> {
        let task = Task::of_bus_callback(pdev);
        let device = Device::new(pdev)?;
        if device.id() != NETWORK {
            dev_err!(pdev, "no network card: virtio device {}\n", device.id());
            return Err(ENODEV);
        }
        let parameters = Parameters::read()?;

        let sound = features::check(device.offered(), |nonsense| {
            dev_warn!(pdev, "the device offers {nonsense}: done without\n");
        })
        .map_err(|nonsense| {
            dev_err!(pdev, "the device offers {nonsense}: refused\n");
            EINVAL
        })?;
        let mut wanted = (features::WANTED | PACKED_FEATURES) & sound;
        if parameters.ring_size < LEAST_RING {
            // Frames that no such ring has room for must not come.
            wanted = wanted.without(features::GUEST_LARGE);
        }
        let setup = device.negotiate(task, wanted, Features::VERSION_1)?;
        let plan = Plan::new(&setup, parameters, |fault| {
            dev_err!(pdev, "the device has {fault}: refused\n");
        })?;

        let big = plan.receive == Receive::Big;
        Ok(match (setup.is_packed(), big) {
            (false, false) => Bound::Split(Card::new(pdev, task, setup, plan)?),
            (false, true) => Bound::SplitBig(Card::new(pdev, task, setup, plan)?),
            (true, false) => Bound::Packed(Card::new(pdev, task, setup, plan)?),
            (true, true) => Bound::PackedBig(Card::new(pdev, task, setup, plan)?),
        })
    }
}

/// What the queues of a card are made of.
struct Parts<'a, 'b, K: Kind> {
    pdev: &'a pci::Device<Core<'b>>,
    desk: Arc<Desk>,
    files: &'a PathSet,
    work: &'a Work,
    recover: Recover<K>,
    stream: Stream,
    memory: &'a Arc<Pool>,
}

impl<K: Kind> Parts<'_, '_, K> {
    /// Makes the receiving queue of a pair.
    fn receive(
        &self,
        setup: &mut Setup,
        index: u16,
        number: u16,
        sibling: Sibling<K>,
    ) -> Result<RxPath<K>> {
        let Desk { plan, device, .. } = &*self.desk;
        let name = CString::try_from_fmt(fmt!("rx{index}"))?;
        let label = CString::try_from_fmt(fmt!("napi/rx{index}"))?;
        let path = self.files.path_or_existing(path::Kind::Napi, &label)?;

        let ring = setup.queue_of::<K::Rings, _>(
            self.pdev,
            number,
            &name,
            plan.parameters.ring_size,
            // One piece needs no table.
            match plan.pieces() {
                0 => 0,
                pieces => u16::try_from(pieces)? + 1,
            },
        )?;
        let size = ring.size();
        let pages = u32::from(size).saturating_mul(plan.pieces() as u32 + 1);
        let pool = PagePool::new(device, index, self.memory, pages.min(MOST_PAGES))?;
        let refill = Refill::new(&self.work.refill)?;
        let kicks = Kicks::new()?;
        let receiver = Receiver::new(
            ring,
            pool,
            refill.clone(),
            self.recover.clone(),
            kicks.clone(),
            sibling,
            &self.desk,
        )?;
        let napi = device.napi(Link::Rx(index), path, receiver)?;

        refill.attach(napi.clone());
        Ok(RxPath {
            napi,
            refill,
            kicks,
            ring: size,
        })
    }

    /// Makes the transmitting queue of a pair, and what the receiving one needs of it.
    fn transmit(
        &self,
        setup: &mut Setup,
        index: u16,
        number: u16,
    ) -> Result<(TxPath<K>, Sibling<K>)> {
        let Desk { plan, device, .. } = &*self.desk;
        let name = CString::try_from_fmt(fmt!("tx{index}"))?;

        let ring = setup.queue_of::<K::Rings, _>(
            self.pdev,
            number,
            &name,
            plan.parameters.ring_size,
            SEGMENTS,
        )?;
        let size = ring.size();
        let kicks = Kicks::new()?;
        let transmitter = Transmitter::new(
            ring,
            self.stream.clone(),
            self.recover.clone(),
            kicks.clone(),
            index,
            &self.desk,
        );
        let cell = Arc::new(device.tx_cell(index, transmitter)?, GFP_KERNEL)?;
        let (completer, sibling) =
            Completer::new(plan.parameters.completion, self.files, device, index, &cell)?;

        let queue = TxPath {
            cell,
            completer,
            kicks,
            ring: size,
            ill: Ill::new(),
        };
        Ok((queue, sibling))
    }
}

impl<K: Kind> Card<K> {
    /// Makes a card of a device that has agreed on what `plan` says.
    fn new(
        pdev: &pci::Device<Core<'_>>,
        task: Task<'_>,
        mut setup: Setup,
        plan: Plan,
    ) -> Result<Self> {
        let virtio = setup.device().clone();
        let files = PathSet::new::<crate::LocalModule>(pdev.as_ref().name())?;
        let work = Work::new(&files)?;
        let pairs = plan.used_pairs;
        let policy = plan.parameters.policy;

        let memory = setup.pool(pdev)?;
        let stream = Stream::new(&memory);
        let builder = net::Builder::new(pdev.as_ref(), pairs.into(), pairs.into())?;
        let offloads = plan.offloads();
        let builder = match plan.address {
            Some(address) => builder.mac(address)?,
            // It has a random one.
            None => builder,
        }
        .features(offloads | fixed(&plan), offloads, offloads | fixed(&plan))
        .mtu(config::MIN_MTU.into(), plan.mtu.into(), plan.max_mtu)?
        // CAST: It is 12.
        .headroom(MappedSkb::headroom(header::LEN as u16, &stream))
        .counts_offloads()
        .watchdog(WATCHDOG_MS)
        // It is seen to when the device is opened, so that its coming is noticed.
        .carrier(!plan.has(features::STATUS));

        let has_control = plan.has(features::CTRL_VQ);
        let control_number = config::control_queue(plan.pairs);
        let desk = Desk::new(plan, builder.device().clone(), pdev)?;
        let parts = Parts {
            pdev,
            desk: desk.clone(),
            files: &files,
            work: &work,
            recover: Recover::new(&work.recover)?,
            stream,
            memory: &memory,
        };

        let mut rx = KVec::with_capacity(pairs.into(), GFP_KERNEL)?;
        let mut tx = KVec::with_capacity(pairs.into(), GFP_KERNEL)?;
        for pair in 0..pairs {
            let (receive, transmit) = config::queues_of(pair).ok_or(EINVAL)?;
            let (sending, sibling) = parts.transmit(&mut setup, pair, transmit)?;
            let receiving = parts.receive(&mut setup, pair, receive, sibling)?;
            rx.push(receiving, GFP_KERNEL)?;
            tx.push(sending, GFP_KERNEL)?;
        }
        let control = match control_number {
            Some(number) if has_control => {
                Some(setup.control(pdev, number, c"control", recover::COMMAND, recover::ANSWER)?)
            }
            _ => None,
        };

        let nic = pin_init!(Nic {
            desk,
            virtio,
            rx,
            tx,
            recover: parts.recover.clone(),
            open: Atomic::new(false),
            link <- new_mutex!((), "Nic::link"),
        });
        let nic = Arc::pin_init(nic, GFP_KERNEL)?;
        let circles = Circles(nic.clone());

        let live = setup.start(pdev, policy, &files, nic.clone())?;
        let session = Session::new(live, control, nic.clone())?;
        nic.recover.attach(session.clone());
        session.use_pairs(task)?;
        let irq_of = |queue| session.live.line(queue).map(|line| line.irq());
        for ((rx, tx), pair) in nic.rx.iter().zip(nic.tx.iter()).zip(0u16..) {
            let (receive, transmit) = config::queues_of(pair).ok_or(EINVAL)?;
            rx.napi.set_irq(task, irq_of(receive));
            if let Some(napi) = tx.completer.napi() {
                napi.set_irq(task, irq_of(transmit));
            }
        }

        files.control::<file::NicFile<K>>(session.clone())?;
        let sleeper = pm::Registration::new(pdev.as_ref(), Ok::<_, Error>(Nap(session.clone())))?;
        let watcher = cpu_hotplug::Registration::new(
            pdev.as_ref(),
            Ok::<_, Error>(Spreader(nic.recover.clone())),
        )?;
        let registration = builder.register(nic)?;
        spread::over_cpus(&session, task);

        Ok(Self {
            _files: files,
            _registration: registration,
            _sleeper: sleeper,
            _watcher: watcher,
            _circles: circles,
            _session: session,
            _work: work,
        })
    }
}

/// The offloads that can't be switched.
fn fixed(plan: &Plan) -> net::Features {
    if plan.has(features::GUEST_CSUM) {
        net::Features::RXCSUM
    } else {
        net::Features::NONE
    }
}
