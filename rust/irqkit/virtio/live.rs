// SPDX-License-Identifier: GPL-2.0

//! A device at work.

use core::{
    cell::Cell,
    marker::PhantomData, //
};

use kernel::{
    devres::Devres,
    prelude::*,
    sync::Arc, //
};

use super::{
    control::{
        Control,
        Ring, //
    },
    doorbell::{
        Doorbell,
        Link, //
    },
    queue::Queue,
    ring::{
        chain::Buffer,
        virtqueue::Virtqueue, //
    },
    setup::{
        enable,
        Session, //
    },
    vectors::Interrupts,
    Device,
    Features,
    Handler,
    Policy, //
};
use crate::{
    context::Task,
    irq::Line, //
};

/// A device at work, with its interrupts.
///
/// When it is dropped the device is reset, then its interrupts are freed, which waits for the
/// handlers. That is done in task context, and not by a handler, which would wait for itself. If it
/// is leaked the same happens when the function is unbound.
///
/// The queues are the driver's, and may be dropped before or after.
pub struct Live<H: Handler> {
    // Dropped first: the device is silent before its interrupts go.
    _session: Devres<Session>,
    irqs: Interrupts<H>,
    queues: KVec<Arc<Link>>,
    /// The queues without interrupts.
    silent: KVec<Arc<Link>>,
    features: Features,
    device: Arc<Device>,
    handler: Arc<H>,
}

impl<H: Handler> Live<H> {
    pub(super) fn new(
        session: Devres<Session>,
        irqs: Interrupts<H>,
        queues: KVec<Arc<Link>>,
        silent: KVec<Arc<Link>>,
        features: Features,
        device: Arc<Device>,
        handler: Arc<H>,
    ) -> Self {
        Self {
            _session: session,
            irqs,
            queues,
            silent,
            features,
            device,
            handler,
        }
    }

    /// Returns the device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Returns what was agreed on.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Returns the handler.
    pub fn handler(&self) -> &Arc<H> {
        &self.handler
    }

    /// Returns how the vectors are used; never [`Policy::Best`].
    pub fn policy(&self) -> Policy {
        self.irqs.policy()
    }

    /// Returns the line on which a queue's interrupts arrive; [`None`] if there is no such queue.
    pub fn line(&self, queue: u16) -> Option<&Arc<Line>> {
        let number = self.queues.iter().position(|link| link.index() == queue)?;

        self.irqs.line(&self.queues, number)
    }

    /// Returns the line on which changes of the configuration arrive.
    pub fn config_line(&self) -> &Arc<Line> {
        self.irqs.config_line()
    }

    /// Returns the queues, those without interrupts last.
    fn all(&self) -> impl Iterator<Item = &Arc<Link>> {
        Iterator::chain(self.queues.iter(), &self.silent)
    }

    /// Has the device reset queue `index` alone, and waits until it has, at most a second. May sleep.
    ///
    /// From then on the queue's notifications do nothing, and [`Queue::stopped`] has its buffers. It
    /// may be in use meanwhile; what was added after the reset comes back that way, too. When it was
    /// restarted, [`Live::enable_queue`] puts it to use again.
    ///
    /// If it was reset already, nothing happens.
    ///
    /// C: `virtqueue_disable_and_recycle()`. Virtio 1.2, section 2.6.1.
    ///
    /// # Errors
    ///
    /// - [`EOPNOTSUPP`] if [`Features::RING_RESET`] was not agreed on, or the device has no register
    ///   for it;
    /// - [`ENOENT`] if there is no such queue;
    /// - [`ETIMEDOUT`] if the device has not done it in time: what helps is a reset of all of it,
    ///   [`Live::suspend`] and [`Live::resume`];
    /// - [`ENODEV`] if the device is gone, or not at work.
    pub fn reset_queue(&self, task: Task<'_>, index: u16) -> Result {
        if !self.features.contains(Features::RING_RESET) || !self.device.can_reset_queue() {
            return Err(EOPNOTSUPP);
        }
        let link = self
            .all()
            .find(|link| link.index() == index)
            .ok_or(ENOENT)?;

        self.device.reset_queue(task, link)
    }

