// SPDX-License-Identifier: GPL-2.0

//! A virtqueue in real DMA memory, and the model device on the other side of it.
//!
//! The device is told of addresses and nothing else, as a real one is, and finds the memory behind
//! them in the direct mapping. That holds for machines whose DMA addresses are physical ones, which
//! the one that runs these tests is.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        },
        Arc, //
    }, //
};

use irqkit::{
    dma::{
        Addressing,
        Pool,
        Region, //
    },
    virtio::{
        Buffer,
        Config,
        InBuffer,
        Order,
        OutBuffer,
        Port,
        Segment,
        Space,
        SplitQueue, //
    },
};

use crate::{
    edu::Edu,
    ring::memory::{
        Descriptor,
        UsedElement, //
    },
    ring_device::{
        Chain,
        Device,
        DeviceMemory, //
    },
};

/// What queue and device have between them beside memory.
pub(crate) struct Line {
    pub(crate) kicks: Atomic<u64>,
    pub(crate) interrupts: Atomic<u64>,
    /// What the last notification said: queue and position.
    pub(crate) said: Atomic<u32>,
    pub(crate) stops: Atomic<u64>,
    /// Whether the device can be stopped.
    pub(crate) obeys: Atomic<bool>,
    pub(crate) stopped: Atomic<bool>,
    /// Buffers that were dropped, and those of them that were while the device was running.
    pub(crate) dropped: Atomic<u64>,
    pub(crate) early: Atomic<u64>,
}

impl Line {
    fn new() -> Self {
        Self {
            kicks: Atomic::new(0),
            interrupts: Atomic::new(0),
            said: Atomic::new(0),
            stops: Atomic::new(0),
            obeys: Atomic::new(true),
            stopped: Atomic::new(false),
            dropped: Atomic::new(0),
            early: Atomic::new(0),
        }
    }
}

/// The queue's end of it.
pub(crate) struct Wire(pub(crate) Arc<Line>);

// SAFETY: The device runs when a test says so, and no test lets it run once the queue was stopped.
unsafe impl Port for Wire {
    fn notify(&self, index: u16, position: u16) {
        let said = irqkit::virtio::notification_data(index, position);

        self.0.said.store(said, Relaxed);
        self.0.kicks.fetch_add(1, Full);
    }

    fn stop(&self) -> bool {
        let obeys = self.0.obeys.load(Relaxed);

        self.0.stops.fetch_add(1, Relaxed);
        self.0.stopped.store(obeys, Release);
        obeys
    }
}

/// A request of 64 bytes and the room for its answer, of which it is known when it is dropped.
pub(crate) struct Request {
    pub(crate) number: u64,
    pub(crate) parts: (OutBuffer, InBuffer),
    line: Arc<Line>,
}

/// The length of each part.
pub(crate) const LEN: u32 = 64;

// SAFETY: They are those of its parts.
unsafe impl Buffer for Request {
    fn readable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.parts.readable()
    }

    fn writable(&self) -> impl ExactSizeIterator<Item = Segment> {
        self.parts.writable()
    }

    fn is_in(&self, space: Space) -> bool {
        self.parts.is_in(space)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        self.line.dropped.fetch_add(1, Relaxed);
        if !self.line.stopped.load(Acquire) {
            self.line.early.fetch_add(1, Relaxed);
        }
    }
}

impl Request {
    /// Writes its number, for the device to read.
    pub(crate) fn ask(&mut self, number: u64) -> Result {
        self.number = number;
        self.parts.0.write(0, &number.to_le_bytes())?;
        self.parts.1.clear();
        Ok(())
    }

    /// Returns what the device answered.
    pub(crate) fn answer(&self) -> Result<u64> {
        let mut bytes = [0; 8];

        self.parts.1.read(0, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }
}

/// What the device makes of a number.
pub(crate) fn transformed(number: u64) -> u64 {
    number.rotate_left(17) ^ 0x5eed_c0de_5eed_c0de
}

pub(crate) type Driver = SplitQueue<Request, Wire>;

/// A device's view of the queue's memory.
///
/// # Invariants
///
/// The addresses are those of a queue of `size` descriptors, whose memory is there as long as a
/// test uses this, and `offset` leads from the device's addresses to the kernel's.
#[derive(Clone, Copy)]
pub(crate) struct Bus {
    offset: u64,
    size: u16,
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

    fn descriptor_at(&self, table: u64, index: u16) -> Descriptor {
        let at = 16 * usize::from(index);

        Descriptor {
            address: u64::from_le(self.read(table, at)),
            len: u32::from_le(self.read(table, at + 8)),
            flags: u16::from_le(self.read(table, at + 12)),
            next: u16::from_le(self.read(table, at + 14)),
        }
    }

