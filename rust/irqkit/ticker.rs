// SPDX-License-Identifier: GPL-2.0

//! A timer that ticks at a steady rate in hard interrupt context: a source of work for a machine
//! that lacks the device.
//!
//! It is a high resolution timer, so a tick is a hard interrupt as a device's is, and its handler
//! gets the same token. What it can't show is a cause that comes from outside: a tick's cause is
//! the time that it was due at, so that its path's `wait_ns` is how late the timer was.
//!
//! C header: [`include/linux/hrtimer.h`](srctree/include/linux/hrtimer.h)

use core::marker::PhantomPinned;

use kernel::{
    bindings,
    new_mutex,
    prelude::*,
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
    path::{
        Path,
        Run,
        Serial,
        Stamp, //
    }, //
};

/// What is done at each tick.
///
/// It must be [`Sync`] because [`Ticker::handler`] shares it; ticks of one ticker never run beside
/// each other. It must be `'static` because a ticker that is leaked goes on ticking.
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
/// # Invariants
///
/// - `raw` was initialised by `hrtimer_setup()` with `callback::<T>` and is field `raw` of `Self`.
/// - Only who holds `changing` puts it into the timer core's queue, and only while its callback does not
///   run; or its callback does.
#[pin_data(PinnedDrop)]
pub struct Ticker<T: TickHandler> {
    #[pin]
    raw: Opaque<bindings::hrtimer>,
    path: Arc<Path>,
    serial: Serial,
    /// Nanoseconds between two ticks; 0 is stopped.
    period: Atomic<i64>,
    #[pin]
    changing: Mutex<()>,
    #[pin]
    handler: T,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The C object is made to be used on all CPUs, and the handler is `Send`.
unsafe impl<T: TickHandler> Send for Ticker<T> {}

// SAFETY: The C object is locked by the timer core, and the handler is `Sync`.
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
        try_pin_init!(Self {
            // INVARIANT: By the call.
            raw <- Opaque::ffi_init(|raw| {
                // SAFETY: `raw` is valid for writes, and stays where it is, because it is pinned.
                unsafe {
                    bindings::hrtimer_setup(
                        raw,
                        Some(callback::<T>),
                        CLOCK,
                        bindings::hrtimer_mode_HRTIMER_MODE_REL_HARD,
                    )
                };
            }),
            path,
            serial: Serial::new(),
            period: Atomic::new(0),
            changing <- new_mutex!((), "irqkit::ticker"),
            handler <- handler,
            _pin: PhantomPinned,
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
        Ok(())
    }

    /// Stops it, and waits for a tick in progress. May sleep. Stands for `hrtimer_cancel()`.
    pub fn stop(&self, _task: Task<'_>) {
        let _changing = self.changing.lock();

        self.cancel();
    }

    /// Returns whether it ticks.
    #[inline]
    pub fn is_ticking(&self) -> bool {
        self.period.load(Relaxed) != 0
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &T {
        &self.handler
    }

    fn cancel(&self) {
        self.period.store(0, Relaxed);
        // SAFETY: By the type invariant it is initialised. We are not its callback, which has no
        // `Task` and does not drop what it borrows, so that this ends.
        unsafe { bindings::hrtimer_cancel(self.raw.get()) };
    }
}

#[pinned_drop]
impl<T: TickHandler> PinnedDrop for Ticker<T> {
    fn drop(self: Pin<&mut Self>) {
        self.cancel();
    }
}

/// `CLOCK_MONOTONIC`, which [`Stamp`] has as well.
const CLOCK: i32 = bindings::CLOCK_MONOTONIC as i32;

/// The callback of a [`Ticker<T>`].
///
/// # Safety
///
/// To be called by the timer core only, with the `raw` of a [`Ticker<T>`] that is not dropped before
/// it returns.
unsafe extern "C" fn callback<T: TickHandler>(
    raw: *mut bindings::hrtimer,
) -> bindings::hrtimer_restart {
    // SAFETY: By the safety requirements it is field `raw` of a `Ticker<T>`.
    let ticker = unsafe { &*kernel::container_of!(Opaque::cast_from(raw), Ticker<T>, raw) };

    // SAFETY: Nobody else writes the time of a timer whose callback runs.
    let due = unsafe { (*raw).node.expires };
    let cause = if ticker.path.timing() {
        Stamp::of_ktime(due)
    } else {
        Stamp::NONE
    };

    {
        let mut run = ticker.path.arrive(&ticker.serial, cause);
        let _watch = watch::<HardIrq<'_>>(&ticker.path);
        // SAFETY: A timer of a hard mode runs its callback in hard interrupt context, which lasts
        // until this function returns.
        let ctx = unsafe { HardIrq::new() };
        ticker.handler.tick(ctx, &mut run);
    }
    ticker.path.handled();

    let period = ticker.period.load(Relaxed);
    if period == 0 {
        return bindings::hrtimer_restart::HRTIMER_NORESTART;
    }
    // SAFETY: It is the timer's own callback, which may move its time: by the type invariants the timer
    // is not in the queue meanwhile.
    unsafe { bindings::hrtimer_forward(raw, bindings::ktime_get(), period) };
    bindings::hrtimer_restart::HRTIMER_RESTART
}
