// SPDX-License-Identifier: GPL-2.0

//! How a device comes into being, and how it ends.

use core::ptr;

use irqkit_bindings as raw;
use kernel::{
    bindings,
    device::{
        self,
        Bound, //
    },
    devres,
    error::to_result,
    prelude::*,
    sync::Arc, //
};

use super::{
    device::Device,
    ops::{
        self,
        Driver,
        Private, //
    },
    Features,
    Mac, //
};

/// A device that is not registered yet.
///
/// Dropping it ends the device: what was made on it is of no use afterwards.
pub struct Builder {
    device: Arc<Device>,
    config: raw::irqkit_netdev,
    /// It was registered, and is not this value's business any more.
    done: bool,
}

/// What is dropped when the parent is unbound.
struct Unbind(Arc<Device>);

impl Drop for Unbind {
    fn drop(&mut self) {
        self.0.unbind();
    }
}

impl Builder {
    /// The smallest MTU of Ethernet.
    const MIN_MTU: u32 = bindings::ETH_MIN_MTU;

    /// Allocates a device, which will be named `eth0` or so, with a random address and no features,
    /// for an MTU of up to 1500. Task context; may sleep.
    ///
    /// It ends when `parent` is unbound, at the latest.
    ///
    /// Stands for `alloc_etherdev_mqs()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if there are no queues to receive or to send, or more than 65535; `ENOMEM`.
    pub fn new(parent: &device::Device<Bound>, tx_queues: u32, rx_queues: u32) -> Result<Self> {
        let queues = 1..=u32::from(u16::MAX);
        if !queues.contains(&tx_queues) || !queues.contains(&rx_queues) {
            return Err(EINVAL);
        }

        let device = Device::new(parent, size_of::<Private>(), tx_queues, rx_queues)?;
        // SAFETY: The device is valid, and nobody else has it yet.
        unsafe { raw::eth_hw_addr_random(device.as_raw()) };
        devres::register(parent, Unbind(device.clone()), GFP_KERNEL)?;

        Ok(Self {
            device,
            config: raw::irqkit_netdev {
                mtu: bindings::ETH_DATA_LEN,
                min_mtu: Self::MIN_MTU,
                max_mtu: bindings::ETH_DATA_LEN,
                watchdog_ms: 5000,
                ..Default::default()
            },
            done: false,
        })
    }

    /// Returns the device, on which to make what belongs to it.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Gives it an address.
    ///
    /// # Errors
    ///
    /// `EADDRNOTAVAIL` if that is not one of a station: all zeroes, or a group's.
    pub fn mac(self, mac: Mac) -> Result<Self> {
        let [first, ..] = mac;
        if mac == [0; 6] || first & 1 != 0 {
            return Err(EADDRNOTAVAIL);
        }
        // SAFETY: The device is valid, and not registered, as it takes a `Builder` to do that; the
        // address has six bytes.
        unsafe { raw::eth_hw_addr_set(self.device.as_raw(), mac.as_ptr()) };
        Ok(self)
    }

    /// Says what the device can do: what is `on` from the beginning, what can be switched by the
    /// user, and what works for packets with a VLAN tag. What has no name in [`Features`] is left out.
    #[must_use]
    pub fn features(mut self, on: Features, switchable: Features, vlan: Features) -> Self {
        self.config.features = on.and(Features::ALL).bits();
        self.config.hw_features = switchable.and(Features::ALL).bits();
        self.config.vlan_features = vlan.and(Features::ALL).bits();
        self
    }

    /// Says which MTUs it can have, and which it has at first.
    ///
    /// # Errors
    ///
    /// `EINVAL` if `min` is below that of Ethernet, or they are not in that order.
    pub fn mtu(mut self, min: u32, mtu: u32, max: u32) -> Result<Self> {
        if min < Self::MIN_MTU || mtu < min || max < mtu || max > bindings::ETH_MAX_MTU {
            return Err(EINVAL);
        }
        self.config.min_mtu = min;
        self.config.mtu = mtu;
        self.config.max_mtu = max;
        Ok(self)
    }

    /// The most room in front of a packet: where its headers are is said in 16 bits.
    const MAX_HEADROOM: u16 = 4096;

    /// Asks the stack to leave so many bytes in front of what it sends, where it can; not more than 4096.
    #[must_use]
    pub fn headroom(mut self, bytes: u16) -> Self {
        self.config.headroom = bytes.min(Self::MAX_HEADROOM);
        self
    }

