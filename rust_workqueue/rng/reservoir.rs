// SPDX-License-Identifier: GPL-2.0

//! Random bytes that the device has given and nobody has read yet.

use core::sync::atomic::{
    compiler_fence,
    Ordering, //
};

use kernel::prelude::*;

use irqkit::hwrng::Sink;

/// A first-in, first-out store of bytes, of a fixed size. What is taken out is gone from it: no
/// byte is given twice, nor left behind in memory.
///
/// # Invariants
///
/// `head` is below the length of `bytes`, or 0 if that is empty; `len` is at most that length.
pub(crate) struct Reservoir {
    bytes: KVVec<u8>,
    head: usize,
    len: usize,
}

impl Reservoir {
    /// Makes an empty one for `capacity` bytes. May sleep.
    pub(crate) fn new(capacity: usize) -> Result<Self> {
        // INVARIANT: It is empty.
        Ok(Self {
            bytes: KVVec::from_elem(0, capacity, GFP_KERNEL)?,
            head: 0,
            len: 0,
        })
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// How many more there is room for.
    pub(crate) fn room(&self) -> usize {
        self.bytes.len().saturating_sub(self.len)
    }

    /// Takes in `count` bytes, or as many as there is room for, and returns how many. `copy` is
    /// called with an offset into them and where to put what is there, at most twice.
    ///
    /// # Errors
    ///
    /// That of `copy`; what came before it stays.
    pub(crate) fn fill(
        &mut self,
        count: usize,
        mut copy: impl FnMut(usize, &mut [u8]) -> Result,
    ) -> Result<usize> {
        let count = count.min(self.room());
        let mut done = 0;
        while done < count {
            let (start, end) = self.stretch(self.len, count - done);
            let Some(free) = self.bytes.get_mut(start..end).filter(|s| !s.is_empty()) else {
                break;
            };
            copy(done, free)?;
            done += free.len();
            // INVARIANT: There was room.
            self.len += end - start;
        }
        Ok(done)
    }

    /// Moves bytes into `sink`, as many as it takes, and returns how many.
    pub(crate) fn take(&mut self, sink: &mut Sink<'_>) -> usize {
        let mut moved = 0;
        while self.len != 0 && sink.room() != 0 {
            let (start, end) = self.stretch(0, self.len);
            let Some(stretch) = self.bytes.get_mut(start..end).filter(|s| !s.is_empty()) else {
                break;
            };
            let taken = sink.put(stretch);
            if let Some(gone) = stretch.get_mut(..taken) {
                wipe(gone);
            }
            moved += taken;
            // INVARIANT: They were there.
            self.len -= taken;
            self.head = if start + taken == self.bytes.len() {
                0
            } else {
                start + taken
            };
        }
        moved
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        wipe(&mut self.bytes);
        // INVARIANT: It is empty.
        self.head = 0;
        self.len = 0;
    }

    /// Where the bytes from `skip` behind the head on are, `count` of them or as many as there are
    /// before the end of the memory.
    fn stretch(&self, skip: usize, count: usize) -> (usize, usize) {
        let size = self.bytes.len();
        let mut start = self.head + skip;
        if start >= size {
            start -= size;
        }
        (start, size.min(start + count))
    }
}

impl Drop for Reservoir {
    fn drop(&mut self) {
        self.clear();
    }
}

/// Overwrites `bytes`, even if the compiler can tell that nobody reads them again.
fn wipe(bytes: &mut [u8]) {
    bytes.fill(0);
    // As `memzero_explicit()` does it.
    core::hint::black_box(&*bytes);
    compiler_fence(Ordering::SeqCst);
}
