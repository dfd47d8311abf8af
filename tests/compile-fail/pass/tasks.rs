// SPDX-License-Identifier: GPL-2.0

//! Task context that is not a callback of irqkit's.

use irqkit::context::{
    is_here,
    Context,
    SoftIrq,
    Task, //
};
use kernel::{
    prelude::*,
    time::Delta, //
};

pub fn write() -> Result<KBox<u64>> {
    Task::with(|task| {
        task.sleep(Delta::from_millis(1));
        Ok(KBox::new(0, task.alloc_flags())?)
    })?
}

pub fn look() -> (bool, &'static str) {
    (is_here::<SoftIrq<'_>>(), <SoftIrq<'_> as Context>::NAME)
}
