// SPDX-License-Identifier: GPL-2.0

//! A registered interrupt, and the functions that the irq core calls.

use core::{
    marker::PhantomPinned,
    ops::Deref, //
};

use kernel::{
    bindings,
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    error::to_result,
    prelude::*,
    str::CString,
    sync::Arc, //
};

use super::{
    registry,
    served::Served,
    Line,
    Vectors, //
};
use crate::owner;

/// What the irq core's action refers to.
///
/// Fields are dropped after the interrupt was freed: the handlers' state first, the vectors last.
///
/// # Invariants
///
/// The line is listed in the registry, and has an action of which `Self` is the cookie, with the
/// functions below for `S`, and with the name that `name` owns.
#[pin_data(PinnedDrop)]
struct Action<S: Served> {
    #[pin]
    served: S,
    line: Arc<Line>,
    name: CString,
    _vectors: Arc<Vectors>,
    #[pin]
    _pin: PhantomPinned,
}

#[pinned_drop]
impl<S: Served> PinnedDrop for Action<S> {
    fn drop(self: Pin<&mut Self>) {
        self.line.end();

        let irq = self.line.irq();
        let this = core::ptr::from_ref(&*self).cast_mut();
        // SAFETY: By the type invariant the line has an action with this cookie. When it returns,
        // neither function runs or will, and the name isn't used any more.
        unsafe { bindings::free_irq(irq, this.cast()) };
        registry::remove(&self.line);

        self.served.end();
    }
}

/// A registered interrupt.
///
/// It derefs to its [`Line`], which can be cloned and kept. Dropping the registration frees the
/// interrupt: it waits for the handlers, drops them, then drops its share in the [`Vectors`]. That
/// is done in task context, and not by the interrupt's own thread, nor by that of another one on the
/// same line: it would wait for itself. At the latest it happens when the device is unbound, after
/// the driver's `unbind` and the drop of its data.
///
/// Stands for `request_threaded_irq()` and `free_irq()`.
#[must_use = "the interrupt is freed when the registration is dropped"]
pub struct Registration<S: Served> {
    _action: Devres<Action<S>>,
    line: Arc<Line>,
}

impl<S: Served> Registration<S> {
    /// Registers the interrupt.
    ///
    /// # Safety
    ///
    /// `line` must be that of one of `vectors`, which are vectors of `dev`, and be used for this
    /// registration alone.
    pub(super) unsafe fn new(
        dev: &Device<Bound>,
        vectors: Arc<Vectors>,
        line: Arc<Line>,
        flags: u32,
        name: &CStr,
        served: impl PinInit<S, Error>,
    ) -> Result<Self> {
        // The handlers of one `S` are in one module.
        owner::check(dev, hard::<S> as *const ())?;
        line.prepare(flags & bindings::IRQF_SHARED != 0);
        let kept = line.clone();
        let name = CString::try_from(name)?;

        let oneshot_shared = bindings::IRQF_ONESHOT | bindings::IRQF_SHARED;
        // See `Line::wake_thread`.
        let wakeable = flags & oneshot_shared != oneshot_shared;
        let hard: bindings::irq_handler_t = if S::HARD { Some(hard::<S>) } else { None };
        let thread: bindings::irq_handler_t = if S::THREAD { Some(thread::<S>) } else { None };

        // INVARIANT: If initialisation succeeds, the line has this action.
        let action = try_pin_init!(&this in Action {
            served <- served,
            line,
            name,
            _vectors: vectors,
            _pin: PhantomPinned,
            _: {
                // Its thread may run as soon as it is registered.
                registry::insert(line)?;
                // SAFETY:
                // - By the safety requirements it is a line that belongs to the device.
                // - All fields are initialised, so that the functions may be called at once, and
                //   `this` is pinned until its drop has freed the interrupt.
                // - So is the name, which `this` owns.
                to_result(unsafe {
                    bindings::request_threaded_irq(
                        line.irq(),
                        hard,
                        thread,
                        flags as usize,
                        name.as_char_ptr(),
                        this.as_ptr().cast(),
                    )
                })
                .inspect_err(|_| registry::remove(line))?;
                let requests = served.requests().filter(|_| wakeable);
                // SAFETY: It has just been registered, with `this` as its cookie and `served` for its
                // thread; its drop calls `Line::end` before it is freed.
                unsafe { line.begin(this.as_ptr().addr(), requests) };
            },
        });

        Ok(Self {
            _action: Devres::new(dev, action)?,
            line: kept,
        })
    }

    /// Returns the line, to be kept beside the registration.
    ///
    /// May be called from any context.
    #[inline]
    pub fn line(&self) -> &Arc<Line> {
        &self.line
    }
}

impl<S: Served> Deref for Registration<S> {
    type Target = Line;

    #[inline]
    fn deref(&self) -> &Line {
        &self.line
    }
}

/// The primary handler.
///
/// # Safety
///
/// To be called by the irq core only, with the cookie of an [`Action<S>`].
unsafe extern "C" fn hard<S: Served>(_irq: i32, cookie: *mut c_void) -> bindings::irqreturn_t {
    // SAFETY: By its invariants the cookie is an action, which isn't freed while we run.
    let action = unsafe { &*cookie.cast_const().cast::<Action<S>>() };

    // SAFETY: This is the primary handler of its line.
    unsafe { action.served.hard(&action.line) }
}

/// The thread function.
///
/// # Safety
///
/// To be called by the irq core only, with the cookie of an [`Action<S>`].
unsafe extern "C" fn thread<S: Served>(_irq: i32, cookie: *mut c_void) -> bindings::irqreturn_t {
    // SAFETY: By its invariants the cookie is an action, which isn't freed while we run.
    let action = unsafe { &*cookie.cast_const().cast::<Action<S>>() };

    // SAFETY: This is the thread function of its line.
    unsafe { action.served.thread(&action.line) }
}
