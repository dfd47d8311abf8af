// SPDX-License-Identifier: GPL-2.0

//! What a PCI driver needs beside its interrupts, and [`kernel::pci`] does not offer safely yet.
//!
//! - [`WithDmaMask`]: a driver whose devices reach a given number of address bits.
//! - [`enable_memory`]: a device that decodes its memory until it is unbound.
//! - [`BusMaster`]: bus mastering for as long as a value lives.
//! - [`Intx`]: silence the INTx pin of one device, from any context.
//!
//! C header: [`include/linux/pci.h`](srctree/include/linux/pci.h)

use kernel::{
    bindings,
    device::{
        Bound,
        Core, //
    },
    devres::{
        self,
        Devres, //
    },
    dma::{
        Device as _,
        DmaMask, //
    },
    pci,
    prelude::*,
    sync::aref::ARef, //
};

use core::marker::PhantomData;

use crate::{
    irq,
    raw_lock::RawLock, //
};

mod power;

pub(crate) use power::Power;

/// Locked by who changes a bit of a command register: the functions of C read, change and write it,
/// and would undo each other's. It is one for all devices, as such changes are rare and short.
// SAFETY: `CommandLock::new` initialises it, which runs when irqkit is loaded and before there is
// anyone who could use it.
static COMMAND: RawLock<()> = unsafe { RawLock::uninit(()) };

/// Proof that the lock of the command registers is initialised. irqkit's module holds the only one.
pub(crate) struct CommandLock(());

impl CommandLock {
    /// Initialises the lock.
    ///
    /// # Safety
    ///
    /// To be called once, when irqkit is loaded, before anything else in [`crate::pci`] is used.
    pub(crate) unsafe fn new() -> Self {
        // SAFETY: By the safety requirements, this is done once, and first.
        unsafe { COMMAND.init(c"irqkit_pci_command", kernel::static_lock_class!()) };
        Self(())
    }
}

/// Turns bus mastering of a function on or off. Any context but NMI.
///
/// # Safety
///
/// The function must be valid.
unsafe fn set_master(dev: *mut bindings::pci_dev, on: bool) {
    COMMAND.with(|()| {
        // SAFETY: It is valid by the safety requirements. Configuration space is accessed under a
        // raw spinlock with interrupts off, so that it may be done under this one.
        unsafe {
            if on {
                bindings::pci_set_master(dev);
            } else {
                bindings::pci_clear_master(dev);
            }
        }
    });
}

/// `PCI_ANY_ID`.
const ANY_ID: u32 = u32::MAX;

/// Returns the C object behind a [`pci::Device`].
fn as_raw(dev: &pci::Device) -> *mut bindings::pci_dev {
    // `pci::Device` is a transparent wrapper of `struct pci_dev`.
    core::ptr::from_ref(dev).cast_mut().cast()
}

/// Returns whether `bar` of a function is memory, and not I/O ports; not so if there is no such BAR.
pub fn is_memory(dev: &pci::Device, bar: u32) -> bool {
    let Ok(number) = i32::try_from(bar) else {
        return false;
    };
    if bar > bindings::PCI_STD_RESOURCE_END {
        return false;
    }
    // SAFETY: The function is valid and has a resource of that number.
    let flags = unsafe { irqkit_bindings::pci_resource_flags(as_raw(dev), number) };
    flags & bindings::IORESOURCE_MEM as usize != 0
}

/// Returns an entry of a driver's device table for any vendor: `PCI_DEVICE(vendor, device)`.
///
/// [`pci::DeviceId::from_id`] knows the vendors of the kernel's own list alone.
pub const fn device_id(vendor: u16, device: u16) -> pci::DeviceId {
    let id = bindings::pci_device_id {
        vendor: vendor as u32,
        device: device as u32,
        subvendor: ANY_ID,
        subdevice: ANY_ID,
        class: 0,
        class_mask: 0,
        driver_data: 0,
        override_only: 0,
    };

    // SAFETY: `pci::DeviceId` is a transparent wrapper of `struct pci_device_id` without
    // invariants of its own.
    unsafe { core::mem::transmute::<bindings::pci_device_id, pci::DeviceId>(id) }
}

/// A [`pci::Driver`] whose devices can address memory of `BITS` bits by DMA.
///
/// Stands for a call of `dma_set_mask_and_coherent()` at the very start of `probe`. The mask must
/// not change while DMA memory of the device is being allocated or mapped, which is why the call
/// is unsafe in [`kernel::dma`]. Made here, before the driver saw the device for the first time,
/// nobody can be doing that.
///
/// So `probe` is for the bus alone, although it can't be hidden: whoever calls it by hand, from the
/// `probe` of `T` for instance, may do so only while nothing of the device is allocated or mapped.
///
/// `probe` fails with `EIO` if the platform can't address that little.
///
/// # Examples
///
/// ```ignore
/// kernel::module_pci_driver! {
///     type: irqkit::pci::WithDmaMask<MyDriver, 28>,
///     name: "my_driver",
///     …
/// }
/// ```
pub struct WithDmaMask<T, const BITS: u32>(PhantomData<T>);