    /// The least that [`Builder::gso_max`] takes: the stack subtracts headers from it, and expects some to be left.
    const MIN_GSO: u32 = 4096;

    /// Says how large a packet may be that the device is to cut; if it is not called, as the stack
    /// likes it.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that is less than 4096.
    pub fn gso_max(mut self, bytes: u32) -> Result<Self> {
        if bytes < Self::MIN_GSO {
            return Err(EINVAL);
        }
        self.config.gso_max_size = bytes;
        Ok(self)
    }

    /// Says after how many milliseconds a stopped queue is reported to [`Driver::tx_timeout`]; 5000
    /// if it is not called.
    #[must_use]
    pub fn watchdog(mut self, ms: u32) -> Self {
        self.config.watchdog_ms = ms.max(1);
        self
    }

    /// Says that the driver counts what it asks the device to do for each packet that it sends, from
    /// [`TxStat::NeedsCsum`](super::TxStat::NeedsCsum) to [`TxStat::GsoBytes`](super::TxStat::GsoBytes).
    /// If it is not called, user space is not told of those.
    #[must_use]
    pub fn counts_offloads(self) -> Self {
        self.device.count_offloads();
        self
    }

    /// Says how many of its queues are in use.
    ///
    /// Stands for `netif_set_real_num_queues()`.
    ///
    /// # Errors
    ///
    /// `EINVAL` if that are none, or more than there are.
    pub fn real_queues(self, tx: u32, rx: u32) -> Result<Self> {
        // SAFETY: The device is valid, and not registered, so that no lock is needed.
        to_result(unsafe { raw::netif_set_real_num_queues(self.device.as_raw(), tx, rx) })?;
        Ok(self)
    }

    /// Says that there is a link from the beginning, or none; if it is not called, there is.
    #[must_use]
    pub fn carrier(self, on: bool) -> Self {
        // SAFETY: The device is valid, and not registered: it just notes it.
        unsafe {
            match on {
                true => raw::netif_carrier_on(self.device.as_raw()),
                false => raw::netif_carrier_off(self.device.as_raw()),
            }
        }
        self
    }

    /// Registers the device. It may be opened before this returns. Task context; may sleep.
    ///
    /// Stands for `register_netdev()`.
    ///
    /// # Errors
    ///
    /// `ENODEV` if the parent was unbound meanwhile; `ENOMEM`, and what else the core has.
    pub fn register<T: Driver>(mut self, data: Arc<T>) -> Result<Registration<T>> {
        let dev = self.device.as_raw();

        // SAFETY:
        // - The device is valid, and not registered: nobody else reads or writes what is set here.
        // - Its private area has the size of `Private`, and is aligned to a cache line.
        // - What the tables point to is static.
        unsafe {
            raw::netdev_setup(
                dev,
                ptr::from_ref(self.device.parent()).cast_mut().cast(),
                &ops::Ops::<T>::DEVICE,
                &ops::STATS,
                &self.config,
            );
            ops::private(dev).write(Private {
                device: Arc::as_ptr(&self.device),
                data: Arc::as_ptr(&data).cast(),
            });
        }

        // INVARIANT: As just written.
        let registration = Registration {
            device: self.device.clone(),
            data,
        };
        // SAFETY: It was just set up, for `T`. The pointers are those of a value that holds both and
        // ends the device before it lets go of them; and if it is forgotten, it keeps them.
        unsafe { self.device.register() }?;
        self.done = true;
        Ok(registration)
    }
}

impl Drop for Builder {
    fn drop(&mut self) {
        if !self.done {
            self.device.end();
        }
    }
}

/// A device that is registered, with the driver's data.
///
/// Dropping it unregisters the device, waits for everybody who uses it, and stops its polling. To be
/// done in task context, and not by the device's own callbacks, which it would wait for. If it is
/// forgotten, unbinding the parent does it.
///
/// # Invariants
///
/// The private area of `device` points to it and to `data`.
pub struct Registration<T: Driver> {
    device: Arc<Device>,
    data: Arc<T>,
}

impl<T: Driver> Registration<T> {
    /// Returns the device.
    pub fn device(&self) -> &Arc<Device> {
        &self.device
    }

    /// Returns the driver's data.
    pub fn data(&self) -> &Arc<T> {
        &self.data
    }
}

impl<T: Driver> Drop for Registration<T> {
    fn drop(&mut self) {
        self.device.end();
    }
}
