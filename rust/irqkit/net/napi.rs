// SPDX-License-Identifier: GPL-2.0

//! NAPI: polling a queue, as long as there is something, instead of an interrupt a packet.
//!
//! An interrupt masks itself and schedules the instance; a softirq, a thread of its own or a task
//! that waits for packets polls until there is nothing left, and unmasks.
//!
//! # Counting
//!
//! A path of kind [`Kind::Napi`](crate::path::Kind) counts each poll as a run. Requests come from
//! [`Napi::schedule`]; what the core polls on its own, because the budget was used up, or for a timer
//! or a task that is busy polling, counts as scheduled when it runs. Of the runs, by what came of
//! them:
//!
//! - `budget_exhausted`: they used up their budget, and the core polls again.
//! - `completed`: there was nothing left, and interrupts were unmasked.
//! - `rescheduled`: they wanted to be polled again, with budget left; and among those that completed,
//!   the ones where unmasking found that there is something again.
//! - `missed`: somebody scheduled while they completed, and the core polls again.
//!
//! C header: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h)

use core::ptr;

use irqkit_bindings as raw;
use kernel::{
    bindings,
    prelude::*,
    sync::Arc, //
};

use super::{
    budget::Budget,
    claim::Claim,
    device::{
        Device,
        Member, //
    },
    poll::poll, //
};
use crate::{
    context::{
        self,
        SoftIrq,
        Task, //
    },
    path::{
        Path,
        Pending,
        Stamp, //
    }, //
};

mod object;
mod place;

pub(super) use object::Core;
pub(super) use place::{
    core_of,
    has_ended,
    idle_core, //
};
pub use place::{
    Idle,
    InNapi, //
};

use object::Switch;

/// What a poll wants next.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Next {
    /// There is nothing left: interrupts.
    Done,
    /// To be polled again.
    Again,
}

/// What a NAPI instance does, and what it does that with.
///
/// One function is called at a time, by whoever it is, so all of them have the value to themselves.
pub trait Poller: Send + 'static {
    /// Does the work. For each packet that it receives it must [`take`](Budget::take) from its
    /// budget, which is never 0 to begin with; if nothing is left of it, the instance is polled again
    /// whatever is returned.
    ///
    /// Softirqs are off.
    fn poll(&mut self, budget: &mut Budget<'_>, ctx: SoftIrq<'_>) -> Next;

    /// Masks the interrupts that schedule the instance: it was scheduled. In any context, hard
    /// interrupts among them.
    fn mask(&mut self);

    /// Unmasks them, after the core was told that polling is done. Returns false if there is something
    /// to do already for which there may be no interrupt: it is polled again then.
    ///
    /// Softirqs are off.
    fn unmask(&mut self) -> bool;

    /// Completes what was sent, for netpoll: console messages over the network. There is no budget, so
    /// nothing is to be received. Hard interrupts may be off, and locks are only to be
    /// [tried](super::TxCell::try_lock).
    fn netpoll(&mut self, ctx: SoftIrq<'_>) {
        let _ = ctx;
    }
}

/// Which queue an instance serves.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Link {
    /// A receive queue. Its settings, such as `threaded`, belong to the number and are kept while the
    /// instance is disabled; tasks may poll it.
    Rx(u16),
    /// A transmit queue.
    Tx(u16),
}

impl Link {
    /// Returns whether it is one that sends, and its number.
    fn queue(self) -> (bool, u16) {
        match self {
            Self::Rx(queue) => (false, queue),
            Self::Tx(queue) => (true, queue),
        }
    }
}

/// A NAPI instance with what it polls.
///
/// It is made by [`Device::napi`], disabled. It can be polled, and scheduled to any effect, only while
/// it is enabled, and the device has not ended; then it is disabled, for good. Dropped in task
/// context, if what it polls asks for that.
///
/// # Invariants
///
/// `core` belongs to this value, and the device keeps it until `core` is disabled for good.
#[pin_data]
pub struct Napi<P: Poller> {
    pub(super) core: Arc<Core>,
    pub(super) path: Arc<Path>,
    pub(super) pending: Pending,
    /// The poller, and whether its interrupts are masked.
    pub(super) poller: Claim<Polled<P>>,
}

/// What a [`Napi`] polls.
pub(super) struct Polled<P> {
    pub(super) poller: P,
    /// Whether its interrupts are masked.
    pub(super) masked: bool,
}

impl<P: Poller> Polled<P> {
    /// Masks the interrupts if they are not.
    #[inline]
    pub(super) fn mask(&mut self) {
        if !self.masked {
            self.masked = true;
            self.poller.mask();
        }
    }
}

