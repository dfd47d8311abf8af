// SPDX-License-Identifier: GPL-2.0

//! DMA between memory and the device's buffer, completed by interrupt.
//!
//! The device cannot be told to stop, so after a time-out or a signal it may still be reading or
//! writing our memory. Therefore:
//!
//! - the CPU touches the memory only when the device says that no transfer is going on;
//! - the memory is freed only after bus mastering was turned off, and the transfer has ended
//!   ([`Dma::release`]).

use kernel::{
    device,
    dma::Coherent,
    io::Io,
    new_mutex,
    pci,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::{
    device::Edu,
    gate::{
        Gate,
        Outcome, //
    },
    hw::Hw,
    regs::{
        DMA_BITS,
        DMA_BUFFER,
        DMA_BUFFER_SIZE, //
    }, //
};

/// Bytes of the device's buffer that may be used.
///
/// One less than there are: older QEMU, such as 7.2, takes a transfer that ends with the very last
/// byte for one that is out of bounds, and stops the whole machine.
pub(crate) const USABLE: u64 = DMA_BUFFER_SIZE as u64 - 1;

/// How long the device may take; it takes 100 ms.
const LIMIT: Delta = Delta::from_secs(2);

/// What memory holds where no DMA has written.
const CANARY: u8 = 0xa5;

/// A transfer, or two.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// From memory to the device.
    To,
    /// From the device to memory.
    From,
    /// To the device, back, and compared.
    RoundTrip,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::To => "to",
            Self::From => "from",
            Self::RoundTrip => "roundtrip",
        }
    }

    pub(crate) fn from_word(word: &str) -> Option<Self> {
        match word {
            "to" => Some(Self::To),
            "from" => Some(Self::From),
            "roundtrip" => Some(Self::RoundTrip),
            _ => None,
        }
    }
}

/// A range of the device's buffer that a transfer may use.
///
/// # Invariants
///
/// `1 <= len`, and `offset + len <= USABLE`.
#[derive(Clone, Copy)]
pub(crate) struct Range {
    offset: u32,
    len: u32,
}

impl Range {
    /// Checks a range. `None` if it is empty or lies outside the buffer, also by overflow.
    pub(crate) fn new(offset: u64, len: u64) -> Option<Self> {
        let end = offset.checked_add(len)?;
        if len == 0 || end > USABLE {
            return None;
        }
        // INVARIANT: Just checked.
        Some(Self {
            offset: u32::try_from(offset).ok()?,
            len: u32::try_from(len).ok()?,
        })
    }

    /// How many bytes it has.
    fn len(self) -> usize {
        // CAST: At most `USABLE`.
        self.len as usize
    }
}

/// What came out of the last request.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    pub(crate) kind: Kind,
    pub(crate) offset: u32,
    pub(crate) len: usize,
    /// Bytes moved, both ways together.
    pub(crate) bytes: usize,
    /// FNV-1a of the data: of what was sent, and with [`Kind::From`] of what came.
    pub(crate) checksum: u64,
    /// Bytes of a round trip that came back changed.
    pub(crate) mismatches: usize,
    /// 0 or a negative error number.
    pub(crate) result: i32,
}

/// Memory that the device reads and writes, and a copy to work on.
struct Buffer {
    /// `DMA_BUFFER_SIZE` bytes.
    memory: Coherent<[u8]>,
    /// `DMA_BUFFER_SIZE` bytes.
    copy: KVec<u8>,
    /// Makes the data of every transfer different.
    seed: u64,
}

impl Buffer {
    /// Puts fresh data in the first `len` bytes, and the canary behind them.
    fn fill(&mut self, len: usize) -> u64 {
        let seed = &mut self.seed;
        for (i, byte) in self.copy.iter_mut().enumerate() {
            *byte = if i < len { next_byte(seed) } else { CANARY };
        }
        self.memory.copy_from_slice(&self.copy);
        checksum(self.copy.iter().take(len))
    }

    /// Puts the canary in every byte of memory.
    fn clear(&mut self, scratch: &mut KVec<u8>) {
        scratch.iter_mut().for_each(|byte| *byte = CANARY);
        self.memory.copy_from_slice(scratch);
    }
}

/// Xorshift; `state` is never 0.
fn next_byte(state: &mut u64) -> u8 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    // The upper half mixes better.
    (*state >> 32) as u8
}

fn checksum<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, &byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

fn buffer_of_zeroes() -> Result<KVec<u8>> {
    Ok(KVec::from_elem(0, DMA_BUFFER_SIZE, GFP_KERNEL)?)
}

/// Moves data by DMA.
#[pin_data]
pub(crate) struct Dma {
    #[pin]
    gate: Gate,
    #[pin]
    outcome: Outcome<()>,
    #[pin]
    buffer: Mutex<Option<Buffer>>,
    #[pin]
    last: Mutex<Option<Report>>,
    /// Completions that nobody waited for.
    late: Atomic<u64>,
}

impl Dma {
    /// Allocates memory that the device can reach.
    pub(crate) fn new(dev: &pci::Device<device::Bound>) -> Result<impl PinInit<Self>> {
        let buffer = Buffer {
            memory: Coherent::zeroed_slice(dev.as_ref(), DMA_BUFFER_SIZE, GFP_KERNEL)?,
            copy: buffer_of_zeroes()?,
            seed: 0x9e37_79b9_7f4a_7c15,
        };
        Ok(pin_init!(Self {
            gate <- Gate::new(),
            outcome <- Outcome::new(),
            buffer <- new_mutex!(Some(buffer), "Dma::buffer"),
            last <- new_mutex!(None, "Dma::last"),
            late: Atomic::new(0),
        }))
    }

