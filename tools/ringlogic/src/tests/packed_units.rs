// SPDX-License-Identifier: GPL-2.0

//! Packed queues, one thing at a time.

use super::{
    memory::Byte,
    packed_memory::{pair, Mem},
};
use crate::ring::{layout::PackedLayout, packed::Packed};

#[test]
fn sizes_and_slots() {
    for size in [0, 32769, u16::MAX] {
        assert!(PackedLayout::new(size, 0).is_none());
    }
    for size in [1, 3, 255, 32768] {
        let layout = PackedLayout::new(size, 9).unwrap();
        assert_eq!((layout.size(), layout.table()), (size, size.min(9)));
        assert_eq!(layout.descriptor_bytes(), 16 * usize::from(size));
        let slots = super::memory::slots::<Byte>(size - 1);
        assert!(Packed::new(Mem::new(layout), slots, layout, false, false).is_none());
    }
}

/// The model device must see what it is there to see.
#[test]
fn the_device_tells_a_bad_driver() {
    use super::device::Fault;
    use crate::ring::{
        memory::{INDIRECT, NEXT, WRITE},
        packed_memory::{Body, PackedMemory, AVAIL, USED},
    };

    fn faulty(len: u32, ring: &[u16], table: u16) -> Option<Fault> {
        let (driver, mut device) = pair::<Byte>(4, 2, true, false);
        let mut memory = driver.memory().clone();
        let address = memory.table_address(0);
        let body = Body {
            address,
            len,
            id: 0,
        };
        for (index, &flags) in ring.iter().enumerate() {
            memory.set_body(index as u16, body);
            PackedMemory::set_flags(&mut memory, index as u16, flags);
        }
        memory.set_table_entry(0, 0, Body { len: 1, ..body }, table);
        device.pop().err()
    }

    assert_eq!(faulty(1, &[AVAIL], 0), None);
    assert_eq!(faulty(1, &[AVAIL | USED], 0), None);
    assert_eq!(faulty(0, &[AVAIL], 0), Some(Fault::EmptySegment));
    assert_eq!(faulty(1, &[AVAIL | NEXT], 0), Some(Fault::Flags));
    assert_eq!(faulty(1, &[AVAIL | NEXT; 4], 0), Some(Fault::ChainTooLong));
    assert_eq!(
        faulty(1, &[AVAIL | WRITE | NEXT, AVAIL], 0),
        Some(Fault::Order)
    );
    assert_eq!(faulty(1, &[AVAIL | INDIRECT], 0), Some(Fault::Table));
    assert_eq!(faulty(16, &[AVAIL | INDIRECT], 0), None);
    assert_eq!(faulty(16, &[AVAIL | INDIRECT], NEXT), Some(Fault::Table));
    assert_eq!(
        faulty(16, &[AVAIL | INDIRECT | NEXT], 0),
        Some(Fault::Table)
    );
}
