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
    /// The session in which the device knows the queue.
    session: Atomic<u64>,
}

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

    /// Tells the device where its queue is, in `session`.
    pub(super) fn renew<B, R>(&self, session: u64, queue: &Queue<B, Doorbell, R>) -> Result
    where
        B: Buffer + Send + 'static,
        R: Virtqueue<B>,
    {
        let addresses = queue.addresses();
        let place = Place {
            size: queue.size(),
            descriptors: addresses.descriptors,
            driver: addresses.driver,
            device: addresses.device,
        };

        self.device.place(session, self.index, &place)?;
        self.session.store(session, Relaxed);
        Ok(())
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

    /// Returns what it knows of its queue.
    pub(super) fn link(&self) -> &Arc<Link> {
        &self.0
    }
}

// SAFETY: `Device::stop` returns true only after a reset of the device was confirmed that ended the
// session in which the device knows the queue, or it is gone for good. In another session the
// device does not know the queue before `Link::renew`, for which `Resume::queue` takes a `&mut`
// reference to it.
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
        self.0.device.stop(self.0.session())
    }
}
