// SPDX-License-Identifier: GPL-2.0

//! One `edu` device: binding it to the driver, and its control files.

use std::{
    collections::BTreeMap,
    fs,
    path::{
        Path,
        PathBuf, //
    },
    process::Command,
    thread::sleep,
    time::{
        Duration,
        Instant, //
    },
};

use anyhow::{
    bail,
    ensure,
    Context,
    Result, //
};
use irqstat::{
    Device,
    Stats, //
};
use serde::Serialize;

/// The driver.
pub const MODULE: &str = "rust_irq_demo";

/// How long counts may take to come to rest after the last interrupt.
const REST: Duration = Duration::from_secs(5);

/// How a device signals its interrupts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// A level-triggered line, which other devices may share.
    Intx,
    /// A message, which nobody shares.
    Msi,
}

/// A device that is bound to the driver.
pub struct Edu {
    /// Its PCI address.
    pub address: String,
    /// How it was asked to signal its interrupts.
    pub mode: Mode,
    /// The number of its interrupt in /proc/interrupts.
    pub irq: u32,
    /// Its files in debugfs.
    pub files: Device,
}

fn sysfs(address: &str) -> PathBuf {
    Path::new("/sys/bus/pci/devices").join(address)
}

/// Says whether `address` may use MSI. The driver, asked to choose by itself, takes MSI where it
/// may; this is the kernel's own switch, and works for every driver.
pub fn allow_msi(address: &str, mode: Mode) -> Result<()> {
    let file = sysfs(address).join("msi_bus");
    let allowed = if mode == Mode::Msi { "1" } else { "0" };

    fs::write(&file, allowed).with_context(|| {
        format!(
            "cannot write {}: is there a device {address}?",
            file.display()
        )
    })
}

/// Loads the driver, afresh, so that it binds the devices as they are now set up.
pub fn load_driver() -> Result<()> {
    if Path::new("/sys/module").join(MODULE).exists() {
        modprobe(&["-r", MODULE])?;
    }
    modprobe(&[MODULE])
}

fn modprobe(arguments: &[&str]) -> Result<()> {
    let status = Command::new("modprobe")
        .args(arguments)
        .status()
        .context("cannot run modprobe")?;
    ensure!(
        status.success(),
        "modprobe {} failed: see dmesg",
        arguments.join(" ")
    );
    Ok(())
}

impl Edu {
    /// Finds the device `address`, which the driver must have bound.
    pub fn open(address: &str, mode: Mode) -> Result<Self> {
        let files = Device::open(MODULE, address).with_context(|| {
            format!("{MODULE} has not bound {address} (see dmesg), or debugfs is not mounted")
        })?;
        let file = sysfs(address).join("irq");
        let text =
            fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let irq = text
            .trim()
            .parse()
            .with_context(|| format!("{}: \"{}\"", file.display(), text.trim()))?;

        // The kernel lists the messages that are in use here, and has no such directory for INTx.
        let has_msi = sysfs(address).join("msi_irqs").exists();
        match (mode, has_msi) {
            (Mode::Msi, false) => bail!("{address} was to use MSI, but uses INTx"),
            (Mode::Intx, true) => bail!("{address} was to use INTx, but uses MSI"),
            _ => {}
        }
        Ok(Self {
            address: address.to_owned(),
            mode,
            irq,
            files,
        })
    }

    /// Chooses how the hard handler hands interrupts on from now on.
    pub fn defer(&self, way: &str) -> Result<()> {
        self.files.write("defer", way)
    }

    /// Raises `count` interrupts, the next when the former is done with everywhere.
    pub fn trigger(&self, count: u64) -> Result<()> {
        self.files.write("trigger", &format!("{count} paced"))
    }

    /// Has the device compute `n!`.
    pub fn factorial(&self, n: u32) -> Result<u64> {
        self.files.write("factorial", &n.to_string())?;
        self.field("factorial", "value")?
            .parse()
            .context("the device's factorial is not a number")
    }

    /// Sends `length` bytes to the device's memory by DMA and fetches them back; returns the
    /// number of bytes that were moved and of those that came back changed.
    pub fn dma_round_trip(&self, length: u32) -> Result<(u64, u64)> {
        self.files.write("dma", &format!("roundtrip {length}"))?;
        Ok((
            self.field("dma", "bytes")?.parse()?,
            self.field("dma", "mismatches")?.parse()?,
        ))
    }

    /// The value of one line of one of the control files.
    fn field(&self, file: &str, name: &str) -> Result<String> {
        let text = self.files.read(file)?;
        let fields: BTreeMap<_, _> = text
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        fields
            .get(name)
            .map(|value| (*value).to_owned())
            .with_context(|| format!("{}: {file} has no line {name}", self.address))
    }

    /// Reads the counters once nothing is in flight any more.
    ///
    /// The driver answers a trigger when the work is done; the run that did it may end, and count
    /// its end, a moment later.
    pub fn stats_at_rest(&self) -> Result<Stats> {
        let start = Instant::now();
        loop {
            let stats = self.files.stats()?;
            if stats.at_rest()? && self.runs_have_ended(&stats)? {
                return Ok(stats);
            }
            ensure!(
                start.elapsed() < REST,
                "{}: work was still in flight {} s after the last interrupt",
                self.address,
                REST.as_secs()
            );
            sleep(Duration::from_millis(5));
        }
    }

    fn runs_have_ended(&self, stats: &Stats) -> Result<bool> {
        for (path, counters) in stats.paths() {
            if self.files.histogram(path, "run_ns")?.count != counters.get("runs")? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
