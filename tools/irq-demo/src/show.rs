// SPDX-License-Identifier: GPL-2.0

//! What the user sees.

use crate::{
    books::WHOLE,
    edu::{
        Edu,
        Mode, //
    },
    report::{
        Dma,
        Factorial,
        Idle,
        Kernel,
        Report,
        Step, //
    },
    run::sharers,
};

/// A number with commas between the thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();

    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A time in microseconds, which is what all times of an interrupt are best told in.
fn microseconds(nanoseconds: Option<u64>) -> String {
    match nanoseconds {
        None => "-".to_owned(),
        Some(ns) => format!("{}.{}", grouped(ns / 1000), ns / 100 % 10),
    }
}

pub fn kernel(kernel: &Kernel) {
    println!(
        "Interrupts in Rust, on Linux {} with {} CPUs",
        kernel.release, kernel.cpus
    );
}

pub fn devices(devices: &[Edu]) {
    println!("\nDevices, now bound to rust_irq_demo");
    for device in devices {
        let how = match device.mode {
            Mode::Intx => "INTx",
            Mode::Msi => "MSI",
        };
        let others: Vec<_> = sharers(devices, device)
            .map(|other| other.address.as_str())
            .collect();
        let sharing = if others.is_empty() {
            String::new()
        } else {
            format!(", on one line with {}", others.join(", "))
        };
        println!(
            "  {}  edu  IRQ {:<3} {how}{sharing}",
            device.address, device.irq
        );
    }
}

pub fn idle(idle: &Idle) {
    let counts: Vec<_> = idle
        .softirqs
        .iter()
        .map(|(vector, count)| format!("{vector} {count}"))
        .collect();
    println!(
        "  Softirqs that the rest of the kernel ran while these were idle for {} ms: {}",
        idle.duration_ns / 1_000_000,
        counts.join(", ")
    );
}

pub fn steps_head(interrupts: u64, devices: usize) {
    println!(
        "\nInterrupts: {} from each of {devices} devices, handed on in each way in turn",
        grouped(interrupts)
    );
}

pub fn step(step: &Step) {
    let way = match step.defer.as_str() {
        "none" => "the hard handler does it all",
        "thread" => "to the IRQ thread, which may sleep",
        "tasklet" => "to a tasklet, in the softirq TASKLET",
        "tasklet_hi" => "to a high-priority tasklet, in HI",
        _ => "to all three of them",
    };
    println!(
        "  {:<11} {way:<38} {:>8} in {:>5} ms",
        step.defer,
        grouped(step.interrupts),
        grouped(step.duration_ns / 1_000_000)
    );
}

pub fn work_head() {
    println!("\nWork that ends with an interrupt");
}

pub fn work(address: &str, factorial: &Factorial, dma: &Dma) {
    println!(
        "  {address}  {}! = {}   DMA there and back: {} bytes, {} changed",
        factorial.n,
        factorial.value,
        grouped(dma.bytes),
        dma.mismatches
    );
}

pub fn paths(report: &Report) {
    println!("\nWhat each path did (times in microseconds; p50 and p99 are upper bounds)");
    println!(
        "  {:<11} {:>9} {:>9} {:>7} {:>7} {:>28} {:>28}",
        "", "", "", "", "", "-- waited to start --", "-------- ran --------"
    );
    println!(
        "  {:<11} {:>9} {:>9} {:>7} {:>7} {:>8} {:>9} {:>9} {:>8} {:>9} {:>9}",
        "path", "scheduled", "coalesced", "runs", "items", "p50", "p99", "max", "p50", "p99", "max"
    );
    for device in &report.devices {
        println!("  {} IRQ {}", device.address, device.irq);
        for path in &device.paths {
            let counter = |name| {
                path.counters
                    .get(name)
                    .map_or_else(|_| "-".to_owned(), grouped)
            };
            print!(
                "  {:<11} {:>9} {:>9} {:>7} {:>7}",
                path.name,
                counter("scheduled"),
                counter("coalesced"),
                counter("runs"),
                counter("items")
            );
            for histogram in [&path.wait_ns, &path.run_ns] {
                let max = (histogram.count > 0).then_some(histogram.max);
                print!(
                    " {:>8} {:>9} {:>9}",
                    microseconds(histogram.percentile(50.0)),
                    microseconds(histogram.percentile(99.0)),
                    microseconds(max)
                );
            }
            println!();
        }
    }
    println!(
        "\n  All wait from the write that made the device interrupt, so a thread's or tasklet's wait\n  \
         has the hard handler in it. On a shared line the hard handler also runs for the other\n  \
         device's interrupts, and says NONE: such runs have no items and no wait."
    );
}

pub fn books(report: &Report) {
    println!("\nThe books: what the driver counted, and what the kernel counted on its own");
    println!("  {:<34} {:>9}   {:>9}  where", "driver", "", "kernel");
    for comparison in report.comparisons.iter().filter(|comparison| {
        comparison.during == WHOLE && comparison.right_is.starts_with("/proc/")
    }) {
        println!(
            "  {:<34} {:>9} {} {:>9}  {}",
            comparison.left_is,
            grouped(comparison.left),
            if comparison.equal { "=" } else { "≠" },
            grouped(comparison.right),
            comparison.right_is
        );
    }

    let wrong: Vec<_> = report
        .comparisons
        .iter()
        .filter(|comparison| !comparison.equal)
        .collect();
    if wrong.is_empty() {
        println!(
            "  All {} comparisons are equal, for each way and over all: nothing was lost, nothing\n  \
             counted twice, and every interrupt of a shared line was taken by its owner alone.",
            report.comparisons.len()
        );
    } else {
        println!(
            "\nTHE BOOKS DO NOT AGREE: {} of {} comparisons",
            wrong.len(),
            report.comparisons.len()
        );
        for comparison in wrong {
            println!(
                "  during {}: {} is {}, but {} is {}",
                comparison.during,
                comparison.left_is,
                comparison.left,
                comparison.right_is,
                comparison.right
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1000), "1,000");
        assert_eq!(grouped(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn times() {
        assert_eq!(microseconds(None), "-");
        assert_eq!(microseconds(Some(0)), "0.0");
        assert_eq!(microseconds(Some(1999)), "1.9");
        assert_eq!(microseconds(Some(1_234_567)), "1,234.5");
    }
}
