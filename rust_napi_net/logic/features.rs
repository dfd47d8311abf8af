// SPDX-License-Identifier: GPL-2.0

//! Features of network devices, and what each of them needs.

use core::fmt;

use super::Features;

/// The device finishes checksums (`VIRTIO_NET_F_CSUM`).
pub(crate) const CSUM: Features = Features::bit(0);
/// The driver finishes, or does without, checksums (`VIRTIO_NET_F_GUEST_CSUM`).
pub(crate) const GUEST_CSUM: Features = Features::bit(1);
/// The device has a greatest MTU (`VIRTIO_NET_F_MTU`).
pub(crate) const MTU: Features = Features::bit(3);
/// The device has an address (`VIRTIO_NET_F_MAC`).
pub(crate) const MAC: Features = Features::bit(5);
/// The driver takes large TCP segments over IPv4 (`VIRTIO_NET_F_GUEST_TSO4`).
pub(crate) const GUEST_TSO4: Features = Features::bit(7);
/// The driver takes large TCP segments over IPv6 (`VIRTIO_NET_F_GUEST_TSO6`).
pub(crate) const GUEST_TSO6: Features = Features::bit(8);
/// Large segments that come in may have ECN set (`VIRTIO_NET_F_GUEST_ECN`).
pub(crate) const GUEST_ECN: Features = Features::bit(9);
/// The driver takes large UDP fragments (`VIRTIO_NET_F_GUEST_UFO`): not used.
pub(crate) const GUEST_UFO: Features = Features::bit(10);
/// The device takes large TCP segments over IPv4 (`VIRTIO_NET_F_HOST_TSO4`).
pub(crate) const HOST_TSO4: Features = Features::bit(11);
/// The device takes large TCP segments over IPv6 (`VIRTIO_NET_F_HOST_TSO6`).
pub(crate) const HOST_TSO6: Features = Features::bit(12);
/// Large segments that go out may have ECN set (`VIRTIO_NET_F_HOST_ECN`).
pub(crate) const HOST_ECN: Features = Features::bit(13);
/// The device takes large UDP fragments (`VIRTIO_NET_F_HOST_UFO`): not used.
pub(crate) const HOST_UFO: Features = Features::bit(14);
/// A frame may come in several buffers (`VIRTIO_NET_F_MRG_RXBUF`).
pub(crate) const MRG_RXBUF: Features = Features::bit(15);
/// The device says whether the link is up (`VIRTIO_NET_F_STATUS`).
pub(crate) const STATUS: Features = Features::bit(16);
/// There is a control queue (`VIRTIO_NET_F_CTRL_VQ`).
pub(crate) const CTRL_VQ: Features = Features::bit(17);
/// Filters of addresses (`VIRTIO_NET_F_CTRL_RX`): not used.
pub(crate) const CTRL_RX: Features = Features::bit(18);
/// Filters of VLANs (`VIRTIO_NET_F_CTRL_VLAN`): not used.
pub(crate) const CTRL_VLAN: Features = Features::bit(19);
/// The device can ask the driver to make itself known (`VIRTIO_NET_F_GUEST_ANNOUNCE`): not used.
pub(crate) const GUEST_ANNOUNCE: Features = Features::bit(21);
/// There are several pairs of queues (`VIRTIO_NET_F_MQ`).
pub(crate) const MQ: Features = Features::bit(22);
/// The address can be changed (`VIRTIO_NET_F_CTRL_MAC_ADDR`): not used.
pub(crate) const CTRL_MAC_ADDR: Features = Features::bit(23);
/// The hash is of the inner headers of tunnels (`VIRTIO_NET_F_HASH_TUNNEL`): not used.
pub(crate) const HASH_TUNNEL: Features = Features::bit(51);
/// Coalescing of one queue (`VIRTIO_NET_F_VQ_NOTF_COAL`): not used.
pub(crate) const VQ_NOTF_COAL: Features = Features::bit(52);
/// Coalescing (`VIRTIO_NET_F_NOTF_COAL`): not used.
pub(crate) const NOTF_COAL: Features = Features::bit(53);
/// The driver takes large UDP segments over IPv4 (`VIRTIO_NET_F_GUEST_USO4`).
pub(crate) const GUEST_USO4: Features = Features::bit(54);
/// The driver takes large UDP segments over IPv6 (`VIRTIO_NET_F_GUEST_USO6`).
pub(crate) const GUEST_USO6: Features = Features::bit(55);
/// The device takes large UDP segments (`VIRTIO_NET_F_HOST_USO`).
pub(crate) const HOST_USO: Features = Features::bit(56);
/// The device says the hash of a frame (`VIRTIO_NET_F_HASH_REPORT`): not used.
pub(crate) const HASH_REPORT: Features = Features::bit(57);
/// The driver says how long a frame's headers are exactly (`VIRTIO_NET_F_GUEST_HDRLEN`).
pub(crate) const GUEST_HDRLEN: Features = Features::bit(59);
/// The device spreads frames over queues by their hash (`VIRTIO_NET_F_RSS`): not used.
pub(crate) const RSS: Features = Features::bit(60);
/// The device says how many segments it has put together (`VIRTIO_NET_F_RSC_EXT`): not used.
pub(crate) const RSC_EXT: Features = Features::bit(61);

/// What the driver takes if it is offered, of what is peculiar to network devices.
pub(crate) const WANTED: Features = CSUM
    .with(GUEST_CSUM)
    .with(MTU)
    .with(MAC)
    .with(GUEST_TSO4)
    .with(GUEST_TSO6)
    .with(GUEST_ECN)
    .with(HOST_TSO4)
    .with(HOST_TSO6)
    .with(HOST_ECN)
    .with(MRG_RXBUF)
    .with(STATUS)
    .with(CTRL_VQ)
    .with(MQ)
    .with(GUEST_USO4)
    .with(GUEST_USO6)
    .with(HOST_USO)
    .with(GUEST_HDRLEN);

