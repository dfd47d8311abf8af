// SPDX-License-Identifier: GPL-2.0

//! The static key and the tracepoints of the paths: what they ask for costs a NOP when off.
//!
//! Each question below compiles to an instruction that the kernel patches
//! (`static_branch_unlikely()`): a NOP, of two bytes on x86, that falls through to the fast path, and
//! a jump to an out-of-line block while the key is on. Without `CONFIG_JUMP_LABEL` it is a load and
//! a branch. In `objdump -d irqkit.ko`, `Stamp::now` with everything off is all there is to see:
//!
//! ```text
//!     endbr64
//!     xchg   %ax,%ax        timing()
//!     xchg   %ax,%ax        path_run_enabled()
//!     xor    %eax,%eax
//!     jmp    __x86_return_thunk
//! ```
//!
//! The entries must stand in irqkit's own object, which defines the keys. So nothing here is
//! public, and the functions of [`crate::path`] that ask are `#[inline(never)]`: rustc may else
//! compile small functions into the crates that call them.
//!
//! All functions may be called from any context but NMIs, except where they say otherwise.
//!
//! C headers: `rust/trace/irqkit_trace.h`,
//! [`include/linux/jump_label.h`](srctree/include/linux/jump_label.h)

use kernel::{
    bindings,
    jump_label::static_branch_unlikely,
    prelude::*, //
};

/// A static key, as a struct with a field: `static_branch_unlikely!` wants the two.
#[repr(transparent)]
struct Key {
    key: bindings::static_key_false,
}

extern "C" {
    /// `DEFINE_STATIC_KEY_FALSE(irqkit_timing)` in `rust/trace/trace.c`.
    static mut irqkit_timing: Key;
}

/// Returns whether any [`crate::path::PathSet`] has its `timing` on.
#[inline(always)]
pub(crate) fn timing() -> bool {
    // SAFETY: `irqkit_timing` is a static key, defined by C in this very module.
    unsafe { static_branch_unlikely!(irqkit_timing, Key, key) }
}

/// Returns whether anyone listens to `irqkit:path_run`.
#[inline(always)]
pub(crate) fn path_run_enabled() -> bool {
    #[cfg(CONFIG_TRACEPOINTS)]
    {
        // SAFETY: The tracepoint is defined by C in this very module, and has a static key.
        unsafe {
            static_branch_unlikely!(
                irqkit_bindings::__tracepoint_path_run,
                bindings::tracepoint,
                key
            )
        }
    }

    #[cfg(not(CONFIG_TRACEPOINTS))]
    false
}

/// Returns whether anyone listens to `irqkit:path_schedule`.
#[inline(always)]
fn path_schedule_enabled() -> bool {
    #[cfg(CONFIG_TRACEPOINTS)]
    {
        // SAFETY: The tracepoint is defined by C in this very module, and has a static key.
        unsafe {
            static_branch_unlikely!(
                irqkit_bindings::__tracepoint_path_schedule,
                bindings::tracepoint,
                key
            )
        }
    }

    #[cfg(not(CONFIG_TRACEPOINTS))]
    false
}

/// One more path set has its `timing` on: [`timing`] is true until as many [`timing_dec`] followed.
///
/// It may sleep.
pub(crate) fn timing_inc() {
    // SAFETY: It is a static key, valid for as long as this module.
    unsafe { irqkit_bindings::static_key_slow_inc((&raw mut irqkit_timing).cast()) };
}

/// Undoes one [`timing_inc`], which the caller must have made.
///
/// It may sleep.
pub(crate) fn timing_dec() {
    // SAFETY: It is a static key, valid for as long as this module.
    unsafe { irqkit_bindings::static_key_slow_dec((&raw mut irqkit_timing).cast()) };
}

/// The tracepoint `irqkit:path_schedule`.
#[inline(always)]
#[cfg_attr(not(CONFIG_TRACEPOINTS), expect(unused_variables))]
pub(crate) fn path_schedule(device: &CStr, path: &CStr, coalesced: bool) {
    if path_schedule_enabled() {
        #[cfg(CONFIG_TRACEPOINTS)]
        // SAFETY: The strings are valid during the call, which copies them.
        unsafe {
            irqkit_bindings::rust_do_trace_path_schedule(
                device.as_char_ptr(),
                path.as_char_ptr(),
                coalesced,
            )
        };
    }
}

/// The tracepoint `irqkit:path_run`. Times are in nanoseconds.
#[inline(always)]
#[cfg_attr(not(CONFIG_TRACEPOINTS), expect(unused_variables))]
pub(crate) fn path_run(device: &CStr, path: &CStr, wait_ns: u64, run_ns: u64, items: u64) {
    if path_run_enabled() {
        #[cfg(CONFIG_TRACEPOINTS)]
        // SAFETY: The strings are valid during the call, which copies them.
        unsafe {
            irqkit_bindings::rust_do_trace_path_run(
                device.as_char_ptr(),
                path.as_char_ptr(),
                wait_ns,
                run_ns,
                items,
            )
        };
    }
}
