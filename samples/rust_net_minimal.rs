// SPDX-License-Identifier: GPL-2.0

//! A minimal network driver on irqkit: virtio-net with one queue per direction, frames of up to 1500
//! bytes and no offloads. `docs/network-drivers.md` walks through it.

#![deny(unsafe_code)]

use kernel::{
    device::Core,
    pci,
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    context::{
        HardIrq,
        SoftIrq,
        Task, //
    },
    dma::stream::Stream,
    net::{
        self,
        Budget,
        InNapi,
        Link,
        MappedSkb,
        Napi,
        Next,
        PagePool,
        Poller,
        PoolFrag,
        Reason,
        RxStat,
        Shape,
        SkBuff,
        Tx,
        TxCell,
        TxStat,
        Xmit, //
    },
    path::{
        Kind,
        PathSet,
        Run,
        Stamp, //
    },
    pci::{
        device_id,
        WithDmaMask, //
    },
    virtio::{
        Device,
        Doorbell,
        Features,
        Handler,
        Live,
        Policy,
        SplitQueue,
        Wake,
        RING_FEATURES, //
    }, //
};

/// The queues of the device: virtio 1.2, section 5.1.2.
const RX: u16 = 0;
const TX: u16 = 1;

/// The most frames in flight in each direction.
const FRAMES: u16 = 256;

/// The header in front of each frame, all zeroes without offloads (section 5.1.6).
const HEADER: u32 = 12;
const NO_OFFLOADS: [u8; HEADER as usize] = [0; HEADER as usize];

/// The longest payload, and the longest frame: with its Ethernet header and a VLAN tag.
const MTU: u32 = 1500;
const FRAME: u32 = net::ETH_HLEN + 4 + MTU;

/// The room in front of a received frame, for headers that the stack may add.
const HEADROOM: u32 = 64;

/// The device has a MAC address, the first field of its configuration (section 5.1.4).
const MAC: Features = Features::bit(5);

// ------------------------------------------------------------------------------------------------
// Receiving: a ring of buffers for the device to fill.

/// Owned by NAPI alone, so there is no lock.
struct Receiver {
    // Dropped before the pool that its buffers are from.
    ring: SplitQueue<PoolFrag, Doorbell>,
    pool: PagePool,
    shape: Shape,
    device: Arc<net::Device>,
}

impl Receiver {
    /// Gives the device as many buffers as the ring and memory allow.
    fn fill(&mut self, at: &impl InNapi) {
        while self.ring.free() > 0 {
            let Some(buffer) = self.pool.alloc(at, self.shape) else {
                self.count(RxStat::AllocFail);
                break;
            };
            if self.ring.add(buffer).is_err() {
                break;
            }
        }
        self.ring.kick();
    }

    fn count(&self, what: RxStat) {
        if let Some(stats) = self.device.rx_stats(0) {
            stats.add(what, 1);
        }
    }
}

impl Poller for Receiver {
    fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
        let next = loop {
            if budget.left() == 0 {
                break Next::Again;
            }
            let Some(used) = self.ring.get_used() else {
                break Next::Done;
            };
            // Each frame takes a credit, so the budget can't be overspent.
            let Some(credit) = budget.take() else {
                break Next::Again;
            };
            // The ring has checked the length against the size of the buffer.
            let received = used.buffer.received(used.written);
            let Some(len) = used.written.checked_sub(HEADER).filter(|&len| len > 0) else {
                self.count(RxStat::LengthErrors);
                continue;
            };
            // The stack gets the page itself, and returns it to the pool when it is done.
            match received.into_skb(&mut self.pool, budget, HEADER, len) {
                Ok(skb) => budget.receive(credit, skb),
                Err(_) => {
                    self.count(RxStat::AllocFail);
                    self.count(RxStat::Dropped);
                }
            }
        };

