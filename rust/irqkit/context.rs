// SPDX-License-Identifier: GPL-2.0

//! Execution context as a type.
//!
//! A callback that this crate makes, for an interrupt, for work, for a user of a file, receives a
//! token of the context in which it runs: [`HardIrq`], [`SoftIrq`] or [`Task`]. A call of this crate
//! that may only be made in one of them asks for its token, so that making it elsewhere doesn't
//! compile:
//!
//! | | [`HardIrq`] | [`SoftIrq`] | [`Task`] |
//! | --- | --- | --- | --- |
//! | may sleep, wait for handlers | no | no | yes |
//! | [`Context::alloc_flags`] | `GFP_ATOMIC` | `GFP_ATOMIC` | `GFP_KERNEL` |
//! | stays on its CPU ([`Atomic::cpu`]) | yes | yes | no |
//!
//! # What a token proves
//!
//! That the callback was entered in that context, by a caller that is known to make it there. A
//! token has no size, can't be made by safe code, does not outlive the callback (its lifetime) and
//! does not leave the thread (it is neither [`Send`] nor [`Sync`]).
//!
//! It does not prove what the code has done since: a task that took a spinlock still holds its
//! [`Task`], and must not sleep all the same. `CONFIG_DEBUG_ATOMIC_SLEEP` finds those.
//!
//! While a path's `timing` is on, each entry compares the context that it sees with the one it
//! promises, and each exit from an [`Atomic`] one the CPU with that of the entry. A difference
//! counts as the path's `context_mismatch`, which must stay 0.
//!
//! # Forced threading
//!
//! With `PREEMPT_RT` or `threadirqs` the kernel calls hard handlers in threads of their own. They
//! keep their token: what it forbids stays forbidden, because the same driver also runs where they
//! are not. So a [`HardIrq`] does not prove that interrupts are off.

use core::marker::PhantomData;

use kernel::{
    alloc::{
        flags,
        Flags, //
    },
    cpu::CpuId,
    device::Core,
    pci,
    prelude::*,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use crate::path::Path;

mod private {
    pub trait Sealed {
        /// Whether the context stays on its CPU.
        const PINNED: bool;

        /// Returns whether the current context is the one of this token.
        fn is_here() -> bool;
    }
}

/// A context token.
///
/// Sealed: the contexts are those of the kernel.
pub trait Context: Copy + private::Sealed {
    /// The context's name, as in documentation and messages.
    const NAME: &'static str;

    /// Returns the flags with which memory may be allocated here: `GFP_KERNEL` where the allocator
    /// may sleep, else `GFP_ATOMIC`.
    fn alloc_flags(self) -> Flags;
}

/// A context that never sleeps: it stays on its CPU until it ends.
pub trait Atomic: Context {
    /// Returns the CPU, which is the same for as long as this token lives.
    #[inline]
    fn cpu(self) -> CpuId {
        CpuId::current()
    }
}

macro_rules! token {
    ($(#[$doc:meta])* $token:ident, $flags:ident, $pinned:literal, $here:ident) => {
        $(#[$doc])*
        ///
        /// # Invariants
        ///
        /// The code that has it was entered in this context, and `'a` does not outlast that.
        #[derive(Clone, Copy)]
        pub struct $token<'a>(PhantomData<(*mut (), fn(&'a ()) -> &'a ())>);

        impl $token<'_> {
            /// Creates the token.
            ///
            /// # Safety
            ///
            /// The caller must be in this context for the whole of the lifetime that it gives to
            /// the token.
            #[inline(always)]
            pub(crate) unsafe fn new() -> Self {
                // INVARIANT: By the safety requirements.
                Self(PhantomData)
            }
        }

        impl private::Sealed for $token<'_> {
            const PINNED: bool = $pinned;

            #[inline]
            fn is_here() -> bool {
                // SAFETY: It only reads the state of the current CPU and task.
                unsafe { irqkit_bindings::$here() }
            }
        }

        impl Context for $token<'_> {
            const NAME: &'static str = stringify!($token);

            #[inline]
            fn alloc_flags(self) -> Flags {
                flags::$flags
            }
        }
    };
}

