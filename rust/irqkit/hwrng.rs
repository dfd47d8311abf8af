// SPDX-License-Identifier: GPL-2.0

//! Hardware random number generators.
//!
//! A driver implements [`Source`] and registers it for as long as its device is bound. The core
//! then reads from it for `/dev/hwrng` and feeds the kernel's own pool from a thread of its own.
//!
//! # Unbinding during a read
//!
//! The core holds a reference to the generator while it reads, and [`Registration`]'s drop waits for
//! the last one. So a read that waits for the device would keep the driver from ever being unbound.
//! [`Source::give_up`] breaks that: it is called first, and from then on reads must not wait.
//!
//! C header: [`include/linux/hw_random.h`](srctree/include/linux/hw_random.h)

use core::{
    marker::PhantomPinned,
    mem::MaybeUninit,
    num::NonZeroU16, //
};

use kernel::{
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    error::to_result,
    prelude::*,
    str::CString,
    types::Opaque, //
};

use crate::{
    context::Task,
    owner, //
};

/// How much entropy there is in what a generator gives, in bits for each 1024 bits.
///
/// # Invariants
///
/// It is not above [`Quality::FULL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quality(NonZeroU16);

impl Quality {
    /// Every bit is entropy.
    // INVARIANT: It is the limit.
    pub const FULL: Self = Self(match NonZeroU16::new(1024) {
        Some(bits) => bits,
        None => NonZeroU16::MIN,
    });

    /// `bits` of entropy for each 1024 bits; [`None`] if it is not in 1 to 1024.
    pub const fn new(bits: u16) -> Option<Self> {
        match NonZeroU16::new(bits) {
            // INVARIANT: It was just compared.
            Some(bits) if bits.get() <= Self::FULL.0.get() => Some(Self(bits)),
            _ => None,
        }
    }

    /// The bits of entropy for each 1024 bits.
    pub const fn bits(self) -> u16 {
        self.0.get()
    }
}

/// Whether a read is to wait for data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// It is not: what is there is what the reader gets, be it nothing.
    No,
    /// It is, until there is some.
    Yes,
}

/// A generator of random numbers.
///
/// The core calls its functions in task context, [`Source::read`] never beside itself. It must be
/// `'static` because a [`Registration`] that is leaked lives until the device is unbound.
pub trait Source: Send + Sync + 'static {
    /// Called when the generator becomes the one that the core reads from, before the first read.
    ///
    /// An error keeps it from becoming that; while it is being registered, from being registered.
    fn init(&self, _task: Task<'_>) -> Result {
        Ok(())
    }

    /// Puts random bytes into `sink`: as many as there are, or until [`Sink::room`] is 0.
    ///
    /// With [`Wait::Yes`] it may wait for some, and may end without any, for instance when it was
    /// interrupted or a time was over: the core looks for signals then, and asks again. Whatever it
    /// waits for, it must not wait any more once [`Source::give_up`] was called.
    ///
    /// # Errors
    ///
    /// An error is given to the reader only if nothing was put into `sink`: `ENODEV` if the device
    /// is gone. With [`Wait::No`] a reader who gets nothing sees `EAGAIN`.
    fn read(&self, task: Task<'_>, sink: &mut Sink<'_>, wait: Wait) -> Result;

    /// Called when the core no longer reads from the generator: nobody is in [`Source::read`], and
    /// nobody will be until the next [`Source::init`].
    fn cleanup(&self, _task: Task<'_>) {}

    /// Called when the generator is about to be unregistered: all reads, those that wait and those
    /// to come, shall return at once.
    ///
    /// It is called in task context, maybe while the others run.
    fn give_up(&self);
}

/// Where a read puts its bytes.
///
/// The core's memory behind it is not initialised, so there is no way but to append.
///
/// # Invariants
///
/// The first `filled` bytes of `memory` are initialised, and `filled` is at most its length.
pub struct Sink<'a> {
    memory: &'a mut [MaybeUninit<u8>],
    filled: usize,
}

impl Sink<'_> {
    /// How many bytes it still takes.
    #[inline]
    pub fn room(&self) -> usize {
        self.memory.len().saturating_sub(self.filled)
    }

    /// How many bytes were put in.
    #[inline]
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Appends what of `bytes` there is room for, and returns how many that was.
    #[inline]
    pub fn put(&mut self, bytes: &[u8]) -> usize {
        let Some(free) = self.memory.get_mut(self.filled..) else {
            return 0;
        };
        let mut taken = 0;
        for (to, from) in free.iter_mut().zip(bytes) {
            to.write(*from);
            taken += 1;
        }
        // INVARIANT: `taken` bytes more are initialised, and `free` has at least as many.
        self.filled += taken;
        taken
    }
}

