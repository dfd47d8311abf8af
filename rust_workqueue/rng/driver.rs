// SPDX-License-Identifier: GPL-2.0

//! The PCI driver: what is set up when a virtio-rng appears, and taken down when it goes.

use kernel::{
    device::Core,
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
    hwrng::{
        self,
        Quality, //
    },
    path::{
        PathSet,
        Stamp, //
    },
    pci::device_id,
    pm::{
        self,
        Sleeper, //
    },
    virtio::{
        Device,
        Features,
        Live,
        RING_FEATURES, //
    }, //
};

use super::{
    file,
    Generator,
    Health,
    Rng, //
};

use crate::{
    bench::Bench,
    control,
    module_parameters,
    param::vectors, //
};

/// virtio's vendor number, and the numbers of its source of entropy: the transitional one, and that
/// of version 1.
const VIRTIO_VENDOR: u16 = 0x1af4;
const RNG_TRANSITIONAL: u16 = 0x1005;
const RNG_MODERN: u16 = 0x1044;

/// The type of device that a source of entropy is.
const ENTROPY: u16 = 4;

/// The one virtqueue there is.
const REQUESTS: u16 = 0;

/// The most buffers there may be, and the most bytes of one.
const MOST_BUFFERS: u32 = 1024;
const MOST_BYTES: u32 = 65536;

kernel::pci_device_table!(
    PCI_TABLE,
    <RngDriver as pci::Driver>::IdInfo,
    [
        (device_id(VIRTIO_VENDOR, RNG_TRANSITIONAL), ()),
        (device_id(VIRTIO_VENDOR, RNG_MODERN), ())
    ]
);

/// How many devices there were, for names that nobody else has.
static NUMBER: Atomic<u32> = Atomic::new(0);

/// The driver.
pub(crate) struct RngDriver;

/// The module's parameters, checked.
pub(crate) struct Parameters {
    quality: Quality,
    ring_size: u16,
    buffer_bytes: usize,
}

impl Parameters {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// `EINVAL` if one is out of its range, and a line in the log that says so.
    pub(crate) fn read() -> Result<Self> {
        let within = |name: &str, value: u32, min: u32, max: u32| {
            if (min..=max).contains(&value) {
                return Ok(value);
            }
            pr_err!("{name}={value}: expected {min} to {max}\n");
            Err(EINVAL)
        };
        let quality = module_parameters::quality.value();
        let quality = within("quality", quality, 1, Quality::FULL.bits().into())?;
        let ring_size = module_parameters::ring_size.value();
        let ring_size = within("ring_size", ring_size, 1, MOST_BUFFERS)?;
        let buffer_bytes = module_parameters::buffer_bytes.value();
        let buffer_bytes = within("buffer_bytes", buffer_bytes, 1, MOST_BYTES)?;
        Ok(Self {
            quality: Quality::new(quality.try_into()?).ok_or(EINVAL)?,
            ring_size: ring_size.try_into()?,
            buffer_bytes: buffer_bytes as usize,
        })
    }
}

/// A device that works, for what is to be done to it as a whole.
pub(super) struct Session {
    pub(super) live: Live<Rng>,
    pub(super) rng: Arc<Rng>,
}

/// What the driver keeps for a bound device.
///
/// Fields are dropped in this order, and each relies on those before it being gone:
///
/// 1. The files: nobody starts anything new.
/// 2. The generator: nobody reads.
/// 3. The sleeper: the device is not brought to life again.
/// 4. The session, with the last who holds it: the device is reset, so that it neither interrupts
///    nor touches memory, and the handlers have ended.
/// 5. The memory: the virtqueue and its buffers, while the device is still bound.
///
/// The queues go with the last who holds them; until then an item may run, and finds nothing to do.
pub(crate) struct Bound {
    _files: PathSet,
    _generator: hwrng::Registration<Generator>,
    _sleeper: pm::Registration<Nap>,
    _session: Arc<Session>,
    _memory: Memory,
    rng: Arc<Rng>,
}

/// Frees the memory of a device when dropped.
struct Memory(Arc<Rng>);

impl Drop for Memory {
    fn drop(&mut self) {
        self.0.core.dismantle();
    }
}