token! {
    /// A hard interrupt handler: it may not sleep, and no softirq and no handler of the same
    /// interrupt runs on this CPU before it returns.
    ///
    /// Where handlers are forced into threads (`threadirqs`, PREEMPT_RT) it is a task with softirqs
    /// off. With PREEMPT_RT that task may be preempted, by others that do the work of softirqs as well:
    /// what a handler has in common with softirqs is to be locked.
    HardIrq, GFP_ATOMIC, true, in_hard_handler
}

token! {
    /// A softirq, such as a tasklet: it may not sleep; hard interrupts may interrupt it, other
    /// softirqs of this CPU may not.
    ///
    /// With PREEMPT_RT it is a task that may be preempted, by others that do the work of softirqs as
    /// well: what it has in common with those is to be locked.
    SoftIrq, GFP_ATOMIC, true, in_softirq_handler
}

token! {
    /// A task, such as an interrupt's thread or a system call: it may sleep.
    Task, GFP_KERNEL, false, may_sleep
}

impl Atomic for HardIrq<'_> {}
impl Atomic for SoftIrq<'_> {}

impl<'a> Task<'a> {
    /// The context of a callback of the PCI bus, such as `probe` and `unbind`.
    ///
    /// The bus makes those in task context, and only they have a device with the [`Core`] context,
    /// which can't leave its thread and whose lifetime stands for that one call. The token has the
    /// same.
    #[inline]
    pub fn of_bus_callback(_dev: &pci::Device<Core<'a>>) -> Self {
        // SAFETY: The PCI core calls drivers with the device's mutex held, in task context. `'a` is
        // the brand of such a call: callbacks are generic over it, and `Core` is invariant in it,
        // so that nothing with it outlives the call.
        unsafe { Self::new() }
    }

    /// Calls `f` with the token of the current context, for code that others call, such as a
    /// module's init function.
    ///
    /// It looks: the caller must be a task with preemption, interrupts and softirqs on, outside of
    /// RCU readers. Without `CONFIG_PREEMPT_COUNT` the kernel does not keep track of preemption,
    /// and a spinlock that the caller holds goes unnoticed; that it must not sleep then is up to
    /// it.
    ///
    /// # Errors
    ///
    /// [`EDEADLK`] if sleeping is not allowed here; `f` is not called.
    #[inline]
    pub fn with<R>(f: impl for<'b> FnOnce(Task<'b>) -> R) -> Result<R> {
        if !<Self as private::Sealed>::is_here() {
            return Err(EDEADLK);
        }

        // SAFETY: It was checked that this is a task that may sleep, which lasts as long as the
        // call that the token is made for.
        Ok(f(unsafe { Task::new() }))
    }

    /// Sleeps for at least `delta`, which should be a microsecond or more.
    ///
    /// Stands for `fsleep()`.
    #[inline]
    pub fn sleep(self, delta: Delta) {
        fsleep(delta);
    }
}

/// Looks out for a callback that is not where it was promised to be, if `path` is timed.
///
/// It looks when it is made, and for what stays on its CPU again when it is dropped.
#[inline]
pub(crate) fn watch<C: Context>(path: &Path) -> Watch<'_> {
    if !path.timing() {
        return Watch { entered: None };
    }
    if !C::is_here() {
        path.context_mismatch();
    }
    Watch {
        entered: C::PINNED.then(|| (path, CpuId::current().as_u32())),
    }
}

/// What [`watch`] returns.
#[must_use = "it looks again when it is dropped"]
pub(crate) struct Watch<'a> {
    /// The path, and the CPU on which it was entered.
    entered: Option<(&'a Path, u32)>,
}

impl Drop for Watch<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some((path, cpu)) = self.entered {
            if cpu != CpuId::current().as_u32() {
                path.context_mismatch();
            }
        }
    }
}

/// Returns whether the current context is the one that `C` stands for, as far as the kernel can
/// tell.
///
/// May be called from any context. It is what the trampolines check while `timing` is on.
#[inline]
pub fn is_here<C: Context>() -> bool {
    <C as private::Sealed>::is_here()
}
