// SPDX-License-Identifier: GPL-2.0

//! What the driver knows of the device's words: features, configuration and the header of a frame.
//!
//! Pure: it knows neither the kernel nor an address. So the very same source is compiled on the
//! host (`tools/netlogic`), where property tests give it anything a device can say.
//!
//! Virtio 1.3, section 5.1.

pub(crate) use irqkit::virtio::Features;

pub(crate) mod config;
pub(crate) mod features;
pub(crate) mod header;
pub(crate) mod patience;
pub(crate) mod share;
pub(crate) mod sweep;

/// Says in the kernel what is said on the host.
macro_rules! display {
    ($($what:ty),*) => {
        $(
            impl kernel::fmt::Display for $what {
                fn fmt(&self, f: &mut kernel::fmt::Formatter<'_>) -> kernel::fmt::Result {
                    core::fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

display!(config::Fault, features::Nonsense, header::Fault);