/// The large frames that may come in.
pub(crate) const GUEST_LARGE: Features = GUEST_TSO4
    .with(GUEST_TSO6)
    .with(GUEST_ECN)
    .with(GUEST_USO4)
    .with(GUEST_USO6);

/// A feature, and those of which it needs one.
struct Rule {
    feature: Features,
    name: &'static str,
    needs: Features,
    needed: &'static str,
    /// Whether a device that breaks it is refused, and not merely the feature.
    strict: bool,
}

const fn strict(
    feature: Features,
    name: &'static str,
    needs: Features,
    needed: &'static str,
) -> Rule {
    Rule {
        feature,
        name,
        needs,
        needed,
        strict: true,
    }
}

const fn loose(
    feature: Features,
    name: &'static str,
    needs: Features,
    needed: &'static str,
) -> Rule {
    Rule {
        feature,
        name,
        needs,
        needed,
        strict: false,
    }
}

/// Section 5.1.3.1, in an order in which none stands before what it needs.
const RULES: [Rule; 26] = [
    strict(CTRL_RX, "CTRL_RX", CTRL_VQ, "CTRL_VQ"),
    strict(CTRL_VLAN, "CTRL_VLAN", CTRL_VQ, "CTRL_VQ"),
    strict(GUEST_ANNOUNCE, "GUEST_ANNOUNCE", CTRL_VQ, "CTRL_VQ"),
    strict(MQ, "MQ", CTRL_VQ, "CTRL_VQ"),
    strict(CTRL_MAC_ADDR, "CTRL_MAC_ADDR", CTRL_VQ, "CTRL_VQ"),
    strict(NOTF_COAL, "NOTF_COAL", CTRL_VQ, "CTRL_VQ"),
    strict(VQ_NOTF_COAL, "VQ_NOTF_COAL", CTRL_VQ, "CTRL_VQ"),
    strict(RSS, "RSS", CTRL_VQ, "CTRL_VQ"),
    strict(HASH_REPORT, "HASH_REPORT", CTRL_VQ, "CTRL_VQ"),
    strict(HASH_TUNNEL, "HASH_TUNNEL", CTRL_VQ, "CTRL_VQ"),
    loose(
        HASH_TUNNEL,
        "HASH_TUNNEL",
        RSS.with(HASH_REPORT),
        "RSS or HASH_REPORT",
    ),
    loose(GUEST_TSO4, "GUEST_TSO4", GUEST_CSUM, "GUEST_CSUM"),
    loose(GUEST_TSO6, "GUEST_TSO6", GUEST_CSUM, "GUEST_CSUM"),
    loose(GUEST_UFO, "GUEST_UFO", GUEST_CSUM, "GUEST_CSUM"),
    loose(GUEST_USO4, "GUEST_USO4", GUEST_CSUM, "GUEST_CSUM"),
    loose(GUEST_USO6, "GUEST_USO6", GUEST_CSUM, "GUEST_CSUM"),
    loose(
        GUEST_ECN,
        "GUEST_ECN",
        GUEST_TSO4.with(GUEST_TSO6),
        "GUEST_TSO4 or GUEST_TSO6",
    ),
    loose(HOST_TSO4, "HOST_TSO4", CSUM, "CSUM"),
    loose(HOST_TSO6, "HOST_TSO6", CSUM, "CSUM"),
    loose(HOST_UFO, "HOST_UFO", CSUM, "CSUM"),
    loose(HOST_USO, "HOST_USO", CSUM, "CSUM"),
    loose(
        HOST_ECN,
        "HOST_ECN",
        HOST_TSO4.with(HOST_TSO6),
        "HOST_TSO4 or HOST_TSO6",
    ),
    loose(
        RSC_EXT,
        "RSC_EXT",
        HOST_TSO4.with(HOST_TSO6),
        "HOST_TSO4 or HOST_TSO6",
    ),
    strict(
        Features::RING_RESET,
        "RING_RESET",
        Features::VERSION_1,
        "VERSION_1",
    ),
    strict(
        Features::RING_PACKED,
        "RING_PACKED",
        Features::VERSION_1,
        "VERSION_1",
    ),
    strict(
        Features::NOTIF_CONFIG_DATA,
        "NOTIF_CONFIG_DATA",
        Features::VERSION_1,
        "VERSION_1",
    ),
];

/// A feature that is offered without what it needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nonsense {
    /// Its name in the specification.
    pub(crate) name: &'static str,
    /// What it needs.
    pub(crate) needed: &'static str,
}

impl fmt::Display for Nonsense {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} without {}", self.name, self.needed)
    }
}

/// Returns what may be accepted of `offered`, and calls `left_out` for each feature that is not
/// because what it needs is missing.
///
/// A checksum or segmentation offload without the one that it builds on is left out, and the
/// device driven without it: options such as QEMU's `csum=off` make such devices.
///
/// # Errors
///
/// The first [`Nonsense`] of another sort: a device that offers what is done by a control queue that
/// it does not have is not what it says.
pub(crate) fn check(
    offered: Features,
    mut left_out: impl FnMut(Nonsense),
) -> Result<Features, Nonsense> {
    let mut sound = offered;

    for rule in &RULES {
        if !sound.contains(rule.feature) || sound & rule.needs != Features::NONE {
            continue;
        }
        let nonsense = Nonsense {
            name: rule.name,
            needed: rule.needed,
        };
        if rule.strict {
            return Err(nonsense);
        }
        left_out(nonsense);
        sound = sound.without(rule.feature);
    }
    Ok(sound)
}
