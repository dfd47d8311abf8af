// SPDX-License-Identifier: GPL-2.0

//! Something that goes on while a test looks.

use kernel::{
    cpu::CpuId,
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Release, //
    }, //
};

use super::{
    crew,
    until, //
};

/// Calls `load` over and over in a thread on `cpu` while `body` runs in the calling one, which is a
/// test's own and can use files. Both have ended when it returns.
///
/// # Errors
///
/// If the thread can't be created; then `body` is not called.
pub(crate) fn while_running<R>(
    cpu: CpuId,
    load: impl Fn() + Sync,
    body: impl FnOnce() -> R,
) -> Result<R> {
    let (stop, going) = (Atomic::new(false), Atomic::new(false));

    crew::with_thread(
        cpu,
        |_| {
            while !stop.load(Acquire) {
                load();
                going.store(true, Release);
                // The test may share this CPU.
                kernel::time::delay::fsleep(kernel::time::Delta::from_micros(1));
            }
        },
        || {
            // A body that is over before the load begins shows nothing.
            let _ = until(|| going.load(Acquire));
            let result = body();
            stop.store(true, Release);
            result
        },
    )
}
