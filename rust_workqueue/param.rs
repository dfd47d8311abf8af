// SPDX-License-Identifier: GPL-2.0

//! The module parameters `source` and `vectors`.

use irqkit::{
    param::Choice,
    virtio::Policy, //
};

/// Where the work comes from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    /// From virtio-rng devices.
    Virtio,
    /// From timers, for a machine without such a device.
    Timer,
}

impl Choice for Source {
    const WORDS: &'static [(&'static str, Self)] =
        &[("virtio", Self::Virtio), ("timer", Self::Timer)];
}

/// How a device is to interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vectors {
    Best,
    PerQueue,
    Shared,
    Intx,
}

impl Choice for Vectors {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("best", Self::Best),
        ("per_queue", Self::PerQueue),
        ("shared", Self::Shared),
        ("intx", Self::Intx),
    ];
}

impl Vectors {
    /// The transport's word for it.
    pub(crate) fn policy(self) -> Policy {
        match self {
            Self::Best => Policy::Best,
            Self::PerQueue => Policy::PerQueue,
            Self::Shared => Policy::Shared,
            Self::Intx => Policy::Intx,
        }
    }
}

/// The word for what the transport has chosen.
pub(crate) fn name_of(policy: Policy) -> &'static str {
    match policy {
        Policy::Best => "best",
        Policy::PerQueue => "per_queue",
        Policy::PerPair => "per_pair",
        Policy::Shared => "shared",
        Policy::Intx => "intx",
    }
}

irqkit::module_choice_param! {
    /// Where `insmod` was told to take the work from.
    source: Source = Source::Virtio, "Where work comes from: virtio (virtio-rng devices) or timer"
}

irqkit::module_choice_param! {
    /// The interrupts that `insmod` was told to use.
    vectors: Vectors = Vectors::Best, "Interrupts of a device: best, per_queue, shared or intx"
}
