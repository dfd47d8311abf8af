// SPDX-License-Identifier: GPL-2.0

//! The device itself, and what it keeps alive.

use core::ptr::{
    self,
    NonNull, //
};

use irqkit_bindings as raw;
use kernel::{
    bindings,
    cpumask::Cpumask,
    device,
    error::to_result,
    new_mutex,
    prelude::*,
    sync::{
        aref::ARef,
        atomic::{
            Atomic,
            Relaxed, //
        },
        Arc,
        Mutex, //
    }, //
};

use super::{
    page_pool::Shared,
    stats::{
        self,
        RxStats,
        TxStats, //
    },
    Features, //
};
use crate::context::Task;

/// What a device keeps until it ends: the core has pointers to it.
pub(super) trait Member: Send + Sync {
    /// The device is not registered, and never will be: stops for good. Task context.
    fn end(&self);
}

/// The memory of a `struct net_device`.
///
/// # Invariants
///
/// It points to a device that was allocated, and that nobody registers when this is dropped.
struct Memory(NonNull<bindings::net_device>);

impl Drop for Memory {
    fn drop(&mut self) {
        // Pages of a pool that were still with someone keep the pool, and that is in a list of ours.
        // Only a device that was never registered can have one: else the core takes them over.
        //
        // SAFETY: By the type invariant it is a device that was allocated.
        if unsafe { raw::netdev_has_page_pools(self.0.as_ptr()) } {
            pr_warn!("a network device's page pool was kept for longer than it: leaked\n");
            return;
        }
        // SAFETY: As above, and it is not used after this.
        unsafe { raw::free_netdev(self.0.as_ptr()) };
    }
}

/// What is under the lock of a [`Device`].
pub(super) struct State {
    /// It was registered, or is about to be: nothing more may be added.
    pub(super) registered: bool,
    /// It is not, and will never be again.
    pub(super) ended: bool,
    /// What ends with it.
    pub(super) members: KVec<Arc<dyn Member>>,
    /// The queues that have a cell of their own.
    pub(super) cells: KVec<u16>,
    /// The queues that have a NAPI instance, and whether they send.
    pub(super) linked: KVec<(bool, u16)>,
    /// The page pools that are not destroyed yet.
    pub(super) pools: KVec<Arc<Shared>>,
}

/// A network device.
///
/// It has what the device's queues have in common; what a driver keeps of it is an [`Arc`], which
/// stays valid after the device was unregistered, and of no use. The last one is to be dropped in
/// task context.
///
/// # Invariants
///
/// - `memory` was allocated by `alloc_etherdev_mqs()` with as many queues as there are tables.
/// - It is registered only between the moments in which `state.registered` and `state.ended` are
///   set.
#[pin_data]
pub struct Device {
    parent: ARef<device::Device>,
    rx: KVec<RxStats>,
    tx: KVec<TxStats>,
    /// What is asked of the device for each packet is counted.
    offloads: Atomic<bool>,
    #[pin]
    pub(super) state: Mutex<State>,
    /// Held while it is registered or unregistered.
    #[pin]
    pub(super) change: Mutex<()>,
    memory: Memory,
}

// SAFETY: The C object is made to be used on all CPUs.
unsafe impl Send for Device {}

// SAFETY: As above; each method that is safe says what it relies on.
unsafe impl Sync for Device {}

impl Device {
    /// Allocates a device. Task context; may sleep.
    pub(super) fn new(
        parent: &device::Device,
        private: usize,
        tx: u32,
        rx: u32,
    ) -> Result<Arc<Self>> {
        let tables = (
            stats::tables(tx, TxStats::new)?,
            stats::tables(rx, RxStats::new)?,
        );
        // SAFETY: It takes any numbers that are not 0, and refuses those that it can't.
        let dev = unsafe { raw::alloc_etherdev_mqs(private.try_into()?, tx, rx) };
        // INVARIANT: It was just allocated.
        let memory = Memory(NonNull::new(dev).ok_or(ENOMEM)?);

        // INVARIANT: It is not registered.
        Arc::pin_init(
            pin_init!(Self {
                parent: parent.into(),
                tx: tables.0,
                rx: tables.1,
                offloads: Atomic::new(false),
                state <- new_mutex!(State {
                    registered: false,
                    ended: false,
                    members: KVec::new(),
                    cells: KVec::new(),
                    linked: KVec::new(),
                    pools: KVec::new(),
                }, "irqkit::net::state"),
                change <- new_mutex!((), "irqkit::net::change"),
                memory,
            }),
            GFP_KERNEL,
        )
    }

    /// Returns the C object, which is valid as long as this is.
    #[inline]
    pub(super) fn as_raw(&self) -> *mut bindings::net_device {
        self.memory.0.as_ptr()
    }

    /// Returns what the device is made of, such as a PCI function.
    pub fn parent(&self) -> &device::Device {
        &self.parent
    }

    /// Returns how many transmit queues it was made with.
    pub fn tx_queues(&self) -> u32 {
        // CAST: There are as many as a `u32` said.
        self.tx.len() as u32
    }

    /// Returns how many receive queues it was made with.
    pub fn rx_queues(&self) -> u32 {
        // CAST: As above.
        self.rx.len() as u32
    }

    /// Returns the counters of a receive queue. Any context.
    #[inline]
    pub fn rx_stats(&self, queue: u16) -> Option<&RxStats> {
        self.rx.get(usize::from(queue))
    }

    /// Returns the counters of a transmit queue. Any context.
    #[inline]
    pub fn tx_stats(&self, queue: u16) -> Option<&TxStats> {
        self.tx.get(usize::from(queue))
    }

    /// Says that the counters of offloads mean something.
    pub(super) fn count_offloads(&self) {
        self.offloads.store(true, Relaxed);
    }

