// SPDX-License-Identifier: GPL-2.0

//! Requesting an interrupt in `probe`, and leaking what comes of it.

use irqkit::{
    context::{
        HardIrq,
        Task, //
    },
    irq::{
        CpuList,
        Handler,
        IrqReturn,
        Plain,
        Registration,
        Request,
        Trigger,
        Vectors, //
    },
    path::{
        Path,
        Run, //
    }, //
};
use kernel::{
    cpu::CpuId,
    device::Core,
    pci,
    prelude::*,
    sync::Arc, //
};

pub struct Idle;

impl Handler for Idle {
    fn handle(&self, _ctx: HardIrq<'_>, _run: &mut Run<'_>) -> IrqReturn {
        IrqReturn::None
    }
}

pub fn probe(pdev: &pci::Device<Core<'_>>, path: Arc<Path>) -> Result<Registration<Plain<Idle>>> {
    let task = Task::of_bus_callback(pdev);
    let vectors = Vectors::new(pdev, 1, 4, pci::IrqTypes::all())?;
    let registration = Request::new(pdev, &vectors, 0, c"idle")?
        .shared(true)
        .trigger(Trigger::High)
        .plain(path, Idle)?;

    drop(vectors);
    registration.set_affinity_and_hint(task, CpuList::new([CpuId::current()])?)?;
    core::mem::forget(registration.disable(task)?);
    Ok(registration)
}

pub fn leak(registration: Registration<Plain<Idle>>) -> u32 {
    let line = registration.line().clone();
    core::mem::forget(registration);
    line.irq()
}
