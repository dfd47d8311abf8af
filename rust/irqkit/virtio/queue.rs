// SPDX-License-Identifier: GPL-2.0

//! Virtqueues: logic, shared memory and doorbell together.
//!
//! # Who frees what, and when
//!
//! A queue owns the memory of its rings, and every buffer that it was given and did not give back.
//! As long as the device may use those they are not freed, whatever the driver does: dropping a
//! queue first stops the device ([`Port::stop`]), and leaks the memory if the device can't be
//! stopped. So it does not matter whether a driver drops the device or the queue first, and a queue
//! that is leaked takes its memory with it.

use core::{
    marker::PhantomData,
    mem::ManuallyDrop, //
};

use kernel::{
    prelude::*,
    sync::Arc, //
};

use super::{
    features::Features,
    ring::{
        chain::{
            AddError,
            Buffer,
            Refused,
            Space,
            Used, //
        },
        poison::Poison,
        virtqueue::Virtqueue, //
    }, //
};
use crate::dma::Pool;

/// The features of virtqueues that every queue can make use of. A driver asks for them, beside those
/// of its device.
pub const RING_FEATURES: Features = Features::RING_INDIRECT_DESC
    .with(Features::RING_EVENT_IDX)
    .with(Features::IN_ORDER)
    .with(Features::RING_RESET)
    .with(Features::NOTIFICATION_DATA)
    .with(Features::ORDER_PLATFORM)
    .with(Features::ACCESS_PLATFORM)
    .with(Features::VERSION_1);

/// How a queue reaches its device. The transport implements it.
///
/// # Safety
///
/// When [`Port::stop`] or [`Port::is_stopped`] has returned true, the device reads and writes
/// nothing of the queue, neither its rings nor the buffers in it, until it is told of the queue's
/// addresses again. That takes a `&mut` reference to the queue, and is done in this crate alone.
pub unsafe trait Port: Send + 'static {
    /// Notifies the device of queue `index`, in which `position` is next ([`Virtqueue::position`]).
    ///
    /// Does nothing if there is no device any more. Any context.
    fn notify(&self, index: u16, position: u16);

    /// Makes sure that the device uses the queue no longer, by a reset if need be, and returns
    /// whether that is so.
    ///
    /// May be called any number of times, by any queue, at any time; waits for a bounded time. Task
    /// context; may sleep.
    fn stop(&self) -> bool;

    /// Returns whether the device is known to use the queue no longer, as after [`Port::stop`], but
    /// does nothing about it. Any context.
    fn is_stopped(&self) -> bool {
        false
    }
}

/// How accesses to memory that a device shares are ordered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Order {
    /// As between CPUs: the device is a program on one.
    Smp,
    /// As for any device on the platform: `VIRTIO_F_ORDER_PLATFORM` was negotiated.
    Platform,
}

/// What a queue is to be like.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Its number.
    pub index: u16,
    /// How many descriptors it has: up to 32768, and if it is a split queue a power of two.
    pub size: u16,
    /// Whether `VIRTIO_F_EVENT_IDX` was negotiated.
    pub event_idx: bool,
    /// Whether `VIRTIO_F_IN_ORDER` was negotiated.
    pub in_order: bool,
    /// If `VIRTIO_F_INDIRECT_DESC` was negotiated, for up to how many segments of a buffer an
    /// indirect table is kept, one a descriptor, if there is memory for that; else, or for none, 0.
    pub indirect: u16,
    /// How memory is ordered.
    pub order: Order,
}

/// Where the parts of a queue are, as the device sees them: section 4.1.4.3.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Addresses {
    /// `queue_desc`: the descriptor table, or the ring of a packed queue.
    pub descriptors: u64,
    /// `queue_driver`: the available ring, or the driver's event suppression structure.
    pub driver: u64,
    /// `queue_device`: the used ring, or the device's event suppression structure.
    pub device: u64,
}

/// A virtqueue `R` that holds buffers of type `B`, of a device that is reached by `P`.
///
/// One at a time uses it: see [`Virtqueue`], whose functions these are. Dropped in task context.
///
/// # Invariants
///
/// - What is in `ring`, its shared memory and its buffers, is dropped, or handed out other than by
///   what the device says, only after `port` said that the device was stopped.
/// - `space` is the address space of the device, which `pool` stands for, and each buffer in `ring` is in
///   it.
pub struct Queue<B, P, R>
where
    B: Buffer + Send + 'static,
    P: Port,
    R: Virtqueue<B>,
{
    ring: ManuallyDrop<R>,
    index: u16,
    /// The size of its indirect tables; 0 if it has none.
    table: u16,
    /// Whether the log knows that it is poisoned.
    reported: bool,
    addresses: Addresses,
    space: Space,
    port: P,
    pool: Arc<Pool>,
    _buffers: PhantomData<B>,
}

