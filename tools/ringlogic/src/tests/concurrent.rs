// SPDX-License-Identifier: GPL-2.0

//! Driver and device at the same time.
//!
//! On threads of this machine, for many rounds; and under loom, which tries all interleavings of a
//! short exchange, with the reorderings that a weakly ordered machine may do. There the memory that
//! the barriers are to protect (descriptors, entries, elements, the buffers' content) consists of
//! plain cells, whose unsynchronised use loom reports.

use std::{thread, time::Duration};

use super::{
    kind::{Kind, Model, Packed, Split},
    memory::Byte,
    tries,
};
use crate::ring::virtqueue::Virtqueue;

/// Each side sleeps when it finds nothing, and is woken by the other's event or never.
fn nobody_sleeps_for_ever<K: Kind>(size: u16, table: u16, event_idx: bool, in_order: bool) {
    let rounds = u64::from(tries(300_000, 200));
    let (mut driver, mut device) = K::pair(size, table, event_idx, in_order);
    let (kick, kicked) = std::sync::mpsc::channel::<()>();
    let (interrupt, interrupted) = std::sync::mpsc::channel::<()>();

    let device = thread::spawn(move || {
        let mut done = 0;
        while done < rounds {
            while let Some(taken) = device.pop().expect("the driver keeps to the rules") {
                device.give_one(&taken, taken.chain.room());
                done += 1;
                if device.interrupt_needed() {
                    interrupt.send(()).unwrap();
                }
            }
            if done < rounds && device.sleep() {
                kicked
                    .recv_timeout(Duration::from_secs(30))
                    .expect("a notification got lost");
            }
        }
    });

    let (mut sent, mut back) = (0, 0);
    while back < rounds {
        while sent < rounds && driver.free() != 0 {
            assert!(driver.add(Byte(sent)).is_ok());
            sent += 1;
            if sent % 3 == 0 && driver.kick_needed() {
                kick.send(()).unwrap();
            }
        }
        if driver.kick_needed() {
            kick.send(()).unwrap();
        }
        driver.disable_cb();
        loop {
            while let Some(used) = driver.get_used() {
                assert_eq!(used.buffer, Byte(back));
                back += 1;
            }
            let safe = if back % 2 == 0 {
                driver.enable_cb()
            } else {
                driver.enable_cb_delayed()
            };
            if safe {
                break;
            }
        }
        if back < rounds && (sent == rounds || driver.free() == 0) {
            interrupted
                .recv_timeout(Duration::from_secs(30))
                .expect("an interrupt got lost");
        }
    }
    device.join().unwrap();
    assert_eq!(driver.poisoned(), None);
}

#[test]
fn nobody_sleeps_for_ever_split() {
    for (event_idx, table) in [(true, 0), (false, 0), (true, 4)] {
        nobody_sleeps_for_ever::<Split>(16, table, event_idx, false);
    }
}

#[test]
fn nobody_sleeps_for_ever_packed() {
    for (event_idx, in_order) in [(true, false), (false, false), (true, true)] {
        nobody_sleeps_for_ever::<Packed>(13, 0, event_idx, in_order);
    }
}

#[cfg(not(miri))]
mod exhaustive {
    use loom::{
        cell::UnsafeCell,
        sync::{
            atomic::{fence, AtomicBool, AtomicU16, Ordering::*},
            Arc,
        },
        thread,
    };

    use super::super::{
        device::{Device, DeviceMemory},
        memory::{slots, Byte},
    };
    use crate::ring::{
        layout::Layout,
        memory::{Descriptor, Memory, UsedElement},
        slot::Slot,
        split::Split,
        virtqueue::Virtqueue,
    };

    const SIZE: u16 = 2;

    /// What the barriers are for is in cells, whose use loom checks.
    #[derive(Default)]
    struct Shared {
        descriptors: [UnsafeCell<Descriptor>; SIZE as usize],
        available: [UnsafeCell<u16>; SIZE as usize],
        used: [UnsafeCell<UsedElement>; SIZE as usize],
        available_flags: AtomicU16,
        available_index: AtomicU16,
        used_event: AtomicU16,
        used_flags: AtomicU16,
        used_index: AtomicU16,
        available_event: AtomicU16,
        /// What the device writes into a buffer.
        content: [UnsafeCell<u64>; 4],
    }

