// SPDX-License-Identifier: GPL-2.0

//! The contexts are the kernel's: nobody adds one that may do more.

use irqkit::context::Context;
use kernel::{
    alloc::Flags,
    prelude::*, //
};

#[derive(Clone, Copy)]
pub struct Anywhere;

#[rustfmt::skip]
mod own { use super::*; impl Context for Anywhere { const NAME: &'static str = "anywhere"; fn alloc_flags(self) -> Flags { GFP_KERNEL } } } //~ ERROR E0277 Sealed` is not satisfied

pub fn flags<C: Context>(context: C) -> (Flags, Flags) {
    (context.alloc_flags(), GFP_KERNEL)
}
