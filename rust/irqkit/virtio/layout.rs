// SPDX-License-Identifier: GPL-2.0

//! Where a virtio device keeps its registers: its capabilities in PCI configuration space.
//!
//! Everything here is read from the device and nothing of it is believed: each double word is read
//! once, what is found is checked against the BARs, and what does not fit is refused with the
//! reason.
//!
//! Virtio 1.3, section 4.1.4. Pure logic, compiled and tested on the host as well
//! (`tools/virtiologic`), and in the KUnit suite of the transport.

use core::fmt;

/// The number of BARs of a function.
pub(crate) const BARS: usize = 6;

/// The size of the configuration space that holds capabilities.
const SPACE: u16 = 256;
/// Offset of the status register, with the command register in one double word.
const COMMAND_STATUS: u8 = 0x04;
/// In that double word: the function has capabilities.
const HAS_CAPABILITIES: u32 = 1 << (16 + 4);
/// Offset of the pointer to the first capability.
const POINTER: u8 = 0x34;
/// The first offset that is not part of the header.
const HEADER: u8 = 0x40;
/// Capability identifiers.
const ID_VENDOR: u8 = 0x09;
const ID_MSIX: u8 = 0x11;
/// The lengths of the capabilities that count here.
const LEN_MSIX: u8 = 12;
const LEN_NOTIFY: u8 = 20;
const LEN_STRUCTURE: u8 = 16;

/// What is known about a BAR without asking the device again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Bar {
    /// Its length in bytes; 0 if there is none.
    pub(crate) len: u64,
    /// Whether it is memory, as opposed to I/O ports.
    pub(crate) memory: bool,
}

/// A part of a BAR.
///
/// # Invariants
///
/// `bar` is below [`BARS`], and `offset + len` not above the length of that BAR.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Area {
    bar: u8,
    offset: u32,
    len: u32,
}

impl Area {
    /// Returns the number of the BAR.
    pub(crate) fn bar(&self) -> usize {
        self.bar.into()
    }

    /// Returns where in the BAR it begins.
    pub(crate) fn offset(&self) -> usize {
        // CAST: From 32 bits to no less, on every architecture with PCI.
        self.offset as usize
    }

    /// Returns its length.
    pub(crate) fn len(&self) -> usize {
        // CAST: As above.
        self.len as usize
    }
}

/// What lies in BARs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Structure {
    /// Common configuration.
    Common,
    /// Notifications.
    Notify,
    /// Interrupt status.
    Isr,
    /// The device's own configuration.
    Device,
    /// The MSI-X table.
    MsixTable,
    /// The MSI-X pending bits.
    MsixPending,
}

impl Structure {
    /// Returns the one that a virtio capability of this type is about. Others there are, but
    /// nothing here needs them.
    fn from_type(kind: u8) -> Option<Self> {
        match kind {
            1 => Some(Self::Common),
            2 => Some(Self::Notify),
            3 => Some(Self::Isr),
            4 => Some(Self::Device),
            _ => None,
        }
    }

    /// Returns the length that it must have.
    fn min_len(self) -> u32 {
        match self {
            // Up to `queue_device`; what came later is looked for where it is needed.
            Self::Common => 56,
            Self::Notify => 2,
            Self::Isr | Self::Device | Self::MsixTable | Self::MsixPending => 1,
        }
    }

    /// Returns how its offset must be aligned.
    fn align(self) -> u32 {
        match self {
            Self::Common | Self::Device => 4,
            Self::Notify => 2,
            Self::Isr | Self::MsixTable | Self::MsixPending => 1,
        }
    }
}

impl fmt::Display for Structure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Common => "common configuration",
            Self::Notify => "notifications",
            Self::Isr => "interrupt status",
            Self::Device => "device configuration",
            Self::MsixTable => "MSI-X table",
            Self::MsixPending => "MSI-X pending bits",
        })
    }
}

/// Why capabilities are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Configuration space reads as all ones.
    Gone,
    /// There is no list of capabilities.
    NoList,
    /// The list leads into the header.
    Pointer(u8),
    /// The list comes back to where it was.
    Loop(u8),
    /// A capability is shorter than what it has to say.
    Short(u8),
    /// A capability goes beyond the end of configuration space.
    Beyond(u8),
    /// There is no usable capability for it.
    Missing(Structure),
    /// It is too small.
    Small(Structure, u32),
    /// Its offset is not aligned.
    Alignment(Structure, u32),
    /// It goes beyond the end of its BAR.
    Outside(Structure),
    /// Two of them share bytes.
    Overlap(Structure, Structure),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("configuration space reads as all ones"),
            Self::NoList => f.write_str("no list of capabilities"),
            Self::Pointer(at) => write!(f, "a capability at {at:#x}, in the header"),
            Self::Loop(at) => write!(f, "the list of capabilities comes back to {at:#x}"),
            Self::Short(at) => write!(f, "the capability at {at:#x} is too short"),
            Self::Beyond(at) => {
                write!(
                    f,
                    "the capability at {at:#x} goes beyond configuration space"
                )
            }
            Self::Missing(what) => write!(f, "no usable capability for {what}"),
            Self::Small(what, len) => write!(f, "{what}: {len} bytes are too few"),
            Self::Alignment(what, offset) => {
                write!(f, "{what}: the offset {offset:#x} is not aligned")
            }
            Self::Outside(what) => write!(f, "{what}: beyond the end of its BAR"),
            Self::Overlap(one, other) => write!(f, "{one} and {other} overlap"),
        }
    }
}

