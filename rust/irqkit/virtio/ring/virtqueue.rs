// SPDX-License-Identifier: GPL-2.0

//! What all kinds of virtqueues have in common.

use super::{
    chain::{
        Refused,
        Used, //
    },
    poison::Poison, //
};

/// A virtqueue that holds buffers of type `B`, without notifications.
///
/// It is live from the beginning on. Whatever goes wrong with the device poisons it. Stopped, which
/// is when the device no longer reaches its memory, it is emptied and restarted.
///
/// One at a time uses it (`&mut self`): that is the caller's lock, or a context that excludes
/// itself. No function allocates, sleeps, or takes a lock. Except for [`Virtqueue::take`] and
/// [`Virtqueue::restart`] none loops but over the segments of one buffer, and all may be called from
/// any context in which a `B` may be moved.
pub trait Virtqueue<B> {
    /// Makes `buffer` available to the device (section 2.7.13), which is the owner until
    /// [`Virtqueue::get_used`] returns it. The device may find it at once, or be idle: see
    /// [`Virtqueue::kick_needed`].
    ///
    /// # Errors
    ///
    /// [`AddError`](super::chain::AddError), with the buffer; nothing has changed then.
    fn add(&mut self, buffer: B) -> Result<(), Refused<B>>;

    /// Returns the buffer that the device was done with first, of those not returned yet
    /// (section 2.7.14); [`None`] if there is none, or the queue is not live.
    ///
    /// While callbacks are on, [`None`] also says that the device calls back when it uses the next
    /// one, or after [`Virtqueue::enable_cb_delayed`] the one that was asked for. A caller that
    /// takes some, and does not go on until [`None`], does not know that: it must call
    /// [`Virtqueue::enable_cb`] before it waits. (C asks again after each buffer, which costs a
    /// barrier each and promises no more: the device may have used the next one before it saw that.)
    fn get_used(&mut self) -> Option<Used<B>>;

    /// Returns whether the device has used buffers that [`Virtqueue::get_used`] did not return yet,
    /// without checking anything. False if the queue is not live.
    fn has_used(&self) -> bool;

    /// Returns whether the device wants to be notified of what was added since the last call
    /// (section 2.7.13.3). Then the caller must notify it.
    #[must_use = "a device that is not notified sleeps on"]
    fn kick_needed(&mut self) -> bool;

    /// Returns the position in the queue that a notification carries, with
    /// `VIRTIO_F_NOTIFICATION_DATA`: `next_off` and `next_wrap`.
    fn position(&self) -> u16;

    /// Asks the device not to call back (section 2.7.7): a hint, it may do so all the same.
    fn disable_cb(&mut self);

    /// Asks the device to call back when it uses the next buffer, and returns whether that is safe
    /// to wait for.
    ///
    /// If it returns false, buffers came back before the device could know: callbacks are on, but
    /// the caller must go on taking buffers. True if the queue is not live.
    #[must_use = "if it is false, there may be no callback for what is there already"]
    fn enable_cb(&mut self) -> bool;

    /// As [`Virtqueue::enable_cb`], but the device may wait until it has used about three quarters
    /// of the buffers that it has. It may return false for fewer than those, too.
    #[must_use = "if it is false, there may be no callback for what is there already"]
    fn enable_cb_delayed(&mut self) -> bool;

    /// Returns what the device did wrong, if it did.
    fn poisoned(&self) -> Option<Poison>;

    /// Poisons the queue because the device failed.
    fn give_up(&mut self);

    /// Returns how many descriptors are free. A buffer takes one for each segment, or one
    /// altogether if it is put into an indirect table.
    fn free(&self) -> u16;

    /// Returns how many buffers the device has.
    fn in_flight(&self) -> u16;

    /// Returns the number of descriptors.
    fn size(&self) -> u16;

    /// Returns whether a device that is told of the queue for the first time can start on it: no
    /// buffer ever came back, and the queue is live.
    fn is_fresh(&self) -> bool;

    /// Puts the queue out of use, so that it can be emptied.
    fn stop(&mut self);

    /// Takes a buffer back that the device never returned, the first one from descriptor `from` on;
    /// and returns where to look for the next one. [`None`] if there are no more, or the queue was
    /// not stopped.
    ///
    /// Whoever calls it knows that the device no longer reaches the queue's memory.
    fn take(&mut self, from: usize) -> Option<(B, usize)>;

    /// Makes a queue that was stopped and emptied live again, as if it were new, and returns
    /// whether it is. If it was not stopped, or not emptied, nothing happens.
    ///
    /// Whoever calls it knows that the device no longer reaches the queue's memory.
    #[must_use = "it may not have been empty"]
    fn restart(&mut self) -> bool;
}
