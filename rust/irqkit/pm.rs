// SPDX-License-Identifier: GPL-2.0

//! Suspend and resume, for drivers of buses whose Rust side has no callbacks for it.
//!
//! The notifier is called before tasks are frozen and after they are thawed, whatever becomes of
//! the suspend in between. So it sees every suspend and hibernation as a pair, and its functions
//! may sleep and wait for other tasks.
//!
//! C header: [`include/linux/suspend.h`](srctree/include/linux/suspend.h)

use core::marker::PhantomPinned;

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    error::to_result,
    prelude::*,
    types::Opaque, //
};

use crate::{
    context::Task,
    owner, //
};

/// What wants to know when the machine sleeps.
pub trait Sleeper: Send + Sync + 'static {
    /// The machine is about to suspend or to hibernate; tasks still run.
    ///
    /// When it returns, the device must be as it may be left when its power goes. An error keeps
    /// the machine awake; [`Sleeper::wake`] is not called for it then.
    fn sleep(&self, task: Task<'_>) -> Result;

    /// The machine is awake again, or never slept because something else went wrong.
    ///
    /// The device may have lost everything.
    fn wake(&self, task: Task<'_>);
}

/// What the power management core calls.
///
/// # Invariants
///
/// `block` is registered with `notify::<T>`.
#[pin_data(PinnedDrop)]
struct Notifier<T: Sleeper> {
    #[pin]
    block: Opaque<bindings::notifier_block>,
    #[pin]
    sleeper: T,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The core may call from any task, and `T` is `Send`.
unsafe impl<T: Sleeper> Send for Notifier<T> {}

// SAFETY: Nobody but the core touches `block`, under its own lock, and `T` is `Sync`.
unsafe impl<T: Sleeper> Sync for Notifier<T> {}

impl<T: Sleeper> Notifier<T> {
    fn new<E>(sleeper: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: If initialisation succeeds, it is registered.
        try_pin_init!(Self {
            sleeper <- sleeper,
            _pin: PhantomPinned,
            block <- Opaque::try_ffi_init(|block: *mut bindings::notifier_block| {
                // SAFETY: `block` is valid for writes.
                unsafe {
                    block.write(bindings::notifier_block {
                        notifier_call: Some(notify::<T>),
                        ..pin_init::zeroed()
                    })
                };
                // SAFETY: It is initialised, as is `sleeper`, and pinned until its drop has
                // unregistered it.
                to_result(unsafe { irqkit_bindings::register_pm_notifier(block) })
            }),
        })
    }
}

#[pinned_drop]
impl<T: Sleeper> PinnedDrop for Notifier<T> {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is registered. When it returns, the function does not
        // run, and won't.
        unsafe { irqkit_bindings::unregister_pm_notifier(self.block.get()) };
    }
}

/// A registered [`Sleeper`].
///
/// Dropping it waits for a call in progress, then drops the sleeper; task context. At the latest
/// that happens when the device is unbound, so leaking it is harmless.
///
/// Stands for `register_pm_notifier()` and `unregister_pm_notifier()`.
#[must_use = "the sleeper is unregistered when the registration is dropped"]
pub struct Registration<T: Sleeper>(#[allow(dead_code)] Devres<Notifier<T>>);

impl<T: Sleeper> Registration<T> {
    /// Registers `sleeper` for as long as `dev` is bound. Task context.
    ///
    /// # Errors
    ///
    /// `EXDEV` if the sleeper is not of the module whose driver the device is bound to; `ENOMEM`.
    pub fn new<E>(dev: &Device<Bound>, sleeper: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        owner::check(dev, notify::<T> as *const ())?;
        Ok(Self(Devres::new::<Error>(dev, Notifier::new(sleeper))?))
    }
}

/// The notifier of a [`Notifier<T>`].
///
/// # Safety
///
/// To be called by the power management core only, with the `block` of a [`Notifier<T>`].
unsafe extern "C" fn notify<T: Sleeper>(
    block: *mut bindings::notifier_block,
    action: usize,
    _data: *mut c_void,
) -> c_int {
    // SAFETY: By the safety requirements it is field `block` of a `Notifier<T>`, whose drop waits
    // for us.
    let notifier = unsafe { &*kernel::container_of!(Opaque::cast_from(block), Notifier<T>, block) };
    // SAFETY: The chain is a blocking one, so this is a task, until the function returns.
    let task = unsafe { Task::new() };

    // CAST: The actions are small.
    match action as u32 {
        irqkit_bindings::PM_SUSPEND_PREPARE
        | irqkit_bindings::PM_HIBERNATION_PREPARE
        | irqkit_bindings::PM_RESTORE_PREPARE => {
            let errno = notifier
                .sleeper
                .sleep(task)
                .err()
                .map_or(0, |e| e.to_errno());
            from_errno(errno)
        }
        irqkit_bindings::PM_POST_SUSPEND
        | irqkit_bindings::PM_POST_HIBERNATION
        | irqkit_bindings::PM_POST_RESTORE => {
            notifier.sleeper.wake(task);
            from_errno(0)
        }
        _ => from_errno(0),
    }
}

/// `notifier_from_errno()`.
fn from_errno(errno: c_int) -> c_int {
    if errno == 0 {
        return irqkit_bindings::NOTIFY_OK as c_int;
    }
    irqkit_bindings::NOTIFY_STOP_MASK as c_int | (irqkit_bindings::NOTIFY_OK as c_int - errno)
}