impl Device {
    /// Makes a NAPI instance that is counted by `path`. Task context; may sleep.
    ///
    /// Stands for `netif_napi_add_config()` or `netif_napi_add_tx()`, and `netif_queue_set_napi()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue; `EBUSY` if it has an instance already, or the device was
    /// registered; `ENODEV` after it ended; `ENOMEM`.
    pub fn napi<P: Poller>(
        self: &Arc<Self>,
        link: Link,
        path: Arc<Path>,
        poller: P,
    ) -> Result<Arc<Napi<P>>> {
        let (sends, queue) = link.queue();
        let exists = match link {
            Link::Rx(queue) => self.rx_stats(queue).is_some(),
            Link::Tx(queue) => self.tx_stats(queue).is_some(),
        };
        if !exists {
            return Err(EINVAL);
        }

        // INVARIANT: It is added below, and nobody has it before.
        let core = Arc::pin_init(Core::new(self.clone(), link), GFP_KERNEL)?;
        // INVARIANT: The device gets it below.
        let napi = Arc::new(
            Napi {
                core: core.clone(),
                path,
                pending: Pending::new(),
                poller: Claim::new(Polled {
                    poller,
                    masked: false,
                }),
            },
            GFP_KERNEL,
        )?;
        core.set_owner(Arc::as_ptr(&napi).cast());

        // Where this fails the poller is dropped after the lock was given back, which it may need.
        let mut state = self.state.lock();
        if state.ended {
            return Err(ENODEV);
        }
        if state.registered || state.linked.contains(&(sends, queue)) {
            return Err(EBUSY);
        }
        state.linked.reserve(1, GFP_KERNEL)?;
        state.members.reserve(1, GFP_KERNEL)?;

        // SAFETY:
        // - The device is valid, not registered, and has such a queue.
        // - The memory of the instance is zeroed, stays where it is, and is valid until it was
        //   deleted, since `state.members` has it until then.
        unsafe {
            match link {
                Link::Rx(queue) => raw::netif_napi_add_rx(
                    self.as_raw(),
                    core.as_raw(),
                    Some(poll::<P>),
                    queue.into(),
                ),
                Link::Tx(_) => {
                    raw::netif_napi_add_tx(self.as_raw(), core.as_raw(), Some(poll::<P>));
                }
            }
            raw::netif_queue_set_napi(self.as_raw(), queue.into(), sends, core.as_raw());
        }
        // Neither can fail: there is room.
        state.linked.push((sends, queue), GFP_KERNEL)?;
        state.members.push(napi.clone(), GFP_KERNEL)?;
        Ok(napi)
    }
}

impl<P: Poller> Member for Napi<P> {
    fn end(&self) {
        let mut switch = self.core.switch.lock();

        if switch.ended {
            return;
        }
        // SAFETY: Devices end in task context.
        self.switch_off(&mut switch, unsafe { Task::new() });
        switch.ended = true;

        let (sends, queue) = self.core.link.queue();
        let device = self.core.device.as_raw();
        // SAFETY: The device is valid, and not registered; the instance was added to it, is disabled,
        // and is not enabled again.
        unsafe {
            raw::netif_queue_set_napi(device, queue.into(), sends, ptr::null_mut());
            raw::netif_napi_del(self.core.as_raw());
        }
    }
}

impl<P: Poller> Napi<P> {
    /// Lets it be scheduled. Nothing happens if it is enabled already. May sleep.
    ///
    /// What came in before does not schedule it: see [`Napi::schedule_from_task`].
    ///
    /// Stands for `napi_enable()`.
    ///
    /// # Errors
    ///
    /// `ENODEV` after the device ended.
    pub fn enable(&self, _task: Task<'_>) -> Result {
        let mut switch = self.core.switch.lock();

        if switch.ended {
            return Err(ENODEV);
        }
        if !switch.enabled {
            self.core.lock().enable();
            switch.enabled = true;
        }
        Ok(())
    }

    /// Waits until it no longer polls, and keeps it from being scheduled. Nothing happens if it is
    /// disabled already. May sleep.
    ///
    /// A request that is pending is taken back, and counted as cancelled.
    ///
    /// Stands for `napi_disable()`.
    pub fn disable(&self, task: Task<'_>) {
        self.switch_off(&mut self.core.switch.lock(), task);
    }

    /// Disables it if it is enabled, and waits until nothing of it runs.
    fn switch_off(&self, switch: &mut Switch, task: Task<'_>) {
        if switch.enabled {
            switch.enabled = false;
            self.core.lock().disable();
            // The core only waits until a poll has said that it is done, which is not its end.
            drop(self.poller.wait(task));
            self.path.cancel(&self.pending);
        }
    }

