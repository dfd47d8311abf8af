// SPDX-License-Identifier: GPL-2.0

//! Taking back all that a device is done with, and asking to be told of more, without missing any in
//! between; and without an end to it being the device's to decide.

/// A ring to which nobody adds anything meanwhile.
pub(crate) trait Ring {
    /// Takes back what there is, and returns how many there were.
    fn take(&mut self) -> u32;

    /// Asks the device to tell of more. Returns false if there is some already, which the device may
    /// not tell of.
    fn ask(&mut self) -> bool;
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The device will tell of more.
    Asked,
    /// The device had something, and then it had not: it takes its word back.
    Revoked,
}

/// Takes back all that there is, and asks to be told of more. Returns how many there were, too.
///
/// What comes while it asks is taken back as well, in another round. A device can't keep it busy by
/// that: each round but the first takes back one at least, of what the ring had to begin with.
#[inline]
pub(crate) fn sweep(ring: &mut impl Ring) -> (u32, End) {
    let mut total = ring.take();

    while !ring.ask() {
        let taken = ring.take();
        if taken == 0 {
            return (total, End::Revoked);
        }
        total = total.saturating_add(taken);
    }
    (total, End::Asked)
}
