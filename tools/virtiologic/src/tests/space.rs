// SPDX-License-Identifier: GPL-2.0

//! Configuration spaces to test with.

use crate::layout::{
    Bar,
    BARS, //
};

/// A configuration space, to be filled with capabilities.
#[derive(Clone)]
pub(super) struct Space {
    pub(super) bytes: [u8; 256],
    /// Where the pointer to the next capability goes.
    link: usize,
}

impl Space {
    pub(super) fn new() -> Self {
        let mut bytes = [0; 256];

        bytes[..4].copy_from_slice(&[0xf4, 0x1a, 0x44, 0x10]);
        bytes[6] = 0x10;
        Self { bytes, link: 0x34 }
    }

    /// Adds a capability: `bytes` are what follows its two header bytes.
    pub(super) fn capability(mut self, at: u8, id: u8, bytes: &[u8]) -> Self {
        self.bytes[self.link] = at;
        let at = usize::from(at);
        self.bytes[at] = id;
        self.bytes[at + 2..at + 2 + bytes.len()].copy_from_slice(bytes);
        self.link = at + 1;
        self
    }

    /// Adds one of virtio.
    pub(super) fn virtio(self, at: u8, kind: u8, bar: u8, offset: u32, len: u32) -> Self {
        self.capability(at, 9, &virtio(16, kind, bar, offset, len))
    }

    pub(super) fn notify(self, at: u8, bar: u8, offset: u32, len: u32, multiplier: u32) -> Self {
        let mut bytes = virtio(20, 2, bar, offset, len);

        bytes.extend(multiplier.to_le_bytes());
        self.capability(at, 9, &bytes)
    }

    /// Adds MSI-X with this many vectors.
    pub(super) fn msix(self, at: u8, vectors: u16, table: u32, pending: u32) -> Self {
        let mut bytes = (vectors - 1).to_le_bytes().to_vec();

        bytes.extend(table.to_le_bytes());
        bytes.extend(pending.to_le_bytes());
        self.capability(at, 0x11, &bytes)
    }

    /// Ends the list where an earlier capability is.
    pub(super) fn link(mut self, at: u8) -> Self {
        self.bytes[self.link] = at;
        self
    }

    pub(super) fn read(&self, at: u8) -> u32 {
        read(&self.bytes, at)
    }
}

fn virtio(cap_len: u8, kind: u8, bar: u8, offset: u32, len: u32) -> Vec<u8> {
    let mut bytes = vec![cap_len, kind, bar, 0, 0, 0];

    bytes.extend(offset.to_le_bytes());
    bytes.extend(len.to_le_bytes());
    bytes
}

pub(super) fn read(bytes: &[u8; 256], at: u8) -> u32 {
    let at = usize::from(at);

    assert_eq!(at % 4, 0, "configuration space is read in double words");
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// The BARs of the devices here: ports, MSI-X, and the rest in a 64-bit BAR of 16 KiB.
pub(super) const DEVICE_BARS: [Bar; BARS] = {
    let none = Bar {
        len: 0,
        memory: false,
    };
    let mut bars = [none; BARS];

    bars[0] = Bar {
        len: 32,
        memory: false,
    };
    bars[1] = Bar {
        len: 4096,
        memory: true,
    };
    bars[4] = Bar {
        len: 0x4000,
        memory: true,
    };
    bars
};

/// A device as QEMU makes it.
pub(super) fn good() -> Space {
    Space::new()
        .msix(0x98, 2, 1, 0x801)
        .capability(0x84, 9, &[20, 5, 0, 0, 0, 0])
        .notify(0x70, 4, 0x3000, 0x1000, 4)
        .virtio(0x60, 4, 4, 0x2000, 0x1000)
        .virtio(0x50, 3, 4, 0x1000, 0x1000)
        .virtio(0x40, 1, 4, 0, 0x1000)
}
