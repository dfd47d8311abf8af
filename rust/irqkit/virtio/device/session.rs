// SPDX-License-Identifier: GPL-2.0

//! Sessions: the time from an agreement with a device to the reset that ends it.

use kernel::{
    device::Bound,
    pci,
    prelude::*,
    sync::{
        atomic::Relaxed,
        Arc, //
    },
    time::delay::fsleep, //
};

use super::{
    super::{
        common::{
            self,
            Common,
            Health, //
        },
        doorbell::Link,
        window::Window,
        Features,
        Setup, //
    },
    Device,
    RESET_PAUSE,
    RESET_TRIES,
    WORKING, //
};
use crate::{
    context::Task,
    dma::{
        Addressing,
        Pool, //
    },
    pci::Power, //
};

/// How far a [`Device`] is, and for whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It is nobody's.
    Idle,
    /// It is a [`Setup`]'s or a [`Live`](crate::virtio::Live)'s, and may use what it was given.
    Open,
    /// It still is theirs, but was reset.
    Ended,
}

/// What a session's beginning and end change.
pub(super) struct Inner {
    phase: Phase,
    /// The number of the last session: the time between an agreement and the reset that ends it.
    session: u64,
    /// The reset that ended it was not confirmed. The device may still be using what it was given.
    broken: bool,
    /// The function; [`None`] once it is given up.
    power: Option<Power>,
    /// The memory that the device may use, once somebody asked for it.
    pool: Option<Arc<Pool>>,
}

impl Inner {
    /// Of a device that was just reset, behind a function that is switched on.
    pub(super) fn new(power: Power) -> Self {
        Self {
            phase: Phase::Idle,
            session: 0,
            broken: false,
            power: Some(power),
            pool: None,
        }
    }
}

/// Resets the device, and gives the function up, when the function is unbound.
pub(super) struct Unbind(pub(super) Arc<Device>);

impl Drop for Unbind {
    fn drop(&mut self) {
        let device = &self.0;
        let mut inner = device.inner.lock();

        device.end(&mut inner);
        drop(inner.power.take());
    }
}

impl Device {
    /// Begins a session: resets the device and comes to terms with it about features, of which it
    /// must have all in `need` and may have those in `want`. What this side can do for any device
    /// is wanted without saying, and [`Features::VERSION_1`] is needed.
    ///
    /// # Errors
    ///
    /// - [`EBUSY`] if there is a [`Setup`] or a [`Live`](crate::virtio::Live) of it;
    /// - [`EOPNOTSUPP`] if what is needed is not offered, or the device does not accept what it
    ///   offered;
    /// - [`ETIMEDOUT`] if it can't be reset, [`ENODEV`] if it is gone or the function unbound.
    pub fn negotiate(
        self: &Arc<Self>,
        task: Task<'_>,
        want: Features,
        need: Features,
    ) -> Result<Setup> {
        let mut inner = self.inner.lock();
        if inner.phase != Phase::Idle {
            return Err(EBUSY);
        }

        let transport = Features::ACCESS_PLATFORM | Features::ORDER_PLATFORM;
        let need = need | Features::VERSION_1;
        let features = self.open(task, &mut inner, want | transport, need)?;
        let session = inner.session;
        drop(inner);

        Ok(Setup::new(self.clone(), session, features))
    }

    /// Begins another session of the same owner, with the features of the last.
    pub(in crate::virtio) fn reopen(&self, task: Task<'_>, features: Features) -> Result<u64> {
        let mut inner = self.inner.lock();
        if inner.power.is_none() {
            return Err(ENODEV);
        }
        if inner.phase != Phase::Ended {
            return Err(EBUSY);
        }

        self.open(task, &mut inner, features, features)?;
        Ok(inner.session)
    }

    fn open(
        &self,
        _task: Task<'_>,
        inner: &mut Inner,
        want: Features,
        need: Features,
    ) -> Result<Features> {
        if inner.power.is_none() {
            return Err(ENODEV);
        }

        self.reset(inner)?;
        let features = self
            .common()
            .negotiate(want, need)
            .map_err(|fault| self.complain(fault))
            .inspect_err(|_| {
                let _ = self.reset(inner);
            })?;
        if let Some(power) = &inner.power {
            power.set_master(true);
        }

        inner.session += 1;
        inner.phase = Phase::Open;
        for said in &self.said {
            said.store(false, Relaxed);
        }
        // INVARIANT: The session is open.
        self.set_running(inner.session);
        Ok(features)
    }

    /// Ends a session if it still goes on, and returns whether the device has done with what it was
    /// given in it: that it accesses no memory of that session any more, ever. May sleep.
    pub(in crate::virtio) fn stop(&self, session: u64) -> bool {
        let mut inner = self.inner.lock();

        if inner.session != session {
            // Another one began, which takes a confirmed reset.
            return true;
        }
        self.end(&mut inner);
        !inner.broken
    }

    /// Ends the session of an owner who may begin another one. May sleep.
    ///
    /// `ended` is called when the reset was confirmed, before another session can begin.
    pub(in crate::virtio) fn suspend(&self, ended: impl FnOnce()) -> Result {
        let mut inner = self.inner.lock();

        self.end(&mut inner);
        if inner.broken {
            return Err(EIO);
        }
        ended();
        Ok(())
    }

