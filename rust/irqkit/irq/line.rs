// SPDX-License-Identifier: GPL-2.0

//! What can be done with a registered interrupt.

use core::ptr;

use kernel::{
    bindings,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        new_spinlock_irq,
        Arc,
        Mutex,
        SpinLockIrq, //
    },
    task, //
};

use super::{
    registry,
    served::Requests,
    CpuList, //
};
use crate::{
    context::Task,
    path::Stamp, //
};

/// The thread of the interrupt, as others than its hard handler wake it.
struct Thread {
    /// The address by which the irq core knows the action. It is only compared.
    cookie: usize,
    requests: Arc<Requests>,
}

/// What may be called while the interrupt is registered.
struct State {
    /// Whether it is.
    registered: bool,
    /// How many guards keep it disabled, alive or forgotten.
    disabled: u32,
    /// Its thread, if it has one that can be asked for.
    thread: Option<Thread>,
}

/// The line of a registered interrupt.
///
/// It may be older than the registration, and outlive it; then its methods fail with [`ENODEV`] and
/// do nothing, because the line is someone else's, or may be.
///
/// A line that is shared is so in all respects: disabling it disables the interrupts of the other
/// devices on it.
///
/// # Invariants
///
/// - While `state.registered`, `irq` is a line that we have an action on, and it has been disabled
///   by us `state.disabled` times more than enabled. `state.thread` is that action's.
/// - `state.registered` becomes false with `waiters`, `hint` and `state` locked, and while it is
///   true, the line's affinity hint is the mask in `hint`, if that was ever set.
#[pin_data]
pub struct Line {
    irq: u32,
    /// Set before it is registered.
    shared: Atomic<bool>,
    #[pin]
    state: SpinLockIrq<State>,
    /// Locked by those who wait for the handlers, so that the registration does not end meanwhile.
    /// The handlers don't lock it, or they would wait for one another; in front of `hint` and
    /// `state`.
    #[pin]
    waiters: Mutex<()>,
    /// The mask that the irq core keeps a pointer to. Locked by those who look at the line, so that
    /// the registration does not end meanwhile. Nobody waits for a handler with it locked; in front
    /// of `state`.
    #[pin]
    hint: Mutex<Option<KBox<CpuList>>>,
    /// The thread that is running the thread handler, or 0.
    thread: Atomic<usize>,
}

impl Line {
    /// Creates the line of an interrupt that may be registered.
    pub(super) fn new(irq: u32) -> Result<Arc<Self>> {
        Arc::pin_init(
            // INVARIANT: It is not registered yet.
            pin_init!(Self {
                irq,
                shared: Atomic::new(false),
                state <- new_spinlock_irq!(
                    State {
                        registered: false,
                        disabled: 0,
                        thread: None,
                    },
                    "irqkit::irq::Line::state"
                ),
                waiters <- new_mutex!((), "irqkit::irq::Line::waiters"),
                hint <- new_mutex!(None, "irqkit::irq::Line::hint"),
                thread: Atomic::new(0),
            }),
            GFP_KERNEL,
        )
    }

    /// The interrupt is about to be registered, for a line that is shared or not.
    pub(super) fn prepare(&self, shared: bool) {
        self.shared.store(shared, Relaxed);
    }

    /// The interrupt has been registered.
    ///
    /// # Safety
    ///
    /// We must have an action on line `irq`, until after [`Line::end`] was called, whose cookie has
    /// the address `cookie`, and to whose thread `requests` belong.
    pub(super) unsafe fn begin(&self, cookie: usize, requests: Option<&Arc<Requests>>) {
        let mut state = self.state.lock();

        // INVARIANT: By the safety requirements; nobody could disable it before.
        state.registered = true;
        state.thread = requests.map(|requests| Thread {
            cookie,
            requests: requests.clone(),
        });
    }

    /// The interrupt is about to be freed: takes back all that was done to the line.
    pub(super) fn end(&self) {
        let _waiters = self.waiters.lock();
        let mut hint = self.hint.lock();

        let _thread = {
            let mut state = self.state.lock();
            if !state.registered {
                return;
            }
            // The line may have other users: it is theirs as they knew it.
            for _ in 0..state.disabled {
                // SAFETY: By the type invariant we have disabled it as often.
                unsafe { bindings::enable_irq(self.irq) };
            }
            state.disabled = 0;
            // INVARIANT: All three are locked.
            state.registered = false;
            state.thread.take()
        };

        if hint.is_some() {
            // SAFETY: The line is still ours; the core forgets the pointer under its own lock.
            unsafe { irqkit_bindings::irq_update_affinity_hint(self.irq, ptr::null()) };
            *hint = None;
        }
    }

    /// Returns the interrupt's Linux number, as in `/proc/interrupts`.
    ///
    /// May be called from any context.
    #[inline]
    pub fn irq(&self) -> u32 {
        self.irq
    }

