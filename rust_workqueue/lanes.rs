// SPDX-License-Identifier: GPL-2.0

//! The queues of a device, one of each kind.

use kernel::{
    prelude::*,
    static_lock_class,
    str::CString,
    time::Delta, //
};

use irqkit::{
    context::Task,
    path::PathSet,
    workqueue::{
        system,
        ArcWork,
        Handler,
        Item,
        Queue,
        SoftIrqs,
        Tasks, //
    }, //
};

use crate::kinds::{
    Kind,
    MAX_ACTIVE, //
};

/// A queue: of the kind whose items may sleep, or of the other.
enum Lane {
    Tasks(Queue<Tasks>),
    Bh(Queue<SoftIrqs>),
}

/// An item of a queue of either kind.
pub(crate) enum Work<T: Handler<Tasks> + Handler<SoftIrqs>> {
    Tasks(ArcWork<T, Tasks>),
    Bh(ArcWork<T, SoftIrqs>),
}

impl<T: Handler<Tasks> + Handler<SoftIrqs>> core::ops::Deref for Work<T> {
    type Target = Item;

    #[inline]
    fn deref(&self) -> &Item {
        match self {
            Self::Tasks(work) => work,
            Self::Bh(work) => work,
        }
    }
}

/// The queues of a device. Dropping them cancels what has not begun, and waits for what runs.
pub(crate) struct Lanes(KVec<(Kind, Lane)>);

impl Lanes {
    /// Makes a queue of each kind, with its path in `set`. May sleep.
    ///
    /// Names of queues are the whole system's, so those of the driver have the number `index`.
    pub(crate) fn new(set: &PathSet, index: u32) -> Result<Self> {
        let mut lanes = KVec::with_capacity(Kind::ALL.len(), GFP_KERNEL)?;
        for (kind, word) in Kind::ALL {
            let name = CString::try_from_fmt(fmt!("rwq{index}_{word}"))?;
            let path = CString::try_from_fmt(fmt!("{word}"))?;
            lanes.push((kind, Self::make(kind, set, &name, &path)?), GFP_KERNEL)?;
        }
        Ok(Self(lanes))
    }

    fn make(kind: Kind, set: &PathSet, name: &CStr, path: &CStr) -> Result<Lane> {
        Ok(match kind {
            Kind::PerCpu => Lane::Tasks(Queue::percpu(name).build_as(set, path)?),
            Kind::Unbound => Lane::Tasks(Queue::unbound(name).build_as(set, path)?),
            Kind::Freezable => Lane::Tasks(Queue::percpu(name).freezable().build_as(set, path)?),
            Kind::MemReclaim => Lane::Tasks(Queue::percpu(name).mem_reclaim().build_as(set, path)?),
            Kind::HighPri => Lane::Tasks(Queue::percpu(name).highpri().build_as(set, path)?),
            Kind::CpuIntensive => {
                Lane::Tasks(Queue::percpu(name).cpu_intensive().build_as(set, path)?)
            }
            Kind::PowerEfficient => {
                Lane::Tasks(Queue::percpu(name).power_efficient().build_as(set, path)?)
            }
            Kind::Sysfs => Lane::Tasks(Queue::unbound(name).sysfs().build_as(set, path)?),
            Kind::MaxActive => Lane::Tasks(
                Queue::percpu(name)
                    .max_active(MAX_ACTIVE)
                    .build_as(set, path)?,
            ),
            Kind::Ordered => Lane::Tasks(Queue::ordered(name).build_as(set, path)?),
            Kind::Bh => Lane::Bh(Queue::bh(name).build_as(set, path)?),
            Kind::BhHighPri => Lane::Bh(Queue::bh_highpri(name).build_as(set, path)?),
            Kind::SystemPerCpu => Lane::Tasks(system::percpu(set)?),
            Kind::SystemHighPri => Lane::Tasks(system::highpri(set)?),
            Kind::SystemLong => Lane::Tasks(system::long(set)?),
            Kind::SystemDfl => Lane::Tasks(system::dfl(set)?),
            Kind::SystemDflLong => Lane::Tasks(system::dfl_long(set)?),
            Kind::SystemFreezable => Lane::Tasks(system::freezable(set)?),
            Kind::SystemPowerEfficient => Lane::Tasks(system::power_efficient(set)?),
            Kind::SystemFreezablePowerEfficient => {
                Lane::Tasks(system::freezable_power_efficient(set)?)
            }
            Kind::SystemBh => Lane::Bh(system::bh(set)?),
            Kind::SystemBhHighPri => Lane::Bh(system::bh_highpri(set)?),
        })
    }

    fn get(&self, kind: Kind) -> Result<&Lane> {
        self.0
            .iter()
            .find_map(|(of, lane)| (*of == kind).then_some(lane))
            .ok_or(ENOENT)
    }

    /// Makes an item that runs `handler` on the queue of `kind`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn work<T>(&self, kind: Kind, handler: T) -> Result<Work<T>>
    where
        T: Handler<Tasks> + Handler<SoftIrqs>,
    {
        let key = static_lock_class!();
        Ok(match self.get(kind)? {
            Lane::Tasks(queue) => Work::Tasks(ArcWork::new(
                Ok::<_, Error>(handler),
                queue,
                key,
                GFP_KERNEL,
            )?),
            Lane::Bh(queue) => Work::Bh(ArcWork::new(
                Ok::<_, Error>(handler),
                queue,
                key,
                GFP_KERNEL,
            )?),
        })
    }

    /// Waits until what was queued on `kind` before has run.
    ///
    /// # Errors
    ///
    /// `EOPNOTSUPP` on a queue of the system's.
    pub(crate) fn flush(&self, task: Task<'_>, kind: Kind) -> Result {
        match self.get(kind)? {
            Lane::Tasks(queue) => queue.flush(task),
            Lane::Bh(queue) => queue.flush(task),
        }
    }

    /// Waits until nothing of ours is queued or running on `kind`.
    ///
    /// # Errors
    ///
    /// `ETIMEDOUT` if it took longer than `patience`.
    pub(crate) fn drain(&self, task: Task<'_>, kind: Kind, patience: Delta) -> Result {
        match self.get(kind)? {
            Lane::Tasks(queue) => queue.drain(task, patience),
            Lane::Bh(queue) => queue.drain(task, patience),
        }
    }
}
