// SPDX-License-Identifier: GPL-2.0

//! Tasklets.
//!
//! A tasklet is a callback that runs in softirq context soon after it was scheduled, usually when
//! the hard interrupt handler that did so returns, on the same CPU. It never runs beside itself.
//! The kernel deprecates tasklets (they can't be told apart or throttled, and all of a CPU's wait
//! for one another); the successor is a BH work queue. They are here because drivers still use
//! them, and to be compared.
//!
//! # Counting
//!
//! Each tasklet has one [`Path`], which counts its requests whichever of the two vectors took them:
//! a request goes to the vector of the first [`schedule`](Tasklet::schedule) or
//! [`schedule_hi`](Tasklet::schedule_hi) since the last run, because the kernel has one pending bit
//! for both. To tell the vectors apart, use one tasklet, and one path, for each.
//!
//! The rows `TASKLET` and `HI` of `/proc/softirqs` count executions of the whole vector, not
//! tasklets: one execution runs all that are queued on the CPU, and a tasklet that is scheduled but
//! disabled makes its vector execute again and again.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use core::{
    cell::UnsafeCell,
    marker::PhantomPinned, //
};

use kernel::{
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    },
    types::Opaque, //
};

use crate::{
    context::{
        watch,
        SoftIrq,
        Task, //
    },
    listed::{
        Links,
        Listed, //
    },
    path::{
        Path,
        Pending,
        Run,
        Stamp, //
    }, //
};

mod registry;

use registry::TASKLETS;
pub(crate) use registry::{
    module_goes,
    Registry, //
};

/// What a tasklet does.
///
/// It must be [`Sync`] because [`Tasklet::handler`] shares it with other contexts; the tasklet
/// itself never runs beside itself. It must be `'static` because a tasklet that is leaked may still
/// run, until its module goes away.
pub trait TaskletHandler: Send + Sync + 'static {
    /// Runs, in softirq context, with hard interrupts on.
    ///
    /// `run` is what is counted: add the work done to its items.
    fn run(&self, ctx: SoftIrq<'_>, run: &mut Run<'_>);
}

/// Whether a tasklet runs as soon as it is scheduled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does.
    Enabled,
    /// It does not until [`Tasklet::enable`]. If it is scheduled before, it spins in its softirq
    /// until then: enable it soon.
    Disabled,
}

/// A tasklet, pinned in its owner.
///
/// # Dropping
///
/// Dropping it waits until a run in progress has ended, and a pending one has been made. It never
/// runs afterwards. A request that is pending while the tasklet is disabled is taken back instead,
/// and counted as `cancelled`; that is also what becomes of guards that were forgotten.
///
/// It stands for `tasklet_kill()` and must be done in task context. Elsewhere it is a bug, which
/// the kernel reports, and at worst the CPU hangs; the memory is not freed while it is in use.
///
/// Leaking it is harmless: its memory is not reused, its handler is `'static`, and when the module
/// that made it goes away, it is killed as if it were dropped while it is disabled.
///
/// # Invariants
///
/// - `core` is that of this tasklet, with `callback::<T>`.
/// - Its disable count is the number of guards, alive or forgotten, and 1 more while
///   `disabled_at_birth`.
#[pin_data]
pub struct Tasklet<T: TaskletHandler> {
    // Dropped first: then the handler is not being run.
    #[pin]
    core: Core,
    disabled_at_birth: Atomic<bool>,
    #[pin]
    handler: T,
}

/// What is the same for tasklets of all handlers.
///
/// # Invariants
///
/// - `raw` was initialised by `tasklet_setup()` with the function at `code`.
/// - It is queued only by whoever made `pending` pending, so while that is idle and no callback is
///   about to start, it is not on any list.
/// - It is listed in the registry from its creation until it is dropped or the module goes in which
///   `code` is.
#[pin_data(PinnedDrop)]
struct Core {
    #[pin]
    raw: Opaque<bindings::tasklet_struct>,
    path: Arc<Path>,
    pending: Pending,
    /// The address of the callback.
    code: usize,
    /// Set when the owner goes, or the module, and does not want a last run.
    dying: Atomic<bool>,
    /// Whether its module's end has disabled it, and has then seen it not running.
    stopped: Atomic<bool>,
    at_rest: Atomic<bool>,
    links: UnsafeCell<Links<Core>>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: It may be used and dropped by any thread; what changes is atomic, the list's, or the
// kernel's own.
unsafe impl Sync for Core {}

// SAFETY: The links are a field that nobody else uses, and `code` is by the type invariants what the
// tasklet calls.
unsafe impl Listed for Core {
    fn links(&self) -> &UnsafeCell<Links<Self>> {
        &self.links
    }

