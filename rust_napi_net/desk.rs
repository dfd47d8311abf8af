// SPDX-License-Identifier: GPL-2.0

//! What all queues of a device have in common.

use kernel::{
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc, //
    }, //
};

use irqkit::{
    net,
    percpu::Counters, //
};

use crate::{
    logic::{
        config,
        features,
        header::Fault, //
    },
    plan::Plan, //
};

/// How often a device was notified of a queue.
pub(crate) struct Kicks(Counters<1>);

impl Kicks {
    /// None yet.
    pub(crate) fn new() -> Result<Arc<Self>> {
        Ok(Arc::new(Self(Counters::new(GFP_KERNEL)?), GFP_KERNEL)?)
    }

    /// Once more.
    #[inline]
    pub(crate) fn add(&self) {
        self.0.add::<0>(1);
    }

    /// How many.
    pub(crate) fn get(&self) -> u64 {
        self.0.sum(0)
    }
}

/// What all queues of a device have in common.
pub(crate) struct Desk {
    pub(crate) plan: Plan,
    pub(crate) device: Arc<net::Device>,
    pub(crate) function: ARef<pci::Device>,
    /// Which faults of frames were said: a bit each.
    said: Atomic<u32>,
}

impl Desk {
    pub(crate) fn new(
        plan: Plan,
        device: Arc<net::Device>,
        function: &pci::Device,
    ) -> Result<Arc<Self>> {
        let desk = Self {
            plan,
            device,
            function: function.into(),
            said: Atomic::new(0),
        };
        Ok(Arc::new(desk, GFP_KERNEL)?)
    }

    /// Says what was wrong with a frame, once for each way: a device could fill the log with it. How
    /// often it was is in the statistics.
    #[cold]
    pub(crate) fn say(&self, fault: Fault) {
        let bit = 1 << (fault as u32);
        let said = self.said.load(Relaxed);

        if said & bit == 0 {
            // If somebody else is as quick, it is said twice, or again.
            self.said.store(said | bit, Relaxed);
            dev_warn!(self.function, "the device gives {fault}: dropped\n");
        }
    }
}

/// Returns whether the link is up, as far as a device says.
pub(crate) fn link_is_up(plan: &Plan, device: &irqkit::virtio::Device) -> bool {
    if !plan.has(features::STATUS) {
        return true;
    }
    device
        .config()
        .read_u16(config::STATUS)
        .is_ok_and(|status| status & config::LINK_UP != 0)
}
