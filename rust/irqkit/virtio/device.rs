// SPDX-License-Identifier: GPL-2.0

//! A virtio device behind a PCI function.

use kernel::{
    device::{
        Bound,
        Core, //
    },
    devres,
    fmt,
    io::Io,
    new_mutex,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::{
    common::{
        self,
        status,
        Common,
        Health,
        Registers, //
    },
    config::Config,
    layout::{
        self,
        Structure, //
    },
    window::{
        bars,
        Window,
        Windows, //
    },
    Features,
    Setup, //
};
use crate::{
    context::Task,
    dma::{
        Addressing,
        Pool, //
    },
    pci::Power, //
};

/// How often the end of a reset is looked for, and the time between two looks.
const RESET_TRIES: u32 = 1000;
const RESET_PAUSE: Delta = Delta::from_millis(1);

/// Device numbers of PCI: the first that is virtio's, the first that is not transitional, the first
/// that is not virtio's any more.
const IDS: u16 = 0x1000;
const MODERN_IDS: u16 = 0x1040;
const END_OF_IDS: u16 = 0x1080;

/// The status of a device that works.
const WORKING: u8 = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK | status::DRIVER_OK;

/// The pure logic knows the core's formatting alone.
macro_rules! display {
    ($($ty:ty),*) => {
        $(
            impl fmt::Display for $ty {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    core::fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

display!(common::Fault, layout::Fault, Features, Health);

impl From<common::Fault> for Error {
    fn from(fault: common::Fault) -> Self {
        match fault {
            common::Fault::Gone => ENODEV,
            common::Fault::Reset(_) => ETIMEDOUT,
            common::Fault::Lacks(_) | common::Fault::Refuses(_) => EOPNOTSUPP,
            common::Fault::NoQueue(_) => ENOENT,
            common::Fault::Enabled(_) => EBUSY,
            common::Fault::Disabled(_) => EIO,
            common::Fault::Size(_) => EINVAL,
            common::Fault::Vector(_) => ENOSPC,
            common::Fault::Unsteady => EAGAIN,
        }
    }
}

/// What goes on with a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is reset, and idle.
    Idle,
    /// It is being set up.
    Setup,
    /// It is at work, or should be.
    Live(Health),
}

/// How far a [`Device`] is, and for whom.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It is nobody's.
    Idle,
    /// It is a [`Setup`]'s or a [`Live`](super::Live)'s, and may use what it was given.
    Open,
    /// It still is theirs, but was reset.
    Ended,
}

struct Inner {
    phase: Phase,
    /// The number of the last session: the time between an agreement and the reset that ends it.
    session: u64,
    /// The reset that ended it was not confirmed. The device may still be using what it was given.
    broken: bool,
    /// The function; [`None`] once it is given up.
    power: Option<Power>,
    /// The memory that the device may use, once somebody asked for it.
    pool: Option<Arc<Pool>>,
}

/// A virtio device behind a PCI function: its registers, and what is true of it at all times.
///
/// It is made by `probe` and shared by all who need it. [`Device::negotiate`] begins a session,
/// which goes on with [`Setup`] and [`Live`](super::Live), and ends with a reset. Of those there is
/// one at a time.
///
/// At the latest when the function is unbound, after the driver's `unbind` and the drop of its data,
/// the device is reset, its registers are unmapped and the function is switched off. Who still has a
/// device then finds it gone.
///
/// Virtio 1.3, sections 2.1, 3.1 and 4.1.
///
/// # Invariants
///
/// - `running` is the number of the session while its phase is [`Phase::Open`], and else 0.
/// - While no session is open and `broken` is false, the device accesses no memory.
/// - `inner.power` is [`None`] before the function is unbound.
#[pin_data]
pub struct Device {
    function: ARef<pci::Device>,
    id: u16,
    offered: Features,
    queues: u16,
    windows: Windows,
    running: Atomic<u64>,
    /// Whether the driver is ready, and so whether the device has to be.
    live: Atomic<bool>,
    /// What of its health was said already in this session.
    said: [Atomic<bool>; 3],
    #[pin]
    inner: Mutex<Inner>,
}

/// Resets the device, and gives the function up, when the function is unbound.
struct Unbind(Arc<Device>);

impl Drop for Unbind {
    fn drop(&mut self) {
        let device = &self.0;
        let mut inner = device.inner.lock();

        device.end(&mut inner);
        drop(inner.power.take());
    }
}

impl Device {
    /// Makes a function a virtio device: switches it on, finds its registers and resets it. May
    /// sleep.
    ///
    /// The driver's module should be a [`WithDmaMask<_, 64>`](crate::pci::WithDmaMask).
    ///
    /// # Errors
    ///
    /// Each with one line in the log that says why:
    ///
    /// - [`ENODEV`] if the function is not virtio's, is for legacy drivers alone (virtio 0.9), or
    ///   is gone;
    /// - [`EINVAL`] if its capabilities are not as they should be;
    /// - [`EBUSY`] if somebody else has its BARs;
    /// - [`ETIMEDOUT`] if it can't be reset;
    /// - [`ENOMEM`].
    pub fn new(dev: &pci::Device<Core<'_>>) -> Result<Arc<Self>> {
        let id = kind(dev).ok_or_else(|| {
            dev_err!(dev, "virtio: not a virtio device\n");
            ENODEV
        })?;

        // SAFETY: The value is dropped on return, or goes to `Unbind`, which devres drops before
        // the function is unbound.
        let power = unsafe { Power::on(dev)? };
        let space = dev.config_space();
        let read = |at: u8| space.try_read32(at.into()).unwrap_or(u32::MAX);
        let layout = layout::walk(read, &bars(dev)).map_err(|fault| refused(dev, fault))?;
        let windows = Windows::map(dev, layout)?;

        let common = Common::new(windows.at(windows.layout().common()));
        common
            .reset(RESET_TRIES, || fsleep(RESET_PAUSE))
            .map_err(|fault| {
                dev_err!(dev, "virtio: {fault}\n");
                Error::from(fault)
            })?;
        common.set_status(status::ACKNOWLEDGE);
        common.set_status(status::ACKNOWLEDGE | status::DRIVER);
        let offered = common.offered();
        let queues = common.queues();

        let device = Arc::pin_init(
            // INVARIANT: No session is open, and the device was reset. The function is given up by
            // `Unbind`, before it is unbound.
            pin_init!(Self {
                function: dev.into(),
                id,
                offered,
                queues,
                windows,
                running: Atomic::new(0),
                live: Atomic::new(false),
                said: [const { Atomic::new(false) }; 3],
                inner <- new_mutex!(Inner {
                    phase: Phase::Idle,
                    session: 0,
                    broken: false,
                    power: Some(power),
                    pool: None,
                }),
            }),
            GFP_KERNEL,
        )?;
        // Younger than the BARs are, and so dropped earlier.
        devres::register(dev.as_ref(), Unbind(device.clone()), GFP_KERNEL)?;
        Ok(device)
    }

    /// Returns what kind of device it is: 1 for a network card, 4 for a source of entropy.
    ///
    /// Virtio 1.3, section 5.
    pub fn id(&self) -> u16 {
        self.id
    }

    /// Returns what the device can do.
    pub fn offered(&self) -> Features {
        self.offered
    }

    /// Returns how many queues it has.
    pub fn queues(&self) -> u16 {
        self.queues
    }

    /// Returns its own configuration.
    pub fn config(&self) -> Config<'_> {
        Config::new(self)
    }

    /// Returns what goes on with it, of which the device was asked. Any context.
    pub fn state(&self) -> State {
        if !self.live.load(Relaxed) {
            return match self.running.load(Relaxed) {
                0 => State::Idle,
                _ => State::Setup,
            };
        }
        let health = Health::of(self.common().status(), WORKING);

        // It may have been stopped meanwhile, and then is not lost.
        if self.live.load(Relaxed) {
            State::Live(health)
        } else {
            State::Idle
        }
    }

    /// Begins a session: resets the device and comes to terms with it about features, of which it
    /// must have all in `need` and may have those in `want`. What this side can do for any device
    /// is wanted without saying, and [`Features::VERSION_1`] is needed.
    ///
    /// # Errors
    ///
    /// - [`EBUSY`] if there is a [`Setup`] or a [`Live`](super::Live) of it;
    /// - [`EOPNOTSUPP`] if what is needed is not offered, or the device does not accept what it
    ///   offered;
    /// - [`ETIMEDOUT`] if it can't be reset, [`ENODEV`] if it is gone or the function unbound.
    pub fn negotiate(
        self: &Arc<Self>,
        task: Task<'_>,
        want: Features,
        need: Features,
    ) -> Result<Setup> {
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Idle {
            return Err(EBUSY);
        }

        let transport = Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
        let need = need | Features::VERSION_1;
        let features = self.open(task, &mut inner, want | transport, need)?;
        let session = inner.session;
        drop(inner);

        Setup::new(self.clone(), session, features)
    }

    /// Begins another session of the same owner, with the features of the last.
    pub(super) fn reopen(&self, task: Task<'_>, features: Features) -> Result<u64> {
        let mut inner = self.inner.lock();
        if inner.power.is_none() {
            return Err(ENODEV);
        }
        if inner.phase != Phase::Ended {
            return Err(EBUSY);
        }

        self.open(task, &mut inner, features, features)?;
        Ok(inner.session)
    }

    fn open(
        &self,
        _task: Task<'_>,
        inner: &mut Inner,
        want: Features,
        need: Features,
    ) -> Result<Features> {
        if inner.power.is_none() {
            return Err(ENODEV);
        }

        self.reset(inner)?;
        let features = self
            .common()
            .negotiate(want, need)
            .map_err(|fault| self.complain(fault))
            .inspect_err(|_| {
                let _ = self.reset(inner);
            })?;
        if let Some(power) = &inner.power {
            power.set_master(true);
        }

        inner.session += 1;
        inner.phase = Phase::Open;
        for said in &self.said {
            said.store(false, Relaxed);
        }
        // INVARIANT: The session is open.
        self.running.store(inner.session, Relaxed);
        Ok(features)
    }

    /// Ends a session if it still goes on, and returns whether the device has done with what it was
    /// given in it: that it accesses no memory of that session any more, ever. May sleep.
    pub(super) fn stop(&self, session: u64) -> bool {
        let mut inner = self.inner.lock();

        if inner.session != session {
            // Another one began, which takes a confirmed reset.
            return true;
        }
        self.end(&mut inner);
        !inner.broken
    }

    /// Ends the session of an owner who may begin another one. May sleep.
    pub(super) fn suspend(&self) -> Result {
        let mut inner = self.inner.lock();

        self.end(&mut inner);
        if inner.broken {
            return Err(EIO);
        }
        Ok(())
    }

    /// Ends the session of an owner who has done with the device. May sleep.
    pub(super) fn close(&self) {
        let mut inner = self.inner.lock();

        self.end(&mut inner);
        inner.phase = Phase::Idle;
    }

    /// Ends the session if one is open, or tries again if its end was not confirmed.
    fn end(&self, inner: &mut Inner) {
        if inner.phase == Phase::Open {
            inner.phase = Phase::Ended;
        } else if !inner.broken {
            return;
        }
        // What reads the status from now on does not take it for that of a device at work.
        self.live.store(false, Relaxed);
        // INVARIANT: The session is not open any more.
        self.running.store(0, Relaxed);
        // The fault was said.
        let _ = self.reset(inner);
    }

    /// Resets the device, and takes its right to access memory.
    ///
    /// What can't be confirmed is taken for not done: a device that does not answer may be busy,
    /// and reads of all ones may come from one that is switched off for us alone. Only if its
    /// configuration space is gone, too, the device is.
    fn reset(&self, inner: &mut Inner) -> Result {
        let Some(power) = &inner.power else {
            return Err(ENODEV);
        };

        let result = self.common().reset(RESET_TRIES, || fsleep(RESET_PAUSE));
        power.set_master(false);
        inner.broken = match result {
            Ok(()) => false,
            Err(common::Fault::Gone) => power.is_present(),
            Err(_) => true,
        };
        result.map_err(|fault| self.complain(fault))
    }

    /// Returns the memory that the device may use, with these features.
    pub(super) fn pool(&self, dev: &pci::Device<Bound>, features: Features) -> Result<Arc<Pool>> {
        let addressing = if features.contains(Features::ACCESS_PLATFORM) {
            Addressing::Platform
        } else {
            Addressing::Physical
        };
        let mut inner = self.inner.lock();

        if let Some(pool) = &inner.pool {
            if pool.addressing() != addressing {
                dev_err!(dev, "virtio: the device changed how it addresses memory\n");
                return Err(EIO);
            }
            return Ok(pool.clone());
        }
        let pool = Pool::new(dev.as_ref(), addressing)?;
        inner.pool = Some(pool.clone());
        Ok(pool)
    }

    /// Runs `f` if the session is open, and keeps it so meanwhile.
    pub(super) fn in_session<T>(&self, session: u64, f: impl FnOnce() -> Result<T>) -> Result<T> {
        let inner = self.inner.lock();

        if inner.session != session || inner.phase != Phase::Open {
            return Err(ENODEV);
        }
        f()
    }

    /// Tells the device that the driver is ready. To be called in a session, after its queues were
    /// put to use.
    pub(super) fn ready(&self) -> Result {
        self.common().set_status(WORKING);
        self.live.store(true, Relaxed);

        match Health::of(self.common().status(), WORKING) {
            Health::Good => Ok(()),
            Health::Gone => Err(self.complain(common::Fault::Gone)),
            health => {
                dev_err!(self.function, "virtio: the device {health}\n");
                Err(EIO)
            }
        }
    }

    /// Returns whether `session` is open. Any context.
    #[inline]
    pub(super) fn is_running(&self, session: u64) -> bool {
        self.running.load(Relaxed) == session
    }

    /// Returns whether its status reads as all ones. Any context.
    pub(super) fn is_gone(&self) -> bool {
        self.common().status() == status::GONE
    }

    /// Says that the device is not well, once for each way of that in a session, and returns
    /// whether this was the time. Any context.
    pub(super) fn report(&self, health: Health) -> bool {
        let [needs_reset, lost, gone] = &self.said;
        let said = match health {
            Health::Good => return false,
            Health::NeedsReset => needs_reset,
            Health::Lost => lost,
            Health::Gone => gone,
        };
        let first = !said.xchg(true, Relaxed);

        if first {
            dev_err!(self.function, "virtio: the device {health}\n");
        }
        first
    }

    /// Says what went wrong, and returns it as an error.
    pub(super) fn complain(&self, fault: common::Fault) -> Error {
        dev_err!(self.function, "virtio: {fault}\n");
        fault.into()
    }

    /// Returns the function.
    pub(super) fn function(&self) -> &pci::Device {
        &self.function
    }

    /// Returns the common configuration.
    #[inline]
    pub(super) fn common(&self) -> Common<Window<'_>> {
        Common::new(self.windows.at(self.windows.layout().common()))
    }

    /// Returns where the device's own configuration is.
    pub(super) fn config_window(&self) -> Option<Window<'_>> {
        Some(self.windows.at(self.windows.layout().device()?))
    }

    /// Reads the interrupt status, and thereby clears it and the interrupt. Any context.
    pub(super) fn take_isr(&self) -> u8 {
        self.windows.at(self.windows.layout().isr()).read8(0)
    }

    /// Returns the registers.
    #[inline]
    pub(super) fn windows(&self) -> &Windows {
        &self.windows
    }
}

/// Returns what kind of virtio device a function is.
fn kind(dev: &pci::Device) -> Option<u16> {
    match dev.device_id() {
        IDS..MODERN_IDS => Some(dev.subsystem_device_id()),
        id @ MODERN_IDS..END_OF_IDS => Some(id - MODERN_IDS),
        _ => None,
    }
}

/// Says why the capabilities of a function are refused.
fn refused(dev: &pci::Device<Core<'_>>, fault: layout::Fault) -> Error {
    let transitional = dev.device_id() < MODERN_IDS;

    match fault {
        layout::Fault::NoList | layout::Fault::Missing(Structure::Common) if transitional => {
            dev_err!(
                dev,
                "virtio: legacy-only device (0.9), refused: this driver is for virtio 1.0 and later\n"
            );
            ENODEV
        }
        layout::Fault::Gone => {
            dev_err!(dev, "virtio: {fault}\n");
            ENODEV
        }
        _ => {
            dev_err!(dev, "virtio: bad capabilities: {fault}\n");
            EINVAL
        }
    }
}
