// SPDX-License-Identifier: GPL-2.0

//! The device's registers in its BARs.

use kernel::{
    device::Bound,
    io::Io,
    pci::{
        self,
        DevresBar, //
    },
    prelude::*, //
};

use super::{
    common::Registers,
    layout::{
        Area,
        Bar,
        Layout,
        BARS, //
    }, //
};
use crate::pci::is_memory;

/// Returns what is known about the BARs of a function.
pub(super) fn bars(dev: &pci::Device) -> [Bar; BARS] {
    let mut number = 0;

    [(); BARS].map(|()| {
        let bar = Bar {
            len: dev.resource_len(number).unwrap_or(0),
            memory: is_memory(dev, number),
        };
        number += 1;
        bar
    })
}

/// The BARs that hold registers, mapped until the function is unbound.
pub(super) struct Windows {
    bars: [Option<DevresBar>; BARS],
    layout: Layout,
}

impl Windows {
    /// Maps what `layout` needs. May sleep.
    ///
    /// # Errors
    ///
    /// [`EBUSY`] if somebody else has a BAR, [`ENOMEM`] if it can't be mapped.
    pub(super) fn map(dev: &pci::Device<Bound>, layout: Layout) -> Result<Self> {
        let mut windows = Self {
            bars: [const { None }; BARS],
            layout,
        };
        let needed = [
            Some(layout.common()),
            layout.doorbell(0, 2),
            Some(layout.isr()),
            layout.device(),
        ];

        for area in needed.into_iter().flatten() {
            let Some(bar) = windows.bars.get_mut(area.bar()) else {
                return Err(EINVAL);
            };
            if bar.is_none() {
                let number = u32::try_from(area.bar())?;
                *bar = Some(dev.iomap_region(number, c"virtio")?.into_devres()?);
            }
        }
        Ok(windows)
    }

    /// Returns where everything is.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Returns the registers in `area`.
    #[inline]
    pub(super) fn at(&self, area: Area) -> Window<'_> {
        Window {
            bar: self.bars.get(area.bar()).and_then(Option::as_ref),
            area,
        }
    }
}

/// The registers in an area of a BAR. May be used in any context.
///
/// What is out of its bounds, or in a function that was unbound, reads as all ones, as what is gone
/// does, and is not written.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    bar: Option<&'a DevresBar>,
    area: Area,
}

impl Window<'_> {
    /// Returns its length.
    pub(super) fn len(&self) -> usize {
        self.area.len()
    }

    /// Returns where in the BAR a register of `width` bytes is.
    #[inline]
    fn place(&self, offset: usize, width: usize) -> Option<usize> {
        let end = offset.checked_add(width)?;

        (end <= self.area.len()).then(|| self.area.offset() + offset)
    }
}

macro_rules! access {
    ($read:ident, $try_read:ident, $write:ident, $try_write:ident, $ty:ty) => {
        #[inline]
        fn $read(&self, offset: usize) -> $ty {
            let value = || {
                let place = self.place(offset, size_of::<$ty>())?;
                let bar = self.bar?.try_access()?;

                (&*bar).$try_read(place).ok()
            };

            value().unwrap_or(<$ty>::MAX)
        }

        #[inline]
        fn $write(&self, offset: usize, value: $ty) {
            let Some(place) = self.place(offset, size_of::<$ty>()) else {
                return;
            };
            if let Some(bar) = self.bar.and_then(DevresBar::try_access) {
                // The only error is a register outside of the BAR, which no area is.
                let _ = (&*bar).$try_write(value, place);
            }
        }
    };
}

impl Registers for Window<'_> {
    access!(read8, try_read8, write8, try_write8, u8);
    access!(read16, try_read16, write16, try_write16, u16);
    access!(read32, try_read32, write32, try_write32, u32);
}