/// Where everything is.
///
/// # Invariants
///
/// No two areas share bytes, and each is as long and as aligned as its structure must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    common: Area,
    notify: Area,
    multiplier: u32,
    isr: Area,
    device: Option<Area>,
}

impl Layout {
    /// Returns the common configuration, of 56 bytes or more.
    pub(crate) fn common(&self) -> Area {
        self.common
    }

    /// Returns the interrupt status, of a byte or more.
    pub(crate) fn isr(&self) -> Area {
        self.isr
    }

    /// Returns the device's own configuration. Few devices can do without.
    pub(crate) fn device(&self) -> Option<Area> {
        self.device
    }

    /// Returns the doorbell of a queue with this `queue_notify_off`, `width` bytes wide; [`None`]
    /// if it would not lie in the area of notifications, or not be aligned.
    ///
    /// Many queues may have the same one.
    pub(crate) fn doorbell(&self, notify_off: u16, width: u32) -> Option<Area> {
        let start = u64::from(notify_off) * u64::from(self.multiplier);
        if start + u64::from(width) > self.notify.len.into() {
            return None;
        }
        // No overflow: it is below the length of the area, which lies in a BAR.
        let offset = self.notify.offset.checked_add(u32::try_from(start).ok()?)?;

        // INVARIANT: It lies in the area of notifications.
        (width != 0 && offset % width == 0).then_some(Area {
            bar: self.notify.bar,
            offset,
            len: width,
        })
    }
}

/// A structure that a capability tells of, before it is checked.
#[derive(Clone, Copy)]
struct Claim {
    bar: u8,
    offset: u32,
    len: u32,
}

impl Claim {
    /// Checks it against its BAR.
    fn check(self, what: Structure, bars: &[Bar; BARS]) -> Result<Area, Fault> {
        let bar = bars
            .get(usize::from(self.bar))
            .ok_or(Fault::Missing(what))?;

        if self.len < what.min_len() {
            return Err(Fault::Small(what, self.len));
        }
        if self.offset % what.align() != 0 {
            return Err(Fault::Alignment(what, self.offset));
        }
        if u64::from(self.offset) + u64::from(self.len) > bar.len {
            return Err(Fault::Outside(what));
        }
        // INVARIANT: All of it was just checked.
        Ok(Area {
            bar: self.bar,
            offset: self.offset,
            len: self.len,
        })
    }

    fn overlaps(&self, other: &Self) -> bool {
        let end = |claim: &Self| u64::from(claim.offset) + u64::from(claim.len);

        self.bar == other.bar
            && u64::from(self.offset) < end(other)
            && u64::from(other.offset) < end(self)
    }
}

impl From<Area> for Claim {
    fn from(area: Area) -> Self {
        Self {
            bar: area.bar,
            offset: area.offset,
            len: area.len,
        }
    }
}

/// The capabilities, as they are found.
#[derive(Default)]
struct Found {
    common: Option<Claim>,
    notify: Option<(Claim, u32)>,
    isr: Option<Claim>,
    device: Option<Claim>,
    msix: Option<(Claim, Claim)>,
}

/// Reads the capabilities of a function with these BARs; `read` reads the double word of
/// configuration space at an offset, a multiple of 4.
///
/// Of several capabilities for a structure the first usable one counts, which is that in a BAR of
/// memory: devices list what they prefer first, and access by I/O ports is for others to use.
///
/// Every offset is read at most once, and never more than the list has entries, whatever the device
/// answers.
pub(crate) fn walk(mut read: impl FnMut(u8) -> u32, bars: &[Bar; BARS]) -> Result<Layout, Fault> {
    let found = list(&mut read, bars)?;

    let common = found.common.ok_or(Fault::Missing(Structure::Common))?;
    let (notify, multiplier) = found.notify.ok_or(Fault::Missing(Structure::Notify))?;
    let isr = found.isr.ok_or(Fault::Missing(Structure::Isr))?;

    let layout = Layout {
        common: common.check(Structure::Common, bars)?,
        notify: notify.check(Structure::Notify, bars)?,
        multiplier,
        isr: isr.check(Structure::Isr, bars)?,
        device: found
            .device
            .map(|claim| claim.check(Structure::Device, bars))
            .transpose()?,
    };
    disjoint(&layout, found.msix)?;
    // INVARIANT: All of it was just checked.
    Ok(layout)
}

