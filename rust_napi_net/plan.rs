// SPDX-License-Identifier: GPL-2.0

//! What a device is, and what is to be made of it: read from it once, checked, and then ours.

use kernel::{
    cpu::nr_cpu_ids,
    prelude::*, //
};

use irqkit::{
    net,
    virtio::{
        Features,
        Setup, //
    }, //
};

use crate::{
    logic::{
        config,
        features,
        header, //
    },
    param::Parameters,
    tx::LEAST_RING, //
};

/// How frames come in.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Receive {
    /// In as many buffers as they need.
    Mergeable,
    /// In one buffer each, of one piece.
    Small,
    /// In one buffer each, of as many pages as the largest frame needs.
    Big,
}

impl Receive {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Mergeable => "mergeable",
            Self::Small => "small",
            Self::Big => "big",
        }
    }
}

/// A device, as it was agreed on with it.
pub(crate) struct Plan {
    /// What was agreed on.
    pub(crate) features: Features,
    /// Its address; [`None`] if we are to think of one.
    pub(crate) address: Option<[u8; 6]>,
    /// How many pairs of queues it has.
    pub(crate) pairs: u16,
    /// How many of them are used.
    pub(crate) used_pairs: u16,
    /// The MTU to begin with.
    pub(crate) mtu: u16,
    /// The greatest there may be.
    pub(crate) max_mtu: u32,
    pub(crate) receive: Receive,
    /// A transmit queue may have no room for a frame in as many segments as there may be.
    short_rings: bool,
    pub(crate) parameters: Parameters,
}

impl Plan {
    /// Reads the configuration of a device that has agreed on features.
    ///
    /// # Errors
    ///
    /// `EINVAL` if it is one that can't be, with a line in the log that says which.
    pub(crate) fn new(
        setup: &Setup,
        parameters: Parameters,
        complain: impl Fn(config::Fault),
    ) -> Result<Self> {
        let refused = |fault| {
            complain(fault);
            EINVAL
        };
        let agreed = setup.features();
        let has = |feature| agreed.contains(feature);
        let words = setup.device().config();

        let address = if has(features::MAC) {
            let mut address = [0; 6];
            words.read_bytes(config::MAC, &mut address)?;
            Some(config::check_address(address).map_err(refused)?)
        } else {
            None
        };
        let pairs = if has(features::MQ) {
            words.read_u16(config::MAX_PAIRS)?
        } else {
            1
        };
        // Only now it is said how many there are.
        let exists = |queue| setup.queue_size(queue).is_ok();
        let pairs = config::check_pairs(pairs, has(features::CTRL_VQ), exists).map_err(refused)?;
        let device_mtu = if has(features::MTU) {
            let mtu = words.read_u16(config::MTU)?;
            Some(config::check_mtu(mtu).map_err(refused)?)
        } else {
            None
        };

        // Of one piece, a buffer has room for what a page has.
        let room = net::Shape::most(HEADROOM);
        let receive = if has(features::MRG_RXBUF) {
            Receive::Mergeable
        } else if agreed & features::GUEST_LARGE != Features::NONE
            || device_mtu.is_some_and(|mtu| frame_len(mtu.into()) > room)
        {
            Receive::Big
        } else {
            Receive::Small
        };
        // A pair that no CPU would use is not made.
        let most = parameters
            .queue_pairs
            .map_or(nr_cpu_ids(), u32::from)
            .max(1);

        let used_pairs = u16::try_from(most).map_or(pairs, |most| pairs.min(most));

        let mut short_rings = parameters.ring_size < LEAST_RING;
        let mut least = parameters.ring_size;
        for pair in 0..used_pairs {
            let (receive, transmit) = config::queues_of(pair).ok_or(EINVAL)?;
            least = least.min(setup.queue_size(receive)?);
            short_rings |= setup.queue_size(transmit)? < LEAST_RING;
        }
        let max_mtu = match (device_mtu, receive) {
            (Some(mtu), _) => mtu.into(),
            // Nothing longer than that would come in.
            (None, Receive::Small) => config::ETHERNET_MTU.into(),
            // What a whole ring of the smallest buffers holds; a split one is of a power of two.
            (None, Receive::Mergeable) => {
                let ring = least.checked_ilog2().map_or(0, |log| 1 << log);
                let held: u32 = ring * frame_len(config::ETHERNET_MTU.into());

                held.saturating_sub(frame_len(0)).min(config::MAX_MTU)
            }
            (None, Receive::Big) => config::MAX_MTU,
        };

        Ok(Self {
            features: agreed,
            address,
            pairs,
            used_pairs,
            // As C does: whoever offers a greater one wants it to be used.
            mtu: device_mtu.unwrap_or(config::ETHERNET_MTU),
            max_mtu,
            receive,
            short_rings,
            parameters,
        })
    }

    /// Whether `feature` was agreed on.
    pub(crate) fn has(&self, feature: Features) -> bool {
        self.features.contains(feature)
    }

    /// Whether frames longer than the MTU may come in.
    pub(crate) fn large_frames(&self) -> bool {
        self.features & features::GUEST_LARGE != Features::NONE
    }

    /// How many pieces a buffer has beside the first one.
    pub(crate) fn pieces(&self) -> usize {
        if self.receive != Receive::Big {
            return 0;
        }
        let longest = match self.large_frames() {
            true => LARGEST,
            false => frame_len(self.max_mtu),
        };
        let first = frame_len(self.mtu.into()).min(net::Shape::most(HEADROOM));

        // CAST: A few, as a page is more than a few thousand bytes.
        longest.saturating_sub(first).div_ceil(PIECE) as usize
    }

    /// The offloads of the network device that this makes.
    pub(crate) fn offloads(&self) -> net::Features {
        use net::Features as Offload;

        let mut offloads = Offload::HIGHDMA | Offload::GSO_ROBUST;
        // Without it the core puts each frame into one piece, and cuts those that are too long for that.
        if !self.short_rings {
            offloads = offloads | Offload::SG;
        }
        for (feature, offload) in [
            (features::CSUM, Offload::HW_CSUM),
            (features::HOST_TSO4, Offload::TSO),
            (features::HOST_TSO6, Offload::TSO6),
            (features::HOST_ECN, Offload::TSO_ECN),
            (features::HOST_USO, Offload::GSO_UDP_L4),
        ] {
            if self.has(feature) {
                offloads = offloads | offload;
            }
        }
        offloads
    }
}

/// Bytes before the header in a buffer, for those who put headers before the frame.
pub(crate) const HEADROOM: u32 = 64;

/// The bytes of a buffer's pieces but for the first: a page.
// CAST: It is a few thousand.
pub(crate) const PIECE: u32 = kernel::page::PAGE_SIZE as u32;

/// What a buffer must have room for if large frames may come in, with the header: section 5.1.6.3.1.
pub(crate) const LARGEST: u32 = 65562;

/// The tag of a VLAN, which the MTU does not include.
const VLAN: u32 = 4;

/// The length of the longest frame of an MTU, with the header before it.
pub(crate) fn frame_len(mtu: u32) -> u32 {
    // CAST: It is 12.
    header::LEN as u32 + header::ETHERNET + VLAN + mtu
}
