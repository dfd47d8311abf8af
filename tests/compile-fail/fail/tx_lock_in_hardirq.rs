// SPDX-License-Identifier: GPL-2.0

//! The lock of a transmit queue is not for hard interrupts.

use irqkit::{
    context::HardIrq,
    net::TxCell, //
};

pub fn count(cell: &TxCell<u32>, ctx: HardIrq<'_>) -> u32 {
    let mut value = 0;
    value = *cell.lock(ctx).locked(); //~ ERROR E0308 mismatched types
    let _ = (cell, ctx);
    value
}
