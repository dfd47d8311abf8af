// SPDX-License-Identifier: GPL-2.0

//! How queues are made.
//!
//! Each kind of queue has the options that the kernel allows for it, and no others; the workqueue
//! core would refuse the rest, or ignore them, with or without a warning.

use core::{
    marker::PhantomData,
    ptr::NonNull, //
};

use kernel::{
    bindings,
    prelude::*,
    str::CString,
    sync::Arc, //
};

use super::{
    queue::Queue,
    registry,
    shared::{
        Shared,
        Traits, //
    },
    Class,
    SoftIrqs,
    Tasks, //
};
use crate::path::{
    self,
    Kind,
    PathSet, //
};

/// The longest name of a queue, which the core would cut (`WQ_NAME_LEN`).
const NAME_MAX: usize = 31;

/// The kind of [`Queue::percpu`].
pub enum PerCpu {}

/// The kind of [`Queue::unbound`].
pub enum Unbound {}

/// The kind of [`Queue::ordered`].
pub enum Ordered {}

/// The kind of [`Queue::bh`] and [`Queue::bh_highpri`].
pub enum Bh {}

mod private {
    /// A kind of queue.
    pub trait Kind {
        /// The class of its handlers.
        type Class: super::Class;
    }

    /// A kind of queue whose workers are threads.
    pub trait Threads {}

    /// One of which several items may run at the same time.
    pub trait Concurrent {}
}

impl private::Kind for PerCpu {
    type Class = Tasks;
}
impl private::Kind for Unbound {
    type Class = Tasks;
}
impl private::Kind for Ordered {
    type Class = Tasks;
}
impl private::Kind for Bh {
    type Class = SoftIrqs;
}

impl private::Threads for PerCpu {}
impl private::Threads for Unbound {}
impl private::Threads for Ordered {}

impl private::Concurrent for PerCpu {}
impl private::Concurrent for Unbound {}

/// A queue that is about to be made. `K` is its kind.
#[must_use = "it is made by `build`"]
pub struct Builder<'a, K> {
    name: &'a CStr,
    flags: bindings::wq_flags,
    max_active: u32,
    _kind: PhantomData<K>,
}

impl<'a, K> Builder<'a, K> {
    fn new(name: &'a CStr, flags: bindings::wq_flags, max_active: u32) -> Self {
        Self {
            name,
            flags,
            max_active,
            _kind: PhantomData,
        }
    }

    fn with(mut self, flag: bindings::wq_flags) -> Self {
        self.flags |= flag;
        self
    }

    fn has(&self, flag: bindings::wq_flags) -> bool {
        self.flags & flag != 0
    }
}

impl Queue<Tasks> {
    /// A queue whose items run on the CPU where they were requested, and with others of that CPU
    /// only while those sleep (`WQ_PERCPU`).
    pub fn percpu(name: &CStr) -> Builder<'_, PerCpu> {
        Builder::new(name, bindings::wq_flags_WQ_PERCPU, DEFAULT_ACTIVE)
    }

    /// A queue whose items the scheduler may move to any CPU, and run at once as far as
    /// `max_active` allows (`WQ_UNBOUND`).
    pub fn unbound(name: &CStr) -> Builder<'_, Unbound> {
        Builder::new(name, bindings::wq_flags_WQ_UNBOUND, DEFAULT_ACTIVE)
    }

    /// An unbound queue whose items run one by one, in the order of their requests.
    ///
    /// Stands for `alloc_ordered_workqueue()`.
    pub fn ordered(name: &CStr) -> Builder<'_, Ordered> {
        let flags = bindings::wq_flags_WQ_UNBOUND | bindings::wq_flags___WQ_ORDERED;

        Builder::new(name, flags, 1)
    }
}

impl Queue<SoftIrqs> {
    /// A queue whose items run in softirq context on the CPU where they were requested, in that
    /// order (`WQ_BH`): the successor of tasklets.
    pub fn bh(name: &CStr) -> Builder<'_, Bh> {
        let flags = bindings::wq_flags_WQ_BH | bindings::wq_flags_WQ_PERCPU;

