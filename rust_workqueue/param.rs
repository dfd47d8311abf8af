// SPDX-License-Identifier: GPL-2.0

//! The module parameter `source`.

use irqkit::param::Choice;

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

irqkit::module_choice_param! {
    /// Where `insmod` was told to take the work from.
    source: Source = Source::Virtio, "Where work comes from: virtio (virtio-rng devices) or timer"
}
