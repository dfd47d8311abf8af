// SPDX-License-Identifier: GPL-2.0

//! Per-CPU values.
//!
//! [`PerCpu<T>`] is a `T` for every *possible* CPU, so it needs no care when CPUs come and go: the
//! value of an offline CPU stays, is still read and freed, and is there again when the CPU is.
//!
//! [`Counters`] are per-CPU 64-bit counters. An increment is one `this_cpu_add()`: a single
//! instruction on x86, and on every architecture atomic with respect to everything else that runs
//! on the same CPU. So no increment is lost when a hard interrupt lands in the middle of one in a
//! softirq, nor when a task is preempted or migrated there, and there is no cache line that CPUs
//! fight over.
//!
//! Access is by shared reference alone, and `T` is [`Sync`]: other CPUs may read at any time.
//! Whose value it is depends on the context: [`PerCpu::here`] takes the token of one that stays on
//! its CPU, [`PerCpu::with`] and [`PerCpu::with_irqs_off`] see to it in any, by turning off preemption
//! or interrupts. That keeps others of the same CPU away, which algorithms may want, but the
//! soundness of this module never rests on it.
//!
//! C header: [`include/linux/percpu.h`](srctree/include/linux/percpu.h)

use core::{
    ffi::c_void,
    marker::PhantomData,
    mem::{
        align_of,
        needs_drop,
        size_of, //
    },
    ptr::NonNull, //
};

use kernel::{
    alloc::{
        AllocError,
        Flags, //
    },
    bindings,
    cpu::CpuId,
    cpumask::Cpumask,
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    }, //
};

use crate::context;

#[cfg(not(CONFIG_64BIT))]
compile_error!("irqkit needs a 64-bit kernel: on 32 bits, 64-bit counters would be read in halves");

/// The largest size and alignment that the per-CPU allocator takes without a warning
/// (`PCPU_MIN_UNIT_SIZE`, and the smallest page size).
const MAX_SIZE: usize = 32 << 10;
const MAX_ALIGN: usize = 4096;

/// Returns all possible CPUs, in ascending order.
///
/// The set is fixed at boot. May be called from any context.
pub fn possible_cpus() -> impl Iterator<Item = CpuId> + Clone {
    (0..kernel::cpu::nr_cpu_ids())
        .filter_map(CpuId::from_u32)
        .filter(|&cpu| is_possible(cpu))
}

/// Returns whether `cpu` is online just now (`cpu_online()`). Any context; it may change at any time.
pub fn is_online(cpu: CpuId) -> bool {
    // SAFETY: It only reads a mask of the kernel.
    unsafe { irqkit_bindings::cpu_online(cpu.as_u32()) }
}

/// Returns whether `cpu` may ever be there (`cpu_possible()`).
fn is_possible(cpu: CpuId) -> bool {
    // SAFETY: The mask is a global of the kernel, valid for ever, and not written after boot.
    let possible = unsafe { Cpumask::from_raw(&raw const bindings::__cpu_possible_mask) };

    possible.test(cpu)
}

/// A value for each possible CPU.
///
/// Dropping it drops them all, and may be done in any context in which a `T` may be dropped.
///
/// # Invariants
///
/// - `ptr` is a per-CPU address from `__alloc_percpu_gfp()` with the size and alignment of `T`,
///   owned by this value. It is not an ordinary pointer and is never dereferenced itself.
/// - For each possible CPU, the memory that it stands for there holds a valid `T`.
pub struct PerCpu<T> {
    ptr: NonNull<c_void>,
    _values: PhantomData<T>,
}

// SAFETY: A `PerCpu<T>` owns its `T`s. Each is dropped by whoever drops it, so they must be `Send`.
unsafe impl<T: Send> Send for PerCpu<T> {}

// SAFETY: A shared `PerCpu<T>` hands out shared references to its `T`s on any CPU.
unsafe impl<T: Sync> Sync for PerCpu<T> {}

/// Memory from the per-CPU allocator that does not hold values yet.
///
/// # Invariants
///
/// `0` is a per-CPU address from `__alloc_percpu_gfp()`, zeroed, and owned by this value.
struct Memory(NonNull<c_void>);

impl Memory {
    /// Allocates zeroed memory for a `T` a possible CPU.
    fn new<T>(flags: Flags) -> Result<Self, AllocError> {
        const {
            assert!(size_of::<T>() != 0, "a per-CPU value must have a size");
            assert!(
                size_of::<T>() <= MAX_SIZE,
                "too large for the per-CPU allocator"
            );
            assert!(
                align_of::<T>() <= MAX_ALIGN,
                "too aligned for the per-CPU allocator"
            );
        }

        // The value of `Flags` is private to the kernel crate. All that the per-CPU allocator wants
        // to know is whether it may sleep.
        let gfp = if flags.contains(GFP_KERNEL) {
            bindings::GFP_KERNEL
        } else {
            bindings::GFP_NOWAIT
        };

        // SAFETY: May be called with any size, alignment and flags; whether to sleep is the
        // caller's promise, made by `flags`.
        let ptr =
            unsafe { irqkit_bindings::__alloc_percpu_gfp(size_of::<T>(), align_of::<T>(), gfp) };

        // INVARIANT: The address was just allocated, and per-CPU memory comes zeroed.
        NonNull::new(ptr).map(Self).ok_or(AllocError)
    }