    fn code(&self) -> usize {
        self.code
    }
}

impl Core {
    /// Creates it.
    ///
    /// # Safety
    ///
    /// `callback` must be one for a tasklet that this is pinned in.
    unsafe fn new(
        callback: unsafe extern "C" fn(*mut bindings::tasklet_struct),
        path: Arc<Path>,
        disabled: bool,
    ) -> impl PinInit<Self, Error> {
        // INVARIANT: Nothing is pending.
        try_pin_init!(&this in Self {
            raw <- Opaque::ffi_init(move |raw| {
                // SAFETY: `raw` is valid for writes, and stays where it is, because it is pinned.
                unsafe { bindings::tasklet_setup(raw, Some(callback)) };
                if disabled {
                    // SAFETY: It was initialised just before.
                    unsafe { irqkit_bindings::tasklet_disable_nosync(raw) };
                }
            }),
            path,
            pending: Pending::new(),
            // CAST: An address, for comparison.
            code: callback as usize,
            dying: Atomic::new(false),
            stopped: Atomic::new(false),
            at_rest: Atomic::new(false),
            links: UnsafeCell::new(Links::NONE),
            _pin: PhantomPinned,
            _: {
                // SAFETY: It is initialised, and stays where it is until its drop removes it.
                unsafe { TASKLETS.list(this) };
            },
        })
    }

    /// Sees to it that no run begins until it is enabled, and returns whether none is in progress any
    /// more. To be called under the list's lock.
    fn try_to_stop(&self) -> bool {
        if !self.stopped.xchg(true, Relaxed) {
            // SAFETY: By the type invariant it is initialised.
            unsafe { irqkit_bindings::tasklet_disable_nosync(self.raw.get()) };
        }
        // The core looks at the count again and again if it is scheduled, so once is enough.
        if !self.at_rest.load(Relaxed) {
            // SAFETY: By the type invariant it is initialised.
            let running = unsafe { irqkit_bindings::tasklet_is_running(self.raw.get()) };
            self.at_rest.store(!running, Relaxed);
        }
        self.at_rest.load(Relaxed)
    }

    /// Sees to it that the handler is not called any more, and that the callback can be.
    ///
    /// The callback sees `dying`, because it is ordered by the core's read-modify-write of the
    /// pending bit between its look at the count and the call.
    fn condemn(&self) {
        self.dying.store(true, Relaxed);
        // SAFETY: By the type invariant it is initialised, and nobody else uses its count any more:
        // this is the owner, or the end of the module that the users' code is in.
        unsafe { irqkit_bindings::tasklet_enable_all(self.raw.get()) };
    }

    /// Waits until it is neither scheduled nor running. May sleep; it must be enabled.
    fn kill(&self) {
        // SAFETY: By the type invariant it is initialised, and it is enabled, so that this ends.
        unsafe { bindings::tasklet_kill(self.raw.get()) };
        self.path.cancel(&self.pending);
    }
}

#[pinned_drop]
impl PinnedDrop for Core {
    fn drop(self: Pin<&mut Self>) {
        TASKLETS.unlist(&self);

        // No guard borrows the tasklet any more. What is left of the count was forgotten, or is
        // from its creation; `tasklet_kill()` would wait for it for ever if a run is pending. So
        // let it run, into nothing.
        //
        // SAFETY: By the type invariant it is initialised.
        if unsafe { irqkit_bindings::tasklet_is_disabled(self.raw.get()) } {
            self.condemn();
        }
        self.kill();
    }
}

// SAFETY: The C object is made to be used on all CPUs, and the handler is `Send`.
unsafe impl<T: TaskletHandler> Send for Tasklet<T> {}

// SAFETY: All methods but drop use atomic operations on the C object, and the handler is `Sync`.
unsafe impl<T: TaskletHandler> Sync for Tasklet<T> {}

impl<T: TaskletHandler> Tasklet<T> {
    /// Creates a tasklet that runs `handler` and is counted by `path`.
    ///
    /// May be called from any context but NMIs that `handler` allows. Stands for `tasklet_setup()`.
    pub fn new<E>(
        handler: impl PinInit<T, E>,
        path: Arc<Path>,
        state: State,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        let disabled = state == State::Disabled;

        // INVARIANT: There are no guards.
        try_pin_init!(Self {
            // SAFETY: It is pinned in this tasklet.
            core <- unsafe { Core::new(callback::<T>, path, disabled) },
            disabled_at_birth: Atomic::new(disabled),
            handler <- handler,
        })
    }

