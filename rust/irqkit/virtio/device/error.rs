// SPDX-License-Identifier: GPL-2.0

//! What the pure logic has to say, as the kernel says it.

use kernel::{
    fmt,
    prelude::*, //
};

use super::super::{
    common::{
        self,
        Health, //
    },
    layout,
    Features, //
};

/// The pure logic knows the core's formatting alone.
macro_rules! display {
    ($($ty:ty),*) => {
        $(
            impl fmt::Display for $ty {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    core::fmt::Display::fmt(self, f)
                }
            }
        )*
    };
}

display!(common::Fault, layout::Fault, Features, Health);

impl From<common::Fault> for Error {
    fn from(fault: common::Fault) -> Self {
        match fault {
            common::Fault::Gone => ENODEV,
            common::Fault::Reset(_) | common::Fault::QueueReset(_) => ETIMEDOUT,
            common::Fault::Lacks(_) | common::Fault::Refuses(_) => EOPNOTSUPP,
            common::Fault::NoQueue(_) => ENOENT,
            common::Fault::Enabled(_) => EBUSY,
            common::Fault::Disabled(_) => EIO,
            common::Fault::Size(_) => EINVAL,
            common::Fault::Vector(_) => ENOSPC,
            common::Fault::Unsteady => EAGAIN,
        }
    }
}
