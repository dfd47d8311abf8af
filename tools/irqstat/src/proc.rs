// SPDX-License-Identifier: GPL-2.0

//! `/proc/interrupts` and `/proc/softirqs`.
//!
//! Rows are found by name, columns by the CPU that heads them, never by position: rows come and
//! go with drivers, columns with CPU hotplug.

use std::collections::BTreeMap;

use anyhow::{
    anyhow,
    ensure,
    Context,
    Result, //
};
use serde::Serialize;

/// One row of `/proc/interrupts`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The count of each CPU that is online, by its number.
    pub per_cpu: BTreeMap<u32, u64>,
    /// The rest of the row: the interrupt controller, the trigger type and the handlers' names.
    pub description: String,
}

impl Line {
    /// The sum over all CPUs that are online.
    pub fn total(&self) -> u64 {
        self.per_cpu.values().sum()
    }

    /// The names under which handlers are registered, in the order of registration.
    pub fn actions(&self) -> Vec<&str> {
        let mut names: Vec<_> = self.description.split(", ").collect();
        // Before the first name stand the controller, the hardware number and the trigger type.
        if let Some(first) = names.first_mut() {
            *first = first
                .rsplit_once([' ', '\t'])
                .map_or(*first, |(_, name)| name);
        }
        names
    }
}

/// One reading of `/proc/interrupts`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interrupts(BTreeMap<String, Line>);

impl Interrupts {
    /// Parses the text of `/proc/interrupts`.
    pub fn parse(text: &str) -> Result<Self> {
        let (cpus, rows) = split_header(text)?;
        let mut lines = BTreeMap::new();

        for row in rows {
            let (label, rest) = split_label(row)?;
            let mut per_cpu = BTreeMap::new();
            let mut rest = rest.trim_start();

            for cpu in &cpus {
                let (word, after) = split_word(rest);
                // The rows ERR and MIS have one total instead of a count for each CPU.
                let Ok(count) = word.parse() else { break };
                per_cpu.insert(*cpu, count);
                rest = after;
            }
            lines.insert(
                label.to_owned(),
                Line {
                    per_cpu,
                    description: rest.trim().to_owned(),
                },
            );
        }
        Ok(Self(lines))
    }

    /// The row of `label`: an IRQ number, or a name such as `LOC`.
    pub fn line(&self, label: &str) -> Result<&Line> {
        self.0
            .get(label)
            .ok_or_else(|| anyhow!("/proc/interrupts has no row {label}"))
    }
}

/// One reading of `/proc/softirqs`.
///
/// That file has a column for every possible CPU, so nothing is lost when one goes offline.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Softirqs(BTreeMap<String, BTreeMap<u32, u64>>);

impl Softirqs {
    /// Parses the text of `/proc/softirqs`.
    pub fn parse(text: &str) -> Result<Self> {
        let (cpus, rows) = split_header(text)?;
        let mut vectors = BTreeMap::new();

        for row in rows {
            let (label, rest) = split_label(row)?;
            let counts = rest
                .split_whitespace()
                .map(|word| word.parse().context("expected a whole number"))
                .collect::<Result<Vec<u64>>>()
                .with_context(|| format!("/proc/softirqs row {label}"))?;
            ensure!(
                counts.len() == cpus.len(),
                "/proc/softirqs row {label} has {} columns, the head has {}",
                counts.len(),
                cpus.len()
            );
            vectors.insert(label.to_owned(), cpus.iter().copied().zip(counts).collect());
        }
        Ok(Self(vectors))
    }

    /// The count of `vector`, such as `TASKLET`, on each possible CPU.
    pub fn per_cpu(&self, vector: &str) -> Result<&BTreeMap<u32, u64>> {
        self.0
            .get(vector)
            .ok_or_else(|| anyhow!("/proc/softirqs has no row {vector}"))
    }

    /// The sum of `vector` over all possible CPUs.
    pub fn total(&self, vector: &str) -> Result<u64> {
        Ok(self.per_cpu(vector)?.values().sum())
    }
}

