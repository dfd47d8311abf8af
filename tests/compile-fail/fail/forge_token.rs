// SPDX-License-Identifier: GPL-2.0

//! Only irqkit makes tokens, because only irqkit knows who calls.

use core::marker::PhantomData;

use irqkit::context::{
    HardIrq,
    SoftIrq,
    Task, //
};

pub fn forge() {
    let _hard = HardIrq(PhantomData); //~ ERROR E0423 cannot initialize a tuple struct which contains private fields
    let _: PhantomData<(HardIrq<'_>, SoftIrq<'_>, Task<'_>)> = PhantomData;
}
