// SPDX-License-Identifier: GPL-2.0

//! What the lock of a transmit queue protects is out of reach when it is given back.

use irqkit::{
    context::SoftIrq,
    net::TxCell, //
};

pub fn count(cell: &TxCell<u32>, ctx: SoftIrq<'_>) -> u32 {
    let mut guard = cell.lock(ctx);
    let value = guard.locked();

    drop(guard); //~ ERROR E0505 cannot move out of `guard` because it is borrowed
    *value
}
