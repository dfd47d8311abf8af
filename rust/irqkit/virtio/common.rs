// SPDX-License-Identifier: GPL-2.0

//! The dialogue with a device over its common configuration: status, features, queues.
//!
//! Written against [`Registers`], so that the same code talks to a device and, in tests, to a model
//! of a hostile one. Every wait is bounded. Pure logic, compiled and tested on the host as well
//! (`tools/virtiologic`), and in the KUnit suite of the transport.
//!
//! Virtio 1.3, sections 2.1, 3.1 and 4.1.4.3.

use core::fmt;

use super::features::Features;

/// What [`Common`] is read and written by. Offsets are aligned to the width.
///
/// A device that is gone, or not ours any more, reads as all ones.
pub(crate) trait Registers {
    /// Reads 8 bits.
    fn read8(&self, offset: usize) -> u8;
    /// Reads 16 bits.
    fn read16(&self, offset: usize) -> u16;
    /// Reads 32 bits.
    fn read32(&self, offset: usize) -> u32;
    /// Writes 8 bits.
    fn write8(&self, offset: usize, value: u8);
    /// Writes 16 bits.
    fn write16(&self, offset: usize, value: u16);
    /// Writes 32 bits.
    fn write32(&self, offset: usize, value: u32);
}

mod reg {
    pub(super) const DEVICE_FEATURE_SELECT: usize = 0;
    pub(super) const DEVICE_FEATURE: usize = 4;
    pub(super) const DRIVER_FEATURE_SELECT: usize = 8;
    pub(super) const DRIVER_FEATURE: usize = 12;
    pub(super) const CONFIG_VECTOR: usize = 16;
    pub(super) const NUM_QUEUES: usize = 18;
    pub(super) const STATUS: usize = 20;
    pub(super) const GENERATION: usize = 21;
    pub(super) const QUEUE_SELECT: usize = 22;
    pub(super) const QUEUE_SIZE: usize = 24;
    pub(super) const QUEUE_VECTOR: usize = 26;
    pub(super) const QUEUE_ENABLE: usize = 28;
    pub(super) const QUEUE_NOTIFY_OFF: usize = 30;
    pub(super) const QUEUE_DESC: usize = 32;
    pub(super) const QUEUE_DRIVER: usize = 40;
    pub(super) const QUEUE_DEVICE: usize = 48;
    pub(super) const QUEUE_RESET: usize = 58;
}

/// How long the common configuration must be for a queue to be reset on its own.
pub(crate) const WITH_QUEUE_RESET: usize = reg::QUEUE_RESET + 2;

/// How often a read of several registers begins anew because the generation changed meanwhile.
pub(crate) const TRIES: u32 = 16;

/// Bits of the device's status.
pub(crate) mod status {
    /// The device was noticed.
    pub(crate) const ACKNOWLEDGE: u8 = 1;
    /// There is a driver for it.
    pub(crate) const DRIVER: u8 = 2;
    /// The driver is ready.
    pub(crate) const DRIVER_OK: u8 = 4;
    /// Both agree about the features.
    pub(crate) const FEATURES_OK: u8 = 8;
    /// The device can't go on.
    pub(crate) const NEEDS_RESET: u8 = 64;
    /// What is read where no device is. Never a status: bits 4 and 5 are reserved.
    pub(crate) const GONE: u8 = 0xff;
}

/// How a device is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// As it should be.
    Good,
    /// It met an error that it can't recover from, and wants to be reset (`DEVICE_NEEDS_RESET`).
    NeedsReset,
    /// It has forgotten us: somebody else reset it.
    Lost,
    /// It is not there any more: registers read as all ones.
    Gone,
}

impl Health {
    /// Judges a device by its status, of which it must have all the bits in `expected`.
    pub(crate) fn of(status: u8, expected: u8) -> Self {
        if status == status::GONE {
            Self::Gone
        } else if status & status::NEEDS_RESET != 0 {
            Self::NeedsReset
        } else if status & expected != expected {
            Self::Lost
        } else {
            Self::Good
        }
    }
}

impl fmt::Display for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Good => "works",
            Self::NeedsReset => "has failed and wants to be reset",
            Self::Lost => "was reset by somebody else",
            Self::Gone => "is gone: its registers read as all ones",
        })
    }
}

