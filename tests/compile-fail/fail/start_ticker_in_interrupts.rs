// SPDX-License-Identifier: GPL-2.0

//! Starting or stopping a ticker waits for its tick: a tick would wait for itself, and a softirq for
//! what it may have interrupted.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq, //
    },
    path::Run,
    ticker::{
        TickHandler,
        Ticker, //
    }, //
};
use kernel::{
    sync::Arc,
    time::Delta, //
};

pub struct Clock(pub Option<Arc<Ticker<Clock>>>);

impl TickHandler for Clock {
    fn tick(&self, ctx: HardIrq<'_>, _run: &mut Run<'_>) {
        if let Some(ticker) = &self.0 {
            let _ = ticker.start(ctx, Delta::from_millis(1)); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
            ticker.stop(ctx); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
            let _ = (ticker.is_ticking(), ctx);
        }
    }
}

pub fn soft<T: TickHandler>(ticker: &Ticker<T>, ctx: SoftIrq<'_>) -> bool {
    let _ = ticker.start(ctx, Delta::from_millis(1)); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    ticker.stop(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    ticker.is_ticking()
}
