// SPDX-License-Identifier: GPL-2.0

//! The program behind `make demo`. It runs in the guest, as root.
//!
//! It raises interrupts on `edu` devices, hands them on along every path that `rust_irq_demo`
//! knows, shows what each path did, and does the books: everything that the driver counted is
//! compared with what the kernel counted on its own, and must be equal, not nearly.

mod books;
mod edu;
mod report;
mod run;
mod show;

use std::{
    fs,
    path::PathBuf,
    process::ExitCode, //
};

use anyhow::{
    Context,
    Result, //
};
use clap::Parser;

/// Raises real interrupts, hands them on in every way, and checks every count against /proc.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// A device that is to use INTx, by its PCI address; give the option once for each
    #[arg(long, value_name = "ADDRESS")]
    intx: Vec<String>,

    /// A device that is to use MSI, by its PCI address; give the option once for each
    #[arg(long, value_name = "ADDRESS")]
    msi: Vec<String>,

    /// How many interrupts each device raises for each way of handing them on
    #[arg(long, default_value_t = 1000, value_name = "N")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    interrupts: u64,

    /// Where to write the report
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

fn main() -> ExitCode {
    match demo(&Options::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("irq-demo: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs it all; returns whether the books agree.
fn demo(options: &Options) -> Result<bool> {
    let report = run::run(&options.intx, &options.msi, options.interrupts)?;

    show::paths(&report);
    show::books(&report);

    if let Some(file) = &options.report {
        let mut json = serde_json::to_string_pretty(&report)?;
        json.push('\n');
        fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(report.reconciled)
}
