// SPDX-License-Identifier: GPL-2.0

//! How packets end: what the kernel's tracepoints say of those that are freed.
//!
//! Others free packets, too, and on other CPUs: those that are meant begin with a mark and a number.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_void,
        CStr, //
    },
    prelude::*,
    sync::atomic::{
        Acquire,
        Atomic,
        Relaxed,
        Release, //
    }, //
};

/// How many packets can be told from each other.
const PACKETS: usize = 8;

const MARK: [u8; 7] = *b"freed #";

/// What packet `number` begins with.
pub(crate) fn mark(number: u8) -> [u8; MARK.len() + 1] {
    let [a, b, c, d, e, f, g] = MARK;

    [a, b, c, d, e, f, g, number]
}

/// What was seen of a packet.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Freed {
    /// How often it was freed.
    pub(crate) times: u32,
    /// Why: a number of `enum skb_drop_reason`; `SKB_CONSUMED` if it was not dropped.
    pub(crate) reason: bindings::skb_drop_reason,
    /// How much memory it took.
    pub(crate) truesize: u32,
}

struct Note {
    times: Atomic<u32>,
    reason: Atomic<u32>,
    truesize: Atomic<u32>,
}

impl Note {
    /// Nothing was seen yet.
    const fn new() -> Self {
        Self {
            times: Atomic::new(0),
            reason: Atomic::new(0),
            truesize: Atomic::new(0),
        }
    }
}

/// Watches packets, until it is dropped. Task context.
///
/// # Invariants
///
/// - If they are not null, `dropped` and `consumed` are the tracepoints of those names, built in, to which the
///   functions of those names are attached, with `notes`.
pub(crate) struct Watch {
    dropped: *mut bindings::tracepoint,
    consumed: *mut bindings::tracepoint,
    notes: KBox<[Note; PACKETS]>,
}

impl Watch {
    /// Begins to watch.
    pub(crate) fn new() -> Result<Self> {
        // INVARIANT: There are none yet.
        let mut watch = Self {
            dropped: core::ptr::null_mut(),
            consumed: core::ptr::null_mut(),
            notes: KBox::new([const { Note::new() }; PACKETS], GFP_KERNEL)?,
        };

        // INVARIANT: As just attached.
        watch.dropped = watch.attach(c"kfree_skb", dropped as *mut c_void)?;
        watch.consumed = watch.attach(c"consume_skb", consumed as *mut c_void)?;
        Ok(watch)
    }

    fn notes(&self) -> *mut c_void {
        core::ptr::from_ref(&*self.notes).cast_mut().cast()
    }

    /// Attaches `probe`, which is for the tracepoint `name`.
    fn attach(&self, name: &CStr, probe: *mut c_void) -> Result<*mut bindings::tracepoint> {
        // INVARIANT: Nothing was found yet.
        let mut wanted = Wanted {
            name,
            found: core::ptr::null_mut(),
        };

        // SAFETY: `look` takes what it is given, which lives until this returns.
        unsafe { bindings::for_each_kernel_tracepoint(Some(look), (&raw mut wanted).cast()) };
        if wanted.found.is_null() {
            return Err(ENOENT);
        }
        // SAFETY: It is built in, and the probe has the type that its name stands for. The notes are there
        // until after it was detached.
        to_result(unsafe {
            bindings::tracepoint_probe_register(wanted.found, probe, self.notes())
        })?;
        Ok(wanted.found)
    }

    /// Returns what was seen of packet `number`.
    pub(crate) fn seen(&self, number: u8) -> Freed {
        let note = &self.notes[usize::from(number)];

        Freed {
            times: note.times.load(Acquire),
            reason: note.reason.load(Relaxed),
            truesize: note.truesize.load(Relaxed),
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for (tracepoint, probe) in [
            (self.dropped, dropped as *mut c_void),
            (self.consumed, consumed as *mut c_void),
        ] {
            if !tracepoint.is_null() {
                // SAFETY: By the type invariants it was attached, with these.
                unsafe {
                    bindings::tracepoint_probe_unregister(tracepoint, probe, self.notes());
                }
            }
        }
        // Neither tracepoint may fault: this is all that there is to wait for.
        //
        // SAFETY: It is a global of the kernel.
        unsafe { bindings::synchronize_srcu(&raw mut bindings::tracepoint_srcu) };
    }
}

/// A tracepoint that is looked for.
///
/// # Invariants
///
/// `found` is null, or a tracepoint of that name which is built in.
struct Wanted<'a> {
    name: &'a CStr,
    found: *mut bindings::tracepoint,
}

/// # Safety
///
/// `tracepoint` is valid and built in, and `wanted` is a [`Wanted`] that nobody else uses.
unsafe extern "C" fn look(tracepoint: *mut bindings::tracepoint, wanted: *mut c_void) {
    // SAFETY: By the safety requirements; its name is a string.
    let (wanted, name) = unsafe {
        (
            &mut *wanted.cast::<Wanted<'_>>(),
            CStr::from_ptr((*tracepoint).name.cast()),
        )
    };

    if name == wanted.name {
        // INVARIANT: By the safety requirements, and as just compared.
        wanted.found = tracepoint;
    }
}

/// The probe of `kfree_skb`.
///
/// # Safety
///
/// `notes` are those of a [`Watch`], and `skb` is a packet that is about to be freed.
unsafe extern "C" fn dropped(
    notes: *mut c_void,
    skb: *mut bindings::sk_buff,
    _location: *mut c_void,
    reason: bindings::skb_drop_reason,
    _socket: *const c_void,
) {
    // SAFETY: By the safety requirements.
    unsafe { note(notes, skb, reason) };
}

/// The probe of `consume_skb`.
///
/// # Safety
///
/// As that of [`dropped`].
unsafe extern "C" fn consumed(
    notes: *mut c_void,
    skb: *mut bindings::sk_buff,
    _location: *mut c_void,
) {
    // SAFETY: By the safety requirements.
    unsafe { note(notes, skb, bindings::skb_drop_reason_SKB_CONSUMED) };
}

/// # Safety
///
/// As that of [`dropped`].
unsafe fn note(notes: *mut c_void, skb: *mut bindings::sk_buff, reason: bindings::skb_drop_reason) {
    const LEN: usize = MARK.len() + 1;
    // SAFETY: By the safety requirements; notes are only shared.
    let (notes, skb) = unsafe { (&*notes.cast::<[Note; PACKETS]>(), &*skb) };

    if ((skb.len - skb.data_len) as usize) < LEN {
        return;
    }
    // SAFETY: Its linear part is as long.
    let [head @ .., number] = unsafe { skb.data.cast::<[u8; LEN]>().read() };
    if head != MARK {
        return;
    }
    if let Some(note) = notes.get(usize::from(number)) {
        note.reason.store(reason, Relaxed);
        note.truesize.store(skb.truesize, Relaxed);
        note.times.store(note.times.load(Relaxed) + 1, Release);
    }
}
