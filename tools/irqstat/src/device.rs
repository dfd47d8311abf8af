// SPDX-License-Identifier: GPL-2.0

//! The debugfs directory of one device.

use std::{
    fs,
    path::{
        Path,
        PathBuf, //
    },
};

use anyhow::{
    anyhow,
    bail,
    Context,
    Result, //
};

use crate::{
    Histogram,
    Stats,
    FORMAT_VERSION, //
};

/// Where debugfs is mounted.
pub const DEBUGFS: &str = "/sys/kernel/debug";

/// One device of one of the suite's modules.
#[derive(Clone, Debug)]
pub struct Device {
    directory: PathBuf,
}

impl Device {
    /// Opens the device `name` of `module`, and refuses a format that this library does not know.
    pub fn open(module: &str, name: &str) -> Result<Self> {
        Self::open_at(Path::new(DEBUGFS).join(module).join(name))
    }

    /// Opens the device whose files are in `directory`.
    pub fn open_at(directory: PathBuf) -> Result<Self> {
        let device = Self { directory };
        let version = device.read("version")?;
        match version.trim().parse::<u32>() {
            Ok(FORMAT_VERSION) => Ok(device),
            _ => bail!(
                "{}: the format is version \"{}\", this program reads version {FORMAT_VERSION}",
                device.directory.display(),
                version.trim()
            ),
        }
    }

    /// The device's name: for a PCI function, its address.
    pub fn name(&self) -> &str {
        self.directory
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default()
    }

    /// The directory with the device's files.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The text of one of the device's files.
    pub fn read(&self, file: &str) -> Result<String> {
        let path = self.directory.join(file);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    }

    /// Writes `text` to one of the device's files, in one write.
    pub fn write(&self, file: &str, text: &str) -> Result<()> {
        let path = self.directory.join(file);
        fs::write(&path, text)
            .with_context(|| format!("cannot write \"{}\" to {}", text.trim(), path.display()))
    }

    /// Reads `stats`.
    pub fn stats(&self) -> Result<Stats> {
        Stats::parse(&self.read("stats")?).with_context(|| self.directory.display().to_string())
    }

    /// Reads the histogram `which`, `wait_ns`, `run_ns` or `late_ns`, of `path`.
    pub fn histogram(&self, path: &str, which: &str) -> Result<Histogram> {
        let file = format!("{path}/{which}");
        Histogram::parse(&self.read(&file)?)
            .with_context(|| self.directory.join(file).display().to_string())
    }

    /// Switches the histograms on or off.
    pub fn set_timing(&self, on: bool) -> Result<()> {
        self.write("timing", if on { "1" } else { "0" })
    }

    /// Sets every counter and every histogram to zero.
    pub fn reset(&self) -> Result<()> {
        self.write("reset", "1")
    }
}

/// The names of `module`'s devices, sorted.
pub fn module_devices(module: &str) -> Result<Vec<String>> {
    let directory = Path::new(DEBUGFS).join(module);
    let mut names = Vec::new();

    for entry in
        fs::read_dir(&directory).with_context(|| format!("cannot list {}", directory.display()))?
    {
        let name = entry?.file_name();
        names.push(
            name.into_string()
                .map_err(|name| anyhow!("{name:?} is not text"))?,
        );
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory that looks like a device's, removed when the test ends.
    struct Scratch(PathBuf);

    impl Scratch {
        fn new(test: &str, version: &str) -> Self {
            let directory =
                std::env::temp_dir().join(format!("irqstat-{test}-{}", std::process::id()));
            fs::create_dir_all(directory.join("thread")).unwrap();
            fs::write(directory.join("version"), version).unwrap();
            fs::write(directory.join("stats"), "thread.runs 3\n").unwrap();
            fs::write(
                directory.join("thread/wait_ns"),
                "4 4 3\ncount 3\nsum 12\nmin 4\nmax 4\n",
            )
            .unwrap();
            Self(directory)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn reads_a_device() {
        let scratch = Scratch::new("reads", "1\n");
        let device = Device::open_at(scratch.0.clone()).unwrap();

        assert_eq!(device.stats().unwrap().get("thread", "runs").unwrap(), 3);
        assert_eq!(device.histogram("thread", "wait_ns").unwrap().count, 3);
        device.set_timing(true).unwrap();
        assert_eq!(device.read("timing").unwrap(), "1");
    }

    #[test]
    fn refuses_another_version() {
        let scratch = Scratch::new("version", "2\n");
        let error = Device::open_at(scratch.0.clone()).unwrap_err().to_string();

        assert!(error.contains("version \"2\""), "{error}");
    }

    #[test]
    fn names_the_file_that_is_missing() {
        let scratch = Scratch::new("missing", "1\n");
        let device = Device::open_at(scratch.0.clone()).unwrap();
        let error = format!("{:#}", device.histogram("tasklet", "run_ns").unwrap_err());

        assert!(error.contains("tasklet/run_ns"), "{error}");
    }
}
