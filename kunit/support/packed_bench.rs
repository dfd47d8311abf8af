// SPDX-License-Identifier: GPL-2.0

//! A packed virtqueue in real DMA memory, and the model device on the other side of it: what
//! `ring_bench.rs` has for split ones.

use kernel::{
    prelude::*,
    sync::atomic::{
        Full,
        Relaxed, //
    }, //
};

use irqkit::virtio::{
    Config,
    PackedQueue, //
};

use crate::{
    ring::packed_memory::{
        Body,
        Event,
        UsedDescriptor, //
    },
    ring_bench::{
        transformed,
        Bench,
        Line,
        Request,
        Wire, //
    },
    ring_device::packed::{
        Device,
        DeviceMemory,
        Taken, //
    },
};

pub(crate) type Driver = PackedQueue<Request, Wire>;

/// A device's view of the queue's memory.
///
/// # Invariants
///
/// The addresses are those of a packed queue, whose memory is there as long as a test uses this, and
/// `offset` leads from the device's addresses to the kernel's.
#[derive(Clone, Copy)]
pub(crate) struct Bus {
    offset: u64,
    descriptors: u64,
    driver: u64,
    device: u64,
}

impl Bus {
    fn at<T>(&self, address: u64, offset: usize) -> *mut T {
        // CAST: 64 bits, and an address.
        (self.offset.wrapping_add(address) as usize).wrapping_add(offset) as *mut T
    }

    fn read<T>(&self, address: u64, offset: usize) -> T {
        // SAFETY: The tests ask for what the type invariant allows for, or for what a queue has told
        // the device of.
        unsafe { self.at::<T>(address, offset).read_volatile() }
    }

    fn write<T>(&self, address: u64, offset: usize, value: T) {
        // SAFETY: As above.
        unsafe { self.at::<T>(address, offset).write_volatile(value) };
    }

    fn body_at(&self, table: u64, index: u16) -> Body {
        let at = 16 * usize::from(index);

        Body {
            address: u64::from_le(self.read(table, at)),
            len: u32::from_le(self.read(table, at + 8)),
            id: u16::from_le(self.read(table, at + 12)),
        }
    }

    fn flags_at(&self, table: u64, index: u16) -> u16 {
        u16::from_le(self.read(table, 16 * usize::from(index) + 14))
    }

    /// Answers a request: reads its number and writes what comes of it. Returns how much it wrote.
    fn answer(&self, taken: &Taken) -> u32 {
        let chain = &taken.chain;
        let (Some(from), Some(to)) = (chain.readable().next(), chain.writable().next()) else {
            return 0;
        };
        let number = u64::from_le(self.read(from.address, 0));

        self.write(to.address, 0, transformed(number).to_le());
        8
    }
}

impl DeviceMemory for Bus {
    fn flags(&self, index: u16) -> u16 {
        self.flags_at(self.descriptors, index)
    }

    fn body(&self, index: u16) -> Body {
        self.body_at(self.descriptors, index)
    }

    fn table_entry(&self, address: u64, entry: u16) -> Option<(Body, u16)> {
        Some((self.body_at(address, entry), self.flags_at(address, entry)))
    }

    fn driver_event(&self) -> Event {
        // In this order: the driver writes the flags last.
        let flags = u16::from_le(self.read(self.driver, 2));

        self.read_barrier();
        Event {
            position: u16::from_le(self.read(self.driver, 0)),
            flags,
        }
    }

    fn set_used(&self, index: u16, used: UsedDescriptor) {
        let at = 16 * usize::from(index);

        self.write(self.descriptors, at + 8, used.len.to_le());
        self.write(self.descriptors, at + 12, used.id.to_le());
    }

    fn set_flags(&self, index: u16, flags: u16) {
        self.write(
            self.descriptors,
            16 * usize::from(index) + 14,
            flags.to_le(),
        );
    }

    fn set_device_event(&self, event: Event) {
        let both = u32::from(event.position) | (u32::from(event.flags) << 16);

        self.write(self.device, 0, both.to_le());
    }

    fn read_barrier(&self) {
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Read);
    }

    fn write_barrier(&self) {
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Write);
    }

    fn full_barrier(&self) {
        kernel::sync::barrier::smp_mb(kernel::sync::barrier::Full);
    }
}

/// Makes a queue and the device of it.
pub(crate) fn queue(bench: &Bench, config: &Config) -> Result<(Driver, Device<Bus>)> {
    let queue = Driver::new(&bench.pool, config, Wire(bench.line.clone()))?;
    let parts = queue.addresses();
    let bus = Bus {
        offset: bench.offset,
        descriptors: parts.descriptors,
        driver: parts.driver,
        device: parts.device,
    };

    bench.line.stopped.store(false, Relaxed);
    Ok((queue, Device::new(bus, config.size, config.event_idx)))
}

/// Answers what is there, and interrupts for it; returns how many. If `together`, all that is there is
/// given back as one, in order.
pub(crate) fn serve(device: &mut Device<Bus>, line: &Line, together: bool) -> Result<u64> {
    let (mut served, mut count) = (0, 0);
    let mut last = None;

    while let Some(taken) = device.pop().map_err(|fault| {
        pr_err!("the driver broke the rules: {fault:?}\n");
        EPROTO
    })? {
        let written = device.memory.answer(&taken);

        served += 1;
        count += taken.count;
        if together {
            last = Some((taken.chain.head, written));
            continue;
        }
        device.push(taken.chain.head, written, taken.count);
    }
    if let Some((head, written)) = last {
        device.push(head, written, count);
    }
    if device.interrupt_needed() {
        line.interrupts.fetch_add(1, Full);
    }
    Ok(served)
}