    /// Ends the session of an owner who has done with the device. May sleep.
    pub(in crate::virtio) fn close(&self) {
        let mut inner = self.inner.lock();

        self.end(&mut inner);
        inner.phase = Phase::Idle;
    }

    /// Ends the session if one is open, or tries again if its end was not confirmed.
    fn end(&self, inner: &mut Inner) {
        if inner.phase == Phase::Open {
            inner.phase = Phase::Ended;
        } else if !inner.broken {
            return;
        }
        // What reads the status from now on does not take it for that of a device at work.
        self.live.store(false, Relaxed);
        // INVARIANT: The session is not open any more.
        self.set_running(0);
        // The fault was said.
        let _ = self.reset(inner);
    }

    /// Resets the device, and takes its right to access memory.
    ///
    /// What can't be confirmed is taken for not done: a device that does not answer may be busy,
    /// and reads of all ones may come from one that is switched off for us alone. Only if its
    /// configuration space is gone, too, the device is. And since machines there are on which what
    /// does not answer reads as 0, a status of 0 is not all: without bus mastering, which is
    /// switched off in configuration space, nothing of what the device does reaches memory.
    fn reset(&self, inner: &mut Inner) -> Result {
        let Some(power) = &inner.power else {
            return Err(ENODEV);
        };

        let result = self.common().reset(RESET_TRIES, || fsleep(RESET_PAUSE));
        power.set_master(false);
        inner.broken = match result {
            Ok(()) => false,
            Err(common::Fault::Gone) => power.is_present(),
            Err(_) => true,
        };
        result.map_err(|fault| self.complain(fault))
    }

    /// Returns the memory that the device may use, with these features.
    pub(in crate::virtio) fn pool(
        &self,
        dev: &pci::Device<Bound>,
        features: Features,
    ) -> Result<Arc<Pool>> {
        let addressing = if features.contains(Features::ACCESS_PLATFORM) {
            Addressing::Platform
        } else {
            Addressing::Physical
        };
        let mut inner = self.inner.lock();

        // `dev` may be bound again, and the device behind it have come to other terms.
        if inner.power.is_none() {
            return Err(ENODEV);
        }
        if let Some(pool) = &inner.pool {
            if pool.addressing() != addressing {
                dev_err!(dev, "virtio: the device changed how it addresses memory\n");
                return Err(EIO);
            }
            return Ok(pool.clone());
        }
        // SAFETY: It was agreed on so. It is still bound as it was when this `Device` was made, which is the
        // only one until it is unbound, since it has the BARs; and all its sessions have this pool.
        let pool = unsafe { Pool::new(dev.as_ref(), addressing)? };
        inner.pool = Some(pool.clone());
        Ok(pool)
    }

    fn set_running(&self, session: u64) {
        self.programming
            .with(|()| self.running.store(session, Relaxed));
    }

    /// Tells the device of a queue, if the session is open, which it stays meanwhile. Any context;
    /// `f` must not sleep, and comes alone.
    pub(in crate::virtio) fn program<T>(
        &self,
        session: u64,
        f: impl FnOnce(Common<Window<'_>>) -> Result<T, common::Fault>,
    ) -> Result<T> {
        self.programming
            .with(|()| {
                if !self.is_running(session) {
                    return Err(common::Fault::Gone);
                }
                f(self.common())
            })
            .map_err(|fault| self.complain(fault))
    }

    /// Returns the session in which the device is at work. Any context.
    pub(in crate::virtio) fn working_session(&self) -> Result<u64> {
        let session = self.running.load(Relaxed);

        // If another one began in between, the device is not at work in it, or no queue is known to
        // be of it.
        if session == 0 || !self.live.load(Relaxed) {
            return Err(ENODEV);
        }
        Ok(session)
    }

    /// Has the device reset one queue, which it says when it has: virtio 1.2, section 2.6.1. May
    /// sleep.
    pub(in crate::virtio) fn reset_queue(&self, _task: Task<'_>, link: &Link) -> Result {
        let inner = self.inner.lock();

        if link.is_released() {
            return Ok(());
        }
        let session = self.working_session()?;
        if inner.phase != Phase::Open || inner.session != session || link.session() != session {
            return Err(ENODEV);
        }

        link.begin_reset(session)?;
        for _ in 0..RESET_TRIES {
            if link.end_reset(session)? {
                return Ok(());
            }
            fsleep(RESET_PAUSE);
        }
        Err(self.complain(common::Fault::QueueReset(link.index())))
    }

    /// Runs `f` if the session is open, and keeps it so meanwhile.
    pub(in crate::virtio) fn in_session<T>(
        &self,
        session: u64,
        f: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let inner = self.inner.lock();

        if inner.session != session || inner.phase != Phase::Open {
            return Err(ENODEV);
        }
        f()
    }

    /// Tells the device that the driver is ready. To be called in a session, after its queues were
    /// put to use.
    pub(in crate::virtio) fn ready(&self) -> Result {
        self.common().set_status(WORKING);
        self.live.store(true, Relaxed);

        match Health::of(self.common().status(), WORKING) {
            Health::Good => Ok(()),
            Health::Gone => Err(self.complain(common::Fault::Gone)),
            health => {
                dev_err!(self.function, "virtio: the device {health}\n");
                Err(EIO)
            }
        }
    }
}
