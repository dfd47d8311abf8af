// SPDX-License-Identifier: GPL-2.0

//! The configuration of a network device: where its fields are, and what they may say.
//!
//! Virtio 1.3, section 5.1.4.

use core::fmt;

/// Offsets in the device's configuration.
pub(crate) const MAC: usize = 0;
/// 16 bits: see [`LINK_UP`].
pub(crate) const STATUS: usize = 6;
/// 16 bits: how many pairs of queues there are.
pub(crate) const MAX_PAIRS: usize = 8;
/// 16 bits: the greatest MTU.
pub(crate) const MTU: usize = 10;

/// A bit of the status: the link is up.
pub(crate) const LINK_UP: u16 = 1;

/// The least MTU that IPv4 can do with, which is the least there may be.
pub(crate) const MIN_MTU: u16 = 68;
/// The greatest MTU that there is.
pub(crate) const MAX_MTU: u32 = 65535;
/// The MTU of Ethernet.
pub(crate) const ETHERNET_MTU: u16 = 1500;

/// The most pairs of queues that a device may have.
const MOST_PAIRS: u16 = 0x8000;

/// What a device says of itself and can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The greatest MTU is less than IPv4 needs.
    Mtu(u16),
    /// The number of queue pairs is out of range.
    Pairs(u16),
    /// There are fewer queues than these, which the number of pairs makes necessary.
    Queues(u32),
    /// The address is all zeroes, or one of a group.
    Address,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mtu(mtu) => write!(f, "a greatest MTU of {mtu}: expected {MIN_MTU} or more"),
            Self::Pairs(pairs) => {
                write!(f, "{pairs} pairs of queues: expected 1 to {MOST_PAIRS}")
            }
            Self::Queues(needs) => write!(f, "not the {needs} queues that it needs"),
            Self::Address => write!(f, "an address that no card can have"),
        }
    }
}

/// Checks the address of a card.
pub(crate) fn check_address(address: [u8; 6]) -> Result<[u8; 6], Fault> {
    if address == [0; 6] || address[0] & 1 != 0 {
        return Err(Fault::Address);
    }
    Ok(address)
}

/// Checks the greatest MTU.
pub(crate) fn check_mtu(mtu: u16) -> Result<u16, Fault> {
    if mtu < MIN_MTU {
        return Err(Fault::Mtu(mtu));
    }
    Ok(mtu)
}

/// Checks the number of pairs of a device, which has a queue for control if `control`. `exists` says
/// whether there is a queue of a number.
pub(crate) fn check_pairs(
    pairs: u16,
    control: bool,
    exists: impl FnOnce(u16) -> bool,
) -> Result<u16, Fault> {
    if !(1..=MOST_PAIRS).contains(&pairs) {
        return Err(Fault::Pairs(pairs));
    }
    let needs = 2 * u32::from(pairs) + u32::from(control);
    match u16::try_from(needs - 1) {
        Ok(last) if exists(last) => Ok(pairs),
        _ => Err(Fault::Queues(needs)),
    }
}

/// Returns the numbers of the queues of a pair: for what comes in, and for what goes out.
///
/// Section 5.1.2. [`None`] if there is no such pair.
pub(crate) fn queues_of(pair: u16) -> Option<(u16, u16)> {
    let receive = pair.checked_mul(2)?;
    Some((receive, receive.checked_add(1)?))
}

/// Returns the number of the control queue of a device with as many pairs, whether they are in use
/// or not.
pub(crate) fn control_queue(pairs: u16) -> Option<u16> {
    pairs.checked_mul(2)
}