impl<B, P, R> Queue<B, P, R>
where
    B: Buffer + Send + 'static,
    P: Port,
    R: Virtqueue<B>,
{
    /// Makes a queue of a live ring, which nobody else knows of.
    pub(super) fn of(
        ring: R,
        addresses: Addresses,
        pool: &Arc<Pool>,
        config: &Config,
        port: P,
    ) -> Self {
        // INVARIANT: Nobody has it but we; and it is empty. The pool is kept, and so is what stands for
        // its address space.
        Self {
            ring: ManuallyDrop::new(ring),
            index: config.index,
            table: config.indirect,
            reported: false,
            addresses,
            space: pool.space(),
            port,
            pool: pool.clone(),
            _buffers: PhantomData,
        }
    }

    /// Returns its number.
    #[inline]
    pub fn index(&self) -> u16 {
        self.index
    }

    /// Returns the number of descriptors.
    #[inline]
    pub fn size(&self) -> u16 {
        self.ring.size()
    }

    /// Returns how many descriptors a buffer of so many segments takes: one altogether if there are indirect
    /// tables for that.
    pub fn takes(&self, segments: u16) -> u16 {
        match (2..=self.table).contains(&segments) {
            true => 1,
            false => segments,
        }
    }

    /// Returns where its parts are, as the device sees them.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Returns how it reaches the device.
    #[inline]
    pub fn port(&self) -> &P {
        &self.port
    }

    /// Returns whether it is as if it had just been made or restarted, but for buffers that were
    /// added and did not come back: such a queue a device may start on.
    pub fn is_fresh(&self) -> bool {
        self.ring.is_fresh()
    }

    /// Gives `buffer` to the device: [`Virtqueue::add`]. Any context.
    ///
    /// # Errors
    ///
    /// With the buffer, [`AddError`], which as an [`Error`] is `ENOSPC` if there is no room now,
    /// `EINVAL` if the buffer is no good, `EIO` if the queue is poisoned, `ESHUTDOWN` if it is
    /// stopped.
    #[inline]
    pub fn add(&mut self, buffer: B) -> Result<(), Refused<B>> {
        if !buffer.is_in(self.space) {
            return Err(Refused {
                buffer,
                why: AddError::Foreign,
            });
        }
        // INVARIANT: It is in the device's address space.
        self.ring.add(buffer)
    }

    /// Takes back the next buffer that the device is done with: [`Virtqueue::get_used`]. Any
    /// context.
    ///
    /// [`None`] if there is none. If that is because the device broke the rules, the queue is
    /// [`poisoned`](Queue::poisoned), and the log has a line about it.
    #[inline]
    pub fn get_used(&mut self) -> Option<Used<B>> {
        let used = self.ring.get_used();

        if used.is_none() && !self.reported {
            if let Some(poison) = self.ring.poisoned() {
                self.report(poison);
            }
        }
        used
    }

    /// Returns whether there seem to be buffers to take back: [`Virtqueue::has_used`]. Any context.
    #[inline]
    pub fn has_used(&self) -> bool {
        self.ring.has_used()
    }

    /// Notifies the device of what was added, if it wants to know, and returns whether it did. Any
    /// context.
    #[inline]
    pub fn kick(&mut self) -> bool {
        let needed = self.kick_needed();

        if needed {
            self.notify();
        }
        needed
    }

    /// Returns whether the device wants to be notified of what was added: [`Virtqueue::kick_needed`].
    /// Then [`Queue::notify`] must follow. Any context.
    #[inline]
    #[must_use = "a device that is not notified sleeps on"]
    pub fn kick_needed(&mut self) -> bool {
        self.ring.kick_needed()
    }

    /// Notifies the device. Any context.
    #[inline]
    pub fn notify(&self) {
        self.port.notify(self.index, self.ring.position());
    }

    /// Asks the device for no interrupts: [`Virtqueue::disable_cb`]. Any context.
    #[inline]
    pub fn disable_cb(&mut self) {
        self.ring.disable_cb();
    }

    /// Asks the device for an interrupt when it is done with the next buffer, and returns false if
    /// there are some already: [`Virtqueue::enable_cb`]. Any context.
    #[inline]
    #[must_use = "if it is false, there may be no interrupt for what is there already"]
    pub fn enable_cb(&mut self) -> bool {
        self.ring.enable_cb()
    }

    /// As [`Queue::enable_cb`], for about three quarters of the buffers that the device has:
    /// [`Virtqueue::enable_cb_delayed`]. Any context.
    #[inline]
    #[must_use = "if it is false, there may be no interrupt for what is there already"]
    pub fn enable_cb_delayed(&mut self) -> bool {
        self.ring.enable_cb_delayed()
    }

    /// Returns what is wrong, if the queue is out of use. Any context.
    #[inline]
    pub fn poisoned(&self) -> Option<Poison> {
        self.ring.poisoned()
    }

    /// Puts the queue out of use because the device failed or is gone; the log is the caller's
    /// business. Any context.
    pub fn give_up(&mut self) {
        self.ring.give_up();
        self.reported = true;
    }

    /// Returns how many descriptors are free. Any context.
    #[inline]
    pub fn free(&self) -> u16 {
        self.ring.free()
    }

    /// Returns how many buffers the device has. Any context.
    #[inline]
    pub fn in_flight(&self) -> u16 {
        self.ring.in_flight()
    }

    /// Stops the device, as far as this queue is concerned, so that the buffers can be had back that
    /// it did not return. Task context; may sleep.
    ///
    /// # Errors
    ///
    /// `EBUSY` if the device can't be stopped. The queue is out of use in any case.
    pub fn stop(&mut self) -> Result<Stopped<'_, B, P, R>> {
        self.ring.stop();
        if !self.port.stop() {
            return Err(EBUSY);
        }
        // INVARIANT: `port` just said so.
        Ok(Stopped {
            queue: self,
            from: 0,
        })
    }

    /// Makes the buffers available that the device did not return, if the device is known to have let
    /// go of this queue: after [`Live::reset_queue`](super::Live::reset_queue) or [`Live::suspend`](
    /// super::Live::suspend). Any context.
    ///
    /// # Errors
    ///
    /// `EBUSY` if it is not; nothing has changed then.
    pub fn stopped(&mut self) -> Result<Stopped<'_, B, P, R>> {
        if !self.port.is_stopped() {
            return Err(EBUSY);
        }
        self.ring.stop();
        // INVARIANT: `port` just said so.
        Ok(Stopped {
            queue: self,
            from: 0,
        })
    }

    #[cold]
    fn report(&mut self, poison: Poison) {
        self.reported = true;
        dev_err!(
            self.pool.device(),
            "virtqueue {}: {}: out of use\n",
            self.index,
            poison
        );
    }
}

