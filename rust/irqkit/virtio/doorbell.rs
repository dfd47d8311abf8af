// SPDX-License-Identifier: GPL-2.0

//! A queue's way to its device.

use kernel::{
    prelude::*,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use super::{
    common::{
        Fault,
        Place,
        Registers, //
    },
    layout::Area,
    queue::{
        Port,
        Queue, //
    },
    ring::{
        chain::Buffer,
        layout::notification_data,
        virtqueue::Virtqueue, //
    },
    Device,
    Features, //
};

/// What a queue, and who set it up, know of it together.
pub(super) struct Link {
    device: Arc<Device>,
    index: u16,
    name: CString,
    bell: Area,
    /// Whether a notification tells more than the queue's number.
    wide: bool,
    /// The session in which the device knows the queue, or [`RELEASED`].
    session: Atomic<u64>,
    /// The vector of its interrupts, or [`NO_VECTOR`].
    vector: Atomic<u32>,
}

/// No session: the queue was reset on its own, and the device does not know it.
const RELEASED: u64 = u64::MAX;

/// No vector (`VIRTIO_MSI_NO_VECTOR`).
const NO_VECTOR: u32 = 0xffff;

impl Link {
    /// Finds the doorbell of a queue, in a session.
    ///
    /// # Errors
    ///
    /// [`ENOENT`] if there is no such queue, [`EINVAL`] if its doorbell is outside of the area for
    /// those.
    pub(super) fn new(
        device: &Arc<Device>,
        session: u64,
        features: Features,
        index: u16,
        name: &CStr,
    ) -> Result<Arc<Self>> {
        let wide = features.contains(Features::NOTIFICATION_DATA);
        let off = device.common().notify_off(index)?;
        let width = if wide { 4 } else { 2 };
        let bell = device.windows().layout().doorbell(off, width);
        let bell = bell.ok_or_else(|| {
            dev_err!(
                device.function(),
                "virtio: queue {index}: a doorbell at {off} is out of place\n"
            );
            EINVAL
        })?;

        let link = Self {
            device: device.clone(),
            index,
            name: CString::try_from(name)?,
            bell,
            wide,
            session: Atomic::new(session),
            vector: Atomic::new(NO_VECTOR),
        };
        Ok(Arc::new(link, GFP_KERNEL)?)
    }

    /// Returns the queue's number.
    pub(super) fn index(&self) -> u16 {
        self.index
    }

    /// Returns the queue's name.
    pub(super) fn name(&self) -> &CStr {
        &self.name
    }

    /// Returns the session in which the device knows the queue.
    pub(super) fn session(&self) -> u64 {
        self.session.load(Relaxed)
    }

    /// Releases the queue: the device was reset, the session in which it knew the queue has ended, and
    /// another one can't begin before this returns.
    pub(super) fn release(&self) {
        // Who is about to renew it in the session that has ended does not get through to the device.
        self.session.store(RELEASED, Relaxed);
    }

    /// Returns whether the queue was reset, alone or with the device, and the device was not told of it
    /// since.
    pub(super) fn is_released(&self) -> bool {
        self.session() == RELEASED
    }

    /// Notes the vector that the queue was given.
    pub(super) fn set_vector(&self, vector: u16) {
        self.vector.store(vector.into(), Relaxed);
    }

    /// Returns the vector that the queue was given, if it was.
    pub(super) fn vector(&self) -> Option<u16> {
        let vector = self.vector.load(Relaxed);

        u16::try_from(vector).ok().filter(|_| vector != NO_VECTOR)
    }

    /// Tells the device where its queue is, in `session`.
    pub(super) fn renew<B, R>(&self, session: u64, queue: &Queue<B, Doorbell, R>) -> Result
    where
        B: Buffer + Send + 'static,
        R: Virtqueue<B>,
    {
        let place = place(queue);

        // From now on only a reset of the device proves that it does not know the queue.
        self.session.store(session, Relaxed);
        self.device
            .program(session, |common| common.place(self.index, &place))
    }

    /// Asks the device, in `session`, to reset the queue alone.
    pub(super) fn begin_reset(&self, session: u64) -> Result {
        self.device
            .program(session, |common| common.begin_queue_reset(self.index))
    }

    /// Releases the queue if the device has finished what [`Link::begin_reset`] began, and returns
    /// whether it has.
    pub(super) fn end_reset(&self, session: u64) -> Result<bool> {
        self.device.program(session, |common| {
            let done = common.is_queue_reset(self.index)?;

            // Nobody tells the device of the queue again before it is released, and that takes the
            // lock which is held here.
            if done {
                self.session.store(RELEASED, Relaxed);
            }
            Ok(done)
        })
    }

    /// Tells the device of a queue that was released, in `session`, and puts it to use.
    pub(super) fn enable<B, R>(&self, session: u64, queue: &Queue<B, Doorbell, R>) -> Result
    where
        B: Buffer + Send + 'static,
        R: Virtqueue<B>,
    {
        let place = place(queue);

        self.device.program(session, |common| {
            if !self.is_released() {
                return Err(Fault::Enabled(self.index));
            }
            // As in `renew`.
            self.session.store(session, Relaxed);
            common.place(self.index, &place)?;
            if let Some(vector) = self.vector() {
                common.set_queue_vector(self.index, vector)?;
            }
            common.enable(self.index)
        })
    }
}

/// Returns where a queue is.
fn place<B, R>(queue: &Queue<B, Doorbell, R>) -> Place
where
    B: Buffer + Send + 'static,
    R: Virtqueue<B>,
{
    let addresses = queue.addresses();

    Place {
        size: queue.size(),
        descriptors: addresses.descriptors,
        driver: addresses.driver,
        device: addresses.device,
    }
}

/// The doorbell of a queue, and what stands between its memory and the device.
///
/// A queue owns it. That the queue's memory is used by the device no longer is known by its
/// session: it ends with a reset of the device, at the latest when the function is unbound, and
/// there is no way back into it.
///
/// # Invariants
///
/// Nobody else has a doorbell with the same link.
pub struct Doorbell(Arc<Link>);

impl Doorbell {
    /// Makes the doorbell of a queue that has none.
    pub(super) fn new(link: Arc<Link>) -> Self {
        // INVARIANT: As the caller says.
        Self(link)
    }

    /// Returns whether the device knows the queue and may look at it. Any context.
    pub(super) fn is_at_work(&self) -> bool {
        self.0.device.is_running(self.0.session())
    }

    /// Returns what it knows of its queue.
    pub(super) fn link(&self) -> &Arc<Link> {
        &self.0
    }
}

// SAFETY: `Device::stop` returns true only after a reset of the device was confirmed that ended the
// session in which the device knows the queue, or it is gone for good. In another session the
// device does not know the queue before `Link::renew`, for which `Resume::queue` takes a `&mut`
// reference to it. A link is released only when the device has confirmed the reset of that queue, or
// one that ended the session, and from then on only `Link::renew` and `Link::enable` tell the device of
// it; for the latter, too, `Live::enable_queue` takes a `&mut` reference.
unsafe impl Port for Doorbell {
    #[inline]
    fn notify(&self, index: u16, position: u16) {
        let link = &*self.0;

        if !link.device.is_running(link.session()) {
            return;
        }
        let window = link.device.windows().at(link.bell);
        if link.wide {
            window.write32(0, notification_data(index, position));
        } else {
            window.write16(0, index);
        }
    }

    fn stop(&self) -> bool {
        self.is_stopped() || self.0.device.stop(self.0.session())
    }

    fn is_stopped(&self) -> bool {
        self.0.is_released()
    }
}
