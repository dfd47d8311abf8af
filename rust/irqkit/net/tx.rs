// SPDX-License-Identifier: GPL-2.0

//! Transmit queues, and what their lock protects.
//!
//! The core holds the lock of a queue when it calls [`Driver::start_xmit`](super::Driver), so what
//! that needs is there for nothing: a [`TxCell`] is a value under that lock. Whoever completes what
//! was sent takes the lock. Since the queue is stopped and woken under it as well, no wake-up can get
//! lost in between.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    ops::{
        Deref,
        DerefMut, //
    }, //
};

use irqkit_bindings as raw;
use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    device::Device,
    stats::TxStat, //
};
use crate::context::{
    SoftIrq,
    Task, //
};

/// What BQL takes at a time.
const MOST: u32 = u32::MAX / 16;

/// What it can count in all; a queue holds less by far.
const MOST_UNSETTLED: u32 = u32::MAX / 2;

/// A transmit queue whose lock is held: what [`Driver::start_xmit`](super::Driver) is given.
///
/// # Invariants
///
/// The lock of queue `index` of `device` is held for `'a`, by the current context, and nobody else
/// has a value like this one for it.
pub struct Tx<'a> {
    device: &'a Device,
    index: u16,
    /// Neither `Send` nor `Sync`.
    _context: PhantomData<*mut ()>,
}

impl<'a> Tx<'a> {
    /// # Safety
    ///
    /// The current context holds the lock of queue `index` for `'a`, and makes no other such value.
    #[inline]
    pub(super) unsafe fn new(device: &'a Device, index: u16) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            device,
            index,
            _context: PhantomData,
        }
    }

    /// Returns the number of the queue.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Returns whether there is more to come right now, so that the device need not be told of this
    /// packet: `netdev_xmit_more()`. See [`Locked::sent`].
    #[inline]
    pub fn more(&self) -> bool {
        // SAFETY: Preemption is off, or it is the task's own, which it reads.
        unsafe { raw::netdev_xmit_more() }
    }

    /// Gives access to what the lock protects.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `cell` is one of another queue.
    #[inline]
    pub fn locked<'b, R: Send>(&'b mut self, cell: &'b TxCell<R>) -> Result<Locked<'b, R>> {
        if cell.index != self.index || !core::ptr::eq(&*cell.device, self.device) {
            return Err(EINVAL);
        }
        // SAFETY: By the type invariants the lock is held, and this is the only value that stands
        // for it, which is borrowed.
        Ok(unsafe { Locked::new(cell) })
    }

    /// Stops the queue.
    pub(super) fn stop(&self) {
        // SAFETY: The device is valid, and the core made this for one of its queues.
        unsafe {
            raw::netif_tx_stop_queue(raw::netdev_get_tx_queue(
                self.device.as_raw(),
                self.index.into(),
            ));
        }
    }
}

/// A value that the lock of a transmit queue protects.
///
/// It is made by [`Device::tx_cell`], once for a queue. Dropping it drops the value; in task context,
/// if the value asks for that.
///
/// # Invariants
///
/// - `queue` is queue `index` of `device`.
/// - It is the only one of its queue. Whoever holds the queue's lock, and nobody else, has access to
///   `value` and `unsettled`.
pub struct TxCell<R> {
    // Before the device, which may go with it.
    value: UnsafeCell<R>,
    device: Arc<Device>,
    index: u16,
    queue: *mut raw::netdev_queue,
    /// How many bytes BQL was told of that are not completed yet; at most `MOST_UNSETTLED`.
    unsettled: UnsafeCell<u32>,
}

// SAFETY: It owns the value; the queue is made to be used on all CPUs.
unsafe impl<R: Send> Send for TxCell<R> {}

// SAFETY: The lock gives one at a time access to the value.
unsafe impl<R: Send> Sync for TxCell<R> {}

impl Device {
    /// Puts `value` under the lock of a transmit queue. Task context; may sleep.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue; `EBUSY` if it has a value already; `ENOMEM`.
    pub fn tx_cell<R: Send>(self: &Arc<Self>, queue: u16, value: R) -> Result<TxCell<R>> {
        if self.tx_stats(queue).is_none() {
            return Err(EINVAL);
        }

        let mut state = self.state.lock();
        if state.cells.contains(&queue) {
            return Err(EBUSY);
        }
        state.cells.push(queue, GFP_KERNEL)?;

        // INVARIANT: There is none yet, and never will be another one.
        Ok(TxCell {
            // SAFETY: The device is valid, and has such a queue.
            queue: unsafe { raw::netdev_get_tx_queue(self.as_raw(), queue.into()) },
            device: self.clone(),
            index: queue,
            value: UnsafeCell::new(value),
            unsettled: UnsafeCell::new(0),
        })
    }
}

