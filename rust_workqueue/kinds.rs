// SPDX-License-Identifier: GPL-2.0

//! The kinds of workqueue, by name.

use kernel::sync::atomic::{
    Atomic,
    Relaxed, //
};

/// A kind of workqueue: the driver's own, then the system's.
///
/// Each is also the name of a path, `work/<word>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum Kind {
    /// `WQ_PERCPU`.
    PerCpu,
    /// `WQ_UNBOUND`.
    Unbound,
    /// `WQ_FREEZABLE`.
    Freezable,
    /// `WQ_MEM_RECLAIM`: it has a rescuer.
    MemReclaim,
    /// `WQ_HIGHPRI`.
    HighPri,
    /// `WQ_CPU_INTENSIVE`.
    CpuIntensive,
    /// `WQ_POWER_EFFICIENT`.
    PowerEfficient,
    /// `WQ_UNBOUND | WQ_SYSFS`.
    Sysfs,
    /// `WQ_PERCPU`, [`MAX_ACTIVE`] items at a time on each CPU.
    MaxActive,
    /// `alloc_ordered_workqueue()`.
    Ordered,
    /// `WQ_BH`.
    Bh,
    /// `WQ_BH | WQ_HIGHPRI`.
    BhHighPri,
    SystemPerCpu,
    SystemHighPri,
    SystemLong,
    SystemDfl,
    SystemDflLong,
    SystemFreezable,
    SystemPowerEfficient,
    SystemFreezablePowerEfficient,
    SystemBh,
    SystemBhHighPri,
}

/// How many items [`Kind::MaxActive`] lets run at a time.
pub(crate) const MAX_ACTIVE: u32 = 2;

impl Kind {
    /// All kinds, and the words for them.
    pub(crate) const ALL: [(Self, &'static str); 22] = [
        (Self::PerCpu, "percpu"),
        (Self::Unbound, "unbound"),
        (Self::Freezable, "freezable"),
        (Self::MemReclaim, "mem_reclaim"),
        (Self::HighPri, "highpri"),
        (Self::CpuIntensive, "cpu_intensive"),
        (Self::PowerEfficient, "power_efficient"),
        (Self::Sysfs, "sysfs"),
        (Self::MaxActive, "max_active"),
        (Self::Ordered, "ordered"),
        (Self::Bh, "bh"),
        (Self::BhHighPri, "bh_highpri"),
        (Self::SystemPerCpu, "system_percpu"),
        (Self::SystemHighPri, "system_highpri"),
        (Self::SystemLong, "system_long"),
        (Self::SystemDfl, "system_dfl"),
        (Self::SystemDflLong, "system_dfl_long"),
        (Self::SystemFreezable, "system_freezable"),
        (Self::SystemPowerEfficient, "system_power_efficient"),
        (
            Self::SystemFreezablePowerEfficient,
            "system_freezable_pwr_efficient",
        ),
        (Self::SystemBh, "system_bh"),
        (Self::SystemBhHighPri, "system_bh_highpri"),
    ];

    /// The kind called `word`.
    pub(crate) fn from_word(word: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .find_map(|&(kind, name)| (name == word).then_some(kind))
    }

    /// The word for it.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL
            .iter()
            .find_map(|&(kind, name)| (kind == self).then_some(name))
            .unwrap_or("?")
    }
}

/// A [`Kind`] that the user may change while work is being queued.
pub(crate) struct Choice(Atomic<u32>);

impl Choice {
    pub(crate) fn new(kind: Kind) -> Self {
        Self(Atomic::new(kind as u32))
    }

    #[inline]
    pub(crate) fn get(&self) -> Kind {
        let raw = self.0.load(Relaxed) as usize;
        Kind::ALL.get(raw).map_or(Kind::PerCpu, |&(kind, _)| kind)
    }

    pub(crate) fn set(&self, kind: Kind) {
        self.0.store(kind as u32, Relaxed);
    }
}
