// SPDX-License-Identifier: GPL-2.0

//! Where the workqueue core enters items, and what they are made of that depends on their type.
//!
//! The functions that the core calls stand in irqkit and not in the drivers, although handlers are
//! generic: so when a driver's code has returned to them, it is done with, and the driver may go.

use core::ptr::NonNull;

use kernel::bindings;

use super::{
    item::Item,
    shared::Shared,
    Class,
    SoftIrqs,
    Tasks,
    Token, //
};
use crate::{
    context::watch,
    path::Run, //
};

/// What depends on the type that an item is a part of.
///
/// # Invariants
///
/// All functions are of one type, and take items that are a part of it.
pub(super) struct Ops {
    /// Whether the item's drop must wait until it can't run any more; else a request keeps the
    /// item alive.
    pub(super) waits: bool,

    /// Runs the handler.
    ///
    /// # Safety
    ///
    /// To be called by the entry of the handler's class, with what was requested, once.
    pub(super) run: unsafe fn(NonNull<Item>, &mut Run<'_>),

    /// A request will use the item: keeps it alive.
    ///
    /// # Safety
    ///
    /// The item must be alive.
    pub(super) acquire: unsafe fn(NonNull<Item>),

    /// The request that [`Ops::acquire`] was called for does not use the item any more. This may
    /// be the item's end.
    ///
    /// # Safety
    ///
    /// To be called once for each [`Ops::acquire`], at its end and without any lock of the item or
    /// its queue. An item whose drop waits may be gone by then, and is not looked at.
    pub(super) release: unsafe fn(NonNull<Item>),
}

impl Ops {
    /// Ends a request that was taken back from the core, which may be the item's end.
    ///
    /// # Safety
    ///
    /// As [`Ops::release`]; the request must be one that `queue`, the item's, is loaded with.
    pub(super) unsafe fn end_request(&self, item: NonNull<Item>, queue: &Shared, delayed: bool) {
        // SAFETY: By the safety requirements.
        unsafe { (self.release)(item) };
        // SAFETY: `queue` is borrowed.
        unsafe { Shared::unload(NonNull::from(queue), delayed) };
    }
}

/// Returns the function that the workqueue core calls for items of a task queue or a BH queue.
#[inline(never)]
pub(super) fn of(softirq: bool) -> bindings::work_func_t {
    match softirq {
        false => Some(enter_task),
        true => Some(enter_softirq),
    }
}

/// Enters an item of a task queue.
///
/// # Safety
///
/// As [`enter`].
#[inline(never)]
unsafe extern "C" fn enter_task(work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirements; the core calls it in a task.
    unsafe { enter::<Tasks>(work) };
}

/// Enters an item of a BH queue.
///
/// # Safety
///
/// As [`enter`].
#[inline(never)]
unsafe extern "C" fn enter_softirq(work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirements; the core calls it in softirq context.
    unsafe { enter::<SoftIrqs>(work) };
}

/// Serves a request.
///
/// # Safety
///
/// To be called by the workqueue core only, in the context of class `C`, with the work of an
/// [`Item`] of this class, for a request that has its own reference to the item.
#[inline(always)]
unsafe fn enter<C: Class>(work: *mut bindings::work_struct) {
    // SAFETY: By the safety requirements it is that of an item, which lives until the request's
    // reference is given up below.
    let item = unsafe { Item::from_work(work) };
    let queue: NonNull<Shared> = NonNull::from(item.queue());
    let ops = item.ops();

    if let Some(mut run) = item.start() {
        let _watch = watch::<Token<'_, C>>(item.path());

        // SAFETY: This is the entry of class `C`, with what was requested and just now taken.
        unsafe { (ops.run)(NonNull::from(item), &mut run) };
    }

    // SAFETY: The request has been served.
    unsafe { (ops.release)(NonNull::from(item)) };

    // SAFETY: A queue is not freed before all requests that it was counted to carry are off, and
    // this one is until this call.
    unsafe { Shared::unload(queue, false) };
}
