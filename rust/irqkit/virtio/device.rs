// SPDX-License-Identifier: GPL-2.0

//! A virtio device behind a PCI function.

use kernel::{
    device::Core,
    devres,
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
    Features, //
};
use crate::{
    pci::Power,
    raw_lock::RawLock, //
};

mod error;
mod session;

use session::{
    Inner,
    Unbind, //
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

/// A virtio device behind a PCI function: its registers, and what is true of it at all times.
///
/// It is made by `probe` and shared by all who need it. [`Device::negotiate`] begins a session,
/// which goes on with [`Setup`](super::Setup) and [`Live`](super::Live), and ends with a reset. Of those there is
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
/// - `running` is the number of the session while its phase is open, and else 0. It
///   changes with `programming` locked.
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
    /// Held by who tells the device of a queue without `inner`, so that the session does not end
    /// meanwhile.
    #[pin]
    programming: RawLock<()>,
    #[pin]
    inner: Mutex<Inner>,
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
                programming <- RawLock::new(
                    (),
                    c"irqkit_virtio",
                    kernel::static_lock_class!(),
                ),
                inner <- new_mutex!(Inner::new(power)),
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

    /// Returns whether the device has the register by which a queue is reset alone.
    pub(super) fn can_reset_queue(&self) -> bool {
        self.windows.layout().common().len() >= common::WITH_QUEUE_RESET
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
