// SPDX-License-Identifier: GPL-2.0

//! What owns the memory of a virtqueue, of either kind.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::queue::Addresses;
use crate::dma::{
    Pool,
    Region, //
};

/// The parts of a virtqueue, and its indirect tables.
pub(super) struct Regions {
    pub(super) descriptors: Region,
    pub(super) driver: Region,
    pub(super) device: Region,
    tables: Option<Region>,
}

/// How many bytes each of them has.
pub(super) struct Sizes {
    pub(super) descriptors: usize,
    pub(super) driver: usize,
    pub(super) device: usize,
    /// 0 if there are none.
    pub(super) tables: usize,
}

impl Regions {
    /// Allocates them, zeroed. May sleep.
    pub(super) fn new(pool: &Arc<Pool>, sizes: Sizes) -> Result<Self> {
        Ok(Self {
            descriptors: pool.alloc(sizes.descriptors, GFP_KERNEL)?,
            driver: pool.alloc(sizes.driver, GFP_KERNEL)?,
            device: pool.alloc(sizes.device, GFP_KERNEL)?,
            tables: match sizes.tables {
                0 => None,
                // There is a way without.
                bytes => Some(pool.alloc(bytes, GFP_KERNEL | __GFP_NOWARN)?),
            },
        })
    }

    /// Returns where the parts are, as the device sees them.
    pub(super) fn addresses(&self) -> Addresses {
        Addresses {
            descriptors: self.descriptors.address(),
            driver: self.driver.address(),
            device: self.device.address(),
        }
    }

    /// Returns where the tables are, for us, or null, and for the device.
    pub(super) fn tables(&self) -> (*mut u8, u64) {
        self.tables
            .as_ref()
            .map_or((core::ptr::null_mut(), 0), |region| {
                (region.as_ptr(), region.address())
            })
    }
}
