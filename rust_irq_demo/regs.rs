// SPDX-License-Identifier: GPL-2.0

//! Registers of QEMU's `edu` device, BAR 0.
//!
//! Described in QEMU's `docs/specs/edu.rst`. Below 0x80 the device takes accesses of 4 bytes only,
//! from there on of 4 or 8; 4 will do, as it reaches no address of more than [`DMA_BITS`] bits.

use kernel::io::register;

register! {
    /// Identification: `0xMMmm00ed`.
    pub(crate) ID(u32) @ 0x00 {
        31:24   major;
        23:16   minor;
        15:0    magic;
    }

    /// What is written here reads back inverted.
    pub(crate) LIVENESS(u32) @ 0x04 {
        31:0    value;
    }

    /// Written with `n`, the device computes `n!`; reads the result once it is done.
    pub(crate) FACTORIAL(u32) @ 0x08 {
        31:0    value;
    }

    /// State of the factorial computation.
    pub(crate) STATUS(u32) @ 0x20 {
        /// Raise [`CAUSE_FACTORIAL`] when a computation ends.
        7:7     irq => bool;
        /// A computation is going on. Read only.
        0:0     computing => bool;
    }

    /// The causes that were raised and not yet acknowledged. Read only.
    pub(crate) IRQ_STATUS(u32) @ 0x24 {
        31:0    causes;
    }

    /// Raises the causes written. Write only.
    pub(crate) IRQ_RAISE(u32) @ 0x60 {
        31:0    causes;
    }

    /// Acknowledges the causes written. Write only.
    pub(crate) IRQ_ACK(u32) @ 0x64 {
        31:0    causes;
    }

    /// Where DMA reads from.
    pub(crate) DMA_SRC(u32) @ 0x80 {
        31:0    address;
    }

    /// Where DMA writes to.
    pub(crate) DMA_DST(u32) @ 0x88 {
        31:0    address;
    }

    /// How many bytes DMA moves.
    pub(crate) DMA_COUNT(u32) @ 0x90 {
        31:0    bytes;
    }

    /// Starts DMA. While [`DMA_CMD::run`] reads as set, writes to the DMA registers are ignored.
    pub(crate) DMA_CMD(u32) @ 0x98 {
        /// Raise [`CAUSE_DMA`] at the end.
        2:2     irq => bool;
        /// From the device to memory, not from memory to the device.
        1:1     to_memory => bool;
        /// Start, and reads as set until the end.
        0:0     run => bool;
    }
}

/// Bytes of BAR 0 that the registers take.
pub(crate) const END: usize = 0x9c;

/// [`ID::magic`] of an `edu`.
pub(crate) const MAGIC: u32 = 0x00ed;

/// Cause: a factorial was computed.
pub(crate) const CAUSE_FACTORIAL: u32 = 0x0000_0001;

/// Cause: DMA has ended.
pub(crate) const CAUSE_DMA: u32 = 0x0000_0100;

/// What a read gives when there is no device behind the bus any more.
pub(crate) const ALL_ONES: u32 = u32::MAX;

/// Device address of the device's own buffer.
pub(crate) const DMA_BUFFER: u32 = 0x40000;

/// Bytes of the device's own buffer.
pub(crate) const DMA_BUFFER_SIZE: usize = 4096;

/// Bits of an address that the device can reach.
pub(crate) const DMA_BITS: u32 = 28;
