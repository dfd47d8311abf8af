// SPDX-License-Identifier: GPL-2.0

//! The demo itself: what is done, in which order.

use std::{
    collections::BTreeMap,
    fs,
    thread::sleep,
    time::{
        Duration,
        Instant, //
    },
};

use anyhow::{
    ensure,
    Context,
    Result, //
};
use irqstat::Interrupts;

use crate::{
    books::{
        self,
        Books,
        Snapshot, //
    },
    edu::{
        self,
        Edu,
        Mode, //
    },
    report::{
        DeviceReport,
        Dma,
        Factorial,
        Idle,
        Kernel,
        PathReport,
        Report,
        Step,
        SCHEMA, //
    },
    show,
};

/// The words that `defer` takes, from the shortest way to the longest.
const WAYS: [&str; 5] = ["none", "thread", "tasklet", "tasklet_hi", "all"];

/// How long the machine is left alone to see what else uses the softirqs that we count.
const IDLE: Duration = Duration::from_millis(300);

/// 12! is the largest factorial that fits in the device's 32 bits.
const FACTORIAL: u32 = 12;

/// The largest transfer that the driver lets the device do.
const DMA_BYTES: u32 = 4095;

/// Does everything; returns what there is to report.
pub fn run(intx: &[String], msi: &[String], interrupts: u64) -> Result<Report> {
    let kernel = kernel()?;
    show::kernel(&kernel);

    let devices = set_up(intx, msi)?;
    show::devices(&devices);

    let idle = idle(&devices)?;
    show::idle(&idle);

    let mut books = Books::default();
    let start = Snapshot::take(&devices)?;
    let steps = raise(&mut books, &devices, interrupts)?;
    let (factorials, dmas) = work(&devices)?;
    let end = Snapshot::take(&devices)?;

    books::with_the_kernel(&mut books, books::WHOLE, &devices, &start, &end)?;

    let mut reports = Vec::new();
    for ((device, factorial), dma) in devices.iter().zip(factorials).zip(dmas) {
        let report = DeviceReport {
            address: device.address.clone(),
            mode: device.mode,
            irq: device.irq,
            description: end.description(device.irq)?,
            shares_with: sharers(&devices, device)
                .map(|other| other.address.clone())
                .collect(),
            factorial,
            dma,
            paths: paths(device)?,
        };
        books::of_the_paths(&mut books, &report, interrupts * WAYS.len() as u64)
            .with_context(|| format!("the books of {}", device.address))?;
        reports.push(report);
    }

    let comparisons = books.into_inner();
    Ok(Report {
        schema: SCHEMA,
        reconciled: comparisons.iter().all(|comparison| comparison.equal),
        kernel,
        devices: reports,
        idle,
        interrupts,
        steps,
        comparisons,
    })
}

/// The other devices on the interrupt of `device`.
pub fn sharers<'a>(devices: &'a [Edu], device: &'a Edu) -> impl Iterator<Item = &'a Edu> {
    devices
        .iter()
        .filter(move |other| other.irq == device.irq && other.address != device.address)
}

fn kernel() -> Result<Kernel> {
    let read = |file: &str| -> Result<String> {
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {file}"))?;
        Ok(text.trim().to_owned())
    };
    let online = Interrupts::parse(&read("/proc/interrupts")?)?
        .line("LOC")?
        .per_cpu
        .len();
    Ok(Kernel {
        release: read("/proc/sys/kernel/osrelease")?,
        version: read("/proc/version")?,
        cpus: online,
        clocksource: read("/sys/devices/system/clocksource/clocksource0/current_clocksource")?,
    })
}

/// Binds the devices to the driver, and sets all counters to 0.
fn set_up(intx: &[String], msi: &[String]) -> Result<Vec<Edu>> {
    ensure!(
        !intx.is_empty() || !msi.is_empty(),
        "no device given: use --intx ADDRESS or --msi ADDRESS (lspci -Dd 1234:11e8 lists them)"
    );
    let wanted: Vec<_> = intx
        .iter()
        .map(|address| (address, Mode::Intx))
        .chain(msi.iter().map(|address| (address, Mode::Msi)))
        .collect();

    for (address, mode) in &wanted {
        edu::allow_msi(address, *mode)?;
    }
    edu::load_driver()?;

    let devices = wanted
        .iter()
        .map(|(address, mode)| Edu::open(address, *mode))
        .collect::<Result<Vec<_>>>()?;
    for device in &devices {
        device.files.set_timing(true)?;
        device.files.reset()?;
    }
    Ok(devices)
}

fn idle(devices: &[Edu]) -> Result<Idle> {
    let start = Instant::now();
    let before = Snapshot::take(devices)?;
    sleep(IDLE);
    let after = Snapshot::take(devices)?;

    let mut softirqs = BTreeMap::new();
    for vector in ["HI", "TASKLET"] {
        softirqs.insert(vector.to_owned(), after.softirq_since(&before, vector)?);
    }
    Ok(Idle {
        duration_ns: nanoseconds(start.elapsed()),
        softirqs,
    })
}

/// Raises the interrupts, every way in turn.
fn raise(books: &mut Books, devices: &[Edu], interrupts: u64) -> Result<Vec<Step>> {
    let mut steps = Vec::new();

    show::steps_head(interrupts, devices.len());
    for way in WAYS {
        for device in devices {
            device.defer(way)?;
        }

        let before = Snapshot::take(devices)?;
        let start = Instant::now();
        for device in devices {
            device
                .trigger(interrupts)
                .with_context(|| format!("with defer set to {way}"))?;
        }
        let duration = start.elapsed();
        let after = Snapshot::take(devices)?;

        books::of_a_step(
            books,
            way,
            devices,
            interrupts,
            &after.stats_since(&before)?,
        )?;
        books::with_the_kernel(books, way, devices, &before, &after)?;

        let step = Step {
            defer: way.to_owned(),
            interrupts: interrupts * devices.len() as u64,
            duration_ns: nanoseconds(duration),
        };
        show::step(&step);
        steps.push(step);
    }
    for device in devices {
        device.defer("thread")?;
    }
    Ok(steps)
}

/// Has each device do what it is there for; its interrupt says when it is done.
fn work(devices: &[Edu]) -> Result<(Vec<Factorial>, Vec<Dma>)> {
    let mut factorials = Vec::new();
    let mut dmas = Vec::new();

    show::work_head();
    for device in devices {
        let value = device.factorial(FACTORIAL)?;
        let (bytes, mismatches) = device.dma_round_trip(DMA_BYTES)?;

        let factorial = Factorial {
            n: FACTORIAL,
            value,
        };
        let dma = Dma { bytes, mismatches };
        show::work(&device.address, &factorial, &dma);
        factorials.push(factorial);
        dmas.push(dma);
    }
    Ok((factorials, dmas))
}

fn paths(device: &Edu) -> Result<Vec<PathReport>> {
    let stats = device.stats_at_rest()?;
    stats
        .paths()
        .map(|(name, counters)| {
            Ok(PathReport {
                name: name.to_owned(),
                counters: counters.clone(),
                wait_ns: device.files.histogram(name, "wait_ns")?,
                run_ns: device.files.histogram(name, "run_ns")?,
                late_ns: if name.starts_with("work/") {
                    Some(device.files.histogram(name, "late_ns")?)
                } else {
                    None
                },
            })
        })
        .collect()
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
