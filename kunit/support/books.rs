// SPDX-License-Identifier: GPL-2.0

//! A set of paths for a test, and what its files say.

use kernel::{
    module::ModuleMetadata,
    prelude::*,
    str::CString,
    sync::Arc, //
};

use irqkit::path::{
    Kind,
    Path,
    PathSet, //
};

use super::file::{
    value,
    Files, //
};

/// A set of paths, and access to its files.
pub(crate) struct Books {
    fs: Files,
    /// The set's directory, from the root of debugfs.
    dir: CString,
    pub(crate) set: PathSet,
}

impl Books {
    /// Creates the set `device`. To be called by a KUnit test.
    pub(crate) fn new(device: &CStr) -> Result<Self> {
        let module = <crate::LocalModule as ModuleMetadata>::NAME.to_str()?;

        Ok(Self {
            fs: Files::debugfs()?,
            dir: CString::try_from_fmt(fmt!("{}/{}", module, device.to_str()?))?,
            set: PathSet::new::<crate::LocalModule>(device)?,
        })
    }

    /// Adds a path with the usual name of its kind.
    pub(crate) fn path(&self, kind: Kind) -> Result<Arc<Path>> {
        self.set.path(kind, kind.name())
    }

    fn full(&self, name: &str) -> Result<CString> {
        Ok(CString::try_from_fmt(fmt!(
            "{}/{}",
            self.dir.to_str()?,
            name
        ))?)
    }

    /// Returns the text of the set's file `name`.
    pub(crate) fn read(&self, name: &str) -> Result<CString> {
        self.fs.read(&*self.full(name)?)
    }

    /// Writes to the set's file `name`.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result {
        self.fs.write(&*self.full(name)?, text)
    }

    /// Returns the counter `key`, such as `tasklet.runs`, in `stats`.
    pub(crate) fn stat(&self, key: &str) -> Result<u64> {
        value(&*self.read("stats")?, key).ok_or(ENOENT)
    }

    /// Returns the counters `keys` of the path `path`, from one reading of `stats`.
    pub(crate) fn stats<const N: usize>(&self, path: &str, keys: [&str; N]) -> Result<[u64; N]> {
        let text = self.read("stats")?;
        let mut values = [0; N];

        for (slot, key) in values.iter_mut().zip(keys) {
            let key = CString::try_from_fmt(fmt!("{path}.{key}"))?;
            *slot = value(&text, key.to_str()?).ok_or(ENOENT)?;
        }
        Ok(values)
    }

    /// Takes the set's files away, and leaves the access to where they were.
    pub(crate) fn without_set(self) -> (Files, CString) {
        (self.fs, self.dir)
    }
}
