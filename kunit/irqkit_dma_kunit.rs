// SPDX-License-Identifier: GPL-2.0
// lab-expect-dmesg: WARNING: kernel/dma/debug.c:[0-9]+ at dma_debug_device_change
// lab-want-dmesg: 1 12288 bytes of DMA memory were kept until after the device was unbound: leaked

//! KUnit suite: memory for DMA, on a real PCI device ([`irqkit::dma`]).

use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/mod.rs"]
mod support;

module! {
    type: edu::Module,
    name: "irqkit_dma_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's memory for DMA",
    license: "GPL",
}

#[kunit_tests(irqkit_dma)]
mod tests {
    use kernel::{
        prelude::*,
        sync::Arc, //
    };

    use irqkit::{
        dma::{
            Addressing,
            Pool,
            Region,
            ALIGNMENT, //
        },
        net::{
            Builder,
            PagePool, //
        },
    };

    use crate::{
        edu::{
            rebind,
            Edu, //
        },
        support::{
            hardirq,
            two_cpus, //
        },
    };

    const BOTH: [Addressing; 2] = [Addressing::Platform, Addressing::Physical];

    fn pool(addressing: Addressing) -> Result<Arc<Pool>> {
        // SAFETY: The device is not told of any of its memory.
        unsafe { Pool::new(Edu::get()?.bound().as_ref(), addressing) }
    }

    /// Returns how many of the bytes of `region` are not `byte`.
    fn others(region: &Region, byte: u8) -> Result<usize> {
        let mut bytes = KVec::from_elem(!byte, region.len(), GFP_KERNEL)?;

        region.read(0, &mut bytes)?;
        Ok(bytes.iter().filter(|&&b| b != byte).count())
    }

    #[test]
    fn regions_are_zeroed_and_aligned() -> Result {
        let mut wrong = 0;
        let mut made = 0;

        for addressing in BOTH {
            let pool = pool(addressing)?;

            // What was freed dirty comes back clean.
            for _ in 0..3 {
                for len in [1, 4096, 5000, 65_536] {
                    let mut region = pool.alloc(len, GFP_KERNEL)?;
                    let bytes = KVec::from_elem(0xa5, len, GFP_KERNEL)?;

                    wrong += others(&region, 0)?;
                    wrong += usize::from(region.len() != len);
                    wrong += usize::from(region.address() % ALIGNMENT as u64 != 0);
                    wrong += usize::from(region.as_ptr().addr() % ALIGNMENT != 0);
                    region.write(0, &bytes)?;
                    wrong += others(&region, 0xa5)?;
                    made += 1;
                }
            }
        }

        assert_eq!(made, 24);
        assert_eq!(wrong, 0);
        Ok(())
    }

    /// This machine has no IOMMU: both ways lead to the same addresses, which the device would use.
    #[test]
    fn addresses_are_those_of_the_memory() -> Result {
        let mut offsets = KVec::new();

        for addressing in BOTH {
            let pool = pool(addressing)?;
            let regions = [
                pool.alloc(4096, GFP_KERNEL)?,
                pool.alloc(16_384, GFP_KERNEL)?,
            ];

            for region in &regions {
                // CAST: An address, and 64 bits.
                let offset = (region.as_ptr().addr() as u64).wrapping_sub(region.address());
                offsets.push(offset, GFP_KERNEL)?;
            }
        }
        let first = offsets.first().copied();

        assert_eq!(offsets.len(), 4);
        assert!(offsets.iter().all(|&offset| Some(offset) == first));
        Ok(())
    }

    #[test]
    fn copies_stay_within() -> Result {
        let pool = pool(Addressing::Platform)?;
        let mut region = pool.alloc(100, GFP_KERNEL)?;
        let mut refused = 0;

        for (offset, len) in [(0, 101), (100, 1), (101, 0), (60, 41), (usize::MAX, 2)] {
            let mut bytes = KVec::from_elem(0xff, len, GFP_KERNEL)?;

            refused += usize::from(region.read(offset, &mut bytes) == Err(EINVAL));
            refused += usize::from(region.write(offset, &bytes) == Err(EINVAL));
            refused += usize::from(region.clear(offset, len) == Err(EINVAL));
        }
        let untouched = others(&region, 0)?;
        region.write(97, &[1, 2, 3])?;
        region.write(100, &[])?;
        region.clear(98, 1)?;
        let mut end = [9; 4];
        region.read(96, &mut end)?;
        let empty = pool.alloc(0, GFP_KERNEL).err();
        drop(region);

        assert_eq!(refused, 15);
        assert_eq!(untouched, 0);
        assert_eq!(end, [0, 1, 0, 3]);
        assert_eq!(empty, Some(EINVAL));
        Ok(())
    }

    /// Copying is for any context.
    #[test]
    fn a_hard_interrupt_may_copy() -> Result {
        let (_, cpu) = two_cpus()?;
        let mut region = pool(Addressing::Platform)?.alloc(8, GFP_KERNEL)?;
        let mut bytes = [0; 4];

        hardirq::on_cpu(cpu, || {
            if region.write(2, &[1, 2, 3, 4]).is_ok() {
                let _ = region.read(2, &mut bytes);
            }
        })?;
        drop(region);

        assert_eq!(bytes, [1, 2, 3, 4]);
        Ok(())
    }

    /// What outlives the binding of its device does no harm: a mapping is leaked, which the header
    /// of this file wants to see in the log, and memory without one is freed.
    #[test]
    fn regions_may_outlive_the_binding() -> Result {
        let [platform, physical] = [pool(BOTH[0])?, pool(BOTH[1])?];
        let in_time = [
            platform.alloc(4096, GFP_KERNEL)?,
            physical.alloc(4096, GFP_KERNEL)?,
        ];
        let late = [
            platform.alloc(12_288, GFP_KERNEL)?,
            physical.alloc(8192, GFP_KERNEL)?,
        ];

        drop(in_time);
        rebind(Edu::get()?)?;
        let refused = [
            platform.alloc(1, GFP_KERNEL).err(),
            physical.alloc(1, GFP_KERNEL).err(),
        ];
        let dirty = others(&late[0], 0)? + others(&late[1], 0)?;
        drop(late);
        // The next binding has a pool of its own.
        let again = pool(Addressing::Platform)?.alloc(1, GFP_KERNEL).is_ok();

        assert_eq!(refused, [Some(ENODEV), Some(ENODEV)]);
        assert_eq!(dirty, 0);
        assert!(again);
        Ok(())
    }
    /// Memory of an earlier binding would be mapped for nobody, though the device is the same.
    #[test]
    fn page_pools_want_memory_of_this_binding() -> Result {
        let earlier = BOTH.map(pool);
        rebind(Edu::get()?)?;
        let later = BOTH.map(pool);
        let edu = Edu::get()?;
        let card = Builder::new(edu.bound().as_ref(), 1, 1)?;
        let make = |memory: Result<Arc<Pool>>| PagePool::new(card.device(), 0, &memory?, 64);
        let earlier = earlier.map(|memory| make(memory).err());
        let later = later.map(|memory| make(memory).err());
        drop(card);

        assert_eq!(earlier, [Some(ENODEV), Some(ENODEV)]);
        assert_eq!(later, [None, None]);
        Ok(())
    }
}
