// SPDX-License-Identifier: GPL-2.0

//! A budget is that of one poll.

use irqkit::net::Budget;

pub struct Keeper {
    pub budget: Option<&'static mut Budget<'static>>,
}

pub fn keep(keeper: &mut Keeper, budget: &mut Budget<'_>) {
    let _ = budget.left();
    keeper.budget = Some(budget); //~ ERROR - lifetime may not live long enough
}
