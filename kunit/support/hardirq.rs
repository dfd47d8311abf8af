// SPDX-License-Identifier: GPL-2.0

//! Hard interrupts on demand.
//!
//! An `irq_work` makes a CPU interrupt itself; its function runs in hard interrupt context, with
//! interrupts off. It may do there what a driver's handler may: as that one it would be a thread on
//! PREEMPT_RT, so lockdep lets it take spinlocks and allocate.

use core::cell::UnsafeCell;

use kernel::{
    bindings,
    cpu::CpuId,
    error::to_result,
    ffi::c_void,
    prelude::*,
    types::Opaque, //
};

/// A function to be called in a hard interrupt.
///
/// # Invariants
///
/// `work` is an initialised `irq_work` of [`called::<F>`]. From when it is queued until it has been
/// called nobody else uses `body`.
#[repr(C)]
struct Call<F> {
    // First: a pointer to it is one to the whole.
    work: Opaque<bindings::irq_work>,
    body: UnsafeCell<F>,
}

/// Calls `body` once in a hard interrupt on `cpu`, which must be online, and waits until it has
/// returned.
///
/// What softirqs `body` raises begin when the interrupt ends, before this returns to a task on that
/// CPU, unless softirqs were off there. To be called in task context.
pub(crate) fn on_cpu<F: FnMut() + Send>(cpu: CpuId, body: F) -> Result {
    let work = bindings::irq_work {
        func: Some(called::<F>),
        ..Default::default()
    };

    // INVARIANT: It is queued once, below, and `body` is not used here any more.
    let call = Call {
        work: Opaque::new(work),
        body: UnsafeCell::new(body),
    };

    // SAFETY: `queue` takes an initialised `irq_work`, which `call` begins with, and it lives until
    // `irq_work_sync` below has returned. The caller is a task.
    to_result(unsafe {
        bindings::smp_call_function_single(
            i32::from(cpu),
            Some(queue),
            call.work.get().cast(),
            true,
        )
    })?;

    // SAFETY: It was initialised. When this returns, nobody uses it any more.
    unsafe { bindings::irq_work_sync(call.work.get()) };
    Ok(())
}

/// Makes this CPU interrupt itself.
///
/// # Safety
///
/// `work` must be an initialised `irq_work` that lives until it has been called.
unsafe extern "C" fn queue(work: *mut c_void) {
    // SAFETY: By the safety requirements.
    unsafe { bindings::irq_work_queue(work.cast()) };
}

/// The interrupt.
///
/// # Safety
///
/// `work` must be that of a [`Call<F>`], queued once.
unsafe extern "C" fn called<F: FnMut() + Send>(work: *mut bindings::irq_work) {
    let call = work.cast::<Call<F>>();

    // SAFETY: By the safety requirements it is valid, and this is the only one who uses `body`.
    let body = unsafe { &mut *(*call).body.get() };

    body();
}
