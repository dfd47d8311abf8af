// SPDX-License-Identifier: GPL-2.0

//! The PCI driver: what is set up when a device appears, and taken down when it goes.

use kernel::{
    device::Core,
    pci,
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    path::PathSet,
    pci::{
        device_id,
        BusMaster,
        Intx, //
    }, //
};

use crate::{
    control,
    device::{
        Edu,
        Paths, //
    },
    hw::Hw,
    line::Line,
    module_parameters::storm_limit,
    param::irq_mode,
    regs, //
};

/// Vendor and device number of QEMU's `edu`.
const QEMU_VENDOR: u16 = 0x1234;
const EDU_DEVICE: u16 = 0x11e8;

kernel::pci_device_table!(
    PCI_TABLE,
    <EduDriver as pci::Driver>::IdInfo,
    [(device_id(QEMU_VENDOR, EDU_DEVICE), ())]
);

/// The driver.
pub(crate) struct EduDriver;

/// What the driver keeps for a bound device.
///
/// Fields are dropped in this order, and each relies on those before it being gone:
///
/// 1. The files: nobody starts anything new.
/// 2. The registration of the interrupt: neither handler runs any more. The handlers' own state,
///    and with it the tasklets, is dropped with it, after the line was freed.
/// 3. Bus mastering: the device can't reach memory any more.
/// 4. The DMA memory.
pub(crate) struct Bound<'bound> {
    _files: PathSet,
    _bus_master: BusMaster<'bound>,
    _memory: DmaMemory,
    edu: Arc<Edu>,
}

/// Frees the DMA memory of a device when dropped.
struct DmaMemory(Arc<Edu>);

impl Drop for DmaMemory {
    fn drop(&mut self) {
        self.0.dma.release();
    }
}

impl pci::Driver for EduDriver {
    type IdInfo = ();
    type Data<'bound> = Bound<'bound>;
    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            pdev.enable_device_mem()?;
            let bar = pdev.iomap_region_sized::<{ regs::END }>(0, c"rust_irq_demo")?;
            let hw = Hw::new(pdev.into(), bar)?;
            hw.quiesce();

            let files = PathSet::new::<crate::LocalModule>(pdev.as_ref().name())?;
            let edu = Edu::new(pdev, hw, Paths::new(&files)?, *storm_limit.value_ref())?;
            let _l = Line::new(edu.clone(), Some(Intx::new(pdev)?));
            let _ = irq_mode.value().types();
            control::add_files(&files, &edu)?;

            Ok(try_init!(Bound {
                _files: files,
                _bus_master: BusMaster::new(pdev),
                _memory: DmaMemory(edu.clone()),
                edu,
            }))
        })
    }

    fn unbind<'bound>(_pdev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        this.edu.leave();
    }
}