/// What the core knows.
///
/// # Invariants
///
/// `raw` is registered with the functions below for `T`, the name that `name` owns, and the address
/// of `source` as its `priv`.
#[pin_data(PinnedDrop)]
struct Generator<T: Source> {
    #[pin]
    raw: Opaque<irqkit_bindings::hwrng>,
    #[pin]
    source: T,
    name: CString,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The core may be called from any task, and `T` is `Send`.
unsafe impl<T: Source> Send for Generator<T> {}

// SAFETY: Nothing but the core touches `raw`, under its own locks, and `T` is `Sync`.
unsafe impl<T: Source> Sync for Generator<T> {}

impl<T: Source> Generator<T> {
    fn new<E>(
        name: CString,
        quality: Quality,
        source: impl PinInit<T, E>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: If initialisation succeeds, it is registered as the type demands.
        try_pin_init!(&this in Self {
            source <- source,
            name,
            _pin: PhantomPinned,
            raw <- Opaque::try_ffi_init(|raw: *mut irqkit_bindings::hwrng| {
                // SAFETY: `this` is the memory being initialised; only an address is taken.
                let source = unsafe { &raw const (*this.as_ptr()).source };
                // SAFETY: `raw` is valid for writes, and all zeroes are a valid `struct hwrng`: a
                // missing function is null, and the rest is for the core to initialise.
                let hwrng = unsafe {
                    raw.write_bytes(0, 1);
                    &mut *raw
                };
                hwrng.name = name.as_char_ptr();
                hwrng.init = Some(init::<T>);
                hwrng.cleanup = Some(cleanup::<T>);
                hwrng.read = Some(read::<T>);
                hwrng.priv_ = source.expose_provenance();
                hwrng.quality = quality.bits();

                // SAFETY:
                // - `raw` is initialised as far as it is the driver's, and pinned until its drop
                //   has unregistered it. So is the name.
                // - The functions may be called at once, and need `source` alone, which is there.
                to_result(unsafe { irqkit_bindings::hwrng_register(raw) })
            }),
        })
    }
}

#[pinned_drop]
impl<T: Source> PinnedDrop for Generator<T> {
    fn drop(self: Pin<&mut Self>) {
        self.source.give_up();
        // SAFETY: By the type invariant it is registered. When it returns, none of the functions
        // runs or will.
        unsafe { irqkit_bindings::hwrng_unregister(self.raw.get()) };
    }
}

/// A registered generator.
///
/// Dropping it calls [`Source::give_up`], waits until the core has let go of the generator, and
/// drops the source. It is done in task context, and not by one of the source's own functions. At
/// the latest it happens when the device is unbound, after the driver's `unbind` and the drop of
/// its data; so leaking it is harmless.
///
/// Stands for `hwrng_register()` and `hwrng_unregister()`.
#[must_use = "the generator is unregistered when the registration is dropped"]
pub struct Registration<T: Source>(#[allow(dead_code)] Devres<Generator<T>>);

impl<T: Source> Registration<T> {
    /// Registers `source` as `name`, which is what `rng_current` in sysfs calls it.
    ///
    /// It becomes the current one at once if there is none, or if `quality` is above that of the
    /// current one and nobody has chosen that by hand; reads may begin before this returns. Task
    /// context.
    ///
    /// # Errors
    ///
    /// `EEXIST` if the name is taken, `EXDEV` if the source is not of the module whose driver the
    /// device is bound to, `ENOMEM`, and what [`Source::init`] fails with.
    pub fn new<E>(
        dev: &Device<Bound>,
        name: &CStr,
        quality: Quality,
        source: impl PinInit<T, E>,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        owner::check(dev, read::<T> as *const ())?;
        let generator = Generator::new(CString::try_from(name)?, quality, source);
        Ok(Self(Devres::new::<Error>(dev, generator)?))
    }
}

/// Returns the source of a generator.
///
/// # Safety
///
/// `raw` is what the core calls a function of `Generator<T>` with, and the result is not used after
/// that function has returned.
unsafe fn source_of<'a, T: Source>(raw: *mut irqkit_bindings::hwrng) -> &'a T {
    // SAFETY: By the invariants of `Generator` its `priv` is the address of a `T`, which is not
    // dropped before it is unregistered, and that waits for the function.
    unsafe { &*core::ptr::with_exposed_provenance::<T>((*raw).priv_) }
}

/// # Safety
///
/// To be called by the core only, with a [`Generator<T>`].
unsafe extern "C" fn init<T: Source>(raw: *mut irqkit_bindings::hwrng) -> c_int {
    // SAFETY: The core calls us, and the result stays in here.
    let source = unsafe { source_of::<T>(raw) };
    // SAFETY: The core holds a mutex, so this is a task, until the function returns.
    let task = unsafe { Task::new() };

    source.init(task).err().map_or(0, |e| e.to_errno())
}

/// # Safety
///
/// To be called by the core only, with a [`Generator<T>`].
unsafe extern "C" fn cleanup<T: Source>(raw: *mut irqkit_bindings::hwrng) {
    // SAFETY: The core calls us, and the result stays in here.
    let source = unsafe { source_of::<T>(raw) };
    // SAFETY: The core holds a mutex, so this is a task, until the function returns.
    let task = unsafe { Task::new() };

    source.cleanup(task);
}

/// # Safety
///
/// To be called by the core only, with a [`Generator<T>`] and `max` bytes of memory at `data`, which
/// are nobody else's until it returns.
unsafe extern "C" fn read<T: Source>(
    raw: *mut irqkit_bindings::hwrng,
    data: *mut c_void,
    max: usize,
    wait: bool,
) -> c_int {
    // SAFETY: The core calls us, and the result stays in here.
    let source = unsafe { source_of::<T>(raw) };
    // SAFETY: The core holds a mutex, so this is a task, until the function returns.
    let task = unsafe { Task::new() };

    // What is returned is an int.
    let len = max.min(c_int::MAX as usize);
    // SAFETY: By the safety requirements. Uninitialised bytes are fine for `MaybeUninit`.
    let memory = unsafe { core::slice::from_raw_parts_mut(data.cast::<MaybeUninit<u8>>(), len) };
    // INVARIANT: Nothing is said of 0 bytes.
    let mut sink = Sink { memory, filled: 0 };

    let wait = if wait { Wait::Yes } else { Wait::No };
    match source.read(task, &mut sink, wait) {
        Err(e) if sink.filled == 0 => e.to_errno(),
        // CAST: `len` fits, and so does what is in it.
        _ => sink.filled as c_int,
    }
}