/// Follows the list.
fn list(read: &mut impl FnMut(u8) -> u32, bars: &[Bar; BARS]) -> Result<Found, Fault> {
    let status = read(COMMAND_STATUS);
    if status == u32::MAX {
        return Err(Fault::Gone);
    }
    if status & HAS_CAPABILITIES == 0 {
        return Err(Fault::NoList);
    }

    let mut found = Found::default();
    // One bit for each double word: a list without a loop has at most 48 entries.
    let mut seen = 0u64;
    // The two lowest bits are reserved, and to be masked.
    let mut at = byte(read(POINTER), 0) & !3;
    while at != 0 {
        if at < HEADER {
            return Err(Fault::Pointer(at));
        }
        let bit = 1u64 << (at / 4);
        if seen & bit != 0 {
            return Err(Fault::Loop(at));
        }
        seen |= bit;

        let head = read(at);
        if head == u32::MAX {
            return Err(Fault::Gone);
        }
        match byte(head, 0) {
            ID_VENDOR => structure(read, at, head, bars, &mut found)?,
            ID_MSIX if found.msix.is_none() => found.msix = Some(msix(read, at, head)?),
            _ => {}
        }
        at = byte(head, 1) & !3;
    }
    Ok(found)
}

/// Reads a capability of virtio.
fn structure(
    read: &mut impl FnMut(u8) -> u32,
    at: u8,
    head: u32,
    bars: &[Bar; BARS],
    found: &mut Found,
) -> Result<(), Fault> {
    let Some(what) = Structure::from_type(byte(head, 3)) else {
        return Ok(());
    };
    let needs = if what == Structure::Notify {
        LEN_NOTIFY
    } else {
        LEN_STRUCTURE
    };
    let len = byte(head, 2);
    if len < needs {
        return Err(Fault::Short(at));
    }
    within(at, len)?;

    let claim = Claim {
        bar: byte(read(at + 4), 0),
        offset: read(at + 8),
        len: read(at + 12),
    };
    // Reserved numbers of BARs are to be passed over, and the others with them.
    let usable = bars
        .get(usize::from(claim.bar))
        .is_some_and(|bar| bar.memory && bar.len != 0);
    if !usable {
        return Ok(());
    }

    match what {
        Structure::Common => found.common = found.common.or(Some(claim)),
        Structure::Notify if found.notify.is_none() => {
            found.notify = Some((claim, read(at + LEN_STRUCTURE)));
        }
        Structure::Isr => found.isr = found.isr.or(Some(claim)),
        // An empty one is none.
        Structure::Device if claim.len != 0 => found.device = found.device.or(Some(claim)),
        _ => {}
    }
    Ok(())
}

/// Reads the MSI-X capability: where the table and the pending bits are.
fn msix(read: &mut impl FnMut(u8) -> u32, at: u8, head: u32) -> Result<(Claim, Claim), Fault> {
    within(at, LEN_MSIX)?;

    let vectors = ((head >> 16) & 0x7ff) + 1;
    let claim = |register: u32, len| Claim {
        bar: byte(register, 0) & 7,
        offset: register & !7,
        len,
    };
    Ok((
        claim(read(at + 4), vectors * 16),
        claim(read(at + 8), vectors.div_ceil(64) * 8),
    ))
}

/// Returns whether `len` bytes at `at` are within configuration space.
fn within(at: u8, len: u8) -> Result<(), Fault> {
    if u16::from(at) + u16::from(len) > SPACE {
        return Err(Fault::Beyond(at));
    }
    Ok(())
}

/// Checks that no two structures share bytes.
fn disjoint(layout: &Layout, msix: Option<(Claim, Claim)>) -> Result<(), Fault> {
    let claims = [
        (Structure::Common, Some(layout.common.into())),
        (Structure::Notify, Some(layout.notify.into())),
        (Structure::Isr, Some(layout.isr.into())),
        (Structure::Device, layout.device.map(Claim::from)),
        (Structure::MsixTable, msix.map(|(table, _)| table)),
        (Structure::MsixPending, msix.map(|(_, pending)| pending)),
    ];

    for (number, (one, first)) in claims.iter().enumerate() {
        for (other, second) in claims.iter().skip(number + 1) {
            if let (Some(first), Some(second)) = (first, second) {
                if first.overlaps(second) {
                    return Err(Fault::Overlap(*one, *other));
                }
            }
        }
    }
    Ok(())
}

/// Returns byte `n` of a double word.
fn byte(word: u32, n: u32) -> u8 {
    // CAST: To the lowest 8 bits, which is what is asked for.
    (word >> (8 * n)) as u8
}
