// SPDX-License-Identifier: GPL-2.0

//! The device's own configuration.

use kernel::prelude::*;

use super::{
    common::Registers,
    window::Window,
    Device, //
};

/// The configuration that is peculiar to the kind of a device, such as a network card's address.
///
/// A device may change it at any time. What is read here is all from before or all from after a
/// change: it is read again if there was one meanwhile.
///
/// May be used in any context. What it returns is the device's word, to be checked by the driver
/// before it relies on it.
///
/// Virtio 1.3, sections 2.5 and 4.1.4.6.
///
/// # Errors
///
/// What reads fails with
///
/// - [`EINVAL`] for what is beyond the end, or not aligned to its width: devices may have less of
///   it than the driver hopes for;
/// - [`EAGAIN`] if it was changed during each of 16 reads;
/// - [`ENODEV`] if the device is gone, or not bound any more.
pub struct Config<'a> {
    device: &'a Device,
}

impl<'a> Config<'a> {
    pub(super) fn new(device: &'a Device) -> Self {
        Self { device }
    }

    /// Returns its length in bytes; 0 if there is none.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(&self) -> usize {
        self.device.config_window().map_or(0, |window| window.len())
    }

    /// Reads 8 bits.
    pub fn read_u8(&self, offset: usize) -> Result<u8> {
        self.consistent(|fields| fields.u8(offset))
    }

    /// Reads 16 bits.
    pub fn read_u16(&self, offset: usize) -> Result<u16> {
        self.consistent(|fields| fields.u16(offset))
    }

    /// Reads 32 bits.
    pub fn read_u32(&self, offset: usize) -> Result<u32> {
        self.consistent(|fields| fields.u32(offset))
    }

    /// Reads 64 bits, in two halves that belong together.
    pub fn read_u64(&self, offset: usize) -> Result<u64> {
        self.consistent(|fields| fields.u64(offset))
    }

    /// Reads an array of bytes that belong together.
    pub fn read_bytes(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.consistent(|fields| fields.bytes(offset, bytes))
    }

    /// Reads several fields that belong together. `read` is called again after a change.
    ///
    /// # Examples
    ///
    /// ```ignore
    /// let (columns, rows) = device.config().consistent(|c| Ok((c.u16(0)?, c.u16(2)?)))?;
    /// ```
    pub fn consistent<T>(&self, mut read: impl FnMut(Fields<'_>) -> Result<T>) -> Result<T> {
        let window = self.device.config_window().ok_or(EINVAL)?;

        self.device
            .common()
            .consistent(|| read(Fields { window }))?
    }
}

/// Fields of a device's configuration, within [`Config::consistent`].
///
/// All methods fail with [`EINVAL`] for what is beyond the end or not aligned to its width.
#[derive(Clone, Copy)]
pub struct Fields<'a> {
    window: Window<'a>,
}

impl Fields<'_> {
    fn check(&self, offset: usize, width: usize, align: usize) -> Result {
        let end = offset.checked_add(width).ok_or(EINVAL)?;

        if end > self.window.len() || offset % align != 0 {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Reads 8 bits.
    pub fn u8(&self, offset: usize) -> Result<u8> {
        self.check(offset, 1, 1)?;
        Ok(self.window.read8(offset))
    }

    /// Reads 16 bits.
    pub fn u16(&self, offset: usize) -> Result<u16> {
        self.check(offset, 2, 2)?;
        Ok(self.window.read16(offset))
    }

    /// Reads 32 bits.
    pub fn u32(&self, offset: usize) -> Result<u32> {
        self.check(offset, 4, 4)?;
        Ok(self.window.read32(offset))
    }

    /// Reads 64 bits, which are aligned to 32.
    pub fn u64(&self, offset: usize) -> Result<u64> {
        self.check(offset, 8, 4)?;

        let low = u64::from(self.window.read32(offset));
        let high = u64::from(self.window.read32(offset + 4));
        Ok(high << 32 | low)
    }

    /// Reads an array of bytes.
    pub fn bytes(&self, offset: usize, bytes: &mut [u8]) -> Result {
        self.check(offset, bytes.len(), 1)?;

        for (at, byte) in bytes.iter_mut().enumerate() {
            *byte = self.window.read8(offset + at);
        }
        Ok(())
    }
}
