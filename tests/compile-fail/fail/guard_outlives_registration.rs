// SPDX-License-Identifier: GPL-2.0

//! A guard of an interrupt can't be used when the registration it was made through is gone.

use irqkit::{
    context::HardIrq,
    irq::{
        Handler,
        IrqReturn,
        Plain,
        Registration, //
    },
    path::Run, //
};
use kernel::prelude::*;

pub struct Idle;

impl Handler for Idle {
    fn handle(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        IrqReturn::None
    }
}

pub fn outlive(registration: Registration<Plain<Idle>>) -> Result {
    let guard = registration.disable_nosync()?;
    drop(registration); //~ ERROR E0505 cannot move out of `registration` because it is borrowed
    drop(guard);
    Ok(())
}