    /// Schedules the tasklet on this CPU's normal vector (`TASKLET_SOFTIRQ`); `at` is when the
    /// cause happened, from which its waiting time counts.
    ///
    /// Returns true if it was idle, and false if it was pending already: that run serves this
    /// request, too.
    ///
    /// May be called from any context but NMIs. Stands for `tasklet_schedule()`.
    #[inline]
    pub fn schedule(&self, at: Stamp) -> bool {
        let idle = self.core.path.schedule(&self.core.pending, at);
        if idle {
            // SAFETY: By the type invariant it is initialised, and drop waits for it.
            unsafe { irqkit_bindings::tasklet_schedule(self.core.raw.get()) };
        }
        idle
    }

    /// Like [`Tasklet::schedule`], on the high priority vector (`HI_SOFTIRQ`), which runs before
    /// all other softirqs.
    ///
    /// Stands for `tasklet_hi_schedule()`.
    #[inline]
    pub fn schedule_hi(&self, at: Stamp) -> bool {
        let idle = self.core.path.schedule(&self.core.pending, at);
        if idle {
            // SAFETY: By the type invariant it is initialised, and drop waits for it.
            unsafe { irqkit_bindings::tasklet_hi_schedule(self.core.raw.get()) };
        }
        idle
    }

    /// Returns whether a request is pending. It may change at any time.
    ///
    /// May be called from any context.
    #[inline]
    pub fn is_pending(&self) -> bool {
        self.core.pending.is_pending()
    }

    /// Keeps the tasklet from running until the guard is dropped, and waits for a run in progress.
    ///
    /// Guards nest. Stands for `tasklet_disable()`.
    pub fn disable(&self, _task: Task<'_>) -> DisableGuard<'_, T> {
        // SAFETY: By the type invariant it is initialised; this is a task, which may wait.
        unsafe { irqkit_bindings::tasklet_disable(self.core.raw.get()) };
        // INVARIANT: The count was raised for this guard.
        DisableGuard(self)
    }

    /// Keeps the tasklet from beginning to run until the guard is dropped. A run in progress goes
    /// on.
    ///
    /// Guards nest. May be called from any context. Stands for `tasklet_disable_nosync()`.
    pub fn disable_nosync(&self) -> DisableGuard<'_, T> {
        // SAFETY: By the type invariant it is initialised.
        unsafe { irqkit_bindings::tasklet_disable_nosync(self.core.raw.get()) };
        // INVARIANT: The count was raised for this guard.
        DisableGuard(self)
    }

    /// Enables a tasklet that was created with [`State::Disabled`]. Returns false, and does
    /// nothing, if that has been done already or it was created enabled.
    ///
    /// May be called from any context. Stands for `tasklet_enable()`.
    pub fn enable(&self) -> bool {
        let first = self.disabled_at_birth.xchg(false, Full);
        if first {
            // SAFETY: By the type invariant it is initialised, and its count includes the 1 from
            // its creation, which only we take away.
            unsafe { irqkit_bindings::tasklet_enable(self.core.raw.get()) };
        }
        first
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &T {
        &self.handler
    }

    /// Returns the path that counts this tasklet.
    #[inline]
    pub fn path(&self) -> &Arc<Path> {
        &self.core.path
    }
}

/// Keeps a tasklet from running while it lives.
///
/// Forgetting it leaves the tasklet disabled until its owner drops it.
///
/// # Invariants
///
/// The tasklet's disable count includes 1 for this guard.
#[must_use = "the tasklet is enabled again as soon as the guard is dropped"]
pub struct DisableGuard<'a, T: TaskletHandler>(&'a Tasklet<T>);

impl<T: TaskletHandler> Drop for DisableGuard<'_, T> {
    fn drop(&mut self) {
        // SAFETY: The tasklet is borrowed, hence initialised; by the type invariant the count has a
        // 1 that is ours to take away.
        unsafe { irqkit_bindings::tasklet_enable(self.0.core.raw.get()) };
    }
}

/// The callback of a [`Tasklet<T>`].
///
/// # Safety
///
/// To be called by the tasklet core only, with the `core.raw` of a [`Tasklet<T>`] that is not
/// dropped before it returns.
unsafe extern "C" fn callback<T: TaskletHandler>(raw: *mut bindings::tasklet_struct) {
    // SAFETY: By the safety requirements it is field `core.raw` of a `Tasklet<T>`.
    let tasklet = unsafe { &*kernel::container_of!(Opaque::cast_from(raw), Tasklet<T>, core.raw) };

    if tasklet.core.dying.load(Relaxed) {
        return;
    }
    // By the type invariant a request is pending: the callback runs once for each.
    let Some(mut run) = tasklet.core.path.start(&tasklet.core.pending) else {
        return;
    };

    let _watch = watch::<SoftIrq<'_>>(&tasklet.core.path);
    // SAFETY: Tasklets run in softirq context, which lasts until this function returns.
    let ctx = unsafe { SoftIrq::new() };
    tasklet.handler.run(ctx, &mut run);
}
