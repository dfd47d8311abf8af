// SPDX-License-Identifier: GPL-2.0

//! A device between the agreement about features and the start.

use kernel::{
    device::Bound,
    devres::Devres,
    pci,
    prelude::*,
    sync::Arc, //
};

use super::{
    control::{
        Control,
        CONTROL_SIZE, //
    },
    doorbell::{
        Doorbell,
        Link, //
    },
    queue::{
        Config,
        Order, //
    },
    ring::chain::Buffer,
    rings::{
        PackedRings,
        QueueOf,
        Rings,
        SplitQueue,
        SplitRings, //
    },
    vectors::Interrupts,
    Device,
    Features,
    Handler,
    Live,
    Policy, //
};
use crate::{
    dma::Pool,
    path::PathSet, //
};

/// The owner of a device's session: it ends with this.
pub(super) struct Session(Arc<Device>);

impl Session {
    pub(super) fn device(&self) -> &Arc<Device> {
        &self.0
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// A device that agreed on features and is not at work yet: the time to make its queues.
///
/// If it is dropped the device is reset. It is used and dropped in task context.
pub struct Setup {
    queues: KVec<Arc<Link>>,
    /// The queues without interrupts.
    silent: KVec<Arc<Link>>,
    number: u64,
    features: Features,
    session: Session,
}

impl Setup {
    pub(super) fn new(device: Arc<Device>, number: u64, features: Features) -> Self {
        Self {
            queues: KVec::new(),
            silent: KVec::new(),
            number,
            features,
            session: Session(device),
        }
    }

    /// Returns the device.
    pub fn device(&self) -> &Arc<Device> {
        self.session.device()
    }

    /// Returns what was agreed on.
    pub fn features(&self) -> Features {
        self.features
    }

    /// Returns whether queues are packed, else they are split.
    pub fn is_packed(&self) -> bool {
        self.features.contains(Features::RING_PACKED)
    }

    /// Returns the greatest size that a queue can have.
    ///
    /// # Errors
    ///
    /// [`ENOENT`] if there is no such queue.
    pub fn queue_size(&self, index: u16) -> Result<u16> {
        Ok(self.device().common().select(index)?)
    }

    /// Returns the memory that the device may use: for the queues, and for the buffers in them.
    ///
    /// # Errors
    ///
    /// [`EINVAL`] if `dev` is not the device's function; [`EIO`] if the device wants its memory to
    /// be addressed in another way than in a session before; [`ENODEV`], [`ENOMEM`].
    pub fn pool(&self, dev: &pci::Device<Bound>) -> Result<Arc<Pool>> {
        self.check(dev)?;
        self.device().pool(dev, self.features)
    }

    /// Makes a split virtqueue, of up to `max` descriptors but not more than the device can have,
    /// and tells the device of it. `name` is for its interrupts and paths.
    ///
    /// Buffers may be added at once; the device looks at them after [`Setup::start`], and a kick.
    ///
    /// # Errors
    ///
    /// - [`ENOENT`] if there is no such queue, [`EBUSY`] if it was made already;
    /// - [`EINVAL`] if `dev` is not the device's function, `max` is 0, queues are packed, or the
    ///   device has the queue's doorbell out of place;
    /// - [`ENODEV`] if the device is gone, [`ENOMEM`].
    pub fn queue<B>(
        &mut self,
        dev: &pci::Device<Bound>,
        index: u16,
        name: &CStr,
        max: u16,
    ) -> Result<SplitQueue<B, Doorbell>>
    where
        B: Buffer + Send + 'static,
    {
        self.queue_with_tables(dev, index, name, max, 0)
    }

    /// Makes a split virtqueue as [`Setup::queue`] does, with an indirect table for each descriptor
    /// that has room for `entries` segments of a buffer, if the device can have those.
    ///
    /// # Errors
    ///
    /// As those of [`Setup::queue`].
    pub fn queue_with_tables<B>(
        &mut self,
        dev: &pci::Device<Bound>,
        index: u16,
        name: &CStr,
        max: u16,
        entries: u16,
    ) -> Result<SplitQueue<B, Doorbell>>
    where
        B: Buffer + Send + 'static,
    {
        self.queue_of::<SplitRings, B>(dev, index, name, max, entries)
    }

    /// Makes a virtqueue as [`Setup::queue_with_tables`] does, with rings of kind `K`.
    ///
    /// # Errors
    ///
    /// As those of [`Setup::queue`]; [`EINVAL`], too, if that kind is not what was agreed on:
    /// [`Setup::is_packed`].
    pub fn queue_of<K, B>(
        &mut self,
        dev: &pci::Device<Bound>,
        index: u16,
        name: &CStr,
        max: u16,
        entries: u16,
    ) -> Result<QueueOf<K, B>>
    where
        K: Rings,
        B: Buffer + Send + 'static,
    {
        let (link, queue) = self.make::<K, B>(dev, index, name, max, entries)?;

        self.queues.push(link, GFP_KERNEL)?;
        Ok(queue)
    }

    /// Makes a queue for commands, of whichever kind of rings was agreed on. It has no interrupts.
    ///
    /// `room` is how many bytes the longest request has, and `answer` how many the longest answer.
    ///
    /// # Errors
    ///
    /// As those of [`Setup::queue`]; [`EINVAL`], too, if either is 0.
    pub fn control(
        &mut self,
        dev: &pci::Device<Bound>,
        index: u16,
        name: &CStr,
        room: usize,
        answer: usize,
    ) -> Result<Control> {
        let pool = self.pool(dev)?;
        let (link, control) = if self.is_packed() {
            let (link, queue) = self.make::<PackedRings, _>(dev, index, name, CONTROL_SIZE, 0)?;
            (link, Control::packed(queue, &pool, room, answer)?)
        } else {
            let (link, queue) = self.make::<SplitRings, _>(dev, index, name, CONTROL_SIZE, 0)?;
            (link, Control::split(queue, &pool, room, answer)?)
        };

        self.silent.push(link, GFP_KERNEL)?;
        Ok(control)
    }

    fn make<K, B>(
        &self,
        dev: &pci::Device<Bound>,
        index: u16,
        name: &CStr,
        max: u16,
        entries: u16,
    ) -> Result<(Arc<Link>, QueueOf<K, B>)>
    where
        K: Rings,
        B: Buffer + Send + 'static,
    {
        let mut known = Iterator::chain(self.queues.iter(), &self.silent);

        if K::PACKED != self.is_packed() {
            return Err(EINVAL);
        }
        if known.any(|link| link.index() == index) {
            return Err(EBUSY);
        }
        let has = |feature| self.features.contains(feature);
        let config = Config {
            index,
            // Some devices have other sizes for other queues.
            size: K::fit(self.queue_size(index)?.min(max)).ok_or(EINVAL)?,
            event_idx: has(Features::RING_EVENT_IDX),
            in_order: has(Features::IN_ORDER),
            indirect: if has(Features::RING_INDIRECT_DESC) {
                entries
            } else {
                0
            },
            order: if has(Features::ORDER_PLATFORM) {
                Order::Platform
            } else {
                Order::Smp
            },
        };
        let pool = self.pool(dev)?;

        let device = self.device();
        let link = Link::new(device, self.number, self.features, index, name)?;
        let queue = K::queue(&pool, &config, Doorbell::new(link.clone()))?;
        // If it is not taken, the drop of the queue ends the session.
        link.renew(self.number, &queue)?;
        Ok((link, queue))
    }

    fn check(&self, dev: &pci::Device<Bound>) -> Result {
        let function: &pci::Device = dev;

        if !core::ptr::eq(function, self.device().function()) {
            return Err(EINVAL);
        }
        Ok(())
    }

    /// Sets the device to work: allocates vectors by `policy`, registers `handler` on them with
    /// `request_threaded_irq()`, counted on paths of `paths`, tells the device of them, puts its
    /// queues to use and says that the driver is ready (`DRIVER_OK`).
    ///
    /// `handler` may be called before this returns, and by a hostile device earlier than the device
    /// should. Changes of the configuration up to the return may go untold: the driver reads it
    /// afterwards, once.
    ///
    /// # Errors
    ///
    /// The device is reset then, and may be negotiated with again.
    ///
    /// - [`EINVAL`] if `dev` is not the device's function;
    /// - [`ENOSPC`] if there are not as many vectors as the policy asks for, of MSI-X in the
    ///   function or of room in the device, [`EBUSY`] if the INTx line can't be shared;
    /// - [`EIO`] if the device fails, [`ENODEV`] if it is gone, or a queue was dropped already;
    /// - [`ENOMEM`].
    pub fn start<H: Handler>(
        self,
        dev: &pci::Device<Bound>,
        policy: Policy,
        paths: &PathSet,
        handler: Arc<H>,
    ) -> Result<Live<H>> {
        self.check(dev)?;
        let Self {
            queues,
            silent,
            number,
            features,
            session,
        } = self;
        let device = session.device().clone();

        let mut result = Err(ENOSPC);
        for policy in policy.tries() {
            result =
                Interrupts::new(*policy, dev, &device, &queues, paths, &handler).and_then(|irqs| {
                    device.in_session(number, || irqs.assign(&device, &queues))?;
                    Ok(irqs)
                });
            if result.is_ok() {
                break;
            }
        }
        let irqs = result.inspect_err(|error| {
            dev_err!(dev, "virtio: no interrupts ({})\n", error.to_errno());
        })?;

        let all = || Iterator::chain(queues.iter(), &silent);
        if let Err(error) = device.in_session(number, || enable(&device, number, all())) {
            // The device is silent before its interrupts go.
            drop(session);
            return Err(error);
        }
        // Younger than the interrupts are, and so ended earlier even if all of it is leaked. If it
        // can't be made, it has ended by then.
        let session = Devres::new(dev.as_ref(), session)?;

        Ok(Live::new(
            session, irqs, queues, silent, features, device, handler,
        ))
    }
}

/// Puts queues to use and the device to work. To be called in the session.
pub(super) fn enable<'a>(
    device: &Device,
    session: u64,
    queues: impl Iterator<Item = &'a Arc<Link>>,
) -> Result {
    for link in queues {
        // It is not where the device believes it is.
        if link.session() != session {
            return Err(EINVAL);
        }
        device
            .common()
            .enable(link.index())
            .map_err(|fault| device.complain(fault))?;
    }
    device.ready()
}
