// SPDX-License-Identifier: GPL-2.0

//! The timer as a source of work: each tick queues an item, as an interrupt would.

use kernel::{
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    },
    time::Delta, //
};

use irqkit::{
    context::{
        HardIrq,
        Task, //
    },
    path::{
        Access,
        Control,
        Kind,
        PathSet,
        Refusal,
        Run, //
    },
    ticker::{
        TickHandler,
        Ticker, //
    }, //
};

use crate::{
    bench::{
        Bench,
        TICK_ITEMS, //
    },
    control::{
        self,
        limited, //
    }, //
};

/// The highest rate, in ticks a second.
pub(crate) const MAX_RATE_HZ: u32 = 20_000;

/// What a tick does.
pub(crate) struct Tick {
    bench: Arc<Bench>,
    next: Atomic<u32>,
}

impl TickHandler for Tick {
    #[inline]
    fn tick(&self, _ctx: HardIrq<'_>, run: &mut Run<'_>) {
        // Only ticks write it, and they never run beside each other.
        let index = self.next.load(Relaxed);
        self.next
            .store(if index + 1 < TICK_ITEMS { index + 1 } else { 0 }, Relaxed);
        // What the queue does not take now, the next tick brings again.
        if self.bench.tick(index as usize, run.cause()).is_ok() {
            run.items(1);
        }
    }
}

/// The ticker, and how fast it goes.
#[pin_data]
pub(crate) struct Clock {
    #[pin]
    ticker: Ticker<Tick>,
    rate_hz: Atomic<u32>,
    bench: Arc<Bench>,
}

impl Clock {
    fn set_rate(&self, task: Task<'_>, hz: u32) -> Result {
        match 1_000_000_u32.checked_div(hz) {
            None => self.ticker.stop(task),
            Some(us) => self.ticker.start(task, Delta::from_micros(us.into()))?,
        }
        self.rate_hz.store(hz, Relaxed);
        Ok(())
    }
}

/// A timer and its files: all that there is in place of a device.
///
/// Fields are dropped in this order: the files, so that nobody starts anything new; the timer, so
/// that no tick queues any more; and then, with the last who holds them, items and queues.
pub(crate) struct TimerSource {
    _files: PathSet,
    clock: Arc<Clock>,
}

impl TimerSource {
    /// Makes the timer `name`, with queues of the number `index`, and lets it tick.
    pub(crate) fn new(task: Task<'_>, name: &CStr, index: u32, rate_hz: u32) -> Result<Self> {
        let files = PathSet::new::<crate::LocalModule>(name)?;
        let path = files.path(Kind::HardIrq, c"hardirq")?;
        let bench = Bench::new(&files, index, true)?;
        let tick = Tick {
            bench: bench.clone(),
            next: Atomic::new(0),
        };
        control::add_files(&files, &bench)?;
        let clock = Arc::pin_init(
            try_pin_init!(Clock {
                ticker <- Ticker::new(tick, path),
                rate_hz: Atomic::new(0),
                bench,
            }),
            GFP_KERNEL,
        )?;
        files.control::<RateHz>(clock.clone())?;
        clock.set_rate(task, rate_hz)?;

        Ok(Self {
            _files: files,
            clock,
        })
    }
}

impl Drop for TimerSource {
    fn drop(&mut self) {
        // Whoever waits for items in a file gives up, or the files could not be removed.
        self.clock.bench.leave();
    }
}

/// How many ticks a second there are.
enum RateHz {}

impl Control for RateHz {
    type Data = Clock;
    const NAME: &'static CStr = c"rate_hz";
    const ACCESS: Access = Access::ReadWrite;

    fn show(clock: &Clock, _task: Task<'_>, out: &SeqFile) -> Result {
        seq_print!(out, "{}\n", clock.rate_hz.load(Relaxed));
        Ok(())
    }

    fn store(clock: &Clock, task: Task<'_>, text: &str) -> Result<(), Refusal> {
        let hz = limited(
            text,
            0,
            MAX_RATE_HZ,
            "expected ticks a second, 1 to 20000, or 0 for none",
        )?;
        Ok(clock.set_rate(task, hz)?)
    }
}
