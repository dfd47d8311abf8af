// SPDX-License-Identifier: GPL-2.0

//! The module's parameters.

use kernel::prelude::*;

use irqkit::{
    param::Choice,
    virtio::Policy, //
};

use crate::module_parameters;

/// How a device is to interrupt.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Vectors {
    Best,
    PerQueue,
    PerPair,
    Shared,
    Intx,
}

impl Choice for Vectors {
    const WORDS: &'static [(&'static str, Self)] = &[
        ("best", Self::Best),
        ("per_queue", Self::PerQueue),
        ("per_pair", Self::PerPair),
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
            Self::PerPair => Policy::PerPair,
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

/// Who takes back what was sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Completion {
    /// A NAPI instance of the queue's own.
    Napi,
    /// A tasklet.
    Tasklet,
}

impl Completion {
    /// The word for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Napi => "napi",
            Self::Tasklet => "tasklet",
        }
    }
}

impl Choice for Completion {
    const WORDS: &'static [(&'static str, Self)] =
        &[("napi", Self::Napi), ("tasklet", Self::Tasklet)];
}

irqkit::module_choice_param! {
    /// The interrupts that `insmod` was told to use.
    vectors: Vectors = Vectors::Best,
    "Interrupts of a device: best, per_queue, per_pair, shared or intx"
}

irqkit::module_choice_param! {
    /// Who takes back what was sent, as `insmod` was told.
    tx_completion: Completion = Completion::Napi, "What was sent is taken back by: napi or tasklet"
}

/// The most bytes that are copied.
const MOST_COPIED: u32 = 1024;
/// The most descriptors that a queue can have.
const MOST_DESCRIPTORS: u32 = 32768;

/// The module's parameters, checked.
#[derive(Clone, Copy)]
pub(crate) struct Parameters {
    /// Frames up to this length are copied.
    pub(crate) copybreak: u32,
    /// The most descriptors of a queue.
    pub(crate) ring_size: u16,
    /// The most pairs of queues; [`None`] if that is the CPUs' business.
    pub(crate) queue_pairs: Option<u16>,
    pub(crate) policy: Policy,
    pub(crate) completion: Completion,
}

impl Parameters {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// `EINVAL` if one is out of its range, and a line in the log that says so.
    pub(crate) fn read() -> Result<Self> {
        let within = |name: &str, value: u32, min: u32, max: u32| {
            if (min..=max).contains(&value) {
                return Ok(value);
            }
            pr_err!("{name}={value}: expected {min} to {max}\n");
            Err(EINVAL)
        };
        let copybreak = module_parameters::copybreak.value();
        let ring_size = module_parameters::ring_size.value();
        let queue_pairs = module_parameters::queue_pairs.value();
        let queue_pairs = within("queue_pairs", queue_pairs, 0, 0x8000)?;

        Ok(Self {
            copybreak: within("copybreak", copybreak, 0, MOST_COPIED)?,
            ring_size: within("ring_size", ring_size, 2, MOST_DESCRIPTORS)?.try_into()?,
            queue_pairs: match queue_pairs {
                0 => None,
                pairs => Some(pairs.try_into()?),
            },
            policy: vectors.value().policy(),
            completion: tx_completion.value(),
        })
    }
}