impl<R: Send> TxCell<R> {
    /// Returns the number of the queue.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Returns the device.
    #[inline]
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Takes the lock. Not for netpoll, which may have come in the midst of it: see
    /// [`TxCell::try_lock`]. Who has it already, as [`Driver::start_xmit`](super::Driver) does,
    /// waits for ever.
    ///
    /// Stands for `__netif_tx_lock()`.
    #[inline]
    pub fn lock(&self, _ctx: SoftIrq<'_>) -> Guard<'_, R> {
        // SAFETY: By the type invariants it is a queue of a valid device; softirqs are off.
        unsafe { raw::netif_tx_lock_queue(self.queue) };
        // SAFETY: It was just taken, and is given back by the guard's `drop`.
        unsafe { Guard::new(self, Release::Plain) }
    }

    /// Takes the lock if nobody has it.
    ///
    /// Stands for `__netif_tx_trylock()`.
    #[inline]
    pub fn try_lock(&self, _ctx: SoftIrq<'_>) -> Option<Guard<'_, R>> {
        // SAFETY: By the type invariants it is a queue of a valid device; softirqs are off.
        if !unsafe { raw::netif_tx_trylock_queue(self.queue) } {
            return None;
        }
        // SAFETY: It was just taken, and is given back by the guard's `drop`.
        Some(unsafe { Guard::new(self, Release::Plain) })
    }

    /// Takes the lock. What follows must not sleep.
    ///
    /// Stands for `__netif_tx_lock_bh()`.
    pub fn lock_task(&self, _task: Task<'_>) -> Guard<'_, R> {
        // SAFETY: By the type invariants it is a queue of a valid device.
        unsafe { raw::netif_tx_lock_queue_bh(self.queue) };
        // SAFETY: It was just taken, and is given back by the guard's `drop`.
        unsafe { Guard::new(self, Release::SoftIrqs) }
    }

    /// Returns the value, which nobody else has.
    pub fn get_mut(&mut self) -> &mut R {
        self.value.get_mut()
    }
}

/// What a lock protects, while it is held: the value, and the state of the queue.
///
/// # Invariants
///
/// The lock of the cell's queue is held for `'a`, and nobody else has such a value.
pub struct Locked<'a, R> {
    cell: &'a TxCell<R>,
    /// Neither `Send` nor `Sync`.
    _context: PhantomData<*mut ()>,
}

impl<'a, R> Locked<'a, R> {
    /// # Safety
    ///
    /// The lock is held for `'a`, and there is no other such value.
    #[inline]
    unsafe fn new(cell: &'a TxCell<R>) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            cell,
            _context: PhantomData,
        }
    }

    #[inline]
    fn count(&self, stat: TxStat, n: u64) {
        if let Some(stats) = self.cell.device.tx_stats(self.cell.index) {
            stats.add(stat, n);
        }
    }

    /// Stops the queue: nothing is sent until [`Locked::wake`].
    pub fn stop(&mut self) {
        if self.is_stopped() {
            return;
        }
        // SAFETY: By the type invariants of the cell it is a queue of a valid device.
        unsafe { raw::netif_tx_stop_queue(self.cell.queue) };
        self.count(TxStat::Stop, 1);
    }

    /// Wakes the queue if it was stopped by [`Locked::stop`].
    #[inline]
    pub fn wake(&mut self) {
        if !self.is_stopped() {
            return;
        }
        // SAFETY: By the type invariants of the cell it is a queue of a valid device.
        unsafe { raw::netif_tx_wake_queue(self.cell.queue) };
        self.count(TxStat::Wake, 1);
    }

    /// Returns whether the queue was stopped by [`Locked::stop`].
    #[inline]
    pub fn is_stopped(&self) -> bool {
        // SAFETY: By the type invariants of the cell it is a queue of a valid device.
        unsafe { raw::netif_tx_queue_stopped(self.cell.queue) }
    }

    /// Says that a packet of `bytes` was given to the device, and returns whether the device is to be
    /// told of it now; `more` is [`Tx::more`].
    ///
    /// Stands for `__netdev_tx_sent_queue()`. More than a packet, or a queue, can be BQL does not learn
    /// of.
    #[inline]
    #[must_use = "if it is true, the device must be notified"]
    pub fn sent(&mut self, bytes: u32, more: bool) -> bool {
        // SAFETY: By the type invariants nobody else has access.
        let unsettled = unsafe { &mut *self.cell.unsettled.get() };
        let bytes = bytes
            .min(MOST)
            .min(MOST_UNSETTLED.saturating_sub(*unsettled));

        *unsettled += bytes;
        // SAFETY: By the type invariants of the cell it is a queue of a valid device, whose lock is
        // held; BQL can count so many bytes.
        unsafe { raw::netdev_tx_sent_queue(self.cell.queue, bytes, more) }
    }

    /// Says that the device is done with so many packets, and counts them as sent.
    ///
    /// Stands for `netdev_tx_completed_queue()`. What was never [`sent`](Locked::sent) BQL does not
    /// learn of.
    pub fn completed(&mut self, packets: u32, bytes: u32) {
        if packets == 0 {
            return;
        }
        // SAFETY: By the type invariants nobody else has access.
        let unsettled = unsafe { &mut *self.cell.unsettled.get() };
        let settled = bytes.min(*unsettled);

        *unsettled -= settled;
        // SAFETY: By the type invariants of the cell it is a queue of a valid device, whose lock is
        // held; BQL was told of so many bytes, and not yet of their end.
        unsafe { raw::netdev_tx_completed_queue(self.cell.queue, packets, settled) };
        self.count(TxStat::Packets, packets.into());
        self.count(TxStat::Bytes, bytes.into());
    }

    /// Makes BQL forget what is on its way: the device's queue was emptied, and nobody sends.
    ///
    /// Stands for `netdev_tx_reset_queue()`.
    pub fn reset(&mut self) {
        // SAFETY: By the type invariants nobody else has access.
        unsafe { *self.cell.unsettled.get() = 0 };
        // SAFETY: By the type invariants of the cell it is a queue of a valid device, whose lock is
        // held.
        unsafe { raw::netdev_tx_reset_queue(self.cell.queue) };
    }
}

impl<R> Deref for Locked<'_, R> {
    type Target = R;

