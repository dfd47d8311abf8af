// SPDX-License-Identifier: GPL-2.0

//! The files of a path set in debugfs.
//!
//! It is not made of [`kernel::debugfs`], whose files have no owner: closing one after its module
//! was unloaded, which `debugfs_remove()` does not prevent, makes the kernel read the module's file
//! operations from memory that is gone (`full_proxy_release()` in `fs/debugfs/file.c`). Here, the
//! operations of all files stand in irqkit and irqkit is their owner. So an open file holds irqkit,
//! and does not hold the driver: that can be unloaded, and then reads of the file fail with `EIO`.

use kernel::{
    bindings,
    ffi::{
        c_char,
        c_int,
        c_void, //
    },
    module::this_module,
    prelude::*,
    seq_file::SeqFile,
    str::CString,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

use super::{
    control::{
        Access,
        Refusal, //
    },
    names,
    registry::{
        Dentry,
        SetId, //
    },
    stamp::Stamp, //
};
use crate::context::Task;

#[cfg(not(CONFIG_DEBUG_FS))]
compile_error!("irqkit needs a kernel with CONFIG_DEBUG_FS: that is where its paths are shown");

/// The most that one `write()` may bring.
const WRITE_MAX: usize = 4095;

/// How many refused writes to a file are logged a second.
const LOGGED_A_SECOND: u32 = 20;

/// What a file does.
pub(super) trait Node: Send + Sync {
    /// How it may be used.
    fn access(&self) -> Access;

    /// Writes its content.
    fn show(&self, task: Task<'_>, out: &SeqFile) -> Result;

    /// Acts on what was written, without white space at its ends.
    fn store(&self, task: Task<'_>, text: &str) -> Result<(), Refusal>;
}

/// A file, as debugfs points to it.
struct File {
    node: KBox<dyn Node>,
    /// `<module>/<device>/<file>`, for the log.
    title: CString,
    log: Limit,
}

/// The files and directories of a set.
///
/// # Invariants
///
/// - The `data` of each file in the directory `root` and below is one of `files`.
/// - The directories in `dirs` are in `root` or below, and removed with it.
pub(super) struct Tree {
    root: SetId,
    /// `<module>/<device>`.
    title: CString,
    dirs: KVec<(CString, Dentry)>,
    files: KVec<KBox<File>>,
}

impl Tree {
    /// Creates a tree in the directory `root`, without files, and becomes the one who removes it.
    pub(super) fn new(root: SetId, title: CString) -> Self {
        // INVARIANT: There are neither files nor directories.
        Self {
            root,
            title,
            dirs: KVec::new(),
            files: KVec::new(),
        }
    }

    /// Returns whether the code at `code` is that of `module`, the address of the one that the set was
    /// made for, null if that is built in.
    ///
    /// It may sleep.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the module is gone.
    pub(super) fn is_of(&self, module: usize, code: usize) -> Result<bool> {
        self.root
            .with(|_| {
                // SAFETY: The module is still there: before it goes the root is removed, which it is
                // not during this call.
                module == 0 || unsafe { irqkit_bindings::within_module(code, module as *const _) }
            })
            .ok_or(ENODEV)
    }

    /// Creates the directory `path`, relative to the set's, and those above it, as far as they
    /// don't exist.
    ///
    /// It may sleep.
    pub(super) fn dir(&mut self, path: &CStr) -> Result {
        let path = path.to_str()?;

        for prefix in names::prefixes(path) {
            if self.find(prefix).is_some() {
                continue;
            }
            let name = CString::try_from_fmt(fmt!("{}", names::last(prefix)))?;
            let title = CString::try_from_fmt(fmt!("{prefix}"))?;
            let parent = prefix
                .rsplit_once('/')
                .and_then(|(parent, _)| self.find(parent));

            self.dirs.reserve(1, GFP_KERNEL)?;
            let dir = self.root.with(|root| {
                // SAFETY: The root is not removed during this call, and by the type invariant the
                // directories of the tree are removed with it.
                unsafe { Dentry::create_dir(&name, Some(parent.unwrap_or(root))) }
            });
            // INVARIANT: It is in the root or below.
            self.dirs
                .push_within_capacity((title, dir.ok_or(ENODEV)?))?;
        }
        Ok(())
    }

    /// Finds a directory by its path.
    fn find(&self, path: &str) -> Option<Dentry> {
        self.dirs
            .iter()
            .find(|(name, _)| name.to_bytes() == path.as_bytes())
            .map(|&(_, dir)| dir)
    }

    /// Creates the file `name` in the directory `dir`, which was created by [`Tree::dir`], or in
    /// the set's.
    ///
    /// It may sleep.
    pub(super) fn file(&mut self, dir: Option<&CStr>, name: &CStr, node: KBox<dyn Node>) -> Result {
        let (parent, title) = match dir {
            Some(dir) => (
                Some(self.find(dir.to_str()?).ok_or(ENOENT)?),
                CString::try_from_fmt(fmt!(
                    "{}/{}/{}",
                    &*self.title,
                    dir.to_str()?,
                    name.to_str()?
                ))?,
            ),
            None => (
                None,
                CString::try_from_fmt(fmt!("{}/{}", &*self.title, name.to_str()?))?,
            ),
        };
        let (mode, operations) = operations(node.access());

        self.files.reserve(1, GFP_KERNEL)?;
        let file = KBox::new(
            File {
                node,
                title,
                log: Limit::new(),
            },
            GFP_KERNEL,
        )?;
        let data: *const File = &*file;
        // INVARIANT: It is listed before it is made.
        self.files.push_within_capacity(file)?;

        self.root
            .with(|root| {
                // SAFETY:
                // - The root is not removed during this call, nor is any directory of the tree, by
                //   the type invariant.
                // - `data` is on the heap and will stay until after the root is removed: see
                //   `drop`.
                // - The operations take a `File` as data, and may be used as long as irqkit is
                //   there, which is the owner.
                unsafe {
                    bindings::debugfs_create_file_full(
                        name.as_char_ptr(),
                        mode,
                        parent.unwrap_or(root).as_raw(),
                        data.cast_mut().cast(),
                        core::ptr::null(),
                        &operations.0,
                    )
                };
            })
            .ok_or(ENODEV)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        // Waits for those who are using any of the files. Only then do the fields go, with the
        // files' data.
        self.root.remove();
    }
}

/// File operations for files whose data is a [`File`].
struct Operations(bindings::file_operations);

// SAFETY: They are constant.
unsafe impl Sync for Operations {}

/// The operations common to all. The owner makes debugfs hold irqkit for as long as a file is open.
const COMMON: bindings::file_operations = bindings::file_operations {
    owner: this_module::<crate::LocalModule>().as_ptr(),
    open: Some(open),
    release: Some(bindings::single_release),
    llseek: Some(bindings::seq_lseek),
    ..pin_init::zeroed()
};

static READ_ONLY: Operations = Operations(bindings::file_operations {
    read: Some(bindings::seq_read),
    ..COMMON
});

static WRITE_ONLY: Operations = Operations(bindings::file_operations {
    write: Some(write),
    ..COMMON
});

static READ_WRITE: Operations = Operations(bindings::file_operations {
    read: Some(bindings::seq_read),
    write: Some(write),
    ..COMMON
});

/// Returns the mode and the operations of a file. Root passes any mode, so it is the operations
/// that decide.
fn operations(access: Access) -> (u16, &'static Operations) {
    match access {
        Access::ReadOnly => (0o400, &READ_ONLY),
        Access::WriteOnly => (0o200, &WRITE_ONLY),
        Access::ReadWrite => (0o600, &READ_WRITE),
    }
}

/// Opens a file: its seq_file gets the [`File`] as private data.
///
/// # Safety
///
/// To be called by debugfs for files made by [`Tree::file`] only.
unsafe extern "C" fn open(inode: *mut bindings::inode, file: *mut bindings::file) -> c_int {
    // SAFETY: The inode is valid; debugfs keeps the data of a file there.
    let data = unsafe { (*inode).i_private };

    // SAFETY: The file is valid and not open yet. `show` takes a seq_file whose private data is
    // this.
    unsafe { bindings::single_open(file, Some(show), data) }
}

/// Fills the seq_file of a file that is being read.
///
/// # Safety
///
/// `seq` must be valid and its private data a [`File`] that lives during the call.
unsafe extern "C" fn show(seq: *mut bindings::seq_file, _: *mut c_void) -> c_int {
    // SAFETY: By the safety requirements: debugfs does not let a file be removed during an
    // operation on it, and after that begins none.
    let file = unsafe { &*(*seq).private.cast::<File>() };

    // SAFETY: It is valid, and locked by the one who reads.
    let out = unsafe { SeqFile::from_raw(seq) };

    // SAFETY: A file is read by a task, with nothing locked but what may be slept with, until this
    // function returns.
    let task = unsafe { Task::new() };

    match file.node.show(task, out) {
        Ok(()) => 0,
        Err(error) => error.to_errno(),
    }
}

/// Hands what is written to a file to its [`Node`].
///
/// # Safety
///
/// To be called by debugfs for files opened by [`open`] only; `buffer` is the user's.
unsafe extern "C" fn write(
    file: *mut bindings::file,
    buffer: *const c_char,
    count: usize,
    _position: *mut bindings::loff_t,
) -> isize {
    // SAFETY: `single_open` left a seq_file in the file's private data.
    let seq = unsafe { (*file).private_data.cast::<bindings::seq_file>() };

    // SAFETY: Its private data is a `File`, which debugfs does not let be removed meanwhile.
    // `private` does not change while the file is open.
    let file = unsafe { &*(*seq).private.cast::<File>() };

    // SAFETY: A file is written by a task, with nothing locked, until this function returns.
    let task = unsafe { Task::new() };

    match file.write(task, UserPtr::from_ptr(buffer.cast_mut().cast()), count) {
        // CAST: It is not larger than `WRITE_MAX`.
        Ok(()) => count as isize,
        Err(error) => error.to_errno() as isize,
    }
}

impl kernel::fmt::Display for names::Quoted<'_> {
    fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
        core::fmt::Display::fmt(self, f)
    }
}

impl File {
    /// Acts on what a task writes.
    fn write(&self, task: Task<'_>, buffer: UserPtr, count: usize) -> Result {
        if count > WRITE_MAX {
            return self.refuse("", &Refusal::new(EINVAL, "more than 4095 bytes"));
        }

        let mut bytes = KVec::new();
        UserSlice::new(buffer, count).read_all(&mut bytes, GFP_KERNEL)?;

        let Ok(text) = core::str::from_utf8(&bytes) else {
            return self.refuse("", &Refusal::new(EINVAL, "not UTF-8"));
        };
        let text = text.trim();

        self.node
            .store(task, text)
            .or_else(|refusal| self.refuse(text, &refusal))
    }

    /// Logs that `text` was refused, and returns the error.
    fn refuse(&self, text: &str, refusal: &Refusal) -> Result {
        let errno = refusal.errno();

        if errno != EINTR && errno != ERESTARTSYS && self.log.allows() {
            let colon = if refusal.why().is_empty() { "" } else { ": " };
            pr_notice!(
                "{}: {} refused{}{} ({:?})\n",
                &*self.title,
                names::Quoted(text),
                colon,
                refusal.why(),
                errno,
            );
        }
        Err(errno)
    }
}

/// Keeps the log from being flooded: so many lines a second, by file.
struct Limit {
    second: Atomic<u64>,
    lines: Atomic<u32>,
}

impl Limit {
    const fn new() -> Self {
        Self {
            second: Atomic::new(0),
            lines: Atomic::new(0),
        }
    }

    /// Returns whether there may be another line. Racing writers may get a few more; no harm in
    /// that.
    fn allows(&self) -> bool {
        let second = Stamp::read().whole_seconds();

        if self.second.xchg(second, Relaxed) != second {
            self.lines.store(0, Relaxed);
        }
        self.lines.fetch_add(1, Relaxed) < LOGGED_A_SECOND
    }
}
