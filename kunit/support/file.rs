// SPDX-License-Identifier: GPL-2.0

//! Files of debugfs and devices, read and written as a user does: through the file system, with
//! user memory.

use kernel::{
    bindings,
    error::{
        from_err_ptr,
        to_result, //
    },
    prelude::*,
    str::CString,
    uaccess::{
        UserPtr,
        UserSlice, //
    }, //
};

/// The size of the buffer in user memory; also the most that a file may have.
const BUFFER: usize = 64 << 10;

/// How to map it; the same on all architectures of Rust, and not in the bindings.
const PROT_READ_WRITE: usize = 0x1 | 0x2;
const MAP_PRIVATE_ANONYMOUS: usize = 0x02 | 0x20;

/// A file system, mounted for a test's own use, and a buffer in user memory, which lives as long as
/// the test's thread.
///
/// # Invariants
///
/// - `mount` is a mount from `kern_mount()`, owned by this value.
/// - `user` is the address of [`BUFFER`] bytes in the address space that the current thread uses.
pub(crate) struct Files {
    mount: *mut bindings::vfsmount,
    user: UserPtr,
}

impl Files {
    /// Mounts debugfs. To be called by a KUnit test.
    pub(crate) fn debugfs() -> Result<Self> {
        Self::mount(c"debugfs")
    }

    /// Mounts what has the device nodes, `/dev`. To be called by a KUnit test.
    pub(crate) fn devices() -> Result<Self> {
        Self::mount(c"devtmpfs")
    }

    fn mount(name: &CStr) -> Result<Self> {
        // SAFETY: No requirements; it may return null, outside of a test.
        let test = unsafe { bindings::kunit_get_current_test() };
        if test.is_null() {
            return Err(EINVAL);
        }

        // SAFETY: The test is the current one. The mapping is anonymous and undone when the test
        // ends.
        let user = unsafe {
            bindings::kunit_vm_mmap(
                test,
                core::ptr::null_mut(),
                0,
                BUFFER,
                PROT_READ_WRITE,
                MAP_PRIVATE_ANONYMOUS,
                0,
            )
        };
        if user == 0 || user > usize::MAX - 4096 {
            return Err(ENOMEM);
        }

        // SAFETY: The name is a string.
        let fs = unsafe { bindings::get_fs_type(name.as_char_ptr()) };
        if fs.is_null() {
            return Err(ENODEV);
        }
        // SAFETY: `fs` is valid. It is built in, so that the reference needs no putting.
        let mount = from_err_ptr(unsafe { bindings::kern_mount(fs) });

        // INVARIANT: The two are new.
        Ok(Self {
            mount: mount?,
            user: UserPtr::from_addr(user),
        })
    }

    /// Opens a file by its path from the root.
    fn open(&self, path: &CStr, flags: u32) -> Result<Open> {
        // SAFETY: By the type invariant the mount is valid.
        let dentry = unsafe { (*self.mount).mnt_root };
        let root = bindings::path {
            mnt: self.mount,
            dentry,
        };

        // SAFETY: Both are valid, and the path is a string. CAST: Small constants.
        let file = unsafe {
            bindings::file_open_root(&raw const root, path.as_char_ptr(), flags as i32, 0)
        };
        // INVARIANT: It was opened just now.
        Ok(Open(from_err_ptr(file)?))
    }

    /// Returns the whole text of the file `path`.
    pub(crate) fn read(&self, path: &CStr) -> Result<CString> {
        let file = self.open(path, bindings::O_RDONLY)?;
        let mut bytes = KVec::new();
        let mut position = 0;

        while self.read_from(&file, BUFFER, &mut position, &mut bytes)? != 0 {}

        let text = core::str::from_utf8(&bytes).map_err(|_| EILSEQ)?;
        Ok(CString::try_from_fmt(fmt!("{text}"))?)
    }

    /// Returns what one `read()` of `len` bytes gives, of the device `path`, which is opened with
    /// `flags`, such as `O_NONBLOCK`.
    pub(crate) fn read_device(&self, path: &CStr, flags: u32, len: usize) -> Result<KVec<u8>> {
        let file = self.open(path, bindings::O_RDONLY | flags)?;
        let mut bytes = KVec::new();

        self.read_from(&file, len, &mut 0, &mut bytes)?;
        Ok(bytes)
    }

    /// Appends what one `read()` of `len` bytes gives, and returns how many that was.
    fn read_from(
        &self,
        file: &Open,
        len: usize,
        position: &mut bindings::loff_t,
        bytes: &mut KVec<u8>,
    ) -> Result<usize> {
        let read = file.operations().read.ok_or(EINVAL)?;
        let len = len.min(BUFFER);

        // SAFETY: It is the file's own operation. The buffer is user memory of that size at least.
        let n = unsafe { read(file.0, self.user.as_mut_ptr().cast(), len, position) };
        let Ok(n) = usize::try_from(n) else {
            return Err(Error::from_errno(i32::try_from(n)?));
        };
        UserSlice::new(self.user, n).read_all(bytes, GFP_KERNEL)?;
        Ok(n)
    }

    /// Writes `text` to the file `path`, by one `write()`.
    pub(crate) fn write(&self, path: &CStr, text: &str) -> Result {
        let file = self.open(path, bindings::O_WRONLY)?;
        let write = file.operations().write.ok_or(EINVAL)?;
        let mut position = 0;

        UserSlice::new(self.user, BUFFER)
            .writer()
            .write_slice(text.as_bytes())?;
        // SAFETY: It is the file's own operation. The buffer is user memory and was written that
        // far.
        let n = unsafe {
            write(
                file.0,
                self.user.as_mut_ptr().cast(),
                text.len(),
                &raw mut position,
            )
        };

        match usize::try_from(n) {
            Ok(n) if n == text.len() => Ok(()),
            Ok(_) => Err(EIO),
            Err(_) => to_result(i32::try_from(n)?),
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        // SAFETY: By the type invariant it is ours, and no file in it is open any more.
        unsafe { bindings::kern_unmount(self.mount) };
    }
}

/// An open file.
///
/// # Invariants
///
/// The file is open, and owned by this value.
struct Open(*mut bindings::file);

impl Open {
    fn operations(&self) -> &bindings::file_operations {
        // SAFETY: By the type invariant the file is open, and so has operations, which stay.
        unsafe { &*(*self.0).f_op }
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // At once: kernel threads leave closing to others otherwise, who would do it at some later
        // time.
        //
        // SAFETY: By the type invariant it is open and ours; this is a kernel thread that holds no
        // locks.
        unsafe { bindings::__fput_sync(self.0) };
    }
}

/// Returns whether the lines of `text` contain `line`.
pub(crate) fn has_line(text: &CStr, line: &str) -> bool {
    text.to_str()
        .is_ok_and(|text| text.lines().any(|l| l == line))
}

/// Returns the number after `key` and a blank in `text`, a file of `key value` lines.
pub(crate) fn value(text: &CStr, key: &str) -> Option<u64> {
    text.to_str().ok()?.lines().find_map(|line| {
        line.strip_prefix(key)?
            .strip_prefix(' ')?
            .parse::<u64>()
            .ok()
    })
}