impl<B, P, R> Drop for Queue<B, P, R>
where
    B: Buffer + Send + 'static,
    P: Port,
    R: Virtqueue<B>,
{
    fn drop(&mut self) {
        if self.port.stop() {
            // SAFETY: It is not used after this. The device no longer uses what is in it.
            unsafe { ManuallyDrop::drop(&mut self.ring) };
        } else {
            dev_err!(
                self.pool.device(),
                "virtqueue {}: the device could not be stopped: memory leaked\n",
                self.index
            );
        }
    }
}

/// A queue whose device was stopped.
///
/// # Invariants
///
/// The port of `queue` has said that the device uses it no longer. Nobody can tell the device of it
/// while it is borrowed.
pub struct Stopped<'a, B, P, R>
where
    B: Buffer + Send + 'static,
    P: Port,
    R: Virtqueue<B>,
{
    queue: &'a mut Queue<B, P, R>,
    /// The descriptors before this one hold no buffers.
    from: usize,
}

impl<B, P, R> Stopped<'_, B, P, R>
where
    B: Buffer + Send + 'static,
    P: Port,
    R: Virtqueue<B>,
{
    /// Takes back a buffer that the device did not return; [`None`] when there are no more. What it
    /// has written to it, if anything, nobody knows.
    pub fn detach(&mut self) -> Option<B> {
        let (buffer, from) = self.queue.ring.take(self.from)?;

        self.from = from;
        Some(buffer)
    }

    /// Makes the queue live again, as if it were new. The device does not know of it.
    ///
    /// # Errors
    ///
    /// `EBUSY` if there are buffers in it: [`Stopped::detach`] them first.
    pub fn restart(self) -> Result {
        if !self.queue.ring.restart() {
            return Err(EBUSY);
        }
        self.queue.reported = false;
        Ok(())
    }
}

impl From<AddError> for Error {
    fn from(error: AddError) -> Self {
        match error {
            AddError::Full => ENOSPC,
            AddError::Empty
            | AddError::EmptySegment
            | AddError::TooManySegments
            | AddError::TooLong
            | AddError::Foreign => EINVAL,
            AddError::Poisoned => EIO,
            AddError::Stopped => ESHUTDOWN,
        }
    }
}

impl kernel::fmt::Display for Poison {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}
