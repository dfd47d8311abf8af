// SPDX-License-Identifier: GPL-2.0

//! What a device may do wrong, by name.

use core::fmt;

/// Why a virtqueue is out of use.
///
/// The first thing that goes wrong is kept. From then on the device gets no more buffers, and none
/// are taken from it, until it was stopped: what else it says can't be believed either.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Poison {
    /// The used index went on by more than there are buffers with the device, or went back.
    UsedIndexJump {
        /// The index up to which buffers were taken.
        from: u16,
        /// The index that the device wrote.
        to: u16,
        /// How many buffers it had.
        in_flight: u16,
    },
    /// The device returned a buffer by a number that no descriptor has.
    IdOutOfRange {
        /// The number.
        id: u32,
        /// How many descriptors there are.
        size: u16,
    },
    /// The device returned a buffer that it does not have: one that it returned before, that it
    /// never had, or a descriptor in the middle of a chain.
    NotInFlight {
        /// The descriptor.
        id: u16,
    },
    /// The device says that it wrote more than the buffer holds.
    LengthTooLong {
        /// The head of the buffer.
        id: u16,
        /// How many bytes it says it wrote.
        len: u32,
        /// For how many there was room.
        limit: u32,
    },
    /// The device, which agreed to use buffers in order, returned one before those that it was given
    /// earlier.
    OutOfOrder {
        /// The head of the buffer.
        id: u16,
        /// How many earlier ones it has.
        earlier: u16,
        /// How many buffers it says it has used.
        ready: u16,
    },
    /// Nothing is wrong with the ring, but the device has failed, or is gone.
    DeviceFailed,
}

impl Poison {
    /// Returns the name of the reason, without its numbers, for statistics and tests.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::UsedIndexJump { .. } => "used_index_jump",
            Self::IdOutOfRange { .. } => "id_out_of_range",
            Self::NotInFlight { .. } => "not_in_flight",
            Self::LengthTooLong { .. } => "length_too_long",
            Self::OutOfOrder { .. } => "out_of_order",
            Self::DeviceFailed => "device_failed",
        }
    }
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UsedIndexJump {
                from,
                to,
                in_flight,
            } => write!(
                f,
                "the used index jumped from {from} to {to} with {in_flight} buffers in flight"
            ),
            Self::IdOutOfRange { id, size } => {
                write!(f, "used buffer {id} of a queue of {size}")
            }
            Self::NotInFlight { id } => write!(f, "used buffer {id}, which is not in flight"),
            Self::LengthTooLong { id, len, limit } => {
                write!(
                    f,
                    "{len} bytes written to used buffer {id}, which holds {limit}"
                )
            }
            Self::OutOfOrder { id, earlier, ready } => write!(
                f,
                "used buffer {id}, which has {earlier} before it, as one of {ready}"
            ),
            Self::DeviceFailed => f.write_str("the device failed"),
        }
    }
}
