// SPDX-License-Identifier: GPL-2.0

//! Requests for an interrupt.

use kernel::{
    bindings,
    device::Bound,
    pci,
    prelude::*,
    sync::Arc, //
};

use super::{
    Handler,
    Line,
    Plain,
    Registration,
    ThreadHandler,
    ThreadOnly,
    Threaded,
    ThreadedHandler,
    Vectors, //
};
use crate::path::Path;

/// What triggers an interrupt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trigger {
    /// As the line is configured already, which is right for PCI.
    Configured,
    /// A rising edge.
    Rising,
    /// A falling edge.
    Falling,
    /// A high level.
    High,
    /// A low level.
    Low,
}

impl Trigger {
    fn as_raw(self) -> u32 {
        match self {
            Self::Configured => bindings::IRQF_TRIGGER_NONE,
            Self::Rising => bindings::IRQF_TRIGGER_RISING,
            Self::Falling => bindings::IRQF_TRIGGER_FALLING,
            Self::High => bindings::IRQF_TRIGGER_HIGH,
            Self::Low => bindings::IRQF_TRIGGER_LOW,
        }
    }
}

/// A request for one of a device's interrupts.
///
/// Its methods are used in task context.
///
/// # Examples
///
/// ```ignore
/// let vectors = irq::Vectors::new(pdev, 1, 1, pci::IrqTypes::all())?;
/// let registration = irq::Request::new(pdev, &vectors, 0, c"my_device")?
///     .threaded(hardirq_path, thread_path, MyHandler::new())?;
/// ```
///
/// # Errors
///
/// All of [`Request::plain`], [`Request::threaded`] and [`Request::thread_only`] fail with what the
/// kernel says, [`EBUSY`] foremost: the line has another user, and one of the two does not want to
/// share it, or they differ in the trigger or in `IRQF_ONESHOT`; with [`EXDEV`] if the handler is not
/// of the module whose driver the device is bound to; and with [`ENOMEM`], and what initialising the
/// handler fails with.
///
/// # Invariants
///
/// `line` is that of one of `vectors`, which are vectors of `dev`, and of no other request.
pub struct Request<'a> {
    dev: &'a pci::Device<Bound>,
    vectors: &'a Arc<Vectors>,
    line: Arc<Line>,
    name: &'a CStr,
    shared: bool,
    oneshot: bool,
    trigger: Trigger,
}

impl<'a> Request<'a> {
    /// Requests vector `index` of `vectors`, by the name that `/proc/interrupts` is to show. It
    /// will be shared if it is an INTx pin.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `vectors` are not those of `dev`, or not as many; [`ENOMEM`].
    pub fn new(
        dev: &'a pci::Device<Bound>,
        vectors: &'a Arc<Vectors>,
        index: usize,
        name: &'a CStr,
    ) -> Result<Self> {
        // INVARIANT: `irq()` checks it; the line is new.
        Ok(Self {
            dev,
            vectors,
            line: Line::new(vectors.irq(dev, index)?)?,
            name,
            shared: vectors.is_intx(),
            oneshot: false,
            trigger: Trigger::Configured,
        })
    }

    /// Returns the line, for what its handlers need it for: they may be called before the
    /// registration is there.
    pub fn line(&self) -> &Arc<Line> {
        &self.line
    }

    /// Requires, or not, that the line is shared with other users (`IRQF_SHARED`).
    pub fn shared(self, shared: bool) -> Self {
        Self { shared, ..self }
    }

    /// Keeps the line masked from the hard handler until the thread has run (`IRQF_ONESHOT`), for
    /// devices that the hard handler can't silence. It does nothing to MSIs (`IRQCHIP_ONESHOT_SAFE`).
    pub fn oneshot(self) -> Self {
        Self {
            oneshot: true,
            ..self
        }
    }

    /// Sets what triggers the interrupt.
    pub fn trigger(self, trigger: Trigger) -> Self {
        Self { trigger, ..self }
    }

    fn flags(&self) -> u32 {
        let shared = if self.shared {
            bindings::IRQF_SHARED
        } else {
            0
        };
        let oneshot = if self.oneshot {
            bindings::IRQF_ONESHOT
        } else {
            0
        };

        shared | oneshot | self.trigger.as_raw()
    }

    /// Registers a hard handler, counted by `path`.
    ///
    /// # Errors
    ///
    /// As above; [`EINVAL`] for [`Request::oneshot`], which is for threads.
    pub fn plain<T: Handler, E>(
        self,
        path: Arc<Path>,
        handler: impl PinInit<T, E>,
    ) -> Result<Registration<Plain<T>>>
    where
        Error: From<E>,
    {
        if self.oneshot {
            return Err(EINVAL);
        }
        self.register(Plain::new(path, handler))
    }

    /// Registers a hard handler and a thread, counted by `hard` and `thread`.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn threaded<T: ThreadedHandler, E>(
        self,
        hard: Arc<Path>,
        thread: Arc<Path>,
        handler: impl PinInit<T, E>,
    ) -> Result<Registration<Threaded<T>>>
    where
        Error: From<E>,
    {
        self.register(Threaded::new(hard, thread, handler))
    }

    /// Registers a thread alone, counted by `path`; [`Request::oneshot`] goes without saying. The
    /// kernel does not tell when it wakes the thread, so that a run counts as scheduled when it
    /// begins.
    ///
    /// # Errors
    ///
    /// As above.
    pub fn thread_only<T: ThreadHandler, E>(
        self,
        path: Arc<Path>,
        handler: impl PinInit<T, E>,
    ) -> Result<Registration<ThreadOnly<T>>>
    where
        Error: From<E>,
    {
        self.oneshot().register(ThreadOnly::new(path, handler))
    }

    fn register<S: super::served::Served>(
        self,
        served: impl PinInit<S, Error>,
    ) -> Result<Registration<S>> {
        let flags = self.flags();

        // SAFETY: By the type invariant.
        unsafe {
            Registration::new(
                self.dev.as_ref(),
                self.vectors.clone(),
                self.line,
                flags,
                self.name,
                served,
            )
        }
    }
}