    /// Puts a queue to use again that was reset alone, and restarted since: tells the device where it
    /// is, of its vector, and to look at it. Any context.
    ///
    /// The device may need a kick for what was added already.
    ///
    /// C: `virtqueue_enable_after_reset()`.
    ///
    /// # Errors
    ///
    /// - [`EINVAL`] if it is not one that the device was started with, or was not restarted;
    /// - [`EBUSY`] if it was not reset;
    /// - [`EIO`], [`ENOSPC`] if the device does not take it: then only a reset of the device helps;
    /// - [`ENODEV`] if the device is gone, or not at work.
    pub fn enable_queue<B, R>(&self, queue: &mut Queue<B, Doorbell, R>) -> Result
    where
        B: Buffer + Send + 'static,
        R: Virtqueue<B>,
    {
        let link = queue.port().link();

        if !self.all().any(|known| Arc::ptr_eq(known, link)) || !queue.is_fresh() {
            return Err(EINVAL);
        }
        link.enable(self.device.working_session()?, queue)
    }

    /// Resets the device, for a time: interrupts stay registered and queues keep their memory. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// [`EIO`] if it can't be confirmed that the device is reset. It does not matter whether it was
    /// at work.
    pub fn suspend(&self, _task: Task<'_>) -> Result {
        self.device
            .suspend(|| self.all().for_each(|link| link.release()))
    }

    /// Begins to set the device to work again, after [`Live::suspend`] or after one of its queues
    /// was stopped: comes to terms with it about the same features. May sleep.
    ///
    /// # Errors
    ///
    /// As those of [`Device::negotiate`]; [`EBUSY`] if the device is at work.
    pub fn resume(&self, task: Task<'_>) -> Result<Resume<'_, H>> {
        Ok(Resume {
            number: self.device.reopen(task, self.features)?,
            live: self,
            started: false,
            _not_sync: PhantomData,
        })
    }
}

/// A device that is about to be at work again. If it is dropped the device is reset.
///
/// It is made and dropped in task context.
#[must_use = "the device is not at work before it was started"]
pub struct Resume<'a, H: Handler> {
    live: &'a Live<H>,
    number: u64,
    started: bool,
    /// Registers of queues are chosen by a selector, which is for one at a time.
    _not_sync: PhantomData<Cell<()>>,
}

impl<H: Handler> Resume<'_, H> {
    /// Hands over a queue of the device, which was stopped and restarted since. Any context.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if it is not one that the device was started with, or was not restarted;
    /// [`EIO`], [`ENODEV`] if the device does not take it.
    pub fn queue<B, R>(&self, queue: &mut Queue<B, Doorbell, R>) -> Result
    where
        B: Buffer + Send + 'static,
        R: Virtqueue<B>,
    {
        let link = queue.port().link();
        let ours = self.live.all().any(|known| Arc::ptr_eq(known, link));

        if !ours || !queue.is_fresh() {
            return Err(EINVAL);
        }
        link.renew(self.number, queue)
    }

    /// Hands over the queue for commands of the device. What it was waiting for is given up. May
    /// sleep.
    ///
    /// # Errors
    ///
    /// As those of [`Resume::queue`].
    pub fn control(&self, control: &mut Control) -> Result {
        control.restart()?;
        match control.ring() {
            Ring::Split(queue) => self.queue(queue),
            Ring::Packed(queue) => self.queue(queue),
        }
    }

    /// Sets the device to work, with all its queues. May sleep.
    ///
    /// # Errors
    ///
    /// The device is reset then, and may be resumed again.
    ///
    /// - [`EINVAL`] if not all its queues were handed over;
    /// - [`ENOSPC`] if it has no room for its vectors any more;
    /// - [`EIO`] if it fails, [`ENODEV`] if it is gone, or a queue was dropped meanwhile.
    pub fn start(mut self) -> Result {
        let live = self.live;

        live.device.in_session(self.number, || {
            live.irqs.assign(&live.device, &live.queues)?;
            enable(&live.device, self.number, live.all())
        })?;
        self.started = true;
        Ok(())
    }
}

impl<H: Handler> Drop for Resume<'_, H> {
    fn drop(&mut self) {
        if !self.started {
            self.live.device.stop(self.number);
        }
    }
}
