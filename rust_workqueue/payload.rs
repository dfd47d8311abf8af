// SPDX-License-Identifier: GPL-2.0

//! What an item does: keep its CPU busy, and sleep where it may.

use kernel::{
    processor::cpu_relax,
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::context::Task;

use crate::settings::Payload;

impl Payload {
    /// Keeps the CPU busy. Any context; ends, as the time is limited.
    #[inline]
    pub(crate) fn work(self) {
        if self.cost_us == 0 {
            return;
        }
        let cost = Delta::from_micros(i64::from(self.cost_us));
        let start = Instant::<Monotonic>::now();
        while start.elapsed() < cost {
            cpu_relax();
        }
    }

    /// Sleeps.
    #[inline]
    pub(crate) fn sleep(self, task: Task<'_>) {
        if self.sleep_us != 0 {
            task.sleep(Delta::from_micros(i64::from(self.sleep_us)));
        }
    }
}
