// SPDX-License-Identifier: GPL-2.0

//! Reading or setting an interrupt's affinity takes a task, and so does hinting at it.

use irqkit::{
    context::{
        HardIrq,
        SoftIrq, //
    },
    irq::{
        CpuList,
        Line, //
    },
    path::Run,
    tasklet::TaskletHandler, //
};
use kernel::sync::Arc;

struct Mover(Arc<Line>);

impl TaskletHandler for Mover {
    fn run(&self, ctx: SoftIrq<'_>, _run: &mut Run<'_>) {
        let _ = self.0.affinity(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = self.0.effective_affinity(ctx); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = self.0.update_affinity_hint(ctx, None); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
        let _ = (ctx, self.0.irq());
    }
}

pub fn spread(line: &Line, cpus: CpuList, soft: SoftIrq<'_>) {
    let _ = line.set_affinity_and_hint(soft, cpus); //~ ERROR E0308 expected `Task<'_>`, found `SoftIrq<'_>`
    let _ = (line, soft);
}

pub fn spread_at_once(line: &Line, cpus: CpuList, hard: HardIrq<'_>) {
    let _ = line.affinity(hard); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = line.effective_affinity(hard); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = line.update_affinity_hint(hard, None); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = line.set_affinity_and_hint(hard, cpus); //~ ERROR E0308 expected `Task<'_>`, found `HardIrq<'_>`
    let _ = (line, hard);
}