    #[derive(Clone)]
    struct Mem(Arc<Shared>);

    // SAFETY: Loom runs one thread at a time, and panics where two could use a cell.
    unsafe impl Send for Mem {}

    fn get<T: Copy>(cell: &UnsafeCell<T>) -> T {
        // SAFETY: Loom panics if somebody might be writing.
        cell.with(|value| unsafe { *value })
    }

    fn set<T>(cell: &UnsafeCell<T>, new: T) {
        // SAFETY: Loom panics if somebody might be using it.
        cell.with_mut(|value| unsafe { *value = new });
    }

    impl Memory for Mem {
        fn set_descriptor(&mut self, index: u16, descriptor: Descriptor) {
            set(&self.0.descriptors[usize::from(index)], descriptor);
        }
        fn set_table_entry(&mut self, _table: u16, _entry: u16, _descriptor: Descriptor) {
            unreachable!("there are no tables");
        }
        fn table_address(&self, _table: u16) -> u64 {
            unreachable!("there are no tables");
        }
        fn set_available(&mut self, slot: u16, head: u16) {
            set(&self.0.available[usize::from(slot)], head);
        }
        fn set_available_index(&mut self, index: u16) {
            self.0.available_index.store(index, Relaxed);
        }
        fn set_available_flags(&mut self, flags: u16) {
            self.0.available_flags.store(flags, Relaxed);
        }
        fn set_used_event(&mut self, index: u16) {
            self.0.used_event.store(index, Relaxed);
        }
        fn used_index(&self) -> u16 {
            self.0.used_index.load(Relaxed)
        }
        fn used_flags(&self) -> u16 {
            self.0.used_flags.load(Relaxed)
        }
        fn used(&self, slot: u16) -> UsedElement {
            get(&self.0.used[usize::from(slot)])
        }
        fn available_event(&self) -> u16 {
            self.0.available_event.load(Relaxed)
        }
        fn clear(&mut self) {
            unreachable!("nobody restarts");
        }
        fn read_barrier(&self) {
            fence(Acquire);
        }
        fn write_barrier(&self) {
            fence(Release);
        }
        fn full_barrier(&self) {
            fence(SeqCst);
        }
    }

    impl DeviceMemory for Mem {
        fn descriptor(&self, index: u16) -> Descriptor {
            get(&self.0.descriptors[usize::from(index)])
        }
        fn table_entry(&self, _address: u64, _entry: u16) -> Option<Descriptor> {
            None
        }
        fn available_index(&self) -> u16 {
            self.0.available_index.load(Relaxed)
        }
        fn available_flags(&self) -> u16 {
            self.0.available_flags.load(Relaxed)
        }
        fn available(&self, slot: u16) -> u16 {
            get(&self.0.available[usize::from(slot)])
        }
        fn used_event(&self) -> u16 {
            self.0.used_event.load(Relaxed)
        }
        fn set_used(&self, slot: u16, element: UsedElement) {
            set(&self.0.used[usize::from(slot)], element);
        }
        fn set_used_index(&self, index: u16) {
            self.0.used_index.store(index, Relaxed);
        }
        fn set_used_flags(&self, flags: u16) {
            self.0.used_flags.store(flags, Relaxed);
        }
        fn set_available_event(&self, index: u16) {
            self.0.available_event.store(index, Relaxed);
        }
        fn read_barrier(&self) {
            fence(Acquire);
        }
        fn write_barrier(&self) {
            fence(Release);
        }
        fn full_barrier(&self) {
            fence(SeqCst);
        }
    }

    type Driver = Split<Mem, Vec<Slot<Byte>>>;

    fn pair(event_idx: bool) -> (Mem, Driver, Device<Mem>) {
        let layout = Layout::new(SIZE, 0).unwrap();
        let mem = Mem(Arc::default());
        let driver = Split::new(mem.clone(), slots(SIZE), layout, event_idx, false).unwrap();
        let device = Device::new(mem.clone(), SIZE, event_idx);

        (mem, driver, device)
    }

