// SPDX-License-Identifier: GPL-2.0

//! What the core calls a driver for.

use core::{
    ffi::{
        c_int,
        c_uint,
        c_void, //
    },
    marker::PhantomData, //
};

use irqkit_bindings as raw;
use kernel::{
    bindings,
    error::{
        from_result,
        to_result, //
    },
    prelude::*, //
};

use super::{
    device::Device,
    skb::SkBuff,
    stats::{
        RxStats,
        TxStat,
        TxStats, //
    },
    tx::Tx,
    Features,
    Mac, //
};
use crate::context::{
    SoftIrq,
    Task, //
};

/// What became of a packet that was to be sent.
pub enum Xmit {
    /// It is the device's, or was dropped.
    Done,
    /// There is no room for it: `NETDEV_TX_BUSY`. The queue should have been stopped before it came
    /// to this; it is now. Any other packet than the one that was to be sent is dropped.
    Busy(SkBuff),
}

/// The driver of a network device: `struct net_device_ops`.
///
/// All callbacks with a [`Task`] are made with the RTNL held.
pub trait Driver: Send + Sync + Sized + 'static {
    /// The device is brought up. What is sent comes as soon as this has returned.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being brought up.
    fn open(&self, dev: &Device, task: Task<'_>) -> Result;

    /// The device is taken down; nothing is sent any more. Not called but after [`Driver::open`].
    fn stop(&self, dev: &Device, task: Task<'_>);

    /// Sends `skb` on a queue, whose lock `tx` stands for.
    ///
    /// Softirqs are off; with netpoll hard interrupts may be, too.
    fn start_xmit(&self, dev: &Device, skb: SkBuff, tx: &mut Tx<'_>, ctx: SoftIrq<'_>) -> Xmit;

    /// A queue was stopped for too long. The locks of all queues are held: whatever there is to be
    /// done, such as a reset, is to be done by a work item.
    fn tx_timeout(&self, dev: &Device, queue: u16, ctx: SoftIrq<'_>) {
        let _ = (dev, queue, ctx);
    }

    /// The MTU is to become `mtu`, which is within the range of the device.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being so; it stays what it was.
    fn change_mtu(&self, dev: &Device, mtu: u32, task: Task<'_>) -> Result {
        let _ = (dev, mtu, task);
        Ok(())
    }

    /// The features are to become `to`.
    ///
    /// # Errors
    ///
    /// Whatever keeps them from being so; they stay what they were.
    fn set_features(&self, dev: &Device, to: Features, task: Task<'_>) -> Result {
        let _ = (dev, to, task);
        Ok(())
    }

    /// The address is to become `mac`, which is one of a station.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being so; by default `EOPNOTSUPP`.
    fn set_mac(&self, dev: &Device, mac: &Mac, task: Task<'_>) -> Result {
        let _ = (dev, mac, task);
        Err(EOPNOTSUPP)
    }
}

/// What is in the private area of a device.
///
/// # Invariants
///
/// While the device is registered, both point to what is valid, `data` to a value of the type that
/// its operations are for.
pub(super) struct Private {
    pub(super) device: *const Device,
    pub(super) data: *const c_void,
}

/// Returns where the private area of `dev` is, without touching it: `netdev_priv()`.
#[inline]
pub(super) fn private(dev: *mut bindings::net_device) -> *mut Private {
    // CAST: An offset within a structure.
    dev.wrapping_byte_add(raw::irqkit_net_layout_IRQKIT_NETDEV_PRIV as usize)
        .cast()
}

/// Returns the device, and the data as a pointer.
///
/// # Safety
///
/// `dev` is registered through [`Builder`](super::Builder), and stays so for `'a`.
#[inline]
unsafe fn device<'a>(dev: *mut bindings::net_device) -> &'a Device {
    // SAFETY: By the safety requirements and the type invariants of `Private`.
    unsafe { &*(*private(dev)).device }
}

/// Returns the driver's data.
///
/// # Safety
///
/// As [`device`], with the operations of `T`.
#[inline]
unsafe fn data<'a, T: Driver>(dev: *mut bindings::net_device) -> &'a T {
    // SAFETY: By the safety requirements and the type invariants of `Private`.
    unsafe { &*(*private(dev)).data.cast::<T>() }
}

/// The operations for a driver.
pub(super) struct Ops<T: Driver>(PhantomData<T>);

impl<T: Driver> Ops<T> {
    pub(super) const DEVICE: raw::net_device_ops = {
        // SAFETY: All functions of it are optional, and no function is all zeroes.
        let mut ops: raw::net_device_ops = unsafe { core::mem::zeroed() };

        ops.ndo_open = Some(Self::open);
        ops.ndo_stop = Some(Self::stop);
        ops.ndo_start_xmit = Some(Self::start_xmit);
        ops.ndo_tx_timeout = Some(Self::tx_timeout);
        ops.ndo_change_mtu = Some(Self::change_mtu);
        ops.ndo_set_features = Some(Self::set_features);
        ops.ndo_set_mac_address = Some(Self::set_mac);
        ops.ndo_validate_addr = Some(raw::eth_validate_addr);
        ops.ndo_get_stats64 = Some(get_stats64);
        ops
    };

    // All of the functions below are called by the core, for a device that is registered with them,
    // and stays so until they return.

    /// # Safety
    ///
    /// See above.
    unsafe extern "C" fn open(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: See above. The core calls it with a mutex held.
        let (device, data, task) = unsafe { (device(dev), data::<T>(dev), Task::new()) };

        from_result(|| data.open(device, task).map(|()| 0))
    }

    unsafe extern "C" fn stop(dev: *mut bindings::net_device) -> c_int {
        // SAFETY: See above. The core calls it with a mutex held.
        let (device, data, task) = unsafe { (device(dev), data::<T>(dev), Task::new()) };

        data.stop(device, task);
        0
    }

    unsafe extern "C" fn start_xmit(
        skb: *mut bindings::sk_buff,
        dev: *mut bindings::net_device,
    ) -> raw::netdev_tx_t {
        // SAFETY: See above. The core calls it with softirqs off.
        let (device, data, ctx) = unsafe { (device(dev), data::<T>(dev), SoftIrq::new()) };
        // SAFETY: The packet is the driver's from here on. Since the device does not have
        // `IFF_TX_SKB_SHARING` nobody sends it twice: pktgen, which may hold on to it, only lets it go.
        let given = unsafe { SkBuff::from_raw(skb) };
        // SAFETY: The core holds the lock of the queue that the packet is for, because the device
        // is not `lltx`, until this function returns.
        let mut tx = unsafe { Tx::new(device, given.queue()) };

        match data.start_xmit(device, given, &mut tx, ctx) {
            Xmit::Busy(busy) if busy.as_raw() == skb => {
                tx.stop();
                // SAFETY: It is valid, ours, and the core's again after this, which knows it to be one of
                // this device.
                unsafe { raw::skb_give_back(busy.into_raw(), dev) };
                raw::netdev_tx_NETDEV_TX_BUSY
            }
            // The core would go on with the one that it gave, which is no longer its own.
            Xmit::Done | Xmit::Busy(_) => raw::netdev_tx_NETDEV_TX_OK,
        }
    }

    unsafe extern "C" fn tx_timeout(dev: *mut bindings::net_device, queue: c_uint) {
        // SAFETY: See above. The core calls it from a timer.
        let (device, data, ctx) = unsafe { (device(dev), data::<T>(dev), SoftIrq::new()) };
        // CAST: There are not more queues than a `u16` has.
        let queue = queue as u16;

        if let Some(stats) = device.tx_stats(queue) {
            stats.add(TxStat::Timeouts, 1);
        }
        data.tx_timeout(device, queue, ctx);
    }

    unsafe extern "C" fn change_mtu(dev: *mut bindings::net_device, mtu: c_int) -> c_int {
        // SAFETY: See above. The core calls it with a mutex held.
        let (device, data, task) = unsafe { (device(dev), data::<T>(dev), Task::new()) };

        from_result(|| {
            let mtu = mtu.try_into()?;
            data.change_mtu(device, mtu, task)?;
            // SAFETY: The device is valid, and the RTNL is held.
            unsafe { raw::netdev_set_mtu(dev, mtu) };
            Ok(0)
        })
    }

    unsafe extern "C" fn set_features(
        dev: *mut bindings::net_device,
        features: bindings::netdev_features_t,
    ) -> c_int {
        // SAFETY: See above. The core calls it with a mutex held.
        let (device, data, task) = unsafe { (device(dev), data::<T>(dev), Task::new()) };

        from_result(|| {
            data.set_features(device, Features::from_bits(features), task)
                .map(|()| 0)
        })
    }

    unsafe extern "C" fn set_mac(dev: *mut bindings::net_device, address: *mut c_void) -> c_int {
        // SAFETY: See above. The core calls it with a mutex held.
        let (device, data, task) = unsafe { (device(dev), data::<T>(dev), Task::new()) };

        from_result(|| {
            // SAFETY: The device is valid, and `address` is a `struct sockaddr_storage`.
            to_result(unsafe { raw::eth_prepare_mac_addr_change(dev, address) })?;
            // SAFETY: As above: the family is followed by the address.
            let mac = unsafe { address.byte_add(size_of::<u16>()).cast::<Mac>().read() };
            data.set_mac(device, &mac, task)?;
            // SAFETY: As above.
            unsafe { raw::eth_commit_mac_addr_change(dev, address) };
            Ok(0)
        })
    }
}

/// Adds up the queues.
///
/// # Safety
///
/// To be called by the core only, for a device that stays registered until it returns.
unsafe extern "C" fn get_stats64(dev: *mut bindings::net_device, to: *mut raw::rtnl_link_stats64) {
    // SAFETY: By the safety requirements.
    let (device, to) = unsafe { (device(dev), &mut *to) };

    for queue in 0..=u16::MAX {
        let (rx, tx) = (device.rx_stats(queue), device.tx_stats(queue));
        if rx.is_none() && tx.is_none() {
            break;
        }
        rx.inspect(|rx| rx.sum(to));
        tx.inspect(|tx| tx.sum(to));
    }
}

/// The queue statistics.
pub(super) static STATS: raw::netdev_stat_ops = raw::netdev_stat_ops {
    get_queue_stats_rx: Some(queue_stats_rx),
    get_queue_stats_tx: Some(queue_stats_tx),
    get_base_stats: Some(base_stats),
};

/// # Safety
///
/// As [`get_stats64`].
unsafe extern "C" fn queue_stats_rx(
    dev: *mut bindings::net_device,
    queue: c_int,
    to: *mut raw::netdev_queue_stats_rx,
) {
    // SAFETY: By the safety requirements.
    let (device, to) = unsafe { (device(dev), &mut *to) };

    if let Some(stats) = queue
        .try_into()
        .ok()
        .and_then(|queue| device.rx_stats(queue))
    {
        stats.fill(to);
    }
}

/// # Safety
///
/// As [`get_stats64`].
unsafe extern "C" fn queue_stats_tx(
    dev: *mut bindings::net_device,
    queue: c_int,
    to: *mut raw::netdev_queue_stats_tx,
) {
    // SAFETY: By the safety requirements.
    let (device, to) = unsafe { (device(dev), &mut *to) };

    if let Some(stats) = queue
        .try_into()
        .ok()
        .and_then(|queue| device.tx_stats(queue))
    {
        stats.fill(device.counts_offloads(), to);
    }
}

/// # Safety
///
/// As [`get_stats64`].
unsafe extern "C" fn base_stats(
    dev: *mut bindings::net_device,
    rx: *mut raw::netdev_queue_stats_rx,
    tx: *mut raw::netdev_queue_stats_tx,
) {
    // SAFETY: By the safety requirements all are valid, and the last two the core's own.
    let (device, rx, tx) = unsafe { (device(dev), &mut *rx, &mut *tx) };

    RxStats::base(rx);
    TxStats::base(device.counts_offloads(), tx);
}
