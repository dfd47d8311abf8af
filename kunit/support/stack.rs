// SPDX-License-Identifier: GPL-2.0

//! What the core of the network stack, and user space through it, does with a device that is registered.

// No suite uses all of it.
#![allow(dead_code)]

use core::ptr;

use kernel::{
    bindings,
    error::to_result,
    ffi::{
        c_char,
        c_int,
        c_uint,
        c_void, //
    },
    prelude::*, //
};

use irqkit::net::{
    self,
    SkBuff, //
};

// SAFETY: As the kernel declares them, but for types that are only passed on.
unsafe extern "C" {
    static mut init_net: c_void;
    fn rtnl_lock();
    fn rtnl_unlock();
    fn __dev_get_by_name(net: *mut c_void, name: *const c_char) -> *mut bindings::net_device;
    fn dev_open(dev: *mut bindings::net_device, ack: *mut c_void) -> c_int;
    fn __dev_direct_xmit(skb: *mut bindings::sk_buff, queue: u16) -> c_int;
    fn skb_put(skb: *mut bindings::sk_buff, len: c_uint) -> *mut c_void;
}

/// The bytes that begin the frames of these tests; the stack sends some of its own.
const MARK: [u8; 4] = *b"mark";

/// How long those frames are, which is all of them that is linear.
const LEN: u32 = 60;

/// Returns whether a packet is one of these tests.
pub(crate) fn is_marked(skb: &SkBuff) -> bool {
    let mut bytes = [0; MARK.len()];

    skb.read(0, &mut bytes).is_ok() && bytes == MARK
}

/// Calls `f` with the C object of `device`, holding the RTNL, as those do who know it by its name. To be called by
/// a task without locks; [`None`] if it is not registered.
pub(crate) fn with<R>(
    device: &net::Device,
    f: impl FnOnce(*mut bindings::net_device) -> R,
) -> Option<R> {
    device.with_name(|name| {
        // SAFETY: The caller is a task without locks; the name is a string.
        let dev = unsafe {
            rtnl_lock();
            __dev_get_by_name(&raw mut init_net, name.as_ptr().cast())
        };
        let result = (!dev.is_null()).then(|| f(dev));

        // SAFETY: It was just taken.
        unsafe { rtnl_unlock() };
        result
    })
}

/// Sets a device up. As [`with`].
pub(crate) fn open(device: &net::Device) -> Result {
    // SAFETY: The device is registered, and the RTNL is held.
    let error = with(device, |dev| unsafe { dev_open(dev, ptr::null_mut()) });

    to_result(error.ok_or(ENODEV)?)
}

/// Makes a packet a marked frame, behind what it has in front of it.
///
/// # Safety
///
/// `skb` is a valid packet of the caller's, is empty and has room for [`LEN`] bytes.
pub(crate) unsafe fn fill(skb: *mut bindings::sk_buff) {
    // SAFETY: By the safety requirements.
    unsafe {
        let data = skb_put(skb, LEN).cast::<u8>();
        data.write_bytes(0, LEN as usize);
        data.cast::<[u8; MARK.len()]>().write(MARK);
    }
}

/// Sends a packet by the first queue of `dev`, past its queueing discipline, and returns what came of it.
///
/// # Safety
///
/// `skb` is a valid packet of the caller's, which is given away. `dev` is registered and the RTNL is held.
pub(crate) unsafe fn send(skb: *mut bindings::sk_buff, dev: *mut bindings::net_device) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe {
        *device_of(skb) = dev;
        __dev_direct_xmit(skb, 0)
    }
}

/// Returns where a packet has the name of its device.
///
/// # Safety
///
/// `skb` is a valid packet.
pub(crate) unsafe fn device_of(skb: *mut bindings::sk_buff) -> *mut *mut bindings::net_device {
    // SAFETY: By the safety requirements; only the address is taken.
    unsafe {
        &raw mut (*skb)
            .__bindgen_anon_1
            .__bindgen_anon_1
            .__bindgen_anon_1
            .dev
    }
}
