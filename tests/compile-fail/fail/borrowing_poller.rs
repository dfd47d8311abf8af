// SPDX-License-Identifier: GPL-2.0

//! A NAPI instance may be leaked, and polled after that: what it polls borrows nothing.

use irqkit::{
    context::SoftIrq,
    net::{
        Budget,
        Next,
        Poller, //
    }, //
};

pub trait Name {
    fn poll(&mut self, _budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
        Next::Done
    }
}

pub struct Borrower<'a>(pub &'a u32);

impl Name for Borrower<'_> {}

pub struct Owner(pub u32);

impl Name for Owner {}

macro_rules! poller {
    ($($poller:tt)*) => {
        $($poller)* {
            fn poll(&mut self, budget: &mut Budget<'_>, ctx: SoftIrq<'_>) -> Next {
                Name::poll(self, budget, ctx)
            }

            fn mask(&mut self) {}

            fn unmask(&mut self) -> bool {
                true
            }
        }
    };
}

poller!(impl Poller for Owner);
poller!(impl<'a> Poller for Borrower<'a>); //~ ERROR E0478 lifetime bound not satisfied
