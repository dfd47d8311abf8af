// SPDX-License-Identifier: GPL-2.0

//! The two kinds of queues, each with the model device for it, as the tests see them that are the same
//! for both.

use super::{
    device::{self, packed, Chain, Fault},
    memory, packed_memory,
};
use crate::ring::{chain::Buffer, virtqueue::Virtqueue};

/// A buffer that the device has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taken {
    pub(crate) chain: Chain,
    /// How many steps of the ring it takes.
    pub(crate) steps: u16,
}

/// A device. It counts in steps: buffers in a split ring, descriptors in a packed one.
pub(crate) trait Model: Send {
    fn pop(&mut self) -> Result<Option<Taken>, Fault>;

    /// Gives back the buffer `head` and those before it, `steps` altogether, having written to it.
    fn give(&mut self, head: u16, written: u32, steps: u16);

    fn interrupt_needed(&mut self) -> bool;
    fn sleep(&mut self) -> bool;
    fn stay_awake(&mut self);
    fn reset(&mut self);

    /// Returns how far it has taken buffers.
    fn position(&self) -> u16;

    /// Gives back one buffer.
    fn give_one(&mut self, taken: &Taken, written: u32) {
        self.give(taken.chain.head, written, taken.steps);
    }
}

/// A kind of queues.
pub(crate) trait Kind {
    /// Whether buffers take as many steps as descriptors, else one each.
    const PACKED: bool;

    type Driver<B: Buffer>: Virtqueue<B>;
    type Device: Model + 'static;

    /// Returns the greatest size of a queue up to this one.
    fn fit(size: u16) -> u16;

    fn pair<B: Buffer>(
        size: u16,
        table: u16,
        event_idx: bool,
        in_order: bool,
    ) -> (Self::Driver<B>, Self::Device);
}

/// Split queues.
#[derive(Debug)]
pub(crate) enum Split {}

/// Packed queues.
#[derive(Debug)]
pub(crate) enum Packed {}

impl Kind for Split {
    const PACKED: bool = false;

    type Driver<B: Buffer> = memory::Driver<B>;
    type Device = device::Device<memory::Mem>;

    fn fit(size: u16) -> u16 {
        1 << size.ilog2()
    }

    fn pair<B: Buffer>(
        size: u16,
        table: u16,
        event_idx: bool,
        in_order: bool,
    ) -> (Self::Driver<B>, Self::Device) {
        memory::pair_of(size, table, event_idx, in_order)
    }
}

impl Kind for Packed {
    const PACKED: bool = true;

    type Driver<B: Buffer> = packed_memory::Driver<B>;
    type Device = packed::Device<packed_memory::Mem>;

    fn fit(size: u16) -> u16 {
        size
    }

    fn pair<B: Buffer>(
        size: u16,
        table: u16,
        event_idx: bool,
        in_order: bool,
    ) -> (Self::Driver<B>, Self::Device) {
        packed_memory::pair(size, table, event_idx, in_order)
    }
}

impl Model for device::Device<memory::Mem> {
    fn pop(&mut self) -> Result<Option<Taken>, Fault> {
        Ok(self.pop()?.map(|chain| Taken { chain, steps: 1 }))
    }

    fn give(&mut self, head: u16, written: u32, steps: u16) {
        self.push_all(head.into(), written, steps);
    }

    fn interrupt_needed(&mut self) -> bool {
        self.interrupt_needed()
    }

    fn sleep(&mut self) -> bool {
        self.sleep()
    }

    fn stay_awake(&mut self) {
        self.stay_awake();
    }

    fn reset(&mut self) {
        self.reset();
    }

    fn position(&self) -> u16 {
        self.taken
    }
}

impl Model for packed::Device<packed_memory::Mem> {
    fn pop(&mut self) -> Result<Option<Taken>, Fault> {
        Ok(self.pop()?.map(|taken| Taken {
            chain: taken.chain,
            steps: taken.count,
        }))
    }

    fn give(&mut self, head: u16, written: u32, steps: u16) {
        self.push(head, written, steps);
    }

    fn interrupt_needed(&mut self) -> bool {
        self.interrupt_needed()
    }

    fn sleep(&mut self) -> bool {
        self.sleep()
    }

    fn stay_awake(&mut self) {
        self.stay_awake();
    }

    fn reset(&mut self) {
        self.reset();
    }

    fn position(&self) -> u16 {
        self.taken.position()
    }
}
