// SPDX-License-Identifier: GPL-2.0

//! A timer that ticks at a steady rate in hard interrupt context: a source of work for a machine
//! that lacks the device.
//!
//! It is a high resolution timer, so a tick is a hard interrupt as a device's is, and its handler
//! gets the same token. What it can't show is a cause that comes from outside: a tick's cause is
//! the time that it was due at, so that its path's `wait_ns` is how late the timer was.
//!
//! C header: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)

use core::{
    cell::UnsafeCell,
    marker::PhantomPinned, //
};

use kernel::{
    bindings,
    new_mutex,
    prelude::*,
    processor::cpu_relax,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    },
    time::Delta,
    types::Opaque, //
};

use crate::{
    context::{
        watch,
        HardIrq,
        Task, //
    },
    listed::{
        Links,
        List,
        Listed, //
    },
    path::{
        Path,
        Run,
        Serial,
        Stamp, //
    },
    raw_lock::RawLock, //
};

/// What is done at each tick.
///
/// It must be [`Sync`] because [`Ticker::handler`] shares it; ticks of one ticker never run beside
/// each other. It must be `'static` because a ticker that is leaked goes on ticking, until its module
/// goes away.
pub trait TickHandler: Send + Sync + 'static {
    /// Runs, in hard interrupt context.
    ///
    /// `run` is what is counted: add the work done to its items.
    fn tick(&self, ctx: HardIrq<'_>, run: &mut Run<'_>);
}

/// A periodic timer, pinned in its owner.
///
/// # Dropping
///
/// Dropping it waits for a tick in progress, and there are none afterwards. It may be done in any
/// context but that of a hard interrupt; there, it would wait for itself.
///
/// Leaking it is harmless: its memory is not reused, its handler is `'static`, and when the module
/// that made it goes away, it is stopped.
///
/// # Invariants
///
/// `core` is that of this ticker, with `callback::<T>`.
#[pin_data]
pub struct Ticker<T: TickHandler> {
    // Dropped first: then the handler is not being run.
    #[pin]
    core: Core,
    #[pin]
    handler: T,
}

/// What is the same for tickers of all handlers.
///
/// # Invariants
///
/// - `raw` was initialised by `hrtimer_setup()` with the function at `code`.
/// - Only who holds `changing` puts it into the timer core's queue, and only while its callback does not
///   run; or its callback does.
/// - It is listed from its creation until it is dropped or the module goes in which `code` is.
#[pin_data(PinnedDrop)]
struct Core {
    #[pin]
    raw: Opaque<bindings::hrtimer>,
    path: Arc<Path>,
    serial: Serial,
    /// Nanoseconds between two ticks; 0 is stopped.
    period: Atomic<i64>,
    #[pin]
    changing: Mutex<()>,
    /// The address of the callback.
    code: usize,
    links: UnsafeCell<Links<Core>>,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: It may be dropped by any thread.
unsafe impl Send for Core {}

// SAFETY: The C object is locked by the timer core; the rest is atomic, locked, or the list's.
unsafe impl Sync for Core {}

// SAFETY: The links are a field that nobody else uses, and `code` is by the type invariants what the
// timer calls.
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
    /// `callback` must be one for a ticker that this is pinned in.
    #[inline(never)]
    unsafe fn new(
        callback: unsafe extern "C" fn(*mut bindings::hrtimer) -> bindings::hrtimer_restart,
        path: Arc<Path>,
    ) -> impl PinInit<Self, Error> {
        // INVARIANT: It is initialised and listed below.
        try_pin_init!(&this in Self {
            raw <- Opaque::ffi_init(move |raw| {
                // SAFETY: `raw` is valid for writes, and stays where it is, because it is pinned.
                unsafe {
                    bindings::hrtimer_setup(
                        raw,
                        Some(callback),
                        CLOCK,
                        bindings::hrtimer_mode_HRTIMER_MODE_REL_HARD,
                    )
                };
            }),
            path,
            serial: Serial::new(),
            period: Atomic::new(0),
            changing <- new_mutex!((), "irqkit::ticker"),
            // CAST: An address, for comparison.
            code: callback as usize,
            links: UnsafeCell::new(Links::NONE),
            _pin: PhantomPinned,
            _: {
                // SAFETY: It is initialised, and stays where it is until its drop takes it off the list.
                unsafe { TICKERS.list(this) };
            },
        })
    }

    fn start(&self, ns: i64) {
        let _changing = self.changing.lock();

        // Its callback would move the time of a timer that is in the queue.
        self.cancel();
        self.period.store(ns, Relaxed);
        // INVARIANT: It was cancelled, and we hold the lock.
        // SAFETY: By the type invariant it is initialised, and drop waits for it.
        unsafe {
            bindings::hrtimer_start_range_ns(
                self.raw.get(),
                ns,
                0,
                bindings::hrtimer_mode_HRTIMER_MODE_REL_HARD,
            )
        };
    }

    fn stop(&self) {
        let _changing = self.changing.lock();

        self.cancel();
    }

    /// Stops it, unless a tick is in progress, which will be the last. To be called when nobody starts
    /// it any more. Any context but NMIs.
    fn try_to_end(&self) -> bool {
        self.period.store(0, Relaxed);
        // SAFETY: By the type invariant it is initialised.
        unsafe { bindings::hrtimer_try_to_cancel(self.raw.get()) >= 0 }
    }

    /// To be called with `changing` locked, or when nobody starts it any more.
    fn cancel(&self) {
        self.period.store(0, Relaxed);
        // SAFETY: By the type invariant it is initialised. We are not its callback, which has no
        // `Task` and does not drop what it borrows, so that this ends.
        unsafe { bindings::hrtimer_cancel(self.raw.get()) };
    }
}

