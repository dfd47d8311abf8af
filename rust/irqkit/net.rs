// SPDX-License-Identifier: GPL-2.0

//! Network devices.
//!
//! A driver makes a [`Builder`], on whose [`Device`] it makes the [`Napi`] instances that receive
//! and complete and the [`TxCell`]s that send, puts them into what implements [`Driver`], and
//! registers. What becomes of all that when things go wrong, or in another order, is this module's
//! business: dropping the [`Registration`], or unbinding the parent at the latest, unregisters the
//! device and stops its polling for good, and memory that the core knows of lives until then.
//!
//! # Who excludes whom
//!
//! There are no locks but those that the network core has anyway:
//!
//! - What only NAPI touches belongs to a [`Poller`], which gets it by `&mut`.
//! - What sending and its completion share is in a [`TxCell`], under the lock of its transmit queue,
//!   which the core holds already when it calls [`Driver::start_xmit`].
//! - A frame is a [`SkBuff`], of which there is one owner.
//!
//! # Counting
//!
//! Packets and bytes, checksums, stops and wake-ups are counted where they happen, by this module;
//! a driver adds what only it can know, its errors. Both `ndo_get_stats64` and the queue statistics
//! (`qstats`) are served from that.
//!
//! C headers: [`include/linux/netdevice.h`](srctree/include/linux/netdevice.h),
//! [`include/linux/skbuff.h`](srctree/include/linux/skbuff.h),
//! [`include/net/page_pool/types.h`](srctree/include/net/page_pool/types.h)

#[cfg(not(CONFIG_SMP))]
compile_error!("the locks of transmit queues are none without CONFIG_SMP");

mod budget;
mod builder;
mod chain;
mod claim;
mod device;
mod features;
mod frag;
mod mapped;
mod napi;
mod offload;
mod ops;
mod page_pool;
mod poll;
mod shape;
mod skb;
mod stats;
mod tx;

pub use budget::{
    Budget,
    Credit, //
};
pub use builder::{
    Builder,
    Registration, //
};
pub use chain::PoolChain;
pub use device::Device;
pub use features::Features;
pub use frag::{
    PoolFrag,
    Received, //
};
pub use mapped::{
    MappedSkb,
    Unmapped, //
};
pub use napi::{
    Idle,
    InNapi,
    Link,
    Napi,
    Next,
    Poller, //
};
pub use offload::{
    Checksum,
    Gso,
    GsoKind,
    Offload, //
};
pub use ops::{
    Driver,
    Xmit, //
};
pub use page_pool::{
    PagePool,
    PoolStats, //
};
pub use shape::Shape;
pub use skb::{
    Reason,
    SkBuff,
    MAX_FRAGS, //
};
pub use stats::{
    RxStat,
    RxStats,
    TxStat,
    TxStats, //
};
pub use tx::{
    Guard,
    Locked,
    Tx,
    TxCell, //
};

/// The length of an Ethernet header.
pub const ETH_HLEN: u32 = 14;

/// The bytes of an Ethernet address.
pub type Mac = [u8; 6];
