// SPDX-License-Identifier: GPL-2.0

//! The kinds of interrupt handlers, and what they count.

use kernel::{
    alloc::AllocError,
    bindings,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Arc, //
    }, //
};

use super::{
    Handler,
    IrqReturn,
    Line,
    ThreadHandler,
    ThreadedHandler,
    ThreadedIrqReturn, //
};
use crate::{
    context::{
        watch,
        HardIrq,
        Task, //
    },
    path::{
        Path,
        Pending,
        Run,
        Serial,
        Stamp, //
    }, //
};

/// What a registration serves an interrupt with.
///
/// Sealed: the kinds are those of the irq core.
pub trait Served: Send + Sync + 'static + private::Kind {}

impl<S: Send + Sync + 'static + private::Kind> Served for S {}

pub(super) mod private {
    use super::*;

    /// A kind of handlers.
    pub trait Kind {
        /// Whether the irq core calls [`Kind::hard`]; it has a primary handler of its own
        /// otherwise.
        const HARD: bool;
        /// Whether it calls [`Kind::thread`].
        const THREAD: bool;

        /// Serves an interrupt in hard interrupt context.
        ///
        /// # Safety
        ///
        /// To be called as the primary handler of an action on `line`.
        unsafe fn hard(&self, line: &Line) -> bindings::irqreturn_t;

        /// Serves an interrupt in its thread.
        ///
        /// # Safety
        ///
        /// To be called as the thread function of an action on `line`.
        unsafe fn thread(&self, line: &Line) -> bindings::irqreturn_t;

        /// Neither is called any more: closes the books.
        fn end(&self);

        /// The requests for the thread, if others than the hard handler can make them.
        fn requests(&self) -> Option<&Arc<Requests>> {
            None
        }
    }
}
use private::Kind;

/// The requests for an interrupt's thread, by its hard handler and by [`Line::wake_thread`].
pub struct Requests {
    path: Arc<Path>,
    pending: Pending,
    /// One was made by others. Where hard handlers are forced into threads, it's that thread which
    /// the kernel wakes for it, and it has to hand it on.
    by_others: Atomic<bool>,
}

impl Requests {
    fn new(path: Arc<Path>) -> Result<Arc<Self>, AllocError> {
        Arc::new(
            Self {
                path,
                pending: Pending::new(),
                by_others: Atomic::new(false),
            },
            GFP_KERNEL,
        )
    }

    /// Counts a request made at time `at`; returns whether it is the first since the thread began
    /// to run last. Whoever made it wakes the thread.
    ///
    /// If it isn't, that is of no use; it does no harm either, because the thread then finds that
    /// there is nothing to do.
    #[inline]
    pub(super) fn make(&self, at: Stamp) -> bool {
        self.path.schedule(&self.pending, at)
    }

    /// As [`Requests::make`], for others than the hard handler.
    pub(super) fn make_by_others(&self, at: Stamp) -> bool {
        let first = self.make(at);
        // After it was made: a run that takes this back finds the request.
        self.by_others.xchg(true, Full);
        first
    }

    /// Returns whether this is the hard handler in a thread of its own, woken for a request by others.
    #[inline]
    fn is_for_others(&self) -> bool {
        self.by_others.load(Relaxed)
            // SAFETY: It may be called anywhere.
            && !unsafe { irqkit_bindings::in_hardirq() }
            && self.by_others.xchg(false, Full)
    }
}

/// An interrupt that is handled by its hard handler alone.
#[pin_data]
pub struct Plain<T: Handler> {
    path: Arc<Path>,
    serial: Serial,
    #[pin]
    handler: T,
}

impl<T: Handler> Plain<T> {
    pub(super) fn new<E>(path: Arc<Path>, handler: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            path,
            serial: Serial::new(),
            handler <- handler,
        })
    }
}

impl<T: Handler> Kind for Plain<T> {
    const HARD: bool = true;
    const THREAD: bool = false;

    /// # Safety
    ///
    /// That of [`Kind::hard`].
    #[inline]
    unsafe fn hard(&self, _line: &Line) -> bindings::irqreturn_t {
        let mut run = self.path.arrive(&self.serial, Stamp::NONE);
        let _watch = watch::<HardIrq<'_>>(&self.path);
        // SAFETY: By the safety requirements this is a hard handler, which `ctx` does not outlive.
        let ctx = unsafe { HardIrq::new() };

        let ret = self.handler.handle(ctx, &mut run);
        match ret {
            IrqReturn::None => self.path.none(),
            IrqReturn::Handled => self.path.handled(),
        }
        ret.as_raw()
    }

    /// # Safety
    ///
    /// That of [`Kind::thread`].
    unsafe fn thread(&self, _line: &Line) -> bindings::irqreturn_t {
        bindings::irqreturn::IRQ_NONE
    }

    fn end(&self) {}
}

/// An interrupt that is handled by a hard handler, and its thread if that wants it to.
#[pin_data]
pub struct Threaded<T: ThreadedHandler> {
    hard: Arc<Path>,
    serial: Serial,
    requests: Arc<Requests>,
    /// Whether the hard handler has disabled the interrupt for the thread to enable: set after it
    /// has done so, reset before the thread does.
    masked: Atomic<bool>,
    #[pin]
    handler: T,
}