    /// Answers a request: reads its number and writes what comes of it. Returns how much it wrote.
    pub(crate) fn answer(&self, chain: &Chain) -> u32 {
        let (Some(from), Some(to)) = (chain.readable().next(), chain.writable().next()) else {
            return 0;
        };
        let number = u64::from_le(self.read(from.address, 0));

        self.write(to.address, 0, transformed(number).to_le());
        8
    }
}

impl DeviceMemory for Bus {
    fn descriptor(&self, index: u16) -> Descriptor {
        self.descriptor_at(self.descriptors, index)
    }

    fn table_entry(&self, address: u64, entry: u16) -> Option<Descriptor> {
        Some(self.descriptor_at(address, entry))
    }

    fn available_index(&self) -> u16 {
        u16::from_le(self.read(self.driver, 2))
    }

    fn available_flags(&self) -> u16 {
        u16::from_le(self.read(self.driver, 0))
    }

    fn available(&self, slot: u16) -> u16 {
        u16::from_le(self.read(self.driver, 4 + 2 * usize::from(slot)))
    }

    fn used_event(&self) -> u16 {
        u16::from_le(self.read(self.driver, 4 + 2 * usize::from(self.size)))
    }

    fn set_used(&self, slot: u16, element: UsedElement) {
        let at = 4 + 8 * usize::from(slot);

        self.write(self.device, at, element.id.to_le());
        self.write(self.device, at + 4, element.len.to_le());
    }

    fn set_used_index(&self, index: u16) {
        self.write(self.device, 2, index.to_le());
    }

    fn set_used_flags(&self, flags: u16) {
        self.write(self.device, 0, flags.to_le());
    }

    fn set_available_event(&self, index: u16) {
        self.write(self.device, 4 + 8 * usize::from(self.size), index.to_le());
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

/// Returns by how much the kernel's address of `region` is beyond the device's.
pub(crate) fn offset(region: &Region) -> u64 {
    // CAST: An address, and 64 bits.
    (region.as_ptr() as u64).wrapping_sub(region.address())
}

/// What a test of a queue needs.
pub(crate) struct Bench {
    pub(crate) pool: Arc<Pool>,
    pub(crate) line: Arc<Line>,
    pub(crate) offset: u64,
}

/// A queue that most tests can use.
pub(crate) const CONFIG: Config = Config {
    index: 3,
    size: 16,
    event_idx: true,
    in_order: false,
    indirect: 0,
    order: Order::Smp,
};

impl Bench {
    pub(crate) fn new(addressing: Addressing) -> Result<Self> {
        let edu = Edu::get()?;
        // SAFETY: What the tests tell it to address is in neither way anybody else's.
        let pool = unsafe { Pool::new(edu.bound().as_ref(), addressing)? };
        let probe = pool.alloc(1, GFP_KERNEL)?;

        Ok(Self {
            line: Arc::new(Line::new(), GFP_KERNEL)?,
            offset: offset(&probe),
            pool,
        })
    }

    /// Makes a queue and the device of it.
    pub(crate) fn queue(&self, config: &Config) -> Result<(Driver, Device<Bus>)> {
        let queue = SplitQueue::new(&self.pool, config, Wire(self.line.clone()))?;
        let parts = queue.addresses();
        let bus = Bus {
            offset: self.offset,
            size: config.size,
            descriptors: parts.descriptors,
            driver: parts.driver,
            device: parts.device,
        };

        self.line.stopped.store(false, Relaxed);
        Ok((queue, Device::new(bus, config.size, config.event_idx)))
    }

    pub(crate) fn request(&self, number: u64) -> Result<Request> {
        let len = usize::try_from(LEN)?;
        let mut request = Request {
            number,
            parts: (
                OutBuffer::new(self.pool.alloc(len, GFP_KERNEL)?),
                InBuffer::new(self.pool.alloc(len, GFP_KERNEL)?),
            ),
            line: self.line.clone(),
        };
        request.ask(number)?;
        Ok(request)
    }

    pub(crate) fn requests(&self, n: u64) -> Result<KVec<Request>> {
        let mut all = KVec::new();

        for number in 0..n {
            all.push(self.request(number)?, GFP_KERNEL)?;
        }
        Ok(all)
    }
}

/// Answers what is there, and interrupts for it; returns how many.
pub(crate) fn serve(device: &mut Device<Bus>, line: &Line) -> Result<u64> {
    let mut served = 0;

    while let Some(chain) = device.pop().map_err(|fault| {
        pr_err!("the driver broke the rules: {fault:?}\n");
        EPROTO
    })? {
        let written = device.memory.answer(&chain);

        device.push(chain.head.into(), written);
        served += 1;
        if device.interrupt_needed() {
            line.interrupts.fetch_add(1, Full);
        }
    }
    Ok(served)
}
