// SPDX-License-Identifier: GPL-2.0

//! What has a page pool, for suites in which no packet comes in.

use irqkit::{
    context::SoftIrq,
    net::{
        Budget,
        Next,
        PagePool,
        Poller, //
    }, //
};

/// Has a pool, and finds nothing when it is polled.
pub(crate) struct Owner(pub(crate) PagePool);

impl Poller for Owner {
    fn poll(&mut self, _budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
        Next::Done
    }

    fn mask(&mut self) {}

    fn unmask(&mut self) -> bool {
        true
    }
}