impl<T: ThreadedHandler> Threaded<T> {
    pub(super) fn new<E>(
        hard: Arc<Path>,
        thread: Arc<Path>,
        handler: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            hard,
            serial: Serial::new(),
            requests: Requests::new(thread)?,
            masked: Atomic::new(false),
            handler <- handler,
        })
    }

    /// Counts a request for the thread.
    #[inline]
    fn wake(&self, run: &Run<'_>) -> bindings::irqreturn_t {
        let at = match run.cause() {
            Stamp::NONE => run.started(),
            cause => cause,
        };

        self.hard.wake_thread();
        // The core wants to hear it, also if it is of no use.
        let _ = self.requests.make(at);

        bindings::irqreturn::IRQ_WAKE_THREAD
    }
}

impl<T: ThreadedHandler> Kind for Threaded<T> {
    const HARD: bool = true;
    const THREAD: bool = true;

    /// # Safety
    ///
    /// That of [`Kind::hard`].
    #[inline]
    unsafe fn hard(&self, line: &Line) -> bindings::irqreturn_t {
        let mut run = self.hard.arrive(&self.serial, Stamp::NONE);
        let _watch = watch::<HardIrq<'_>>(&self.hard);
        // SAFETY: By the safety requirements this is a hard handler, which `ctx` does not outlive.
        let ctx = unsafe { HardIrq::new() };

        // There may be an interrupt, too, in which case it is all the same.
        let for_others = self.requests.is_for_others();
        match self.handler.handle(ctx, &mut run) {
            ThreadedIrqReturn::None | ThreadedIrqReturn::Handled if for_others => {
                self.hard.wake_thread();
                bindings::irqreturn::IRQ_WAKE_THREAD
            }
            ThreadedIrqReturn::None => {
                self.hard.none();
                bindings::irqreturn::IRQ_NONE
            }
            ThreadedIrqReturn::Handled => {
                self.hard.handled();
                bindings::irqreturn::IRQ_HANDLED
            }
            ThreadedIrqReturn::WakeThread => self.wake(&run),
            ThreadedIrqReturn::WakeThreadMasked => {
                if !line.is_shared() {
                    // First: a thread that runs for an earlier request may take `masked` as soon as
                    // it is set, and enable what it finds disabled.
                    //
                    // SAFETY: By the safety requirements this is a handler of the line.
                    unsafe { line.disable_in_handler() };
                    if self.masked.xchg(true, Full) {
                        // It is disabled already, for a thread that is still to come.
                        //
                        // SAFETY: As above; it was disabled just now.
                        unsafe { line.enable_in_handler() };
                    }
                }
                self.wake(&run)
            }
        }
    }

    /// # Safety
    ///
    /// That of [`Kind::thread`].
    unsafe fn thread(&self, line: &Line) -> bindings::irqreturn_t {
        // The hard handler may have asked again between the core's look at its own bit and now.
        // Then this run serves both requests, and the next call has none left.
        let Requests {
            path,
            pending,
            by_others,
        } = &*self.requests;
        // First: what is requested from here on sets it again.
        by_others.xchg(false, Full);
        let Some(mut run) = path.start(pending) else {
            return bindings::irqreturn::IRQ_HANDLED;
        };

        // What the hard handler has masked by now has asked for this run, which started after that.
        let masked = self.masked.xchg(false, Full);
        let _watch = watch::<Task<'_>>(path);
        // SAFETY: By the safety requirements this is an irq thread, which `task` does not outlive.
        let task = unsafe { Task::new() };
        let ret = line.in_thread(|| self.handler.handle_threaded(task, &mut run));
        drop(run);

        if masked {
            // SAFETY: By the safety requirements this is a handler of the line; whoever set
            // `masked` had disabled it before, and it is for us alone to enable it, because we have
            // reset `masked`.
            unsafe { line.enable_in_handler() };
        }
        ret.as_raw()
    }

    fn end(&self) {
        // A line that is masked still is our own, and nobody's any more: the next user finds it as
        // if it was never used.
        self.requests.path.cancel(&self.requests.pending);
    }

    fn requests(&self) -> Option<&Arc<Requests>> {
        Some(&self.requests)
    }
}

/// An interrupt that is handled by its thread alone.
#[pin_data]
pub struct ThreadOnly<T: ThreadHandler> {
    path: Arc<Path>,
    serial: Serial,
    #[pin]
    handler: T,
}

impl<T: ThreadHandler> ThreadOnly<T> {
    pub(super) fn new<E>(path: Arc<Path>, handler: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        try_pin_init!(Self {
            path,
            serial: Serial::new(),
            handler <- handler,
        })
    }
}

impl<T: ThreadHandler> Kind for ThreadOnly<T> {
    const HARD: bool = false;
    const THREAD: bool = true;

    /// # Safety
    ///
    /// That of [`Kind::hard`].
    unsafe fn hard(&self, _line: &Line) -> bindings::irqreturn_t {
        bindings::irqreturn::IRQ_NONE
    }

    /// # Safety
    ///
    /// That of [`Kind::thread`].
    unsafe fn thread(&self, line: &Line) -> bindings::irqreturn_t {
        let mut run = self.path.arrive(&self.serial, Stamp::NONE);

        let _watch = watch::<Task<'_>>(&self.path);
        // SAFETY: By the safety requirements this is an irq thread, which `task` does not outlive.
        let task = unsafe { Task::new() };
        line.in_thread(|| self.handler.handle_threaded(task, &mut run))
            .as_raw()
    }

    fn end(&self) {}
}