    #[inline]
    fn deref(&self) -> &R {
        // SAFETY: By the type invariants nobody else has access.
        unsafe { &*self.cell.value.get() }
    }
}

impl<R> DerefMut for Locked<'_, R> {
    #[inline]
    fn deref_mut(&mut self) -> &mut R {
        // SAFETY: By the type invariants nobody else has access.
        unsafe { &mut *self.cell.value.get() }
    }
}

/// How a lock is given back.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Release {
    Plain,
    /// Softirqs were switched off with it.
    SoftIrqs,
}

/// The lock of a transmit queue, which is given back when this is dropped.
///
/// # Invariants
///
/// The lock of the cell's queue is held by the current context, which took it as `release` says.
pub struct Guard<'a, R> {
    cell: &'a TxCell<R>,
    release: Release,
    /// Neither `Send` nor `Sync`.
    _context: PhantomData<*mut ()>,
}

impl<'a, R> Guard<'a, R> {
    /// # Safety
    ///
    /// The lock was just taken, as `release` says.
    #[inline]
    unsafe fn new(cell: &'a TxCell<R>, release: Release) -> Self {
        // INVARIANT: By the safety requirements.
        Self {
            cell,
            release,
            _context: PhantomData,
        }
    }

    /// Gives access to what the lock protects.
    #[inline]
    pub fn locked(&mut self) -> Locked<'_, R> {
        // SAFETY: By the type invariants the lock is held, and this is what stands for it, which is
        // borrowed.
        unsafe { Locked::new(self.cell) }
    }
}

impl<R> Drop for Guard<'_, R> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: By the type invariants the lock is held, and was taken that way.
        unsafe {
            match self.release {
                Release::Plain => raw::netif_tx_unlock_queue(self.cell.queue),
                Release::SoftIrqs => raw::netif_tx_unlock_queue_bh(self.cell.queue),
            }
        }
    }
}
