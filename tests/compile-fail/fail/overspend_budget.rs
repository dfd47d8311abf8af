// SPDX-License-Identifier: GPL-2.0

//! A credit is for one packet.

use irqkit::net::{
    Budget,
    SkBuff, //
};

pub fn receive(budget: &mut Budget<'_>, one: SkBuff, another: SkBuff) {
    if let Some(credit) = budget.take() {
        budget.receive(credit, one);
        budget.receive(credit, another); //~ ERROR E0382 use of moved value: `credit`
        let _ = &budget;
    }
}
