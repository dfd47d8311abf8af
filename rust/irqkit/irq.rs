// SPDX-License-Identifier: GPL-2.0

//! Interrupt handlers on the vectors of a PCI function.
//!
//! [`Vectors`] owns the vectors, [`Request`] asks for one of them and ends in a [`Registration`],
//! and [`Line`] is what can be done with it then: disable it, wait for its handlers, move it to
//! other CPUs.
//!
//! # Who calls whom
//!
//! | kind | hard handler | thread | paths |
//! | --- | --- | --- | --- |
//! | [`Request::plain`] | [`Handler::handle`] | none | `hardirq` |
//! | [`Request::threaded`] | [`ThreadedHandler::handle`] | its `handle_threaded` | both |
//! | [`Request::thread_only`] | the kernel's own | [`ThreadHandler::handle_threaded`] | `thread` |
//!
//! A handler receives the token of its context and the [`Run`](crate::path::Run) that is being
//! counted; what it knows about the time of the cause it says with
//! [`Run::since`](crate::path::Run::since), and the thread's waiting time counts from there, too.
//!
//! # The books of the thread
//!
//! Each time a hard handler wants its thread counts as `scheduled` on the thread's path, and each
//! time that someone else does by [`Line::wake_thread`]. The kernel keeps one bit of that for each
//! thread (`IRQTF_RUNTHREAD`), so while a request is pending others are `coalesced` with it. What
//! was pending when the line was freed and did not run any more is `cancelled`. At rest, `scheduled == runs + coalesced + cancelled`, also after the registration
//! has ended.
//!
//! # Why leaking is sound
//!
//! [`kernel::irq::Registration`] borrows its device and must be dropped, which safe code can't be
//! made to do. Here devres owns the action, the handler inside it included, and releases it no
//! later than when the device is unbound; the [`Registration`] is just a way to do so earlier.
//! Handlers are `'static`. So whoever forgets a registration keeps its interrupt until the driver
//! lets go of the device, and nothing else happens. (A driver of another module than the handlers'
//! could have it longer than they are there, and is refused.) The same goes for [`Vectors`], which devres
//! releases after all that were registered on them, because they are older.
//!
//! C header: [`include/linux/interrupt.h`](srctree/include/linux/interrupt.h)

use kernel::bindings;

use crate::{
    context::{
        HardIrq,
        Task, //
    },
    path::Run, //
};

mod affinity;
mod line;
mod registration;
mod registry;
mod request;
mod served;
mod vectors;

pub use affinity::CpuList;
pub use line::{
    Disabled,
    Line, //
};
pub use registration::Registration;
pub(crate) use registry::{
    has_vectors,
    Registry, //
};
pub use request::{
    Request,
    Trigger, //
};
pub use served::{
    Plain,
    ThreadOnly,
    Threaded, //
};
pub use vectors::Vectors;

/// What a handler has done, as `irqreturn_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IrqReturn {
    /// The interrupt was not from this device (`IRQ_NONE`).
    None,
    /// The interrupt was handled (`IRQ_HANDLED`).
    Handled,
}

impl IrqReturn {
    #[inline]
    fn as_raw(self) -> bindings::irqreturn_t {
        match self {
            Self::None => bindings::irqreturn::IRQ_NONE,
            Self::Handled => bindings::irqreturn::IRQ_HANDLED,
        }
    }
}

/// What a hard handler that has a thread has done, as `irqreturn_t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadedIrqReturn {
    /// The interrupt was not from this device (`IRQ_NONE`).
    None,
    /// The interrupt was handled (`IRQ_HANDLED`).
    Handled,
    /// The thread has to handle it (`IRQ_WAKE_THREAD`).
    WakeThread,
    /// Like [`Self::WakeThread`], and the interrupt stays disabled until the thread has done so:
    /// for sources that can't be silenced at the device.
    ///
    /// Stands for `disable_irq_nosync()` before, and `enable_irq()` after
    /// [`ThreadedHandler::handle_threaded`]. On a shared line it is [`Self::WakeThread`]: the other
    /// users of the line have a right to their interrupts.
    WakeThreadMasked,
}

/// The handler of an interrupt without a thread.
pub trait Handler: Send + Sync + 'static {
    /// Handles an interrupt.
    ///
    /// Called in hard interrupt context, never beside itself for the same registration.
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> IrqReturn;
}

/// The handlers of an interrupt with a thread.
pub trait ThreadedHandler: Send + Sync + 'static {
    /// Handles an interrupt as far as it can't wait, and says whether the thread is to go on.
    ///
    /// Called in hard interrupt context, never beside itself for the same registration, but beside
    /// [`Self::handle_threaded`].
    ///
    /// If the registration is [`Request::oneshot`], this stays in hard interrupt context on
    /// PREEMPT_RT: it must not take a spinlock then, nor allocate, as both sleep there (lockdep
    /// says `Invalid wait context`).
    fn handle(&self, ctx: HardIrq<'_>, run: &mut Run<'_>) -> ThreadedIrqReturn;

    /// Does the rest, for all interrupts since it was called last.
    ///
    /// Called in the interrupt's thread, a task of `SCHED_FIFO`, never beside itself.
    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn;
}

/// The handler of an interrupt that is handled in its thread alone; the line stays masked until
/// it returns, if it is one that can be masked.
///
/// MSIs are not, as their chip says that there is no need (`IRQCHIP_ONESHOT_SAFE`): nothing repeats a
/// message by itself. One that comes meanwhile has the thread run once more.
pub trait ThreadHandler: Send + Sync + 'static {
    /// Handles an interrupt.
    ///
    /// Called in the interrupt's thread, a task of `SCHED_FIFO`, never beside itself.
    fn handle_threaded(&self, task: Task<'_>, run: &mut Run<'_>) -> IrqReturn;
}
