// SPDX-License-Identifier: GPL-2.0

//! Waiting in task context: for one's turn, and for the IRQ thread.

use kernel::{
    new_condvar,
    new_mutex,
    prelude::*,
    sync::{
        CondVar,
        CondVarTimeoutResult,
        Mutex, //
    },
    time::{
        msecs_to_jiffies,
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use crate::hw::Hw;

/// How often whoever waits looks whether the device is still there, in milliseconds.
const LOOK_MS: u32 = 50;

/// Lets one caller at a time use a part of the device; the others wait, and can be interrupted.
#[pin_data]
pub(crate) struct Gate {
    #[pin]
    taken: Mutex<bool>,
    #[pin]
    freed: CondVar,
}

impl Gate {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            taken <- new_mutex!(false, "Gate::taken"),
            freed <- new_condvar!("Gate::freed"),
        })
    }

    /// Waits for the turn, which ends when the result is dropped.
    ///
    /// # Errors
    ///
    /// `EINTR` on a signal, `ENODEV` if the device was lost.
    pub(crate) fn enter(&self, hw: &Hw) -> Result<Turn<'_>> {
        let mut taken = self.taken.lock();
        while *taken {
            if hw.is_lost() {
                return Err(ENODEV);
            }
            let slice = msecs_to_jiffies(LOOK_MS);
            if let CondVarTimeoutResult::Signal { .. } =
                self.freed.wait_interruptible_timeout(&mut taken, slice)
            {
                return Err(EINTR);
            }
        }
        if hw.is_lost() {
            return Err(ENODEV);
        }
        *taken = true;
        Ok(Turn(self))
    }
}

/// Proof that it is the holder's turn at a [`Gate`].
pub(crate) struct Turn<'a>(&'a Gate);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *self.0.taken.lock() = false;
        self.0.freed.notify_one();
    }
}

/// What has become of something that the IRQ thread is to finish.
enum State<T> {
    /// Nobody waits.
    Idle,
    /// Somebody waits.
    Awaited,
    /// It is done, and nobody took it yet.
    Done(T),
}

/// A result handed from the IRQ thread to the one task that waits for it.
#[pin_data]
pub(crate) struct Outcome<T> {
    #[pin]
    state: Mutex<State<T>>,
    #[pin]
    changed: CondVar,
}

impl<T: Unpin> Outcome<T> {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            state <- new_mutex!(State::Idle, "Outcome::state"),
            changed <- new_condvar!("Outcome::changed"),
        })
    }

    /// Says that a result is wanted. Comes before the device is told to produce it.
    pub(crate) fn expect(&self) {
        *self.state.lock() = State::Awaited;
    }

    /// Says that the result is no longer wanted.
    pub(crate) fn give_up(&self) {
        *self.state.lock() = State::Idle;
    }

    /// Hands over the result; returns whether somebody still wanted it.
    pub(crate) fn finish(&self, result: T) -> bool {
        let mut state = self.state.lock();
        if !matches!(*state, State::Awaited) {
            return false;
        }
        *state = State::Done(result);
        self.changed.notify_all();
        true
    }

    /// Waits for the result for `limit` at most. Afterwards nothing is wanted any more.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT`, `EINTR` on a signal, `ENODEV` if the device was lost.
    pub(crate) fn wait(&self, hw: &Hw, limit: Delta) -> Result<T> {
        let start = Instant::<Monotonic>::now();
        let mut state = self.state.lock();

        loop {
            if let State::Done(result) = core::mem::replace(&mut *state, State::Idle) {
                return Ok(result);
            }
            if hw.is_lost() {
                return Err(ENODEV);
            }
            if start.elapsed() >= limit {
                return Err(ETIMEDOUT);
            }

            *state = State::Awaited;
            let slice = msecs_to_jiffies(LOOK_MS);
            if let CondVarTimeoutResult::Signal { .. } =
                self.changed.wait_interruptible_timeout(&mut state, slice)
            {
                // What came in together with the signal is not thrown away.
                return match core::mem::replace(&mut *state, State::Idle) {
                    State::Done(result) => Ok(result),
                    _ => Err(EINTR),
                };
            }
        }
    }
}
