// SPDX-License-Identifier: GPL-2.0

//! The moment at which the workqueue core begins to run a work: it is not pending any more, and its
//! function has not been called.

use kernel::{
    bindings,
    error::to_result,
    ffi::c_void,
    prelude::*, //
};

/// What the probe is told.
struct Probe<F>(F);

/// Calls `begins`, with the address of the work, whenever the core begins to run one, while `body`
/// runs. It may not sleep.
///
/// # Errors
///
/// `ENOENT` if the kernel has no tracepoint there.
pub(crate) fn watch<F: Fn(usize) + Sync, R>(begins: F, body: impl FnOnce() -> R) -> Result<R> {
    let mut point = core::ptr::null_mut::<bindings::tracepoint>();
    // SAFETY: `find` takes a pointer to such a pointer.
    unsafe { bindings::for_each_kernel_tracepoint(Some(find), (&raw mut point).cast()) };
    if point.is_null() {
        return Err(ENOENT);
    }

    let probe = Probe(begins);
    let data = core::ptr::from_ref(&probe).cast_mut().cast::<c_void>();
    let function = called::<F> as *mut c_void;

    // SAFETY: The function is one for this tracepoint, and `probe` is there until it is off and not
    // in use any more, below.
    to_result(unsafe { bindings::tracepoint_probe_register(point, function, data) })?;
    let result = body();
    // SAFETY: It was registered above.
    unsafe { bindings::tracepoint_probe_unregister(point, function, data) };
    // As `tracepoint_synchronize_unregister()`, for a tracepoint that takes no page faults.
    //
    // SAFETY: This is a task.
    unsafe { bindings::synchronize_srcu(&raw mut bindings::tracepoint_srcu) };
    Ok(result)
}

/// Finds the tracepoint.
///
/// # Safety
///
/// `point` must be a tracepoint, and `found` a place for a pointer to one.
unsafe extern "C" fn find(point: *mut bindings::tracepoint, found: *mut c_void) {
    // SAFETY: By the safety requirements; it has a name.
    let name = unsafe { CStr::from_char_ptr((*point).name) };

    if name == c"workqueue_execute_start" {
        // SAFETY: By the safety requirements.
        unsafe { *found.cast::<*mut bindings::tracepoint>() = point };
    }
}

/// The probe.
///
/// # Safety
///
/// `data` must be that of [`watch`].
unsafe extern "C" fn called<F: Fn(usize)>(data: *mut c_void, work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirements.
    let probe = unsafe { &*data.cast::<Probe<F>>() };

    // CAST: An address, for comparison.
    (probe.0)(work as usize);
}