    /// Returns whether they do.
    pub(super) fn counts_offloads(&self) -> bool {
        self.offloads.load(Relaxed)
    }

    /// Calls `f` with a copy of the name that it has just now, such as `eth0`. If it is renamed at the
    /// same time, that may be part of one and part of another. Any context.
    pub fn with_name<R>(&self, f: impl FnOnce(&CStr) -> R) -> R {
        let mut name = [0; raw::irqkit_net_layout_IRQKIT_NAME_SIZE as usize];

        // SAFETY: The device is valid; there is room for a name.
        unsafe { raw::netdev_copy_name(self.as_raw(), name.as_mut_ptr().cast()) };
        // It ends within the array.
        f(CStr::from_bytes_until_nul(&name).unwrap_or(c""))
    }

    /// Returns the MTU. Any context.
    #[inline]
    pub fn mtu(&self) -> u32 {
        // SAFETY: The device is valid.
        unsafe { raw::netdev_mtu(self.as_raw()) }
    }

    /// Returns the features that are on just now. Any context.
    #[inline]
    pub fn features(&self) -> Features {
        // SAFETY: The device is valid.
        Features::from_bits(unsafe { raw::netdev_features(self.as_raw()) })
    }

    /// Says whether there is a link. Nothing happens after the device was unregistered.
    ///
    /// Stands for `netif_carrier_on()` and `netif_carrier_off()`.
    pub fn set_carrier(&self, _task: Task<'_>, on: bool) {
        let state = self.state.lock();

        if state.ended {
            return;
        }
        // SAFETY: The device is valid, and is not unregistered as long as we hold the lock: that
        // begins by setting `ended`.
        unsafe {
            match on {
                true => raw::netif_carrier_on(self.as_raw()),
                false => raw::netif_carrier_off(self.as_raw()),
            }
        }
    }

    /// Returns whether there is a link. Any context.
    pub fn carrier(&self) -> bool {
        // SAFETY: The device is valid.
        unsafe { raw::netif_carrier_ok(self.as_raw()) }
    }

    /// Takes the device away from the stack, or gives it back, while the hardware is out of use: it
    /// is neither opened nor sent to. Nothing happens after the device was unregistered.
    ///
    /// Stands for `netif_device_attach()` and `netif_device_detach()`.
    pub fn set_present(&self, _task: Task<'_>, present: bool) {
        let state = self.state.lock();

        if !state.registered || state.ended {
            return;
        }
        // SAFETY: The device is valid, and registered, or about to be, as long as we hold the lock.
        unsafe {
            match present {
                true => raw::netif_device_attach(self.as_raw()),
                false => raw::netif_device_detach(self.as_raw()),
            }
        }
    }

    /// Says that what the CPUs of `mask` send is to go through `queue`: XPS. May sleep.
    ///
    /// Stands for `netif_set_xps_queue()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there is no such queue; `ENODEV` after the device was unregistered; `ENOMEM`.
    pub fn set_xps(&self, _task: Task<'_>, queue: u16, mask: &Cpumask) -> Result {
        if self.tx_stats(queue).is_none() {
            return Err(EINVAL);
        }

        let state = self.state.lock();
        if state.ended {
            return Err(ENODEV);
        }
        // SAFETY: The device is valid, and not unregistered as long as we hold the lock; it has such
        // a queue. A `Cpumask` is a `struct cpumask`.
        to_result(unsafe {
            raw::netif_set_xps_queue(self.as_raw(), ptr::from_ref(mask).cast(), queue)
        })
    }

    /// Ends it all: unregisters the device if it is registered, and stops what belongs to it. When
    /// this returns, nothing of it runs. Task context; may be called any number of times.
    pub(super) fn end(&self) {
        let _change = self.change.lock();
        let registered = {
            let mut state = self.state.lock();
            if state.ended {
                return;
            }
            state.ended = true;
            state.registered
        };

        if registered {
            // SAFETY: By the type invariants it is registered, and nobody else unregisters it, since
            // `change` is ours. That also waits for everybody who uses it.
            unsafe { raw::unregister_netdev(self.as_raw()) };
        }

        let members = core::mem::take(&mut self.state.lock().members);
        for member in &members {
            member.end();
        }
    }

    /// The parent is about to be unbound: ends it all, and takes back what page pools have mapped for
    /// it that somebody still has. Task context.
    pub(super) fn unbind(&self) {
        self.end();

        // Held to the end: until then nobody lets go of what a pool refers to.
        let mut state = self.state.lock();
        if state.pools.is_empty() {
            return;
        }
        dev_warn!(
            self.parent,
            "page pools were kept until after the device was unbound\n"
        );
        for pool in &state.pools {
            pool.close();
        }
        // SAFETY: The bus unbinds devices in task context, outside of RCU readers.
        unsafe { bindings::synchronize_rcu() };
        for pool in core::mem::take(&mut state.pools) {
            // SAFETY: It is among those that are not destroyed, and was closed before all readers went.
            // The instances of the device have ended, and so are disabled for good.
            unsafe { raw::page_pool_destroy(pool.pool.as_ptr()) };
        }
    }

    /// Registers it. Task context.
    ///
    /// # Safety
    ///
    /// The device is set up, its private area included; that is valid until [`Device::end`] returned.
    pub(super) unsafe fn register(&self) -> Result {
        let _change = self.change.lock();
        {
            let mut state = self.state.lock();
            if state.ended {
                return Err(ENODEV);
            }
            if state.registered {
                return Err(EBUSY);
            }
            state.registered = true;
        }

        // SAFETY: By the safety requirements it is set up, and it is not registered.
        let result = to_result(unsafe { raw::register_netdev(self.as_raw()) });
        if result.is_err() {
            self.state.lock().registered = false;
        }
        result
    }
}
