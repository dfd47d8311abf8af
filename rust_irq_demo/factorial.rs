// SPDX-License-Identifier: GPL-2.0

//! Factorials, computed by the device and fetched by the IRQ thread.

use kernel::{
    new_mutex,
    prelude::*,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Mutex, //
    },
    time::{
        Delta,
        Instant,
        Monotonic, //
    }, //
};

use irqkit::context::Task;

use crate::{
    device::Edu,
    gate::{
        Gate,
        Outcome, //
    },
    hw::Hw, //
};

/// The largest `n` whose factorial fits in the device's 32 bits.
pub(crate) const MAX_N: u32 = 12;

/// How long the device may take.
const LIMIT: Delta = Delta::from_secs(2);

/// How long to sleep between looks at the status register.
const NAP: Delta = Delta::from_millis(1);

/// What came out of the last request.
#[derive(Clone, Copy)]
pub(crate) struct Report {
    pub(crate) n: u32,
    pub(crate) result: core::result::Result<u32, i32>,
}

/// Computes factorials.
#[pin_data]
pub(crate) struct Factorial {
    #[pin]
    gate: Gate,
    #[pin]
    outcome: Outcome<u32>,
    #[pin]
    last: Mutex<Option<Report>>,
    /// Completions that nobody waited for.
    late: Atomic<u64>,
}

impl Factorial {
    pub(crate) fn new() -> impl PinInit<Self> {
        pin_init!(Self {
            gate <- Gate::new(),
            outcome <- Outcome::new(),
            last <- new_mutex!(None, "Factorial::last"),
            late: Atomic::new(0),
        })
    }

    /// Has the device compute `n!`.
    ///
    /// # Errors
    ///
    /// `ERANGE` if `n` is above [`MAX_N`]; the device never sees such an `n`. `EBUSY` if it is
    /// still at an earlier computation that was given up, `ETIMEDOUT` if it does not answer in
    /// time, `EIO` if the answer is wrong, `EINTR` on a signal, `ENODEV` if the device was lost.
    pub(crate) fn run(&self, task: Task<'_>, edu: &Edu, n: u32) -> Result<u32> {
        if n > MAX_N {
            return Err(ERANGE);
        }
        // Cannot overflow: 12! < 2^32.
        let expected: u32 = (1..=n).product();

        let _turn = self.gate.enter(&edu.hw)?;
        let result = self.compute(task, &edu.hw, n, expected);

        *self.last.lock() = Some(Report {
            n,
            result: result.map_err(|e| e.to_errno()),
        });
        result
    }

    fn compute(&self, task: Task<'_>, hw: &Hw, n: u32, expected: u32) -> Result<u32> {
        self.wait_until_free(task, hw)?;

        self.outcome.expect();
        if let Err(e) = hw.start_factorial(n) {
            self.outcome.give_up();
            return Err(e);
        }

        let mut answer = self.outcome.wait(hw, LIMIT)?;
        if answer != expected {
            // `trigger` can raise this very cause, and so have the thread read the register before
            // the device wrote it.
            self.wait_until_free(task, hw)?;
            answer = hw.factorial()?;
        }
        if answer != expected {
            dev_err!(
                hw.dev,
                "factorial of {n}: got {answer}, expected {expected}\n"
            );
            return Err(EIO);
        }
        Ok(answer)
    }

    fn wait_until_free(&self, task: Task<'_>, hw: &Hw) -> Result {
        let start = Instant::<Monotonic>::now();
        while hw.computing()? {
            if hw.is_lost() {
                return Err(ENODEV);
            }
            if start.elapsed() > LIMIT {
                return Err(EBUSY);
            }
            task.sleep(NAP);
        }
        Ok(())
    }

    /// Fetches the result. Called by the IRQ thread when the device says that it is done.
    pub(crate) fn complete(&self, hw: &Hw) {
        // The cause may have been raised by `trigger`, so the device's own word counts.
        if !matches!(hw.computing(), Ok(false)) {
            return;
        }
        if let Ok(result) = hw.factorial() {
            if !self.outcome.finish(result) {
                self.late.fetch_add(1, Relaxed);
            }
        }
    }

    pub(crate) fn last(&self) -> Option<Report> {
        *self.last.lock()
    }

    pub(crate) fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }
}