#[pinned_drop]
impl PinnedDrop for Core {
    fn drop(self: Pin<&mut Self>) {
        TICKERS.unlist(&self);
        self.cancel();
    }
}

// SAFETY: The core may be used on all CPUs, and the handler is `Send`.
unsafe impl<T: TickHandler> Send for Ticker<T> {}

// SAFETY: As above, and the handler is `Sync`.
unsafe impl<T: TickHandler> Sync for Ticker<T> {}

impl<T: TickHandler> Ticker<T> {
    /// The shortest period there may be, in microseconds: a tick's handler has to come to its end
    /// in far less, or nothing else runs on its CPU.
    pub const SHORTEST_US: i64 = 10;

    /// Creates a ticker that is stopped. Its ticks call `handler` and are counted by `path`, as
    /// hard interrupts that were handled.
    ///
    /// May be called from any context that `handler` allows. Stands for `hrtimer_setup()`.
    pub fn new<E>(handler: impl PinInit<T, E>, path: Arc<Path>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: It is its callback.
        try_pin_init!(Self {
            handler <- handler,
            // SAFETY: It is pinned in a `Self`.
            core <- unsafe { Core::new(callback::<T>, path) },
        })
    }

    /// Lets it tick every `period` from now on, or with a new period if it does already; then it waits
    /// for a tick in progress. Ticks that were missed are not made up for. May sleep.
    ///
    /// Stands for `hrtimer_start()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `period` is shorter than [`Ticker::SHORTEST_US`].
    pub fn start(&self, _task: Task<'_>, period: Delta) -> Result {
        let ns = period.as_micros_ceil().checked_mul(1000).ok_or(EINVAL)?;
        if ns < Self::SHORTEST_US * 1000 {
            return Err(EINVAL);
        }
        self.core.start(ns);
        Ok(())
    }

    /// Stops it, and waits for a tick in progress. May sleep. Stands for `hrtimer_cancel()`.
    pub fn stop(&self, _task: Task<'_>) {
        self.core.stop();
    }

    /// Returns whether it ticks.
    #[inline]
    pub fn is_ticking(&self) -> bool {
        self.core.period.load(Relaxed) != 0
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &T {
        &self.handler
    }
}

/// `CLOCK_MONOTONIC`, which [`Stamp`] has as well.
const CLOCK: i32 = bindings::CLOCK_MONOTONIC as i32;

/// The callback of a [`Ticker<T>`].
///
/// # Safety
///
/// To be called by the timer core only, with the timer of a [`Ticker<T>`] that is not dropped before
/// it returns.
unsafe extern "C" fn callback<T: TickHandler>(
    raw: *mut bindings::hrtimer,
) -> bindings::hrtimer_restart {
    let core: *const Core = kernel::container_of!(Opaque::cast_from(raw), Core, raw);
    // SAFETY: By the safety requirements it is field `core` of a `Ticker<T>`.
    let ticker = unsafe { &*kernel::container_of!(core, Ticker<T>, core) };
    let core = &ticker.core;

    // SAFETY: Nobody else writes the time of a timer whose callback runs.
    let due = unsafe { (*raw).node.expires };
    let cause = if core.path.timing() {
        Stamp::of_ktime(due)
    } else {
        Stamp::NONE
    };

    {
        let mut run = core.path.arrive(&core.serial, cause);
        let _watch = watch::<HardIrq<'_>>(&core.path);
        // SAFETY: A timer of a hard mode runs its callback in hard interrupt context, which lasts
        // until this function returns.
        let ctx = unsafe { HardIrq::new() };
        ticker.handler.tick(ctx, &mut run);
    }
    core.path.handled();

    let period = core.period.load(Relaxed);
    if period == 0 {
        return bindings::hrtimer_restart::HRTIMER_NORESTART;
    }
    // SAFETY: It is the timer's own callback, which may move its time: by the type invariants the timer
    // is not in the queue meanwhile.
    unsafe { bindings::hrtimer_forward(raw, bindings::ktime_get(), period) };
    bindings::hrtimer_restart::HRTIMER_RESTART
}

// SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
// anyone who could make a ticker.
static TICKERS: RawLock<List<Core>> = unsafe { RawLock::uninit(List::EMPTY) };

/// A module, of which this is the address, goes away: stops the tickers that it has left.
///
/// The module's exit function has run, and what it has left on queues has ended: nobody starts a
/// ticker of its any more. A tasklet that it has left may still drop one.
///
/// # Safety
///
/// `module` must be the address of a module whose memory is still there.
pub(crate) unsafe fn module_goes(module: usize) {
    // Under the list's lock none of them is dropped; a tick in progress is waited for without it.
    while !TICKERS.with(|tickers| {
        // SAFETY: By the safety requirements.
        while let Some(core) = tickers.find(|core| unsafe { core.is_of(module) }) {
            // SAFETY: It is on the list, hence alive.
            if !unsafe { core.as_ref() }.try_to_end() {
                return false;
            }
            // SAFETY: As above.
            unsafe { tickers.remove(core) };
        }
        true
    }) {
        cpu_relax();
    }
}

/// The list's life. irqkit's module holds the only one.
pub(crate) struct Registry(());

impl Registry {
    /// Starts the list.
    ///
    /// # Safety
    ///
    /// To be called once, when irqkit is loaded, before anything else in [`crate::ticker`] is used.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: By the safety requirements, this is done once, and first.
        unsafe { TICKERS.init(c"irqkit_tickers", kernel::static_lock_class!()) };
        Self(())
    }
}