    /// Takes what is there, writes to it, gives it back; returns how many.
    fn serve(device: &mut Device<Mem>, mem: &Mem) -> u64 {
        let mut served = 0;
        while let Some(chain) = device.pop().unwrap() {
            let segment = chain.writable().next().unwrap();
            set(&mem.0.content[usize::from(chain.head)], segment.address);
            device.push(chain.head.into(), 1);
            served += 1;
        }
        served
    }

    fn model(f: impl Fn() + Sync + Send + 'static) {
        let mut builder = loom::model::Builder::new();
        builder.max_branches = 100_000;
        builder.check(f);
    }

    /// What is written before an index is seen by who sees the index, on both ways: descriptors,
    /// entries, elements, and what the device wrote to the buffer.
    #[test]
    fn what_is_published_is_complete() {
        model(|| {
            let (mem, mut driver, mut device) = pair(true);
            let device_mem = mem.clone();

            let device = thread::spawn(move || {
                serve(&mut device, &device_mem);
                device
            });
            let mut sent = 0;
            let mut back = 0;
            for round in 0..3 {
                if driver.add(Byte(2 * round + 1)).is_ok() {
                    sent += 1;
                }
                if let Some(used) = driver.get_used() {
                    // The heads come from a list, first in, first out for the first two.
                    assert_eq!((used.written, used.buffer), (1, Byte(2 * back + 1)));
                    back += 1;
                }
            }
            let mut device = device.join().unwrap();
            serve(&mut device, &mem);
            while let Some(used) = driver.get_used() {
                assert_eq!(used.buffer, Byte(2 * back + 1));
                back += 1;
            }
            assert_eq!((sent, driver.poisoned()), (back, None));
        });
    }

    /// A device that goes to sleep while a buffer is added sees it, or is notified.
    #[test]
    fn no_notification_is_lost() {
        for event_idx in [true, false] {
            model(move || {
                let (mem, mut driver, mut device) = pair(event_idx);
                let asleep = Arc::new(AtomicBool::new(false));
                let its = asleep.clone();

                device.stay_awake();
                let device = thread::spawn(move || {
                    let mut served = serve(&mut device, &mem);
                    if device.sleep() {
                        its.store(true, Relaxed);
                    } else {
                        served += serve(&mut device, &mem);
                    }
                    served
                });
                assert!(driver.add(Byte(1)).is_ok());
                let kicked = driver.kick_needed();
                let served = device.join().unwrap();

                // A kick that comes while it is awake wakes it up from its next sleep.
                assert!(served == 1 || (asleep.load(Relaxed) && kicked));
            });
        }
    }

    /// A driver that goes to sleep while a buffer is given back sees it, or is interrupted: by
    /// `enable_cb`, and by a `get_used` that finds nothing.
    #[test]
    fn no_interrupt_is_lost() {
        for (event_idx, poll) in [(true, false), (true, true), (false, false)] {
            model(move || {
                let (mem, mut driver, mut device) = pair(event_idx);

                assert!(driver.add(Byte(1)).is_ok());
                assert!(driver.add(Byte(3)).is_ok());
                if poll {
                    // One that was interrupted for, so that callbacks have to be asked for again.
                    let chain = device.pop().unwrap().unwrap();
                    device.push(chain.head.into(), 1);
                    assert!(device.interrupt_needed());
                    assert!(driver.get_used().is_some());
                } else {
                    driver.disable_cb();
                }

                let device = thread::spawn(move || {
                    let mut interrupted = false;
                    let mut served = 0;
                    while let Some(chain) = device.pop().unwrap() {
                        let segment = chain.writable().next().unwrap();
                        set(&mem.0.content[usize::from(chain.head)], segment.address);
                        device.push(chain.head.into(), 1);
                        served += 1;
                        interrupted |= device.interrupt_needed();
                    }
                    (served, interrupted)
                });
                let mut back = 0;
                if poll {
                    while driver.get_used().is_some() {
                        back += 1;
                    }
                } else {
                    while !driver.enable_cb() {
                        while driver.get_used().is_some() {
                            back += 1;
                        }
                    }
                }
                let (served, interrupted) = device.join().unwrap();

                assert!(
                    back == served || interrupted,
                    "{back} of {served}, and nobody calls"
                );
            });
        }
    }
}