    /// Does what `kind` says with `range` of the device's buffer.
    ///
    /// # Errors
    ///
    /// `EBUSY` if an earlier transfer that was given up is still going on, `ETIMEDOUT` if the
    /// device does not end in time, `EIO` if data came back wrong or memory was written that was
    /// not to be, `EINTR` on a signal, `ENODEV` if the device was lost, `ENOMEM`.
    pub(crate) fn run(&self, edu: &Edu, kind: Kind, range: Range) -> Result {
        let _turn = self.gate.enter(&edu.hw)?;

        let mut report = Report {
            kind,
            offset: range.offset,
            len: range.len(),
            bytes: 0,
            checksum: 0,
            mismatches: 0,
            result: 0,
        };
        let result = self.transfer(&edu.hw, range, &mut report);

        report.result = result.err().map_or(0, |e| e.to_errno());
        *self.last.lock() = Some(report);
        result
    }

    fn transfer(&self, hw: &Hw, range: Range, report: &mut Report) -> Result {
        // An earlier request may have been given up.
        hw.wait_until_still()?;

        if report.kind != Kind::From {
            report.checksum = self.with(hw, |buffer| buffer.fill(range.len()))?;
            self.move_data(hw, range, false)?;
            report.bytes += range.len();
        }
        if report.kind != Kind::To {
            let mut came = buffer_of_zeroes()?;
            self.with(hw, |buffer| buffer.clear(&mut came))?;
            self.move_data(hw, range, true)?;
            report.bytes += range.len();
            self.check(hw, range, report, &mut came)?;
        }
        Ok(())
    }

    /// Looks at what came from the device.
    fn check(&self, hw: &Hw, range: Range, report: &mut Report, came: &mut KVec<u8>) -> Result {
        let sent = report.kind == Kind::RoundTrip;
        report.mismatches = self.with(hw, |buffer| {
            buffer.memory.copy_to_slice(came);
            came.iter()
                .zip(&buffer.copy)
                .take(range.len())
                .filter(|(came, went)| sent && came != went)
                .count()
        })?;
        report.checksum = checksum(came.iter().take(range.len()));

        if report.mismatches != 0 {
            dev_err!(
                hw.dev,
                "dma: {} of {} bytes came back changed\n",
                report.mismatches,
                range.len()
            );
            return Err(EIO);
        }
        if came.iter().skip(range.len()).any(|&byte| byte != CANARY) {
            dev_err!(
                hw.dev,
                "dma: the device wrote past the end of {} bytes\n",
                range.len()
            );
            return Err(EIO);
        }
        Ok(())
    }

    /// Lends the buffer to the CPU, if the device does not have it.
    fn with<R>(&self, hw: &Hw, f: impl FnOnce(&mut Buffer) -> R) -> Result<R> {
        if hw.dma_running()? {
            return Err(EBUSY);
        }
        let mut buffer = self.buffer.lock();
        (*buffer).as_mut().map(f).ok_or(ENODEV)
    }

    /// Lends the buffer to the device, for one transfer.
    fn move_data(&self, hw: &Hw, range: Range, to_memory: bool) -> Result {
        let memory = self.with(hw, |buffer| buffer.memory.dma_address())?;
        let inside = DMA_BUFFER + range.offset;

        // The mask sees to this; but the device cuts off what it can't reach, and would then write
        // to somebody else's memory.
        let end = memory.checked_add(range.len.into()).ok_or(EFAULT)?;
        if end > 1 << DMA_BITS {
            return Err(EFAULT);
        }
        let memory = u32::try_from(memory)?;
        let (src, dst) = if to_memory {
            (inside, memory)
        } else {
            (memory, inside)
        };

        let began = Instant::<Monotonic>::now();
        self.outcome.expect();
        let mut running = hw.start_dma(src, dst, range.len, to_memory).map(|()| true);

        // An end that was told between `expect` and the start is not that of this transfer: an earlier
        // one's, or one that `trigger` made up. So the device's own word counts here as well.
        while let Ok(true) = running {
            let left = LIMIT - began.elapsed();
            // However many such ends are told.
            if left.is_negative() {
                running = Err(ETIMEDOUT);
                break;
            }
            self.outcome.wait(hw, left)?;
            self.outcome.expect();
            running = hw.dma_running();
        }
        self.outcome.give_up();
        running.map(|_| ())
    }

    /// Called by the IRQ thread when the device says that it is done.
    pub(crate) fn complete(&self, hw: &Hw) {
        // The cause may have been raised by `trigger`, so the device's own word counts.
        if matches!(hw.dma_running(), Ok(false)) && !self.outcome.finish(()) {
            self.late.fetch_add(1, Relaxed);
        }
    }

    /// Frees the memory. Called when bus mastering has been turned off. Sleeps.
    ///
    /// A transfer that is going on can't do harm now, but could when bus mastering is turned on for
    /// the next driver, so its end is awaited. The memory of a device that does not end is lost.
    pub(crate) fn release(&self, hw: &Hw) {
        let buffer = self.buffer.lock().take();
        match hw.wait_until_still() {
            Ok(()) => drop(buffer),
            Err(_) => core::mem::forget(buffer),
        }
    }

    pub(crate) fn last(&self) -> Option<Report> {
        *self.last.lock()
    }

    pub(crate) fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }
}