    /// Returns whether the line may have other users.
    ///
    /// May be called from any context.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.shared.load(Relaxed)
    }

    /// Fails if the registration has ended, which it does not while the caller has `waiters` or
    /// `hint` locked.
    fn check(&self) -> Result {
        if self.state.lock().registered {
            Ok(())
        } else {
            Err(ENODEV)
        }
    }

    /// Waits until neither handler is running, after `prepare`.
    fn wait<R>(&self, prepare: impl FnOnce() -> Result<R>) -> Result<R> {
        self.check()?;
        // The thread would wait for itself: the core waits for those of all the line's users.
        if registry::is_thread_of(self.irq) {
            return Err(EDEADLK);
        }

        let _waiters = self.waiters.lock();
        self.check()?;
        let ret = prepare()?;
        // SAFETY: `waiters` is locked, so the registration does not end, and `irq` stays valid.
        unsafe { bindings::synchronize_irq(self.irq) };
        Ok(ret)
    }

    /// Disables the interrupt until the guard is dropped, and waits until neither of its handlers
    /// is running, nor those of the line's other users. Guards nest.
    ///
    /// Stands for `disable_irq()`.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the registration has ended, [`EDEADLK`] in the interrupt's own thread, and in
    /// that of any other interrupt that irqkit has registered on the same line: it would wait for
    /// itself.
    pub fn disable(&self, _task: Task<'_>) -> Result<Disabled<'_>> {
        self.wait(|| self.disable_nosync())
    }

    /// Disables the interrupt until the guard is dropped. Handlers that are running go on. Guards
    /// nest.
    ///
    /// May be called from any context but NMIs, for lines of PCI, whose chips are not behind a bus
    /// that sleeps. On `PREEMPT_RT` not from hard handlers that the kernel does not force into
    /// threads; those have [`super::ThreadedIrqReturn::WakeThreadMasked`]. Stands for
    /// `disable_irq_nosync()`.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the registration has ended.
    pub fn disable_nosync(&self) -> Result<Disabled<'_>> {
        let mut state = self.state.lock();

        if !state.registered {
            return Err(ENODEV);
        }
        state.disabled = state.disabled.checked_add(1).ok_or(EOVERFLOW)?;
        // SAFETY: By the type invariant it is our line as long as the state is locked.
        unsafe { bindings::disable_irq_nosync(self.irq) };

        // INVARIANT: It was disabled for this guard.
        Ok(Disabled(self))
    }

    /// Waits until neither of the interrupt's handlers is running, nor those of the line's other
    /// users.
    ///
    /// Stands for `synchronize_irq()`.
    ///
    /// # Errors
    ///
    /// As [`Line::disable`].
    pub fn synchronize(&self, _task: Task<'_>) -> Result {
        self.wait(|| Ok(()))
    }

    /// Has the interrupt's thread run, as its hard handler does by
    /// [`super::ThreadedIrqReturn::WakeThread`]: for whoever serves the device in the hard handler's
    /// stead. The request was made at time `at`. Returns whether none was pending; else one run
    /// serves them all.
    ///
    /// May be called from any context but NMIs; on `PREEMPT_RT` not from hard handlers that the
    /// kernel does not force into threads. Where it does so with this interrupt's (`PREEMPT_RT`,
    /// `threadirqs`), the way to the thread is by the hard handler's, which is called once more.
    /// Stands for `irq_wake_thread()`.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the interrupt is not registered, not yet or no longer, [`EOPNOTSUPP`] if it is
    /// not [`super::Request::threaded`]: it has no thread, or one for which only the kernel asks; or if
    /// it is [`super::Request::oneshot`] on a shared line, where the kernel keeps no books of who may
    /// unmask it that would bear this.
    pub fn wake_thread(&self, at: Stamp) -> Result<bool> {
        let state = self.state.lock();

        if !state.registered {
            return Err(ENODEV);
        }
        let thread = state.thread.as_ref().ok_or(EOPNOTSUPP)?;
        let first = thread.requests.make_by_others(at);
        // SAFETY: By the type invariant it is our line as long as the state is locked.
        unsafe { bindings::irq_wake_thread(self.irq, ptr::without_provenance_mut(thread.cookie)) };
        Ok(first)
    }

    /// Moves the interrupt to `cpus`, and tells user space (`/proc/irq/N/affinity_hint`) that it
    /// should stay there.
    ///
    /// Stands for `irq_set_affinity_and_hint()`, which does not say if the interrupt stayed where it
    /// was, because none of these CPUs is online or its chip can't be told: then the hint is set, and
    /// [`Line::affinity`] has the CPUs that it may go to. A chip that moves it with the next interrupt
    /// shows the new ones only then.
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the registration has ended, [`EINVAL`] for no CPUs, [`EOPNOTSUPP`] on a shared
    /// line, which has one hint for all its users.
    pub fn set_affinity_and_hint(&self, _task: Task<'_>, cpus: CpuList) -> Result {
        self.replace_hint(Some(cpus), true)
    }

    /// Tells user space which CPUs the interrupt should go to, or that it does not matter, and
    /// leaves it where it is.
    ///
    /// Stands for `irq_update_affinity_hint()`.
    ///
    /// # Errors
    ///
    /// As [`Line::set_affinity_and_hint`].
    pub fn update_affinity_hint(&self, _task: Task<'_>, cpus: Option<CpuList>) -> Result {
        self.replace_hint(cpus, false)
    }

    fn replace_hint(&self, cpus: Option<CpuList>, apply: bool) -> Result {
        if self.is_shared() {
            return Err(EOPNOTSUPP);
        }
        if cpus.as_ref().is_some_and(CpuList::is_empty) {
            return Err(EINVAL);
        }

        let cpus = cpus.map(|cpus| KBox::new(cpus, GFP_KERNEL)).transpose()?;
        let mask = cpus.as_ref().map_or(ptr::null(), |cpus| cpus.as_raw());

        let mut hint = self.hint.lock();
        self.check()?;
        // SAFETY: `hint` is locked, so the line stays ours during the call. The mask is kept in
        // `hint` until the core has forgotten it, which it does under its own lock, in a later call
        // of this function or in `end`.
        to_result(unsafe {
            if apply {
                irqkit_bindings::irq_set_affinity_and_hint(self.irq, mask)
            } else {
                irqkit_bindings::irq_update_affinity_hint(self.irq, mask)
            }
        })?;
        *hint = cpus;

        Ok(())
    }

    /// Returns the CPUs that the interrupt may go to (`/proc/irq/N/smp_affinity`).
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the registration has ended, [`ENOMEM`].
    pub fn affinity(&self, _task: Task<'_>) -> Result<CpuList> {
        let _hint = self.hint.lock();
        self.check()?;

        // SAFETY: `hint` is locked, so the registration does not end, and the line's descriptor
        // stays valid; the mask is part of it.
        unsafe { CpuList::copy_of(irqkit_bindings::irq_get_affinity_mask(self.irq)) }
    }

    /// Returns the CPUs that the interrupt does go to (`/proc/irq/N/effective_affinity`).
    ///
    /// # Errors
    ///
    /// [`ENODEV`] if the registration has ended, [`ENOMEM`].
    pub fn effective_affinity(&self, _task: Task<'_>) -> Result<CpuList> {
        let _hint = self.hint.lock();
        self.check()?;

        // SAFETY: `hint` is locked, so the registration does not end, and the line's descriptor
        // stays valid; the mask is part of it.
        unsafe { CpuList::copy_of(irqkit_bindings::irq_get_effective_affinity_mask(self.irq)) }
    }

    /// Returns whether the caller is in the interrupt's thread handler.
    pub(super) fn is_in_thread(&self) -> bool {
        // What a task has written itself, it sees.
        self.thread.load(Relaxed) == task::Task::current_raw() as usize
    }

    /// Calls `f` as the thread handler.
    #[inline]
    pub(super) fn in_thread<R>(&self, f: impl FnOnce() -> R) -> R {
        self.thread
            .store(task::Task::current_raw() as usize, Relaxed);
        let ret = f();
        self.thread.store(0, Relaxed);
        ret
    }

    /// Disables the interrupt from its own hard handler, to be undone by
    /// [`Line::enable_in_handler`].
    ///
    /// # Safety
    ///
    /// To be called in a handler of this line's action.
    #[inline]
    pub(super) unsafe fn disable_in_handler(&self) {
        // SAFETY: While a handler runs its action is not freed, so the line is ours.
        unsafe { bindings::disable_irq_nosync(self.irq) };
    }

    /// Undoes one [`Line::disable_in_handler`].
    ///
    /// # Safety
    ///
    /// To be called in a handler of this line's action, hard or thread, once for each time.
    #[inline]
    pub(super) unsafe fn enable_in_handler(&self) {
        // SAFETY: While a handler runs its action is not freed, so the line is ours, and it was
        // disabled for this.
        unsafe { bindings::enable_irq(self.irq) };
    }
}

/// Keeps an interrupt disabled while it lives.
///
/// Forgetting it leaves the interrupt disabled until the registration ends. If that ends first,
/// dropping the guard does nothing.
///
/// # Invariants
///
/// The line is registered no longer, or its `state.disabled` includes 1 for this guard.
#[must_use = "the interrupt is enabled again as soon as the guard is dropped"]
pub struct Disabled<'a>(&'a Line);

impl Drop for Disabled<'_> {
    /// Stands for `enable_irq()`. In any context that [`Line::disable_nosync`] may be called from.
    fn drop(&mut self) {
        let line = self.0;
        let mut state = line.state.lock();

        if state.registered {
            state.disabled -= 1;
            // SAFETY: By the type invariants it is our line as long as the state is locked, and
            // it was disabled for this guard.
            unsafe { bindings::enable_irq(line.irq) };
        }
    }
}
