// SPDX-License-Identifier: GPL-2.0

//! A real virtio device: QEMU's virtio-rng, taken from the kernel's own driver for as long as a
//! suite is loaded.
//!
//! Suites that need it have [`Module`] as their module, which is a driver for it. The driver only
//! makes it a [`Device`]; the tests do the rest.

// No suite uses all of it.
#![allow(dead_code)]

use core::ptr::{
    self,
    NonNull, //
};

use kernel::{
    bindings,
    device::{
        self,
        Core, //
    },
    driver,
    error::to_result,
    io::Io,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        global_lock,
        Arc, //
    }, //
};

use irqkit::{
    pci::{
        device_id,
        WithDmaMask, //
    },
    virtio::Device, //
};

/// The command register of a function, and its bit that switches the decoding of memory on.
const COMMAND: usize = 4;
const COMMAND_MEMORY: u16 = 2;

const VENDOR: u16 = 0x1af4;
/// The device as a transitional one, and as one of virtio 1.0 alone.
const IDS: [u16; 2] = [0x1005, 0x1044];

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as pci::Driver>::IdInfo,
    [
        (device_id(VENDOR, IDS[0]), ()),
        (device_id(VENDOR, IDS[1]), ())
    ]
);

global_lock! {
    // SAFETY: `Module` initialises it before it registers the driver, and nothing else uses it
    // earlier.
    unsafe(uninit) static DEVICE: Mutex<Option<Arc<Rng>>> = None;
}

/// A device.
pub(crate) struct Rng {
    function: ARef<pci::Device>,
    pub(crate) device: Arc<Device>,
}

impl Rng {
    /// Returns the device.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is none. The tests fail then, rather than show nothing.
    pub(crate) fn get() -> Result<Arc<Self>> {
        DEVICE.lock().clone().ok_or_else(|| {
            pr_err!("these tests need QEMU's virtio-rng (-device virtio-rng-pci)\n");
            ENODEV
        })
    }

    /// Returns the function as the one that is bound.
    pub(crate) fn bound(&self) -> &pci::Device<device::Bound> {
        let dev: *const pci::Device = &raw const *self.function;

        // SAFETY: The context is but a marker. The function was bound to this module's driver when
        // `self` was made, and stays so while tests run: they are a part of the module's loading,
        // and what unbinds is user space, after that; or a test by [`rebind`], which takes `self`.
        unsafe { &*dev.cast() }
    }

    /// Writes the device's status as somebody else would who does not know of its driver.
    ///
    /// QEMU's devices have the common configuration at the start of BAR 4.
    pub(crate) fn write_status(&self, status: u8) -> Result {
        const BAR: u32 = 4;
        const STATUS: usize = 20;

        // SAFETY: The BAR is memory of a device, and mapped here only to be written to at an offset
        // that is within it; the mapping goes before this returns.
        unsafe {
            let registers = bindings::ioremap(self.function.resource_start(BAR)?, STATUS + 1);
            if registers.is_null() {
                return Err(ENOMEM);
            }
            bindings::writeb(status, registers.byte_add(STATUS));
            bindings::iounmap(registers);
        }
        Ok(())
    }

    /// Has the function decode its memory, or not: then it is out of reach, as if it were not
    /// there, but goes on with what it does.
    pub(crate) fn decode(&self, on: bool) -> Result {
        let space = self.bound().config_space();
        let command = space.try_read16(COMMAND)?;
        let other = command & !COMMAND_MEMORY;

        space.try_write16(if on { other | COMMAND_MEMORY } else { other }, COMMAND)
    }

    fn raw(&self) -> *mut bindings::device {
        raw(&self.function)
    }
}

/// Returns the C object of the device behind a function.
fn raw(function: &pci::Device) -> *mut bindings::device {
    let device: &device::Device = function.as_ref();

    // `Device` is a transparent wrapper of `struct device`.
    ptr::from_ref(device).cast_mut().cast()
}

/// The driver.
pub(crate) struct Driver;

/// What it keeps.
pub(crate) struct Bound;

impl pci::Driver for Driver {
    type IdInfo = ();
    type Data<'bound> = Bound;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            let rng = Arc::new(
                Rng {
                    function: pdev.into(),
                    device: Device::new(pdev)?,
                },
                GFP_KERNEL,
            )?;

            // The first one is enough.
            DEVICE.lock().get_or_insert(rng);
            Ok(Ok::<_, Error>(Bound))
        })
    }

    fn unbind<'bound>(_dev: &'bound pci::Device<Core<'_>>, _this: Pin<&Self::Data<'bound>>) {
        DEVICE.lock().take();
    }
}

/// Functions that the kernel's own driver had to let go.
struct Taken(KVec<ARef<pci::Device>>);

impl Taken {
    fn new() -> Result<Self> {
        let mut taken = Self(KVec::new());

        for id in IDS {
            let mut function = ptr::null_mut();
            loop {
                // SAFETY: `function` is null or was returned by the last call, whose reference to
                // it goes with this one.
                function =
                    unsafe { bindings::pci_get_device(u32::from(VENDOR), u32::from(id), function) };
                let Some(found) = NonNull::new(function) else {
                    break;
                };
                // SAFETY: `pci::Device` is a transparent wrapper of `struct pci_dev`, and the call
                // holds a reference to it until the next one.
                let found: &pci::Device = unsafe { found.cast().as_ref() };

                taken.0.push(found.into(), GFP_KERNEL)?;
                // SAFETY: The device is valid, and no lock of it is held by this task.
                unsafe { bindings::device_release_driver(raw(found)) };
            }
        }
        Ok(taken)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        for function in self.0.iter() {
            // SAFETY: The device is valid: a reference to it is held. This is a task that holds no
            // lock of it.
            let _ = unsafe { bindings::device_attach(raw(function)) };
        }
    }
}

/// A module that is the driver.
#[pin_data]
pub(crate) struct Module {
    // Dropped first: the devices are free when they are given back.
    #[pin]
    _driver: driver::Registration<pci::Adapter<WithDmaMask<Driver, 64>>>,
    _taken: Taken,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: This is done once, and first.
        unsafe { DEVICE.init() };

        try_pin_init!(Self {
            _taken: Taken::new()?,
            _driver <- driver::Registration::new(
                <crate::LocalModule as kernel::module::ModuleMetadata>::NAME,
                module,
            ),
        })
    }
}

/// Unbinds the device from this driver, calls `meanwhile`, and binds it again. Nobody may use
/// [`Rng::bound`] meanwhile, and the `Rng` is another one afterwards.
pub(crate) fn rebind(rng: Arc<Rng>, meanwhile: impl FnOnce()) -> Result {
    let function = rng.function.clone();
    // SAFETY: The device is valid, and bound, so that it has a driver: this module's, which stays
    // as long as it is loaded.
    let driver = unsafe { (*rng.raw()).driver };

    drop(rng);
    // SAFETY: The device is valid: a reference to it is held. This is a task that holds no lock of
    // it.
    unsafe { bindings::device_release_driver(raw(&function)) };
    meanwhile();
    // SAFETY: As above. `device_attach()` could find another driver.
    to_result(unsafe { bindings::device_driver_attach(driver, raw(&function)) })
}