    /// Schedules it: it is polled soon, on this CPU or by its thread. `at` is when the cause happened,
    /// from which its waiting time counts.
    ///
    /// Returns whether it was idle. If it is being polled just now, it is polled again. If it is
    /// disabled, nothing happens.
    ///
    /// Stands for `napi_schedule_prep()` and `__napi_schedule()`, and masks in between.
    #[inline]
    pub fn schedule<C: context::Atomic>(&self, _ctx: C, at: Stamp) -> bool {
        let ready = self.prepare(at);

        if ready {
            // SAFETY: By the type invariants it was added, and `prepare` gave it to us.
            unsafe { raw::__napi_schedule(self.core.as_raw()) };
        }
        ready
    }

    /// As [`Napi::schedule`], from a task.
    pub fn schedule_from_task(&self, _task: Task<'_>, at: Stamp) -> bool {
        let ready = self.prepare(at);

        if ready {
            // SAFETY: As above.
            unsafe { raw::napi_schedule_bh(self.core.as_raw()) };
        }
        ready
    }

    /// Counts a request, and returns whether the instance is now ours to be scheduled.
    fn prepare(&self, at: Stamp) -> bool {
        // Whether it has to be scheduled the core knows better: it may be polled without a request,
        // and one that it refused is pending for nobody.
        let _ = self.path.schedule(&self.pending, at);

        if self.core.is_on() && self.prep() {
            // Else it is just being polled to the end, or by netpoll, and masks when it is next.
            if let Some(mut polled) = self.poller.claim() {
                polled.mask();
            }
            return true;
        }
        if !self.is_scheduled() {
            self.path.cancel(&self.pending);
        }
        false
    }

    /// Stands for `napi_schedule_prep()`.
    #[inline]
    pub(super) fn prep(&self) -> bool {
        // SAFETY: By the type invariants it was added, and the memory is valid.
        unsafe { raw::napi_schedule_prep(self.core.as_raw()) }
    }

    /// Returns whether somebody polls it, or is about to.
    fn is_scheduled(&self) -> bool {
        // SAFETY: By the type invariants it was added, and the memory is valid.
        unsafe { raw::napi_is_polled(self.core.as_raw()) }
    }

    /// Calls `f` with the poller, which is kept from polling meanwhile. If it was enabled, it is polled
    /// once after that, for what came in between. May sleep, and so may `f`, which must not use this
    /// instance, nor wait for who switches an instance of the device on or off, or for the RTNL: the
    /// lock of the device's instances is held, or whoever switches threads (`threaded`) off would wait
    /// for this one to be enabled, with that lock held, and for ever. Nor may it switch the device's
    /// carrier, presence or XPS, or drop a page pool: they lock the device's books, with which
    /// locked its instances are added, under that lock.
    ///
    /// Stands for `napi_disable_locked()` and `napi_enable_locked()` under `netdev_lock()`.
    pub fn with<R>(&self, task: Task<'_>, f: impl FnOnce(&mut P, &Idle<'_>) -> R) -> R {
        let switch = self.core.switch.lock();

        let instances = switch.enabled.then(|| self.core.lock());
        if let Some(instances) = &instances {
            instances.disable();
        }
        let result = {
            let mut polled = self.poller.wait(task);
            f(&mut polled.poller, &Idle::new(&self.core, switch.ended))
        };
        if let Some(instances) = instances {
            instances.enable();
            drop(instances);
            self.schedule_from_task(task, Stamp::NONE);
        }
        result
    }

    /// Tells the core which interrupt schedules the instance. User space is shown that of instances that
    /// receive: those that only send have no id.
    ///
    /// Stands for `netif_napi_set_irq()`.
    pub fn set_irq(&self, _task: Task<'_>, irq: Option<u32>) {
        let switch = self.core.switch.lock();

        if !switch.ended {
            let irq = irq.and_then(|irq| irq.try_into().ok()).unwrap_or(-1);
            // SAFETY: By the type invariants it was added, and is not deleted while we hold the lock.
            unsafe { raw::netif_napi_set_irq(self.core.as_raw(), irq) };
        }
    }

    /// Returns the path that counts it.
    #[inline]
    pub fn path(&self) -> &Arc<Path> {
        &self.path
    }

    /// Returns the device.
    #[inline]
    pub fn device(&self) -> &Arc<Device> {
        &self.core.device
    }

    /// Returns the instance that `napi` is the C object of.
    ///
    /// # Safety
    ///
    /// `napi` is that of a [`Napi<P>`], which is valid for `'a`.
    #[inline]
    pub(super) unsafe fn of<'a>(napi: *mut bindings::napi_struct) -> &'a Self {
        // SAFETY: By the safety requirements; it was set before it was added.
        unsafe { &*Core::owner_of(napi).cast::<Self>() }
    }

    /// Returns the receive queue that it serves.
    #[inline]
    pub(super) fn rx_queue(&self) -> Option<u16> {
        match self.core.link {
            Link::Rx(queue) => Some(queue),
            Link::Tx(_) => None,
        }
    }
}