/// The numbers of the CPUs in the head line, and the lines after it.
fn split_header(text: &str) -> Result<(Vec<u32>, impl Iterator<Item = &str>)> {
    let mut lines = text.lines();
    let head = lines.next().unwrap_or_default();
    let cpus = head
        .split_whitespace()
        .map(|word| {
            word.strip_prefix("CPU")
                .and_then(|number| number.parse().ok())
                .ok_or_else(|| anyhow!("expected a head of CPU0 CPU1 …, found \"{head}\""))
        })
        .collect::<Result<Vec<u32>>>()?;

    ensure!(!cpus.is_empty(), "the head names no CPU");
    Ok((cpus, lines))
}

fn split_label(row: &str) -> Result<(&str, &str)> {
    row.split_once(':')
        .map(|(label, rest)| (label.trim(), rest))
        .filter(|(label, _)| !label.is_empty())
        .ok_or_else(|| anyhow!("expected a row with a label, found \"{row}\""))
}

fn split_word(text: &str) -> (&str, &str) {
    match text.split_once(char::is_whitespace) {
        Some((word, rest)) => (word, rest.trim_start()),
        None => (text, ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERRUPTS: &str = "           CPU0       CPU1       \n\
\x20  1:          0          9  IO-APIC   1-edge      i8042\n\
\x20 10:        100       2000  IO-APIC  10-fasteoi   rust_irq_demo, rust_irq_demo\n\
\x20 24:          0          5  PCI-MSI-0000:00:05.0   0-edge      rust_irq_demo\n\
NMI:          0          0   Non-maskable interrupts\n\
LOC:       1234       5678   Local timer interrupts\n\
ERR:          3\n\
MIS:          0\n";

    const SOFTIRQS: &str = "                    CPU0       CPU2       \n\
\x20         HI:          1          2\n\
\x20    TASKLET:         30         40\n";

    #[test]
    fn interrupts_by_number() {
        let interrupts = Interrupts::parse(INTERRUPTS).unwrap();
        let shared = interrupts.line("10").unwrap();

        assert_eq!(shared.total(), 2100);
        assert_eq!(shared.per_cpu[&1], 2000);
        assert_eq!(shared.actions(), ["rust_irq_demo", "rust_irq_demo"]);
        assert_eq!(interrupts.line("1").unwrap().actions(), ["i8042"]);
        assert_eq!(interrupts.line("24").unwrap().actions(), ["rust_irq_demo"]);
        assert_eq!(interrupts.line("LOC").unwrap().total(), 6912);
        assert!(interrupts.line("11").is_err());
    }

    #[test]
    fn rows_without_a_count_for_each_cpu() {
        let interrupts = Interrupts::parse(INTERRUPTS).unwrap();

        assert_eq!(interrupts.line("ERR").unwrap().total(), 3);
    }

    #[test]
    fn an_offline_cpu_has_no_column() {
        let text = "           CPU0       CPU3\n  9:   4   5  IO-APIC   9-fasteoi   acpi\n";
        let line = Interrupts::parse(text).unwrap().line("9").unwrap().clone();

        assert_eq!(line.per_cpu, BTreeMap::from([(0, 4), (3, 5)]));
        assert_eq!(line.description, "IO-APIC   9-fasteoi   acpi");
    }

    #[test]
    fn softirqs_by_name() {
        let softirqs = Softirqs::parse(SOFTIRQS).unwrap();

        assert_eq!(softirqs.total("HI").unwrap(), 3);
        assert_eq!(
            softirqs.per_cpu("TASKLET").unwrap(),
            &BTreeMap::from([(0, 30), (2, 40)])
        );
        assert!(softirqs.total("NET_RX").is_err());
    }

    #[test]
    fn refuses_what_is_not_the_format() {
        assert!(Interrupts::parse("").is_err());
        assert!(Interrupts::parse("no head\n").is_err());
        assert!(Interrupts::parse("CPU0\nno label\n").is_err());
        assert!(Softirqs::parse("CPU0 CPU1\nHI: 1\n").is_err());
        assert!(Softirqs::parse("CPU0\nHI: x\n").is_err());
    }
}
