// SPDX-License-Identifier: GPL-2.0

//! What `build/demo/report.json` holds.
//!
//! All times are in nanoseconds. A change that a reader of the file could stumble over raises
//! [`SCHEMA`].

use std::collections::BTreeMap;

use irqstat::{
    Histogram,
    PathStats, //
};
use serde::Serialize;

use crate::{
    books::Comparison,
    edu::Mode, //
};

/// The version of the report's layout.
pub const SCHEMA: u32 = 1;

/// The whole report.
#[derive(Serialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Whether every comparison is equal.
    pub reconciled: bool,
    /// The kernel that it ran on.
    pub kernel: Kernel,
    /// The devices, with all that the driver counted for each.
    pub devices: Vec<DeviceReport>,
    /// What HI and TASKLET softirqs the kernel ran while nothing of ours did.
    pub idle: Idle,
    /// How many interrupts each device was told to raise for each way of handing them on.
    pub interrupts: u64,
    /// How long each way took.
    pub steps: Vec<Step>,
    /// Every comparison, with both its sides.
    pub comparisons: Vec<Comparison>,
}

/// The kernel that the demo ran on.
#[derive(Serialize)]
pub struct Kernel {
    /// As `uname -r` has it.
    pub release: String,
    /// As `/proc/version` has it.
    pub version: String,
    /// How many CPUs are online.
    pub cpus: usize,
    /// What the kernel tells the time by.
    pub clocksource: String,
}

/// One device.
#[derive(Serialize)]
pub struct DeviceReport {
    /// Its PCI address.
    pub address: String,
    /// How it signals interrupts.
    pub mode: Mode,
    /// The number of its interrupt.
    pub irq: u32,
    /// That interrupt's row in /proc/interrupts, after the counts.
    pub description: String,
    /// The other devices of this demo on the same interrupt.
    pub shares_with: Vec<String>,
    /// The factorial that it computed.
    pub factorial: Factorial,
    /// The DMA round trip.
    pub dma: Dma,
    /// Its paths, in the driver's order.
    pub paths: Vec<PathReport>,
}

/// A factorial.
#[derive(Serialize)]
pub struct Factorial {
    /// The argument.
    pub n: u32,
    /// What the device says that n! is.
    pub value: u64,
}

/// A DMA round trip.
#[derive(Serialize)]
pub struct Dma {
    /// How many bytes were moved, both ways taken together.
    pub bytes: u64,
    /// How many of them came back changed.
    pub mismatches: u64,
}

/// One path of one device.
#[derive(Serialize)]
pub struct PathReport {
    /// Its name.
    pub name: String,
    /// Every counter.
    pub counters: PathStats,
    /// How long work waited to be started.
    pub wait_ns: Histogram,
    /// How long it ran.
    pub run_ns: Histogram,
    /// Of a work queue: how long after its due time work ran that was requested with a delay.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_ns: Option<Histogram>,
}

/// What was measured while the machine was left alone.
#[derive(Serialize)]
pub struct Idle {
    /// For how long.
    pub duration_ns: u64,
    /// How many softirqs of each vector there were.
    pub softirqs: BTreeMap<String, u64>,
}

/// One way of handing interrupts on.
#[derive(Serialize)]
pub struct Step {
    /// The word written to `defer`.
    pub defer: String,
    /// How many interrupts all devices raised together.
    pub interrupts: u64,
    /// How long that took.
    pub duration_ns: u64,
}