        // The core wants no limit named.
        Builder::new(name, flags, 0)
    }

    /// As [`Queue::bh`], before all other softirqs, as high priority tasklets are.
    pub fn bh_highpri(name: &CStr) -> Builder<'_, Bh> {
        Self::bh(name).with(bindings::wq_flags_WQ_HIGHPRI)
    }
}

/// What the core takes where it is not told (`WQ_DFL_ACTIVE`).
const DEFAULT_ACTIVE: u32 = bindings::wq_consts_WQ_DFL_ACTIVE;

/// Returns `max_active` as the core takes it.
///
/// # Errors
///
/// `EINVAL`: it is out of the core's range.
pub(super) fn max_active_of(max_active: u32) -> Result<i32> {
    if !(1..=bindings::wq_consts_WQ_MAX_ACTIVE).contains(&max_active) {
        return Err(EINVAL);
    }
    Ok(i32::try_from(max_active)?)
}

impl<K: private::Threads> Builder<'_, K> {
    /// Its items don't run while the system is suspended (`WQ_FREEZABLE`).
    pub fn freezable(self) -> Self {
        self.with(bindings::wq_flags_WQ_FREEZABLE)
    }

    /// Its items run even when there is no memory for another worker: it has a thread in reserve,
    /// the rescuer (`WQ_MEM_RECLAIM`). For what memory is waiting for.
    pub fn mem_reclaim(self) -> Self {
        self.with(bindings::wq_flags_WQ_MEM_RECLAIM)
    }
}

impl<K: private::Concurrent> Builder<'_, K> {
    /// Its items run on workers with an elevated nice value, and have no part in the concurrency
    /// management of others (`WQ_HIGHPRI`).
    pub fn highpri(self) -> Self {
        self.with(bindings::wq_flags_WQ_HIGHPRI)
    }

    /// It is shown in `/sys/bus/workqueue/devices`, where it can be tuned (`WQ_SYSFS`).
    ///
    /// The name there must be the only one in the whole system.
    pub fn sysfs(self) -> Self {
        self.with(bindings::wq_flags_WQ_SYSFS)
    }

    /// How many of its items may run at the same time, from 1 to 2048 (1024 if not said): on each
    /// CPU, or in all if it is unbound.
    pub fn max_active(mut self, max_active: u32) -> Self {
        self.max_active = max_active;
        self
    }
}

impl Builder<'_, PerCpu> {
    /// Its items don't keep others on their CPU from starting, although they compute for long
    /// (`WQ_CPU_INTENSIVE`).
    pub fn cpu_intensive(self) -> Self {
        self.with(bindings::wq_flags_WQ_CPU_INTENSIVE)
    }

    /// It becomes unbound where the kernel is told to save power, by `workqueue.power_efficient`
    /// (`WQ_POWER_EFFICIENT`).
    pub fn power_efficient(self) -> Self {
        self.with(bindings::wq_flags_WQ_POWER_EFFICIENT)
    }
}

