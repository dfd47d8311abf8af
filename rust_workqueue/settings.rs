// SPDX-License-Identifier: GPL-2.0

//! What the user can set: the queue, and what an item does.

use kernel::{
    cpu::CpuId,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    time::Delta, //
};

use crate::kinds::{
    Choice,
    Kind, //
};

/// The longest that an item may keep its CPU busy, in microseconds.
pub(crate) const MAX_COST_US: u32 = 1_000_000;

/// The longest that an item may sleep, in microseconds.
pub(crate) const MAX_SLEEP_US: u32 = 60_000_000;

/// The longest delay, in milliseconds.
pub(crate) const MAX_DELAY_MS: u32 = 60_000;

/// What the user set.
pub(crate) struct Settings {
    pub(crate) queue: Choice,
    cost_us: Atomic<u32>,
    sleep_us: Atomic<u32>,
    delay_ms: Atomic<u32>,
    /// The CPU to queue on, or [`ANY`].
    cpu: Atomic<u32>,
}

/// The CPU is up to the workqueue.
const ANY: u32 = u32::MAX;

impl Settings {
    pub(crate) fn new() -> Self {
        Self {
            queue: Choice::new(Kind::PerCpu),
            cost_us: Atomic::new(0),
            sleep_us: Atomic::new(0),
            delay_ms: Atomic::new(0),
            cpu: Atomic::new(ANY),
        }
    }

    /// What an item does, as set now.
    #[inline]
    pub(crate) fn payload(&self) -> Payload {
        Payload {
            cost_us: self.cost_us.load(Relaxed),
            sleep_us: self.sleep_us.load(Relaxed),
        }
    }

    pub(crate) fn set_cost_us(&self, us: u32) {
        self.cost_us.store(us, Relaxed);
    }

    pub(crate) fn set_sleep_us(&self, us: u32) {
        self.sleep_us.store(us, Relaxed);
    }

    pub(crate) fn delay_ms(&self) -> u32 {
        self.delay_ms.load(Relaxed)
    }

    pub(crate) fn set_delay_ms(&self, ms: u32) {
        self.delay_ms.store(ms, Relaxed);
    }

    /// The CPU to queue on; [`None`] leaves it to the workqueue.
    #[inline]
    pub(crate) fn cpu(&self) -> Option<CpuId> {
        match self.cpu.load(Relaxed) {
            ANY => None,
            cpu => CpuId::from_u32(cpu),
        }
    }

    pub(crate) fn set_cpu(&self, cpu: Option<CpuId>) {
        self.cpu.store(cpu.map_or(ANY, |cpu| cpu.as_u32()), Relaxed);
    }
}

/// What an item does.
#[derive(Clone, Copy)]
pub(crate) struct Payload {
    /// How long it keeps its CPU busy, in microseconds.
    pub(crate) cost_us: u32,
    /// How long it sleeps after that, in microseconds, where it may.
    pub(crate) sleep_us: u32,
}

impl Payload {
    /// How long it takes where it runs alone and may sleep.
    pub(crate) fn total(self) -> Delta {
        Delta::from_micros(i64::from(self.cost_us) + i64::from(self.sleep_us))
    }
}