/// Why the dialogue came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The device is gone.
    Gone,
    /// It did not finish its reset in time; this is its status.
    Reset(u8),
    /// It does not offer these features, which the driver can't do without.
    Lacks(Features),
    /// It did not accept these features, although it offered them.
    Refuses(Features),
    /// There is no queue of this number.
    NoQueue(u16),
    /// The queue is in use already.
    Enabled(u16),
    /// The queue was to be put to use, and is not.
    Disabled(u16),
    /// The queue did not finish its own reset in time.
    QueueReset(u16),
    /// The queue did not take this size.
    Size(u16),
    /// There is no room for another vector.
    Vector(u16),
    /// The configuration changed during each of [`TRIES`] reads.
    Unsteady,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => Health::Gone.fmt(f),
            Self::Reset(status) => write!(f, "reset not finished in time, status {status:#x}"),
            Self::Lacks(features) => write!(f, "features {features} are needed, but not offered"),
            Self::Refuses(features) => {
                write!(f, "features {features} were offered, but are not accepted")
            }
            Self::NoQueue(index) => write!(f, "no queue {index}"),
            Self::Enabled(index) => write!(f, "queue {index} is in use already"),
            Self::Disabled(index) => write!(f, "queue {index} can't be put to use"),
            Self::QueueReset(index) => write!(f, "reset of queue {index} not finished in time"),
            Self::Size(size) => write!(f, "a queue does not take the size {size}"),
            Self::Vector(vector) => write!(f, "no room for the interrupt vector {vector}"),
            Self::Unsteady => write!(f, "configuration changed during each of {TRIES} reads"),
        }
    }
}

/// Where a queue is in memory, by the addresses that the device uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// How many entries it has.
    pub(crate) size: u16,
    /// The descriptors.
    pub(crate) descriptors: u64,
    /// What the driver writes.
    pub(crate) driver: u64,
    /// What the device writes.
    pub(crate) device: u64,
}

/// The common configuration of a device.
///
/// Registers of features and queues are chosen by a selector, and so what uses those is not to be
/// called by two at the same time; the status and the generation are for all.
pub(crate) struct Common<R>(R);

impl<R: Registers> Common<R> {
    /// Talks over `registers`.
    pub(crate) fn new(registers: R) -> Self {
        Self(registers)
    }

    /// Returns the status.
    pub(crate) fn status(&self) -> u8 {
        self.0.read8(reg::STATUS)
    }

    /// Sets the status, of which bits are only ever added but by a reset.
    pub(crate) fn set_status(&self, status: u8) {
        self.0.write8(reg::STATUS, status);
    }

    /// Resets the device, and waits until it says that it is done: `pause` is called between up to
    /// `tries` looks.
    pub(crate) fn reset(&self, tries: u32, mut pause: impl FnMut()) -> Result<(), Fault> {
        self.set_status(0);
        let mut status = self.status();
        for _ in 0..tries {
            match status {
                0 => return Ok(()),
                status::GONE => return Err(Fault::Gone),
                _ => pause(),
            }
            status = self.status();
        }
        match status {
            0 => Ok(()),
            status::GONE => Err(Fault::Gone),
            status => Err(Fault::Reset(status)),
        }
    }

    /// Returns what the device offers.
    pub(crate) fn offered(&self) -> Features {
        let half = |select| {
            self.0.write32(reg::DEVICE_FEATURE_SELECT, select);
            u64::from(self.0.read32(reg::DEVICE_FEATURE))
        };

        Features::from_bits(half(0) | (half(1) << 32))
    }

    /// Comes to terms with a device that was reset: it is to have all of `need`, and what it has of
    /// `want`. Returns what was agreed on. Afterwards the status has `FEATURES_OK`.
    pub(crate) fn negotiate(&self, want: Features, need: Features) -> Result<Features, Fault> {
        self.set_status(status::ACKNOWLEDGE);
        self.set_status(status::ACKNOWLEDGE | status::DRIVER);

        let offered = self.offered();
        let accepted = offered & (want | need);
        if !accepted.contains(need) {
            let fault = match self.status() {
                status::GONE => Fault::Gone,
                _ => Fault::Lacks(need.without(accepted)),
            };
            return Err(fault);
        }

        let bits = accepted.bits();
        // CAST: One half each.
        for (select, half) in [(0, bits as u32), (1, (bits >> 32) as u32)] {
            self.0.write32(reg::DRIVER_FEATURE_SELECT, select);
            self.0.write32(reg::DRIVER_FEATURE, half);
        }

        let wanted = status::ACKNOWLEDGE | status::DRIVER | status::FEATURES_OK;
        self.set_status(wanted);
        match Health::of(self.status(), wanted) {
            Health::Good => Ok(accepted),
            Health::Gone => Err(Fault::Gone),
            Health::NeedsReset | Health::Lost => Err(Fault::Refuses(accepted)),
        }
    }