impl<K: private::Kind> Builder<'_, K> {
    /// Makes the queue, with the path `work/<name>` in `set`.
    ///
    /// It may sleep. Stands for `alloc_workqueue()`.
    ///
    /// # Errors
    ///
    /// - `EINVAL`: `max_active` is out of range, or the name can't be that of a path: it has other
    ///   than printable characters, a dot or a slash.
    /// - `ENAMETOOLONG`: the name has more than 31 characters.
    /// - `EEXIST`: `set` has this path, or there is another queue of irqkit's that is shown in
    ///   sysfs by this name.
    /// - `ENOMEM`; also if the core refuses to show it in sysfs.
    pub fn build(self, set: &PathSet) -> Result<Queue<K::Class>> {
        let path = self.name;

        self.build_as(set, path)
    }

    /// As [`Builder::build`], with the path `work/<path>`: for a driver of several devices, whose
    /// queues have different names and whose paths have not.
    ///
    /// # Errors
    ///
    /// As [`Builder::build`]; what it says of the name is so for both.
    pub fn build_as(self, set: &PathSet, path: &CStr) -> Result<Queue<K::Class>> {
        for name in [self.name, path] {
            if !path::is_component(name.to_str()?) {
                return Err(EINVAL);
            }
        }
        if self.name.count_bytes() > NAME_MAX {
            return Err(ENAMETOOLONG);
        }

        let softirq = self.has(bindings::wq_flags_WQ_BH);
        let max_active = match softirq {
            true => 0,
            false => max_active_of(self.max_active)?,
        };
        let kind = match (softirq, self.has(bindings::wq_flags_WQ_HIGHPRI)) {
            (false, _) => Kind::Work,
            (true, false) => Kind::Bh,
            (true, true) => Kind::BhHi,
        };
        let traits = Traits {
            system: false,
            softirq,
            unbound: self.has(bindings::wq_flags_WQ_UNBOUND),
            ordered: self.has(bindings::wq_flags___WQ_ORDERED),
            mem_reclaim: self.has(bindings::wq_flags_WQ_MEM_RECLAIM),
            sysfs: self.has(bindings::wq_flags_WQ_SYSFS),
        };

        let shared = registry::insert(self.name, traits, || {
            // SAFETY: The name is a string, which is copied. The flags are of a kind, with what
            // that allows.
            let raw = unsafe {
                irqkit_bindings::alloc_workqueue(self.name.as_char_ptr(), self.flags, max_active)
            };
            let new = New(NonNull::new(raw).ok_or(ENOMEM)?);
            // SAFETY: It is valid, and from here on nobody else uses it.
            let shared = unsafe { make(set, self.name, path, traits, kind, new.0) }?;
            core::mem::forget(new);
            Ok(shared)
        })?;

        // SAFETY: It is new, on the list, and of the class of its kind.
        Ok(unsafe { Queue::new(shared) })
    }
}

/// A workqueue that is destroyed unless it is taken.
///
/// # Invariants
///
/// It is valid, and nobody else uses it.
struct New(NonNull<bindings::workqueue_struct>);

impl Drop for New {
    fn drop(&mut self) {
        // SAFETY: By the type invariant. It is done by who makes queues, in a task.
        unsafe { bindings::destroy_workqueue(self.0.as_ptr()) };
    }
}

/// Makes what is behind a handle.
///
/// # Safety
///
/// As [`Shared::new`], if it succeeds.
unsafe fn make(
    set: &PathSet,
    name: &CStr,
    path: &CStr,
    traits: Traits,
    kind: Kind,
    queue: NonNull<bindings::workqueue_struct>,
) -> Result<Arc<Shared>> {
    let title = CString::try_from_fmt(fmt!("work/{}", path.to_str()?))?;
    let path = set.path(kind, &title)?;
    let name = CString::try_from(name)?;

    // SAFETY: By the safety requirements.
    let init = unsafe { Shared::new(queue, traits, name, path, set.module()) };
    Arc::pin_init(init, GFP_KERNEL)
}

/// Makes the handle of a queue of the system's, with the path `work/<name>` in `set`.
///
/// It may sleep.
///
/// # Errors
///
/// As [`Builder::build`].
///
/// # Safety
///
/// `queue` must be a workqueue that stays, of class `C` and the said traits, or null.
pub(super) unsafe fn system<C: Class>(
    set: &PathSet,
    name: &CStr,
    traits: Traits,
    kind: Kind,
    queue: *mut bindings::workqueue_struct,
) -> Result<Queue<C>> {
    let queue = NonNull::new(queue).ok_or(ENODEV)?;

    // SAFETY: It stays, and is of these traits.
    let shared = registry::insert(name, traits, || unsafe {
        make(set, name, name, traits, kind, queue)
    })?;

    // SAFETY: It is new, on the list, and of class `C` by the safety requirements.
    Ok(unsafe { Queue::new(shared) })
}
