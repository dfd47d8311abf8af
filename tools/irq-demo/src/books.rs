// SPDX-License-Identifier: GPL-2.0

//! The books: what must equal what.
//!
//! What makes the comparisons exact:
//! - The kernel counts an interrupt in /proc/interrupts once for each time that it calls the
//!   line's handlers, and calls every handler of the line. (It may call the handlers of an edge
//!   twice for one count if the next edge comes while they run; the demo raises the next
//!   interrupt only when the former is done with.)
//! - It counts a softirq in /proc/softirqs once for each time that it works off a vector's list.
//!   A run that finds two tasklets in the list counts once; one that finds the tasklet locked by
//!   another CPU counts for nothing. With one interrupt at a time there is exactly one tasklet in
//!   the list, and nobody else runs it.
//! - Nothing else in the guest uses the HI and TASKLET vectors. That is not taken on trust: the
//!   demo measures it before it starts, and the comparison would fail.

use anyhow::Result;
use irqstat::{
    Interrupts,
    Softirqs,
    Stats, //
};
use serde::Serialize;

use crate::edu::Edu;

/// The whole demo, as opposed to one step of it.
pub const WHOLE: &str = "the whole demo";

/// Two numbers that must be equal.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// What was going on: a word written to `defer`, or [`WHOLE`].
    pub during: String,
    /// What the left side is.
    pub left_is: String,
    /// The left side, for the most part a count of ours.
    pub left: u64,
    /// What the right side is.
    pub right_is: String,
    /// The right side, for the most part a count of the kernel's.
    pub right: u64,
    /// Whether they are equal.
    pub equal: bool,
}

/// Collects comparisons.
#[derive(Default)]
pub struct Books(Vec<Comparison>);

impl Books {
    /// Adds a comparison.
    pub fn compare(
        &mut self,
        during: &str,
        (left_is, left): (impl Into<String>, u64),
        (right_is, right): (impl Into<String>, u64),
    ) {
        self.0.push(Comparison {
            during: during.to_owned(),
            left_is: left_is.into(),
            left,
            right_is: right_is.into(),
            right,
            equal: left == right,
        });
    }

    /// All of them.
    pub fn into_inner(self) -> Vec<Comparison> {
        self.0
    }
}

/// One reading of everything there is to compare.
pub struct Snapshot {
    interrupts: Interrupts,
    softirqs: Softirqs,
    /// By device, in the order of the devices.
    stats: Vec<Stats>,
}

impl Snapshot {
    /// Reads it, once nothing is in flight.
    pub fn take(devices: &[Edu]) -> Result<Self> {
        let stats = devices
            .iter()
            .map(Edu::stats_at_rest)
            .collect::<Result<_>>()?;
        Ok(Self {
            interrupts: Interrupts::parse(&std::fs::read_to_string("/proc/interrupts")?)?,
            softirqs: Softirqs::parse(&std::fs::read_to_string("/proc/softirqs")?)?,
            stats,
        })
    }

    /// How often `irq` was counted from `earlier` to this reading.
    fn line_since(&self, earlier: &Self, irq: u32) -> Result<u64> {
        let label = irq.to_string();
        let then = earlier.interrupts.line(&label)?.total();
        Ok(self.interrupts.line(&label)?.total().saturating_sub(then))
    }

    /// How often `vector` was counted from `earlier` to this reading.
    pub fn softirq_since(&self, earlier: &Self, vector: &str) -> Result<u64> {
        let then = earlier.softirqs.total(vector)?;
        Ok(self.softirqs.total(vector)?.saturating_sub(then))
    }

    /// What each device counted from `earlier` to this reading.
    pub fn stats_since(&self, earlier: &Self) -> Result<Vec<Stats>> {
        self.stats
            .iter()
            .zip(&earlier.stats)
            .map(|(now, then)| now.since(then))
            .collect()
    }

    /// The row of `irq` in /proc/interrupts, after the counts.
    pub fn description(&self, irq: u32) -> Result<String> {
        let line = self.interrupts.line(&irq.to_string())?;
        Ok(line
            .description
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" "))
    }
}

/// Compares what we counted between two readings with what the kernel counted.
pub fn with_the_kernel(
    books: &mut Books,
    during: &str,
    devices: &[Edu],
    before: &Snapshot,
    after: &Snapshot,
) -> Result<()> {
    let stats = after.stats_since(before)?;

    for (device, stats) in devices.iter().zip(&stats) {
        let name = &device.address;
        books.compare(
            during,
            (
                format!("{name} hardirq.runs"),
                stats.get("hardirq", "runs")?,
            ),
            (
                format!("/proc/interrupts IRQ {}", device.irq),
                after.line_since(before, device.irq)?,
            ),
        );
    }
    for (vector, path) in [("HI", "tasklet_hi"), ("TASKLET", "tasklet")] {
        let mut runs = 0;
        for stats in &stats {
            runs += stats.get(path, "runs")?;
        }
        books.compare(
            during,
            (format!("all devices {path}.runs"), runs),
            (
                format!("/proc/softirqs {vector}"),
                after.softirq_since(before, vector)?,
            ),
        );
    }
    Ok(())
}

