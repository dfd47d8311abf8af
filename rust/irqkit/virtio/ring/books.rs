// SPDX-License-Identifier: GPL-2.0

//! The driver's own books about a queue, of either kind.

use super::{
    chain::AddError,
    poison::Poison, //
};

/// Whether a queue is in use.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It is.
    Live,
    /// The device broke the rules.
    Poisoned(Poison),
    /// It was stopped.
    Stopped,
}

impl State {
    #[inline]
    pub(super) fn is_live(&self) -> bool {
        matches!(self, Self::Live)
    }

    /// Returns why buffers can't be added, if they can't.
    #[inline]
    pub(super) fn refusal(&self) -> Option<AddError> {
        match self {
            Self::Live => None,
            Self::Poisoned(_) => Some(AddError::Poisoned),
            Self::Stopped => Some(AddError::Stopped),
        }
    }

    /// The first wrong thing is what counts.
    #[cold]
    pub(super) fn poison(&mut self, poison: Poison) {
        if self.is_live() {
            *self = Self::Poisoned(poison);
        }
    }

    pub(super) fn poisoned(&self) -> Option<Poison> {
        match self {
            Self::Poisoned(poison) => Some(*poison),
            Self::Live | Self::Stopped => None,
        }
    }
}

/// What the device says it is done with: a buffer in flight.
#[derive(Clone, Copy, Debug)]
pub struct Element {
    pub(super) id: u16,
    /// How many bytes it has written.
    pub(super) len: u32,
}

/// What the driver knows of a queue as a whole, and the device does not. Of the single descriptors
/// and buffers the [`Slot`](super::slot::Slot)s know.
pub struct Books {
    /// The first of the list of free descriptors, or numbers.
    pub(super) free_head: u16,
    /// How many descriptors are free.
    pub(super) free: u16,
    /// How many buffers the device has.
    pub(super) in_flight: u16,
    /// How far the available index, or the place in a packed ring, went on since the last notification
    /// was decided on; it does not wrap.
    pub(super) unkicked: u16,
    /// With `in_order`: what is being taken, for this buffer and all before it.
    pub(super) batch: Option<Element>,
    /// Whether that was taken for which the device was asked to interrupt. The indices can't tell:
    /// they wrap.
    pub(super) passed: bool,
    pub(super) callbacks: bool,
    /// What was agreed on.
    pub(super) event_idx: bool,
    pub(super) in_order: bool,
    pub(super) state: State,
}

impl Books {
    /// Returns those of a new queue of `size` descriptors.
    pub(super) fn new(size: u16, event_idx: bool, in_order: bool) -> Self {
        Self {
            free_head: 0,
            free: size,
            in_flight: 0,
            unkicked: 0,
            batch: None,
            passed: false,
            callbacks: true,
            event_idx,
            in_order,
            state: State::Live,
        }
    }

    /// Returns whether callbacks are on, but the device interrupts for nothing that is to come.
    #[inline]
    pub(super) fn is_unarmed(&self) -> bool {
        self.callbacks && self.event_idx && self.passed
    }
}
