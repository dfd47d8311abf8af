// SPDX-License-Identifier: GPL-2.0

//! Nor one out of nothing.

use irqkit::context::SoftIrq;

pub fn none<T>() -> Option<T> {
    None
}

pub fn default() {
    let _soft: SoftIrq<'_> = Default::default(); //~ ERROR E0277 Default` is not satisfied
    let _soft: Option<SoftIrq<'_>> = none();
}
