// SPDX-License-Identifier: GPL-2.0

//! Another module than the suite's.

use kernel::prelude::*;

/// A module that has no code at all.
pub(crate) struct Other;

impl kernel::module::ModuleMetadata for Other {
    const NAME: &'static CStr = c"irqkit_kunit_other";

    const THIS_MODULE: ThisModule = {
        #[expect(dead_code)]
        struct Empty(core::mem::MaybeUninit<kernel::bindings::module>);
        // SAFETY: It is all zeroes, and only looked at.
        unsafe impl Sync for Empty {}
        static EMPTY: Empty = Empty(core::mem::MaybeUninit::zeroed());

        // SAFETY: There is no right one for what is no module; irqkit compares the address,
        // and looks for the memory of the module, of which there is none.
        unsafe { ThisModule::from_ptr((&raw const EMPTY).cast_mut().cast()) }
    };
}
