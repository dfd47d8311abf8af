// SPDX-License-Identifier: GPL-2.0

//! The device itself: what a register access means, and whether the device is still there.

use kernel::{
    io::Io,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        }, //
    },
    time::{
        delay::fsleep,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::regs::{
    self,
    ALL_ONES, //
};

/// How long a transfer may take to end; it takes 100 ms.
const STILL_LIMIT: Delta = Delta::from_secs(1);

/// Time between two looks whether it has.
const STILL_NAP: Delta = Delta::from_millis(2);

/// The register window.
pub(crate) type Bar<'a> = pci::Bar<'a, { regs::END }>;

/// The device, reachable from any context until it is unbound.
///
/// Every access returns `ENODEV` once the device is unbound or was pulled out, so that no caller
/// needs to know about either.
pub(crate) struct Hw {
    /// For the log.
    pub(crate) dev: ARef<pci::Device>,
    bar: pci::DevresBar<{ regs::END }>,
    /// All ones were read: nobody is there.
    gone: Atomic<bool>,
    /// The driver is being unbound: nothing new begins, and whoever waits gives up.
    leaving: Atomic<bool>,
}

impl Hw {
    /// Checks that the window `bar` belongs to a live `edu`, and takes it.
    ///
    /// Bounded: a handful of accesses, no waiting.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the device does not identify as an `edu`, `EIO` if it does but does not work.
    pub(crate) fn new(dev: ARef<pci::Device>, bar: Bar<'_>) -> Result<Self> {
        Self::identify(&dev, &bar)?;
        Self::check_alive(&dev, &bar)?;

        Ok(Self {
            dev,
            bar: bar.into_devres()?,
            gone: Atomic::new(false),
            leaving: Atomic::new(false),
        })
    }

    fn identify(dev: &pci::Device, bar: &Bar<'_>) -> Result {
        let id = bar.read(regs::ID);
        if id.magic() != regs::MAGIC {
            dev_err!(
                dev,
                "not an edu device: identification {:#010x}, expected 0x????00ed\n",
                id.into_raw()
            );
            return Err(ENODEV);
        }
        dev_info!(
            dev,
            "edu device, version {}.{}\n",
            id.major().get(),
            id.minor().get()
        );
        Ok(())
    }

    fn check_alive(dev: &pci::Device, bar: &Bar<'_>) -> Result {
        // Each bit once 0 and once 1.
        for probe in [0x5a5a_a5a5_u32, !0x5a5a_a5a5] {
            bar.write_reg(regs::LIVENESS::from(probe));
            let answer = bar.read(regs::LIVENESS).into_raw();
            if answer != !probe {
                dev_err!(
                    dev,
                    "not alive: wrote {probe:#010x}, read {answer:#010x}, not its complement\n"
                );
                return Err(EIO);
            }
        }
        Ok(())
    }

    /// Runs `f` on the registers.
    #[inline]
    fn with<R>(&self, f: impl for<'a> FnOnce(&Bar<'a>) -> R) -> Result<R> {
        self.bar.try_access().map(|bar| f(&bar)).ok_or(ENODEV)
    }

    /// The causes that want service. Called by the hard handler.
    ///
    /// All causes at once look like a device that is not there, so the identification decides.
    #[inline]
    pub(crate) fn causes(&self) -> Result<u32> {
        let causes = self.with(|bar| match bar.read(regs::IRQ_STATUS).into_raw() {
            ALL_ONES if bar.read(regs::ID).into_raw() == ALL_ONES => None,
            causes => Some(causes),
        })?;

        causes.ok_or_else(|| {
            if !self.gone.xchg(true, Relaxed) {
                dev_err!(
                    self.dev,
                    "the device is gone: its registers read all ones\n"
                );
            }
            ENODEV
        })
    }

    /// Acknowledges `causes`. The device wants this under MSI, too.
    #[inline]
    pub(crate) fn acknowledge(&self, causes: u32) -> Result {
        self.with(|bar| bar.write_reg(regs::IRQ_ACK::from(causes)))
    }

    /// Makes the device raise `causes`.
    #[inline]
    pub(crate) fn raise(&self, causes: u32) -> Result {
        self.with(|bar| bar.write_reg(regs::IRQ_RAISE::from(causes)))
    }

    /// Whether a factorial is being computed.
    pub(crate) fn computing(&self) -> Result<bool> {
        let status = self.with(|bar| bar.read(regs::STATUS))?;
        Ok(status.into_raw() != ALL_ONES && status.computing())
    }

    /// Starts the computation of `n!`, to end in [`regs::CAUSE_FACTORIAL`].
    pub(crate) fn start_factorial(&self, n: u32) -> Result {
        self.with(|bar| {
            bar.write_reg(regs::STATUS::zeroed().with_irq(true));
            bar.write_reg(regs::FACTORIAL::from(n));
        })
    }

    /// The result of the last computation.
    pub(crate) fn factorial(&self) -> Result<u32> {
        self.with(|bar| bar.read(regs::FACTORIAL).into_raw())
    }

    /// Whether DMA is going on.
    pub(crate) fn dma_running(&self) -> Result<bool> {
        let command = self.with(|bar| bar.read(regs::DMA_CMD))?;
        if command.into_raw() == ALL_ONES {
            return Err(ENODEV);
        }
        Ok(command.run())
    }

    /// Waits until the device no longer moves data, which it can't be told to stop: at the longest
    /// a second. Sleeps.
    ///
    /// A transfer may outlive the driver that started it. Without bus mastering it does no harm;
    /// but if the next driver turns that on in time, it still moves data, to or from memory that
    /// is somebody else's by then.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it still does. A device that is gone does not.
    pub(crate) fn wait_until_still(&self) -> Result {
        let start = Instant::<Monotonic>::now();
        while matches!(self.dma_running(), Ok(true)) {
            if start.elapsed() > STILL_LIMIT {
                dev_err!(self.dev, "the device does not end its DMA\n");
                return Err(EBUSY);
            }
            fsleep(STILL_NAP);
        }
        Ok(())
    }

    /// Starts DMA of `bytes` bytes, to end in [`regs::CAUSE_DMA`].
    ///
    /// One of `src` and `dst` is an address of memory, the other lies in the device's buffer; the
    /// caller has checked both.
    pub(crate) fn start_dma(&self, src: u32, dst: u32, bytes: u32, to_memory: bool) -> Result {
        self.with(|bar| {
            bar.write_reg(regs::DMA_SRC::from(src));
            bar.write_reg(regs::DMA_DST::from(dst));
            bar.write_reg(regs::DMA_COUNT::from(bytes));
            bar.write_reg(
                regs::DMA_CMD::zeroed()
                    .with_run(true)
                    .with_to_memory(to_memory)
                    .with_irq(true),
            );
        })
    }

    /// Stops the device from raising anything more on its own, and acknowledges what it raised.
    pub(crate) fn quiesce(&self) {
        // An error says that the device is gone, and so quiet.
        let _ = self.with(|bar| {
            bar.write_reg(regs::STATUS::zeroed());
            bar.write_reg(regs::IRQ_ACK::from(u32::MAX));
        });
    }

    /// Makes everything that waits for the device give up, for good.
    pub(crate) fn leave(&self) {
        self.leaving.store(true, Relaxed);
    }

    /// Whether waiting for the device has become pointless.
    #[inline]
    pub(crate) fn is_lost(&self) -> bool {
        self.gone.load(Relaxed) || self.leaving.load(Relaxed)
    }
}