    /// Returns how many queues there are.
    pub(crate) fn queues(&self) -> u16 {
        self.0.read16(reg::NUM_QUEUES)
    }

    /// Selects a queue, and returns the greatest size it can have.
    pub(crate) fn select(&self, index: u16) -> Result<u16, Fault> {
        if index >= self.queues() {
            return Err(Fault::NoQueue(index));
        }
        self.0.write16(reg::QUEUE_SELECT, index);
        if self.status() == status::GONE {
            return Err(Fault::Gone);
        }
        match self.0.read16(reg::QUEUE_SIZE) {
            0 => Err(Fault::NoQueue(index)),
            size => Ok(size),
        }
    }

    /// Returns the queue's `queue_notify_off`, which says where its doorbell is.
    pub(crate) fn notify_off(&self, index: u16) -> Result<u16, Fault> {
        self.select(index)?;
        Ok(self.0.read16(reg::QUEUE_NOTIFY_OFF))
    }

    /// Tells the device where the queue is. The queue is not in use yet.
    pub(crate) fn place(&self, index: u16, place: &Place) -> Result<(), Fault> {
        let max = self.select(index)?;
        if self.0.read16(reg::QUEUE_ENABLE) != 0 {
            return Err(Fault::Enabled(index));
        }
        if place.size > max {
            return Err(Fault::Size(place.size));
        }
        self.0.write16(reg::QUEUE_SIZE, place.size);
        if self.0.read16(reg::QUEUE_SIZE) != place.size {
            return Err(Fault::Size(place.size));
        }
        for (register, address) in [
            (reg::QUEUE_DESC, place.descriptors),
            (reg::QUEUE_DRIVER, place.driver),
            (reg::QUEUE_DEVICE, place.device),
        ] {
            // CAST: One half each.
            self.0.write32(register, address as u32);
            self.0.write32(register + 4, (address >> 32) as u32);
        }
        Ok(())
    }

    /// Gives the queue an interrupt vector, which it may find no room for.
    pub(crate) fn set_queue_vector(&self, index: u16, vector: u16) -> Result<(), Fault> {
        self.select(index)?;
        self.set_vector(reg::QUEUE_VECTOR, vector)
    }

    /// Gives changes of the configuration an interrupt vector.
    pub(crate) fn set_config_vector(&self, vector: u16) -> Result<(), Fault> {
        self.set_vector(reg::CONFIG_VECTOR, vector)
    }

    fn set_vector(&self, register: usize, vector: u16) -> Result<(), Fault> {
        self.0.write16(register, vector);
        // The device says that it has no room for it by having none.
        if self.0.read16(register) != vector {
            return Err(Fault::Vector(vector));
        }
        Ok(())
    }

    /// Begins the reset of a queue alone, with `VIRTIO_F_RING_RESET`: section 2.6.1.
    pub(crate) fn begin_queue_reset(&self, index: u16) -> Result<(), Fault> {
        self.select(index)?;
        self.0.write16(reg::QUEUE_RESET, 1);
        Ok(())
    }

    /// Returns whether the reset of a queue is done: the device neither is at it nor uses the queue.
    pub(crate) fn is_queue_reset(&self, index: u16) -> Result<bool, Fault> {
        self.select(index)?;
        Ok(self.0.read16(reg::QUEUE_RESET) == 0 && self.0.read16(reg::QUEUE_ENABLE) == 0)
    }

    /// Puts the queue to use, until the device or the queue is reset.
    pub(crate) fn enable(&self, index: u16) -> Result<(), Fault> {
        self.select(index)?;
        self.0.write16(reg::QUEUE_ENABLE, 1);
        match self.0.read16(reg::QUEUE_ENABLE) {
            1 => Ok(()),
            u16::MAX => Err(Fault::Gone),
            _ => Err(Fault::Disabled(index)),
        }
    }

    /// Reads what belongs together: `read` is called again if the device changed its configuration
    /// meanwhile.
    pub(crate) fn consistent<T>(&self, mut read: impl FnMut() -> T) -> Result<T, Fault> {
        for _ in 0..TRIES {
            let before = self.0.read8(reg::GENERATION);
            let value = read();
            let after = self.0.read8(reg::GENERATION);

            // It may well be a generation, but it is that of a missing device, too.
            if after == 0xff && self.status() == status::GONE {
                return Err(Fault::Gone);
            }
            if before == after {
                return Ok(value);
            }
        }
        Err(Fault::Unsteady)
    }
}