    /// Gives up ownership.
    fn into_raw(self) -> NonNull<c_void> {
        let ptr = self.0;
        core::mem::forget(self);
        ptr
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: By the type invariant, it came from the per-CPU allocator and is ours.
        unsafe { bindings::free_percpu(self.0.as_ptr()) };
    }
}

/// Returns where `cpu`'s part of the per-CPU address `ptr` is.
///
/// # Safety
///
/// `ptr` must be a per-CPU address that is allocated, for at least a `T`; `cpu` must be possible.
unsafe fn on_cpu<T>(ptr: NonNull<c_void>, cpu: CpuId) -> *mut T {
    // SAFETY: By the safety requirements.
    unsafe { irqkit_bindings::per_cpu_ptr(ptr.as_ptr(), i32::from(cpu)) }.cast()
}

impl<T> PerCpu<T> {
    /// Allocates a value of all zeroes for each possible CPU.
    ///
    /// May be called from any context that `flags` allow: with `GFP_KERNEL` it may sleep, with
    /// anything less it takes only memory that the per-CPU allocator has ready, and so may fail
    /// sooner.
    pub fn zeroed(flags: Flags) -> Result<Self, AllocError>
    where
        T: Zeroable,
    {
        // INVARIANT: The memory is sized and aligned for `T`, and all zeroes are a valid `T`.
        Ok(Self {
            ptr: Memory::new::<T>(flags)?.into_raw(),
            _values: PhantomData,
        })
    }

    /// Allocates a value for each possible CPU, made by `init`.
    ///
    /// Contexts as [`PerCpu::zeroed`].
    pub fn new(flags: Flags, mut init: impl FnMut(CpuId) -> T) -> Result<Self, AllocError> {
        let memory = Memory::new::<T>(flags)?;

        for cpu in possible_cpus() {
            // SAFETY: `memory` is allocated for a `T`, and `cpu` is possible.
            let slot = unsafe { on_cpu::<T>(memory.0, cpu) };

            // SAFETY: `slot` is valid for writes and aligned; no one else knows of the memory yet.
            unsafe { slot.write(init(cpu)) };
        }

        // INVARIANT: Each possible CPU's part has just been initialised.
        Ok(Self {
            ptr: memory.into_raw(),
            _values: PhantomData,
        })
    }

    /// Returns the value of `cpu`, or [`None`] if it is not a possible CPU.
    ///
    /// May be called from any context. The CPU itself may be using its value meanwhile.
    #[inline]
    pub fn get(&self, cpu: CpuId) -> Option<&T> {
        if !is_possible(cpu) {
            return None;
        }

        // SAFETY: By the type invariant `ptr` is allocated for a `T`; `cpu` is possible.
        let value = unsafe { on_cpu::<T>(self.ptr, cpu) };

        // SAFETY: By the type invariant it is a valid `T`, and it lives as long as `self`. There is
        // no exclusive reference to it, for that would take a `&mut self`.
        Some(unsafe { &*value })
    }

    /// Returns the value of `cpu`, or [`None`] if it is not a possible CPU.
    ///
    /// May be called from any context. The exclusive reference to `self` proves that no one else
    /// has access.
    pub fn get_mut(&mut self, cpu: CpuId) -> Option<&mut T> {
        if !is_possible(cpu) {
            return None;
        }

        // SAFETY: By the type invariant `ptr` is allocated for a `T`; `cpu` is possible.
        let value = unsafe { on_cpu::<T>(self.ptr, cpu) };

        // SAFETY: By the type invariant it is a valid `T`. All access goes through `self`, which is
        // borrowed exclusively for as long as the result.
        Some(unsafe { &mut *value })
    }

    /// Returns the values of all possible CPUs, offline ones included.
    ///
    /// May be called from any context. The CPUs may be using their values meanwhile.
    pub fn iter(&self) -> impl Iterator<Item = (CpuId, &T)> + Clone {
        possible_cpus().filter_map(|cpu| self.get(cpu).map(|value| (cpu, value)))
    }

    /// Returns the value of the CPU that the context stays on, which need not be kept there
    /// (`this_cpu_ptr()`).
    ///
    /// Interrupts of this CPU may come in and use the same value.
    #[inline]
    pub fn here<C: context::Atomic>(&self, _ctx: C) -> &T {
        self.current()
    }

    /// Calls `f` with the value of the current CPU, on which it stays meanwhile
    /// (`get_cpu_ptr()`, `put_cpu_ptr()`).
    ///
    /// May be called from any context; `f` must not sleep. Interrupts of this CPU may come in and
    /// use the same value.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let _pinned = PreemptionOff::new();