impl<T: pci::Driver, const BITS: u32> pci::Driver for WithDmaMask<T, BITS> {
    type IdInfo = T::IdInfo;
    type Data<'bound> = T::Data<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = T::ID_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            // SAFETY: DMA memory of a device is allocated and mapped by the driver that is bound
            // to it. That is `T`, none of whose code has seen this device yet, and the device
            // lock, which the bus holds around `probe`, keeps every other driver away.
            unsafe { pdev.dma_set_mask_and_coherent(DmaMask::new::<BITS>())? };

            Ok(T::probe(pdev, info))
        })
    }

    fn unbind<'bound>(dev: &'bound pci::Device<Core<'_>>, this: Pin<&Self::Data<'bound>>) {
        T::unbind(dev, this);
    }
}

/// Has a device decode its memory, until it is unbound: after everything else that device-managed
/// resources hold, for which it is to be called first. Task context.
///
/// Stands for `pci_enable_device_mem()` and `pci_disable_device()`, which the former alone would leave
/// out.
///
/// # Errors
///
/// [`EBUSY`] if the function has interrupt vectors already, which would have to go first; `ENOMEM`, and
/// what the kernel says.
pub fn enable_memory(dev: &pci::Device<Core<'_>>) -> Result {
    if irq::has_vectors(dev.as_ref()) {
        return Err(EBUSY);
    }
    // SAFETY: Device-managed resources end before the device has no driver any more.
    let power = unsafe { Power::on(dev)? };
    devres::register(dev.as_ref(), power, GFP_KERNEL)
}

/// Bus mastering of a device, on for as long as this value lives.
///
/// Stands for `pci_set_master()` and `pci_clear_master()`. Once it is dropped the device can
/// neither reach memory nor send an MSI; a driver frees what the device may still be writing to
/// after that, not before.
///
/// Created and dropped in task context.
pub struct BusMaster<'bound> {
    dev: &'bound pci::Device<Bound>,
}

impl<'bound> BusMaster<'bound> {
    /// Turns bus mastering of `dev` on.
    pub fn new(dev: &'bound pci::Device<Core<'_>>) -> Self {
        // SAFETY: The reference is valid.
        unsafe { set_master(as_raw(dev), true) };
        Self { dev }
    }
}

impl Drop for BusMaster<'_> {
    fn drop(&mut self) {
        // SAFETY: `self.dev` is a valid `struct pci_dev`, and bound, so that nobody else drives it.
        unsafe { set_master(as_raw(self.dev), false) };
    }
}

/// The right to silence a device's INTx pin, given back when the device is unbound.
///
/// Stands for `pci_intx()`: the Interrupt Disable bit of the device's command register. Unlike
/// `disable_irq()` it silences this device only, and so is the way to stop a storm on a shared
/// line without harm to the others on it.
///
/// [`Intx::mask`] and [`Intx::unmask`] may be called beside each other, and beside what turns bus
/// mastering on or off: which of the two comes last is for the driver to know.
pub struct Intx(Devres<Line>);

/// The device whose pin it is.
struct Line(ARef<pci::Device>);

impl Intx {
    /// Takes the pin of `dev`. May sleep.
    ///
    /// # Errors
    ///
    /// `ENOMEM` if there is no memory for the device-managed resource.
    pub fn new(dev: &pci::Device<Bound>) -> Result<Self> {
        let pin: Line = Line(dev.into());
        Ok(Self(Devres::new(dev.as_ref(), pin)?))
    }

    /// Silences the pin. Does nothing once the device is unbound. Any context but NMI.
    pub fn mask(&self) {
        self.set(false);
    }

    /// Lets the pin speak again: if the device still wants service, the interrupt comes at once.
    /// Does nothing once the device is unbound. Any context but NMI.
    pub fn unmask(&self) {
        self.set(true);
    }

    fn set(&self, enable: bool) {
        if let Some(pin) = self.0.try_access() {
            // SAFETY: The device is valid, as a reference to it is held, and still bound to our
            // driver, as the access has not been revoked. Configuration space is accessed under a
            // raw spinlock with interrupts off, so that any context will do.
            COMMAND.with(|()| unsafe { bindings::pci_intx(as_raw(&pin.0), enable.into()) });
        }
    }
}
