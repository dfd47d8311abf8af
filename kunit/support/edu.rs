// SPDX-License-Identifier: GPL-2.0

//! A real source of interrupts: QEMU's `edu` device, which raises one whenever it is told to.
//!
//! Suites that need it have [`Module`] as their module, which is a driver for it. The driver only
//! finds the device; the tests do the rest.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    bindings,
    device::{
        self,
        Core, //
    },
    driver,
    io::Io,
    pci,
    prelude::*,
    sync::{
        aref::ARef,
        global_lock,
        Arc, //
    }, //
};

use irqkit::pci::{
    device_id,
    enable_memory,
    is_memory,
    BusMaster, //
};

/// Registers: which causes are raised, raise some, acknowledge some.
const STATUS: usize = 0x24;
const RAISE: usize = 0x60;
const ACKNOWLEDGE: usize = 0x64;
const END: usize = 0x80;

kernel::pci_device_table!(
    PCI_TABLE,
    <Driver as pci::Driver>::IdInfo,
    [(device_id(0x1234, 0x11e8), ())]
);

global_lock! {
    // SAFETY: `Module` initialises it before it registers the driver, and nothing else uses it
    // earlier.
    unsafe(uninit) static DEVICE: Mutex<Option<Arc<Edu>>> = None;
}

/// A device.
pub(crate) struct Edu {
    dev: ARef<pci::Device>,
    bar: pci::DevresBar<END>,
}

impl Edu {
    /// Returns the device.
    ///
    /// # Errors
    ///
    /// `ENODEV` if there is none. The tests fail then, rather than show nothing.
    pub(crate) fn get() -> Result<Arc<Self>> {
        DEVICE.lock().clone().ok_or_else(|| {
            pr_err!(
                "these tests need QEMU's edu device (-device edu), and no other driver for it\n"
            );
            ENODEV
        })
    }

    /// Returns the device as the one that is bound.
    pub(crate) fn bound(&self) -> &pci::Device<device::Bound> {
        let dev: *const pci::Device = &raw const *self.dev;

        // SAFETY: The context is but a marker. The device was bound to this module's driver when
        // `self` was made, and stays so while tests run: they are a part of the module's loading,
        // and what unbinds is user space, after that.
        unsafe { &*dev.cast() }
    }

    /// Raises `causes`: an interrupt, if none of those that are not acknowledged yet keeps the line
    /// up.
    ///
    /// May be called from any context.
    pub(crate) fn raise(&self, causes: u32) {
        if let Some(bar) = self.bar.try_access() {
            bar.write32(causes, RAISE);
        }
    }

    /// Returns the causes that are raised. May be called from any context.
    pub(crate) fn causes(&self) -> u32 {
        self.bar.try_access().map_or(0, |bar| bar.read32(STATUS))
    }

    /// Acknowledges all causes, and returns them. May be called from any context.
    pub(crate) fn acknowledge(&self) -> u32 {
        self.bar.try_access().map_or(0, |bar| {
            let causes = bar.read32(STATUS);

            bar.write32(causes, ACKNOWLEDGE);
            causes
        })
    }
}

/// The driver.
pub(crate) struct Driver;

/// What it keeps.
pub(crate) struct Bound<'bound> {
    _master: BusMaster<'bound>,
}

impl pci::Driver for Driver {
    type IdInfo = ();
    type Data<'bound> = Bound<'bound>;

    const ID_TABLE: pci::IdTable<Self::IdInfo> = &PCI_TABLE;

    fn probe<'bound>(
        pdev: &'bound pci::Device<Core<'_>>,
        _info: Option<&'bound Self::IdInfo>,
    ) -> impl PinInit<Self::Data<'bound>, Error> + 'bound {
        pin_init::pin_init_scope(move || {
            // User space can give any device to the driver.
            if !is_memory(pdev, 0) {
                return Err(ENODEV);
            }
            enable_memory(pdev)?;

            let edu = Arc::new(
                Edu {
                    dev: pdev.into(),
                    bar: pdev.iomap_region_sized::<END>(0, c"kunit")?.into_devres()?,
                },
                GFP_KERNEL,
            )?;
            edu.acknowledge();
            // The first one is enough.
            DEVICE.lock().get_or_insert(edu);

            Ok(try_init!(Bound {
                _master: BusMaster::new(pdev),
            }))
        })
    }

    fn unbind<'bound>(_dev: &'bound pci::Device<Core<'_>>, _this: Pin<&Self::Data<'bound>>) {
        DEVICE.lock().take();
    }
}

/// A module that is the driver.
#[pin_data]
pub(crate) struct Module {
    #[pin]
    _driver: driver::Registration<pci::Adapter<Driver>>,
}

impl kernel::InPlaceModule for Module {
    fn init(module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // SAFETY: This is done once, and first.
        unsafe { DEVICE.init() };

        try_pin_init!(Self {
            _driver <- driver::Registration::new(
                <crate::LocalModule as kernel::module::ModuleMetadata>::NAME,
                module,
            ),
        })
    }
}

/// Unbinds the device from this driver, and binds it again. Nobody may use [`Edu::bound`]
/// meanwhile, and the `Edu` is another one afterwards.
pub(crate) fn rebind(edu: Arc<Edu>) -> Result {
    let dev = edu.dev.clone();
    let generic: &device::Device = (*dev).as_ref();
    // `Device` is a transparent wrapper of `struct device`.
    let raw = core::ptr::from_ref(generic)
        .cast_mut()
        .cast::<bindings::device>();

    drop(edu);
    // SAFETY: The device is valid: a reference to it is held. This is a task that holds no lock of
    // it.
    unsafe { bindings::device_release_driver(raw) };
    // SAFETY: As above.
    let bound = unsafe { bindings::device_attach(raw) };

    if bound == 1 {
        Ok(())
    } else {
        Err(ENODEV)
    }
}