        f(self.current())
    }

    /// Calls `f` with the value of the current CPU, with its interrupts switched off.
    ///
    /// May be called from any context but NMIs; `f` must be short and must not sleep. Nothing else
    /// runs on this CPU meanwhile, so if the value is written nowhere but in such closures, `f` is
    /// its only writer and may read, modify and write it by plain steps.
    #[inline]
    pub fn with_irqs_off<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        let _off = IrqsOff::new();

        f(self.current())
    }

    /// Returns the value of a CPU that was the current one during the call.
    #[inline]
    fn current(&self) -> &T {
        // SAFETY: By the type invariant `ptr` is an allocated per-CPU address. Moving to another
        // CPU yields that or this CPU's part, both of them valid.
        let value = unsafe { irqkit_bindings::raw_cpu_ptr(self.ptr.as_ptr()) }.cast::<T>();

        // SAFETY: By the type invariant every possible CPU, and the current one is possible, has a
        // valid `T`, which lives as long as `self`. Exclusive references would take a `&mut self`.
        unsafe { &*value }
    }
}

impl<T> Drop for PerCpu<T> {
    fn drop(&mut self) {
        // INVARIANT: By the type invariant we own this address. The values in it are dropped here
        // and not used again. `memory` frees it at the end of the scope.
        let memory = Memory(self.ptr);

        if needs_drop::<T>() {
            for cpu in possible_cpus() {
                // SAFETY: By the type invariant `ptr` is allocated for a `T`; `cpu` is possible.
                let value = unsafe { on_cpu::<T>(memory.0, cpu) };

                // SAFETY: By the type invariant it is a valid `T`, ours alone, and never used
                // again.
                unsafe { value.drop_in_place() };
            }
        }
    }
}

/// Preemption is off for as long as this value lives. It stays on its CPU.
struct PreemptionOff(PhantomData<*mut ()>);

impl PreemptionOff {
    #[inline]
    fn new() -> Self {
        // SAFETY: May be called from any context; undone when dropped.
        unsafe { irqkit_bindings::preempt_disable() };
        Self(PhantomData)
    }
}

impl Drop for PreemptionOff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: Pairs with the call in `new`, on the same CPU.
        unsafe { irqkit_bindings::preempt_enable() };
    }
}

/// The CPU's interrupts are off for as long as this value lives. It stays on its CPU.
struct IrqsOff {
    flags: usize,
    _cpu: PhantomData<*mut ()>,
}

impl IrqsOff {
    #[inline]
    fn new() -> Self {
        Self {
            // SAFETY: May be called from any context; undone when dropped.
            flags: unsafe { irqkit_bindings::local_irq_save() },
            _cpu: PhantomData,
        }
    }
}

impl Drop for IrqsOff {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: `flags` is what the call in `new` returned, on the same CPU. Values of this type
        // do not leave `with_irqs_off`, so they are dropped in reverse order of creation.
        unsafe { irqkit_bindings::local_irq_restore(self.flags) };
    }
}

/// `N` monotonic 64-bit counters for each possible CPU.
pub struct Counters<const N: usize>(PerCpu<[Atomic<u64>; N]>);

impl<const N: usize> Counters<N> {
    /// Allocates counters that stand at 0.
    ///
    /// Contexts as [`PerCpu::zeroed`].
    pub fn new(flags: Flags) -> Result<Self, AllocError> {
        Ok(Self(PerCpu::new(flags, |_| {
            core::array::from_fn(|_| Atomic::new(0))
        })?))
    }

    /// Adds `n` to counter `I` of the current CPU (`this_cpu_add()`).
    ///
    /// May be called from any context. It is wait-free, and atomic with respect to whatever else
    /// runs on this CPU: tasks, softirqs, hard interrupts and, on x86, NMIs.
    #[inline]
    pub fn add<const I: usize>(&self, n: u64) {
        const { assert!(I < N, "no such counter") };

        let first = self.0.ptr.as_ptr().cast::<u64>();

        // SAFETY:
        // - By the invariant of `PerCpu`, `first` is an allocated per-CPU address of `N` words,
        //   each a valid `Atomic<u64>`, which is a `u64` in memory; `I` is one of them.
        // - The words are shared: they are only ever read by atomic loads and written here, both in
        //   the kernel's memory model.
        unsafe { irqkit_bindings::this_cpu_add_u64(first.wrapping_add(I), n) };
    }

    /// Returns counter `index` of `cpu`; 0 if there is no such counter or CPU.
    ///
    /// May be called from any context.
    #[inline]
    pub fn on(&self, cpu: CpuId, index: usize) -> u64 {
        self.0
            .get(cpu)
            .and_then(|row| row.get(index))
            .map_or(0, |value| value.load(Relaxed))
    }

    /// Returns the sum of counter `index` over all possible CPUs, modulo 2^64; 0 if there is no
    /// such counter.
    ///
    /// May be called from any context. Increments that run meanwhile may be in it or not.
    pub fn sum(&self, index: usize) -> u64 {
        possible_cpus().fold(0, |sum, cpu| sum.wrapping_add(self.on(cpu, index)))
    }
}
