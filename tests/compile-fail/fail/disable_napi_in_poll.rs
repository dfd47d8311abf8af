// SPDX-License-Identifier: GPL-2.0

//! A poll that disables NAPI would wait for itself.

use irqkit::{
    context::SoftIrq,
    net::{
        Budget,
        Napi,
        Next,
        Poller, //
    }, //
};
use kernel::sync::Arc;

pub struct Owner(Option<Arc<Napi<Owner>>>);

impl Poller for Owner {
    fn poll(&mut self, _budget: &mut Budget<'_>, ctx: SoftIrq<'_>) -> Next {
        if let Some(napi) = &self.0 {
            napi.disable(ctx); //~ ERROR E0308 mismatched types
            let _ = (napi, ctx);
        }
        Next::Done
    }

    fn mask(&mut self) {}

    fn unmask(&mut self) -> bool {
        true
    }
}