/// Which of the deferrals a word written to `defer` stands for.
fn chosen(defer: &str) -> Vec<&str> {
    match defer {
        "none" => vec![],
        "all" => DEFERRALS.to_vec(),
        one => vec![one],
    }
}

const DEFERRALS: [&str; 3] = ["thread", "tasklet", "tasklet_hi"];

/// Compares what one step should have done with what it did: `raised` interrupts by each device,
/// handed on as `defer` says.
pub fn of_a_step(
    books: &mut Books,
    defer: &str,
    devices: &[Edu],
    raised: u64,
    stats: &[Stats],
) -> Result<()> {
    for (device, stats) in devices.iter().zip(stats) {
        let name = &device.address;
        let ours = stats.get("hardirq", "handled")? + stats.get("hardirq", "wake_thread")?;
        books.compare(
            defer,
            (format!("{name} hardirq.handled + wake_thread"), ours),
            (format!("{name} interrupts raised"), raised),
        );

        // Every interrupt of a sharer calls this device's handler as well, which must say so.
        let sharers = devices
            .iter()
            .filter(|other| other.irq == device.irq && other.address != device.address)
            .count() as u64;
        books.compare(
            defer,
            (
                format!("{name} hardirq.none"),
                stats.get("hardirq", "none")?,
            ),
            (
                format!("interrupts raised by those that share IRQ {}", device.irq),
                raised * sharers,
            ),
        );

        for path in DEFERRALS {
            let expected = if chosen(defer).contains(&path) {
                raised
            } else {
                0
            };
            for counter in ["scheduled", "runs", "items"] {
                books.compare(
                    defer,
                    (
                        format!("{name} {path}.{counter}"),
                        stats.get(path, counter)?,
                    ),
                    (format!("interrupts handed to {path}"), expected),
                );
            }
        }
    }
    Ok(())
}

/// Compares the counters of each device with one another and with its histograms, over the
/// whole demo.
///
/// `raised` is how many interrupts the device was told to raise; those are the ones that the hard
/// handler knows the beginning of. It does not know when the device ended its work, nor does it
/// wait for what is another device's.
pub fn of_the_paths(
    books: &mut Books,
    device: &crate::report::DeviceReport,
    raised: u64,
) -> Result<()> {
    for path in &device.paths {
        let name = format!("{} {}", device.address, path.name);
        let get = |counter| path.counters.get(counter);
        let runs = get("runs")?;

        books.compare(
            WHOLE,
            (format!("{name}.scheduled"), get("scheduled")?),
            (
                format!("{name}.runs + coalesced + cancelled"),
                runs + get("coalesced")? + get("cancelled")?,
            ),
        );
        for (which, histogram) in [("wait_ns", &path.wait_ns), ("run_ns", &path.run_ns)] {
            let expected = if path.name == "hardirq" && which == "wait_ns" {
                ("interrupts raised".to_owned(), raised)
            } else {
                (format!("{name}.runs"), runs)
            };
            books.compare(
                WHOLE,
                (format!("{name}/{which} count"), histogram.count),
                expected,
            );
            books.compare(
                WHOLE,
                (
                    format!("{name}/{which} sum of the buckets"),
                    histogram.buckets.iter().map(|bucket| bucket.count).sum(),
                ),
                (format!("{name}/{which} count"), histogram.count),
            );
            // An error is worse than unequal numbers: the histogram contradicts itself.
            histogram.check()?;
        }
        for counter in ["context_mismatch", "overlap"] {
            books.compare(
                WHOLE,
                (format!("{name}.{counter}"), get(counter)?),
                ("none".to_owned(), 0),
            );
        }
        if path.name == "hardirq" {
            books.compare(
                WHOLE,
                (format!("{name}.runs"), runs),
                (
                    format!("{name}.handled + wake_thread + none"),
                    get("handled")? + get("wake_thread")? + get("none")?,
                ),
            );
        }
    }
    books.compare(
        WHOLE,
        (
            format!("{} bytes changed by DMA", device.address),
            device.dma.mismatches,
        ),
        ("none".to_owned(), 0),
    );
    books.compare(
        WHOLE,
        (
            format!("{} {}!", device.address, device.factorial.n),
            device.factorial.value,
        ),
        (
            format!("{}! computed here", device.factorial.n),
            (1..=u64::from(device.factorial.n)).product(),
        ),
    );
    Ok(())
}
