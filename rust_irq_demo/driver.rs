// SPDX-License-Identifier: GPL-2.0

//! The PCI driver: what is set up when a device appears, and taken down when it goes.

use kernel::{
    device::Core,
    pci,
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    irq,
    path::PathSet,
    pci::{
        device_id,
        enable_memory,
        is_memory,
        BusMaster,
        Intx, //
    }, //
};

use crate::{
    contain::Watch,
    control,
    device::{
        Edu,
        Paths,
        Station, //
    },
    handlers::Handlers,
    hw::Hw,
    intake::Intake,
    module_parameters,
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
/// 1. The device is left: who waits for it gives up, and a storm is contained no longer.
/// 2. The files: nobody starts anything new.
/// 3. The INTx pin is silenced: the device may still end what it was at, and would keep a line
///    busy that has other users.
/// 4. The interrupt: neither handler runs any more, nor does what contains a storm, so that nobody
///    schedules the tasklets, which are killed with the last who could.
/// 5. The pin again: a storm that ended meanwhile may have had it speak.
/// 6. Bus mastering: the device can't reach memory any more.
/// 7. The DMA memory, when no transfer is under way any more.
/// 8. What the device raised since it was left is acknowledged: to enable a device unmasks its pin,
///    before the next driver can ask why it speaks.
///
/// What devres holds goes after them all: the vectors, the registers, and that the device is enabled.
pub(crate) struct Bound<'bound> {
    _leave: Leave,
    _files: PathSet,
    _silence: Silence,
    _irq: irq::Registration<irq::Threaded<Handlers>>,
    _silence_again: Silence,
    _bus_master: BusMaster<'bound>,
    _memory: DmaMemory,
    _peace: Peace,
}

/// Leaves a device when dropped.
struct Leave(Arc<Edu>);

impl Drop for Leave {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Silences the INTx pin of a device when dropped. The next driver, or the next time of this one,
/// gets the pin back when it asks for an INTx vector.
///
/// Under MSI the PCI core sees to the pin, and has it speak again when the vector is freed: nothing
/// may be raised any more by then.
struct Silence(Arc<Edu>);

impl Drop for Silence {
    fn drop(&mut self) {
        self.0.pin.mask();
    }
}

/// Frees the DMA memory of a device when dropped.
struct DmaMemory(Arc<Edu>);

impl Drop for DmaMemory {
    fn drop(&mut self) {
        self.0.dma.release(&self.0.hw);
    }
}

/// Acknowledges all that a device has raised when dropped.
struct Peace(Arc<Edu>);

impl Drop for Peace {
    fn drop(&mut self) {
        self.0.hw.quiesce();
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
            // User space can give any device to the driver, and I/O ports would be mapped as if they
            // were memory.
            if !is_memory(pdev, 0) {
                dev_err!(pdev, "not an edu device: BAR 0 is not memory\n");
                return Err(ENODEV);
            }
            enable_memory(pdev)?;
            // That let it speak, whatever it was left with, and its line may have other users. It is
            // to be silent until there is a vector for it.
            let pin = Intx::new(pdev)?;
            pin.mask();
            let bar = pdev
                .iomap_region_sized::<{ regs::END }>(0, crate::NAME)
                .inspect_err(|e| {
                    dev_err!(
                        pdev,
                        "cannot map BAR 0 as edu registers ({})\n",
                        e.to_errno()
                    );
                })?;
            let hw = Hw::new(pdev.into(), bar)?;
            hw.quiesce();
            // It may be at what an earlier driver gave it to do.
            hw.wait_until_still()?;

            let files = PathSet::new::<crate::LocalModule>(pdev.as_ref().name())?;
            let edu = Edu::new(
                pdev,
                hw,
                pin,
                Paths::new(&files)?,
                module_parameters::storm_limit.value(),
            )?;
            let mode = irq_mode.value();
            let vectors = irq::Vectors::new(pdev, 1, 1, mode.types()).inspect_err(|e| {
                dev_err!(
                    pdev,
                    "no interrupt of the kind that irq_mode={} asks for ({})\n",
                    mode.word(),
                    e.to_errno()
                );
            })?;
            let intake = Intake::new(edu.clone(), vectors.is_intx())?;

            // Fields are dropped in the order of the struct, but initialised in this one.
            Ok(try_init!(Bound {
                _peace: Peace(edu.clone()),
                _memory: DmaMemory(edu.clone()),
                _bus_master: BusMaster::new(pdev),
                _silence_again: Silence(edu.clone()),
                _irq: {
                    let request = irq::Request::new(pdev, &vectors, 0, crate::NAME)?
                        .shared(intake.intx && module_parameters::irq_shared.value());
                    let watch = if intake.intx {
                        let line = request.line().clone();
                        Some(Watch::new(&files, intake.clone(), line)?)
                    } else {
                        None
                    };
                    request
                        .threaded(
                            edu.paths.hardirq.clone(),
                            edu.paths.thread.clone(),
                            Handlers::new(intake.clone(), watch),
                        )
                        .inspect_err(|&e| {
                            let why = if e == EBUSY {
                                "its line has a user that does not share it"
                            } else {
                                "it can't be registered"
                            };
                            dev_err!(pdev, "no interrupt: {why} ({})\n", e.to_errno());
                        })?
                },
                _silence: Silence(edu.clone()),
                // The next three go in the order of the struct also if one of them fails.
                _files: files,
                _leave: Leave(edu),
                _: {
                    let line = _irq.line().clone();
                    control::add_files(_files, Station::new(intake, line)?)?;
                },
            }))
        })
    }
}