impl pci::Driver for RngDriver {
    type IdInfo = ();
    type Data<'bound> = Bound;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        Self::set_up(pdev)
    }

    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.rng.bench.leave();
        this.rng.leave();
    }
}

impl RngDriver {
    /// Sets a device up. What is left undone where it fails is undone by the drops.
    fn set_up(pdev: &pci::Device<Core<'_>>) -> Result<Bound> {
        let task = Task::of_bus_callback(pdev);
        let device = Device::new(pdev)?;
        if device.id() != ENTROPY {
            dev_err!(
                pdev,
                "no source of entropy: virtio device {}\n",
                device.id()
            );
            return Err(ENODEV);
        }
        let Parameters {
            quality,
            ring_size,
            buffer_bytes,
        } = Parameters::read()?;

        let number = NUMBER.fetch_add(1, Relaxed);
        let files = PathSet::new::<crate::LocalModule>(pdev.as_ref().name())?;
        let bench = Bench::new(&files, number, false)?;

        let mut setup = device.negotiate(task, RING_FEATURES, Features::NONE)?;
        let queue = setup.queue(pdev, REQUESTS, c"requests", ring_size)?;
        let pool = setup.pool(pdev)?;
        let name = CString::try_from_fmt(fmt!("rust_virtio_rng.{number}"))?;
        let rng = Rng::new(
            bench.clone(),
            name,
            &pool,
            queue.size().into(),
            buffer_bytes,
        )?;
        // From here on it is the buffers' end that frees it.
        let memory = Memory(rng.clone());
        rng.core.state.lock().queue = Some(queue);

        let live = setup.start(pdev, vectors.value().policy(), &files, rng.clone())?;
        let session = Arc::new(
            Session {
                live,
                rng: rng.clone(),
            },
            GFP_KERNEL,
        )?;

        control::add_files(&files, &bench)?;
        files.control::<file::RngFile>(session.clone())?;

        let generator =
            hwrng::Registration::new(pdev.as_ref(), &rng.name, quality, Generator(rng.clone()))
                .inspect_err(|e| {
                    dev_err!(pdev, "no generator '{}' ({})\n", &*rng.name, e.to_errno());
                })?;
        let sleeper = pm::Registration::new(pdev.as_ref(), Nap(session.clone()))?;

        Ok(Bound {
            _files: files,
            _generator: generator,
            _sleeper: sleeper,
            _session: session,
            _memory: memory,
            rng,
        })
    }
}

/// Takes the device down before the machine sleeps, and brings it back.
struct Nap(Arc<Session>);

impl Nap {
    fn down(&self, task: Task<'_>) -> Result {
        let Session { live, rng } = &*self.0;
        live.suspend(task)?;

        // Not under the lock: stopping may sleep. An item finds no queue meanwhile.
        let Some(mut queue) = rng.core.state.lock().queue.take() else {
            return Ok(());
        };
        let mut stopped = queue.stop()?;
        {
            let mut state = rng.core.state.lock();
            while let Some(buffer) = stopped.detach() {
                // There is room for all.
                let _ = state.spare.push_within_capacity(buffer);
            }
            state.posted = 0;
        }
        stopped.restart()?;
        rng.core.state.lock().queue = Some(queue);
        Ok(())
    }

    fn up(&self, task: Task<'_>) -> Result {
        let Session { live, rng } = &*self.0;
        let resume = live.resume(task)?;
        {
            let mut state = rng.core.state.lock();
            let queue = state.queue.as_mut().ok_or(ENODEV)?;
            resume.queue(queue)?;
        }
        resume.start()
    }
}

impl Sleeper for Nap {
    fn sleep(&self, task: Task<'_>) -> Result {
        self.down(task)
            .inspect_err(|_| self.0.rng.core.fail(Health::Broken))
    }

    fn wake(&self, task: Task<'_>) {
        match self.up(task) {
            Ok(()) => {
                let _ = self.0.rng.refill(Stamp::now());
            }
            Err(e) => {
                pr_err!("the device does not come back ({})\n", e.to_errno());
                self.0.rng.core.fail(Health::Broken);
            }
        }
    }
}
