// SPDX-License-Identifier: GPL-2.0

//! What a path, a control file or a device may be called, and how refused input is quoted.
//!
//! Pure logic, compiled and tested on the host as well (`tools/pathlogic`).

use core::fmt;

/// Returns whether `name` can be one directory or file: not empty, not `.` or `..`, and of
/// printable ASCII without spaces and slashes, so that `path.counter value` lines can be split at
/// spaces.
pub(crate) fn is_component(name: &str) -> bool {
    !matches!(name, "" | "." | "..") && name.bytes().all(|b| b.is_ascii_graphic() && b != b'/')
}

/// Returns whether `name` can be a path: components between single slashes, and no dot,
/// which parts a path from its counter.
pub(crate) fn is_path(name: &str) -> bool {
    name.split('/').all(is_component) && !name.contains('.')
}

/// Returns every directory that `path` needs, outermost first: `a`, `a/b` and `a/b/c` for `a/b/c`.
pub(crate) fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.bytes()
        .enumerate()
        .filter(|&(_, byte)| byte == b'/')
        .map(|(at, _)| at)
        .chain([path.len()])
        .filter_map(|end| path.get(..end))
}

/// Returns the last component of `path`.
pub(crate) fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// Text from user space as it is shown in the log: quoted, control characters escaped, cut short.
pub(crate) struct Quoted<'a>(pub(crate) &'a str);

/// The number of characters that [`Quoted`] shows.
pub(crate) const QUOTED_MAX: usize = 48;

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = self.0.char_indices().nth(QUOTED_MAX).map(|(at, _)| at);
        let shown = cut.and_then(|at| self.0.get(..at)).unwrap_or(self.0);

        write!(f, "{shown:?}")?;
        if cut.is_some() {
            f.write_str("...")?;
        }
        Ok(())
    }
}