        self.fill(budget);
        // With no buffer in the ring there would be no interrupt to try again on.
        if self.ring.in_flight() == 0 && self.ring.poisoned().is_none() {
            return Next::Again;
        }
        next
    }

    fn mask(&mut self) {
        self.ring.disable_cb();
    }

    fn unmask(&mut self) -> bool {
        self.ring.enable_cb()
    }
}

// ------------------------------------------------------------------------------------------------
// Sending: a ring of frames for the device to read, under the lock of the kernel's transmit queue.

struct Sender {
    ring: SplitQueue<MappedSkb, Doorbell>,
    stream: Stream,
}

impl Sender {
    /// Hands a frame to the device and returns its length; if that fails, drops it and returns [`None`].
    fn send(&mut self, skb: SkBuff) -> Option<u32> {
        let mapped = MappedSkb::new(skb, &NO_OFFLOADS, &self.stream)
            .map_err(|unmapped| unmapped.skb.drop_with(Reason::NoMemory))
            .ok()?;
        let len = mapped.len();

        self.ring
            .add(mapped)
            .map_err(|refused| refused.buffer.into_skb().drop_with(Reason::FullRing))
            .ok()?;
        Some(len)
    }
}

/// Takes back what was sent.
struct Completer(Arc<TxCell<Sender>>);

impl Completer {
    /// Takes back what was sent and enables interrupts. Returns false if there is more already.
    fn complete(queue: &mut net::Locked<'_, Sender>, mut free: impl FnMut(SkBuff)) -> bool {
        let (mut packets, mut bytes) = (0, 0);

        while let Some(used) = queue.ring.get_used() {
            packets += 1;
            bytes += used.buffer.len();
            free(used.buffer.into_skb());
        }
        queue.completed(packets, bytes);
        if queue.ring.free() > 0 {
            queue.wake();
        }
        queue.ring.enable_cb()
    }
}

impl Poller for Completer {
    fn poll(&mut self, budget: &mut Budget<'_>, ctx: SoftIrq<'_>) -> Next {
        let mut guard = self.0.lock(ctx);

        let done = Self::complete(&mut guard.locked(), |skb| {
            budget.items(1);
            budget.consume(skb);
        });
        match done {
            true => Next::Done,
            false => Next::Again,
        }
    }

    // The ring is behind the lock, which can't be taken here: `complete` has enabled interrupts.
    fn mask(&mut self) {}

    fn unmask(&mut self) -> bool {
        true
    }

    fn netpoll(&mut self, ctx: SoftIrq<'_>) {
        if let Some(mut guard) = self.0.try_lock(ctx) {
            Self::complete(&mut guard.locked(), drop);
        }
    }
}

// ------------------------------------------------------------------------------------------------
// The card: what interrupts and the network core call.

struct Nic {
    rx: Arc<Napi<Receiver>>,
    tx: Arc<Napi<Completer>>,
    sender: Arc<TxCell<Sender>>,
}

impl Handler for Nic {
    fn used(&self, queue: u16, ctx: HardIrq<'_>, run: &mut Run<'_>) -> Wake {
        run.items(1);
        match queue {
            RX => self.rx.schedule(ctx, run.started()),
            _ => self.tx.schedule(ctx, run.started()),
        };
        Wake::No
    }
}

impl net::Driver for Nic {
    fn open(&self, _dev: &net::Device, task: Task<'_>) -> Result {
        self.rx.with(task, |receiver, at| receiver.fill(at));
        self.rx.enable(task)?;
        self.tx.enable(task)?;
        // There is no interrupt for what arrived before that.
        self.rx.schedule_from_task(task, Stamp::now());
        self.tx.schedule_from_task(task, Stamp::now());
        Ok(())
    }

    fn stop(&self, _dev: &net::Device, task: Task<'_>) {
        self.tx.disable(task);
        self.rx.disable(task);
    }

