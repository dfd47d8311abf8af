// SPDX-License-Identifier: GPL-2.0

//! How requests become pending, and how they end: what is done under an item's lock.

use core::ptr::NonNull;

use kernel::{
    bindings,
    cpu::CpuId,
    time::Delta, //
};

use super::{
    Item,
    Request, //
};
use crate::path::{
    Run,
    Stamp, //
};

/// Where a request is to be served.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Where the queue likes it best: near this CPU.
    Here,
    On(CpuId),
    Near(i32),
}

/// What is to be done with a request that was taken back.
pub(in crate::workqueue) enum Taken {
    /// There was none.
    Nothing,
    /// Its run had been begun by the core, and will skip it.
    Begun,
    /// It was off the core's lists: it must be [put away](Item::put_away). It may have been
    /// waiting for its time.
    Queued { delayed: bool },
}

/// What the item's lock protects.
pub(super) struct State {
    /// The run that the core has begun, and that has not come for its request yet, has none.
    skip: bool,
    /// No request is taken any more.
    dead: bool,
    /// How many are waiting for it not to run: no request is taken meanwhile.
    pub(super) blocked: u32,
    /// The pending request was made with a delay.
    delayed: bool,
    /// When it is due, if someone wants to know.
    due: Stamp,
}

impl State {
    /// That of an item that is idle.
    pub(super) const IDLE: Self = Self {
        skip: false,
        dead: false,
        blocked: 0,
        delayed: false,
        due: Stamp::NONE,
    };
}

impl Item {
    /// Requests a run at `place`, after `delay` if there is one.
    pub(super) fn request_locked(
        &self,
        state: &mut State,
        place: Place,
        delay: Option<Delta>,
        at: Stamp,
    ) -> Request {
        if state.dead || state.blocked != 0 {
            return self.refuse();
        }
        if !self.queue.path().schedule(&self.pending, at) {
            return Request::Coalesced;
        }

        self.put_on(state, place, delay.map(nanos));
        Request::New
    }

    /// Counts a request that is refused.
    #[cold]
    fn refuse(&self) -> Request {
        self.queue.path().scheduled(1);
        self.queue.path().cancelled(1);
        Request::Refused
    }

    /// Hands the request that has just become pending to the core. The item must not be dead.
    fn put_on(&self, state: &mut State, place: Place, delay: Option<u64>) {
        let jiffies = delay.map_or(0, to_jiffies);

        state.delayed = jiffies != 0;
        state.due = delay.map_or(Stamp::NONE, |ns| Stamp::now().after(ns));
        self.queue.load(state.delayed);
        // SAFETY: The call that this is a part of shows that the item is alive.
        unsafe { (self.ops.acquire)(NonNull::from(self)) };

        // The answer is true: by the type invariant the core has nothing pending.
        match place {
            Place::Near(node) => {
                // SAFETY: By the type invariant `raw` is initialised; not being dead, its
                // workqueue is there. Nodes are for unbound queues.
                unsafe { bindings::queue_work_node(node, self.queue.workqueue(), self.as_work()) };
            }
            Place::Here | Place::On(_) => {
                let cpu = match place {
                    Place::On(cpu) => i32::from(cpu),
                    _ => wq_misc(bindings::wq_misc_consts_WORK_CPU_UNBOUND),
                };

                // SAFETY: As above; the CPU is online, and interrupts are off.
                unsafe {
                    bindings::queue_delayed_work_on(
                        cpu,
                        self.queue.workqueue(),
                        self.raw.get(),
                        jiffies,
                    )
                };
            }
        }
    }

    /// Requests a run after `delay`, moving a request that is pending.
    pub(super) fn move_locked(&self, state: &mut State, delay: Delta, at: Stamp) -> Request {
        if state.dead || state.blocked != 0 {
            return self.refuse();
        }

        let ns = nanos(delay);
        let jiffies = to_jiffies(ns);
        let idle = self.queue.path().schedule(&self.pending, at);
        if idle {
            self.put_on(state, Place::Here, Some(ns));
            return Request::New;
        }

        // A request is pending. Should the run that comes for it have begun already, the core
        // takes this one as a new request; then the pending one has moved to that.
        //
        // SAFETY: By the type invariant `raw` is initialised, and it is not dead, so that the
        // workqueue is there.
        let queued = unsafe {
            bindings::mod_delayed_work_on(
                wq_misc(bindings::wq_misc_consts_WORK_CPU_UNBOUND),
                self.queue.workqueue(),
                self.raw.get(),
                jiffies,
            )
        };
        let delayed = jiffies != 0;
        if queued {
            self.queue.recount(state.delayed, delayed);
        } else {
            // INVARIANT: What has begun has no request any more, so that the one that is
            // pending is that of the core, with what belongs to it.
            self.queue.recount(state.delayed, false);
            state.skip = true;
            self.queue.load(delayed);
            // SAFETY: This very call shows that the item is alive.
            unsafe { (self.ops.acquire)(NonNull::from(self)) };
        }
        state.delayed = delayed;
        state.due = Stamp::now().after(ns);
        Request::Coalesced
    }

    /// Begins the run that the core has called for, if its request is still there.
    pub(in crate::workqueue) fn start(&self) -> Option<Run<'_>> {
        self.state.with(|state| {
            if core::mem::take(&mut state.skip) {
                return None;
            }
            if core::mem::take(&mut state.delayed) {
                self.queue.recount(true, false);
            }

            let mut run = self.queue.path().start(&self.pending)?;
            run.due(core::mem::replace(&mut state.due, Stamp::NONE));
            Some(run)
        })
    }

    /// Takes back the pending request, under the lock.
    pub(super) fn take_back(&self, state: &mut State) -> Taken {
        // SAFETY: By the type invariant it is initialised. It may be called in any context.
        let queued = unsafe { bindings::cancel_delayed_work(self.raw.get()) };
        let pending = self.queue.path().cancel(&self.pending);
        let delayed = core::mem::take(&mut state.delayed);

        if queued {
            // INVARIANT: The core does not have it pending any more, nor is it pending.
            return Taken::Queued { delayed };
        }
        if pending {
            // INVARIANT: The run has begun, and has no request any more.
            state.skip = true;
            self.queue.recount(delayed, false);
            return Taken::Begun;
        }
        Taken::Nothing
    }

    /// Undoes what [`Item::put_on`] did for a request that was taken back, and returns whether there
    /// was one.
    pub(super) fn put_away(&self, taken: Taken) -> bool {
        match taken {
            Taken::Nothing => return false,
            Taken::Begun => (),
            Taken::Queued { delayed } => {
                // SAFETY: It was taken back: this is its end, once and without a lock.
                unsafe {
                    self.ops
                        .end_request(NonNull::from(self), &self.queue, delayed)
                };
            }
        }
        true
    }

    /// Takes no request from here on, and takes back what is pending.
    pub(in crate::workqueue) fn bury(&self) -> Taken {
        self.state.with(|state| {
            state.dead = true;
            self.take_back(state)
        })
    }
}

/// Returns the nanoseconds of `delay`; none if it is negative.
fn nanos(delay: Delta) -> u64 {
    u64::try_from(delay.as_nanos()).unwrap_or(0)
}

/// Returns the ticks that `ns` nanoseconds take, rounded up.
fn to_jiffies(ns: u64) -> usize {
    // SAFETY: It is a function of its argument.
    unsafe { irqkit_bindings::delay_to_jiffies(ns) }
}

/// Returns a constant of the workqueue core as what its functions take.
const fn wq_misc(value: bindings::wq_misc_consts) -> i32 {
    // CAST: They are small.
    value as i32
}
