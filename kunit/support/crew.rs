// SPDX-License-Identifier: GPL-2.0

//! Threads bound to CPUs, for as long as a call.

use core::cell::UnsafeCell;

use kernel::{
    bindings,
    cpu::CpuId,
    error::from_err_ptr,
    ffi::{
        c_int,
        c_void, //
    },
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Full,
            Relaxed, //
        },
        Completion, //
    },
    task::Task, //
};

/// What a thread is told.
#[pin_data]
struct Job<'a, F> {
    cpu: CpuId,
    body: &'a F,
    /// How many threads have not reached the start.
    absent: &'a Atomic<u32>,
    #[pin]
    done: Completion,
}

/// Runs `body` in one thread on each of `cpus`, all starting at the same time, and waits until all
/// of them are done.
///
/// # Errors
///
/// If a thread can't be created; then `body` is not called at all.
pub(crate) fn on_cpus<F: Fn(CpuId) + Sync>(cpus: &[CpuId], body: F) -> Result {
    start(cpus, body, || ())
}

/// Runs `body` in a thread bound to `cpu` while `here` runs in the calling one, and waits until
/// both are done. `here` must see to it that `body` ends.
///
/// # Errors
///
/// If the thread can't be created; then neither is called.
pub(crate) fn with_thread<F: Fn(CpuId) + Sync, R>(
    cpu: CpuId,
    body: F,
    here: impl FnOnce() -> R,
) -> Result<R> {
    start(&[cpu], body, here)
}

fn start<F: Fn(CpuId) + Sync, R>(cpus: &[CpuId], body: F, here: impl FnOnce() -> R) -> Result<R> {
    let (body, absent) = (&body, &Atomic::new(u32::try_from(cpus.len())?));
    let mut jobs = KVec::with_capacity(cpus.len(), GFP_KERNEL)?;
    let mut threads = Threads(KVec::with_capacity(cpus.len(), GFP_KERNEL)?);

    for &cpu in cpus {
        let job = KBox::pin_init(
            pin_init!(Job {
                cpu,
                body,
                absent,
                done <- Completion::new(),
            }),
            GFP_KERNEL,
        )?;
        threads.create(&job)?;
        jobs.push_within_capacity(job)?;
    }

    for thread in &threads.0 {
        thread.wake_up();
    }
    let result = here();
    for job in &jobs {
        job.done.wait_for_completion();
    }
    // `threads` is dropped before `jobs`.
    Ok(result)
}

/// Runs `body` in a thread bound to `cpu`, waits until it is done, and returns what it returned.
///
/// # Errors
///
/// If the thread can't be created.
pub(crate) fn on_cpu<R: Send>(cpu: CpuId, body: impl FnOnce() -> R + Send) -> Result<R> {
    /// What the one thread takes and gives.
    ///
    /// # Invariants
    ///
    /// One thread at a time uses the content.
    struct Once<F, R>(UnsafeCell<(Option<F>, Option<R>)>);

    // SAFETY: By the type invariant one thread after the other uses it, and what they hand over
    // is `Send`.
    unsafe impl<F: Send, R: Send> Sync for Once<F, R> {}

    // INVARIANT: From here until `on_cpus` returns it is the new thread that uses it.
    let once = Once(UnsafeCell::new((Some(body), None)));
    let shared = &once;

    on_cpus(&[cpu], |_| {
        // SAFETY: By the type invariant: there is one thread, and its creator waits for it.
        let (body, result) = unsafe { &mut *shared.0.get() };

        *result = body.take().map(|body| body());
    })?;

    once.0.into_inner().1.ok_or(EINVAL)
}

/// Threads that were created. When dropped it waits until they have ended; those that were never
/// woken up end without having done anything.
struct Threads(KVec<ARef<Task>>);

impl Threads {
    /// Creates a thread for `job`, which must be valid until `self` is dropped.
    fn create<F: Fn(CpuId) + Sync>(&mut self, job: &Job<'_, F>) -> Result {
        self.0.reserve(1, GFP_KERNEL)?;

        // SAFETY: `thread::<F>` fits the data; the format has one string. A negative node is no
        // preference.
        let task = from_err_ptr(unsafe {
            bindings::kthread_create_on_node(
                Some(thread::<F>),
                core::ptr::from_ref(job).cast_mut().cast(),
                -1,
                c"%s".as_char_ptr(),
                c"kunit_crew".as_char_ptr(),
            )
        })?;

        // SAFETY: The thread is new and has not run yet.
        unsafe { bindings::kthread_bind(task, job.cpu.as_u32()) };

        // SAFETY: The task is valid: a thread that was not woken up does not end.
        self.0
            .push_within_capacity(unsafe { &*task.cast::<Task>() }.into())?;
        Ok(())
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        for thread in &self.0 {
            // SAFETY: It is a kernel thread, and a reference to it is held. Nobody else stops it.
            unsafe { bindings::kthread_stop(thread.as_ptr()) };
        }
    }
}

/// A thread of the crew.
///
/// # Safety
///
/// `job` must point to a `Job<'_, F>` that is valid until the thread has ended.
unsafe extern "C" fn thread<F: Fn(CpuId) + Sync>(job: *mut c_void) -> c_int {
    // SAFETY: By the safety requirements.
    let job = unsafe { &*job.cast::<Job<'_, F>>() };

    // Each has a CPU of its own, so the others arrive soon.
    job.absent.fetch_sub(1, Full);
    while job.absent.load(Relaxed) != 0 {
        kernel::processor::cpu_relax();
    }

    (job.body)(job.cpu);
    job.done.complete_all();
    0
}