    fn start_xmit(&self, dev: &net::Device, skb: SkBuff, tx: &mut Tx<'_>, _: SoftIrq<'_>) -> Xmit {
        let more = tx.more();
        let Ok(mut queue) = tx.locked(&self.sender) else {
            return Xmit::Done;
        };

        let sent = queue.send(skb);
        // A frame takes one descriptor. Stop before asking `sent` whether to kick: on a stopped queue
        // nothing follows, whatever `more` says.
        if queue.ring.free() == 0 {
            queue.stop();
        }
        let kick = match sent {
            Some(len) => queue.sent(len, more),
            None => {
                if let Some(stats) = dev.tx_stats(0) {
                    stats.add(TxStat::Dropped, 1);
                }
                !more
            }
        };
        if kick {
            queue.ring.kick();
        }
        Xmit::Done
    }
}

// ------------------------------------------------------------------------------------------------
// The PCI driver.

kernel::pci_device_table!(
    PCI_TABLE,
    <NetMinimal as pci::Driver>::IdInfo,
    [
        (device_id(0x1af4, 0x1000), ()),
        (device_id(0x1af4, 0x1041), ())
    ]
);

struct NetMinimal;

/// What exists while a device is bound, in the order in which it is dropped: nobody sends any more when
/// the virtio device is reset.
struct Card {
    _registration: net::Registration<Nic>,
    _live: Live<Nic>,
    _paths: PathSet,
}

impl Card {
    fn new(pdev: &pci::Device<Core<'_>>) -> Result<Self> {
        let task = Task::of_bus_callback(pdev);
        let virtio = Device::new(pdev)?;
        let mut setup = virtio.negotiate(task, RING_FEATURES | MAC, Features::VERSION_1)?;
        let paths = PathSet::new::<crate::LocalModule>(pdev.as_ref().name())?;
        let memory = setup.pool(pdev)?;
        let stream = Stream::new(&memory);

        let mut builder = net::Builder::new(pdev.as_ref(), 1, 1)?
            .mtu(68, MTU, MTU)?
            .headroom(MappedSkb::headroom(HEADER as u16, &stream));
        if setup.features().contains(MAC) {
            let mut address = [0; 6];
            virtio.config().read_bytes(0, &mut address)?;
            builder = builder.mac(address)?;
        }
        let device = builder.device().clone();

        let receiver = Receiver {
            ring: setup.queue(pdev, RX, c"rx", FRAMES)?,
            pool: PagePool::new(&device, 0, &memory, FRAMES.into())?,
            shape: Shape::packet(HEADROOM, HEADER + FRAME)?,
            device: device.clone(),
        };
        let sender = Sender {
            ring: setup.queue(pdev, TX, c"tx", FRAMES)?,
            stream,
        };
        let sender = Arc::new(device.tx_cell(0, sender)?, GFP_KERNEL)?;
        let path = |name| paths.path_or_existing(Kind::Napi, name);
        let nic = Nic {
            rx: device.napi(Link::Rx(0), path(c"napi/rx")?, receiver)?,
            tx: device.napi(Link::Tx(0), path(c"napi/tx")?, Completer(sender.clone()))?,
            sender,
        };
        let nic = Arc::new(nic, GFP_KERNEL)?;

        Ok(Self {
            _live: setup.start(pdev, Policy::Best, &paths, nic.clone())?,
            _registration: builder.register(nic)?,
            _paths: paths,
        })
    }
}

impl pci::Driver for NetMinimal {
    type IdInfo = ();
    type Data<'bound> = Card;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        Card::new(pdev)
    }
}

type Devices = kernel::driver::Registration<pci::Adapter<WithDmaMask<NetMinimal, 64>>>;

struct Module {
    _devices: Pin<KBox<Devices>>,
}

impl kernel::Module for Module {
    fn init(module: &'static ThisModule) -> Result<Self> {
        let name = <LocalModule as kernel::ModuleMetadata>::NAME;

        Ok(Self {
            _devices: KBox::pin_init(Devices::new(name, module), GFP_KERNEL)?,
        })
    }
}

module! {
    type: Module,
    name: "rust_net_minimal",
    authors: ["The Rust interrupt suite"],
    description: "A minimal virtio-net driver in Rust",
    license: "GPL",
}
