// SPDX-License-Identifier: GPL-2.0

//! The function that the core polls with.

use core::ffi::c_int;

use irqkit_bindings as raw;
use kernel::bindings;

use super::{
    budget::Budget,
    napi::{
        Napi,
        Next,
        Polled,
        Poller, //
    }, //
};
use crate::{
    context::SoftIrq,
    path::Stamp, //
};

/// Polls a [`Napi<P>`].
///
/// What it returns decides who has the instance next: if all of `weight`, the core, which polls again;
/// if less, whoever schedules it, from the call of `napi_complete_done()` on.
///
/// # Safety
///
/// To be called by the core only, for an instance that was enabled, or by netpoll; with the C object
/// of a [`Napi<P>`] that is valid until it returns.
pub(super) unsafe extern "C" fn poll<P: Poller>(
    napi: *mut bindings::napi_struct,
    weight: c_int,
) -> c_int {
    // SAFETY: By the safety requirements.
    let this = unsafe { Napi::<P>::of(napi) };
    // SAFETY: The core polls with softirqs off, until this returns.
    let ctx = unsafe { SoftIrq::new() };

    let Some(mut polled) = this.poller.claim() else {
        // Netpoll does not insist. Otherwise someone is at the very end of a poll, on another CPU.
        return weight;
    };
    let Some(weight) = u32::try_from(weight).ok().filter(|weight| *weight != 0) else {
        polled.poller.netpoll(ctx);
        return 0;
    };

    // CAST: It is not more than `weight`, which was an `int`.
    run(this, &mut polled, weight, ctx) as c_int
}

/// Polls, and returns what the core is to be told.
fn run<P: Poller>(this: &Napi<P>, polled: &mut Polled<P>, weight: u32, ctx: SoftIrq<'_>) -> u32 {
    let path = &*this.path;
    // Without a request the core polls on its own account.
    let mut run = match path.start(&this.pending) {
        Some(run) => run,
        None => path.arrive_unasked(&this.pending, Stamp::NONE),
    };
    if path.timing() {
        // SAFETY: It only reads the state of the current CPU.
        if !unsafe { raw::in_poll() } {
            path.context_mismatch();
        }
    }

    // An interrupt may have found the poller claimed.
    polled.mask();
    let mut budget = Budget::new(&this.core, this.rx_queue(), weight);
    let next = polled.poller.poll(&mut budget, ctx);
    let spent = budget.finish();
    run.items(budget.done());

    if spent >= weight {
        path.budget_exhausted();
        return weight;
    }
    if next == Next::Again {
        path.rescheduled();
        return weight;
    }

    // SAFETY: By the safety requirements of `poll` the instance is ours to complete, and the budget was
    // not used up.
    if !unsafe { raw::napi_complete_done(this.core.as_raw(), spent as c_int) } {
        if this.pending.is_pending() {
            path.missed();
        }
        return spent;
    }

    path.completed();
    polled.masked = false;
    if !polled.poller.unmask() && this.prep() {
        path.rescheduled();
        polled.mask();
        // SAFETY: `prep` gave it to us.
        unsafe { raw::__napi_schedule(this.core.as_raw()) };
    }
    spent
}
