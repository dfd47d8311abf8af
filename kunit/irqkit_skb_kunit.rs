// SPDX-License-Identifier: GPL-2.0
// lab-want-dmesg: 2 a page pool was dropped while it was in use: leaked
// lab-want-dmesg: 1 memory of a page pool was dropped in a hard interrupt: leaked
// lab-want-dmesg: 4 page pools were kept until after the device was unbound

//! KUnit suite: packets and their memory ([`irqkit::net`]): bounds, and who owns what.

use kernel::prelude::*;

#[path = "support/owner.rs"]
mod owner;
#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_skb_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's packets",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_skb)]
mod tests {
    use kernel::{
        device::{
            Bound,
            Device, //
        },
        faux,
        prelude::*,
        sync::{
            new_mutex,
            Arc,
            Mutex, //
        },
    };

    use irqkit::{
        context::Task,
        dma::{
            stream::Stream,
            Addressing,
            Pool, //
        },
        net::{
            Builder,
            Idle,
            Link,
            MappedSkb,
            Napi,
            PagePool,
            PoolChain,
            PoolFrag,
            PoolStats,
            Reason,
            Shape,
            SkBuff,
            MAX_FRAGS, //
        },
        path::{
            Kind,
            PathSet, //
        },
        virtio::{
            Buffer,
            Space, //
        }, //
    };

    use crate::{
        owner::Owner,
        support::{
            hardirq,
            two_cpus, //
        }, //
    };

    /// A device that is not registered.
    struct Rig {
        builder: Builder,
        paths: PathSet,
        _parent: faux::Registration,
    }

    impl Rig {
        fn new(name: &CStr) -> Result<Self> {
            let parent = faux::Registration::new(name, None)?;
            let builder = Builder::new(device(&parent), 1, 1)?;

            Ok(Self {
                builder,
                paths: PathSet::new::<crate::LocalModule>(name)?,
                _parent: parent,
            })
        }

        fn pool(&self) -> Result<PagePool> {
            let memory = memory(device(&self._parent), Addressing::Physical)?;

            PagePool::new(self.builder.device(), 0, &memory, 64)
        }

        /// Makes an instance that has `pool`.
        fn napi(&self, pool: PagePool) -> Result<Arc<Napi<Owner>>> {
            let path = self.paths.path_or_existing(Kind::Napi, c"napi/rx0")?;

            self.builder.device().napi(Link::Rx(0), path, Owner(pool))
        }

        /// Calls `f` with the pool of a receive queue, where that is used.
        fn with_pool<R>(&self, f: impl FnOnce(&mut PagePool, &Idle<'_>) -> R) -> Result<R> {
            with(&*self.napi(self.pool()?)?, f)
        }
    }

    fn device(parent: &faux::Registration) -> &Device<Bound> {
        let dev: &faux::Device<Bound> = parent.as_ref();

        dev.as_ref()
    }

    fn memory(dev: &Device<Bound>, addressing: Addressing) -> Result<Arc<Pool>> {
        // SAFETY: There is no hardware: nobody addresses anything.
        unsafe { Pool::new(dev, addressing) }
    }

    /// Calls `f` with the pool of `napi`, where that is used.
    fn with<R>(napi: &Napi<Owner>, f: impl FnOnce(&mut PagePool, &Idle<'_>) -> R) -> Result<R> {
        Task::with(|task| napi.with(task, |owner, idle| f(&mut owner.0, idle)))
    }

    fn alloc(pool: &mut PagePool, idle: &Idle<'_>, len: u32) -> Result<PoolFrag> {
        pool.alloc(idle, Shape::fragment(len)?).ok_or(ENOMEM)
    }

    /// A packet of 100 bytes that count from 0, with 64 bytes in front and 28 behind, at least.
    fn packet() -> Result<SkBuff> {
        let mut skb = SkBuff::new(128, 64, GFP_KERNEL)?;

        for byte in 0..100 {
            skb.put(&[byte])?;
        }
        Ok(skb)
    }

    fn bytes<const N: usize>(skb: &SkBuff, offset: u32) -> Result<[u8; N]> {
        let mut bytes = [0; N];

        skb.read(offset, &mut bytes)?;
        Ok(bytes)
    }

    #[test]
    fn bounds_hold() -> Result {
        let mut skb = SkBuff::new(100, 32, GFP_KERNEL)?;
        let room = skb.tailroom();
        let reserved = skb.reserve(room + 1);
        let head = skb.headroom();
        let filled = skb.put_zeroes(room);
        let over = skb.put(&[0]);
        let late = skb.reserve(1);
        let short = skb.pull(room + 1);
        let pulled = skb.pull(room);
        let empty = skb.len();
        let mut wide = KVec::from_elem(0u8, (head + room) as usize + 1, GFP_KERNEL)?;
        let beyond = skb.push(&wide);
        wide.truncate((head + room) as usize);
        let pushed = skb.push(&wide);
        let all = skb.len();
        let read = skb.read(all, &mut [0]);
        let nothing = skb.read(all, &mut []);
        let longer = skb.pull_tail(all + 1);
        drop(skb);

        assert!(room >= 100);
        assert_eq!(reserved, Err(ENOSPC));
        assert_eq!(head, 32);
        assert_eq!(filled, Ok(()));
        assert_eq!(over, Err(ENOSPC));
        assert_eq!(late, Err(EINVAL));
        assert_eq!(short, Err(EINVAL));
        assert_eq!(pulled, Ok(()));
        assert_eq!(empty, 0);
        assert_eq!(beyond, Err(ENOSPC));
        assert_eq!(pushed, Ok(()));
        assert_eq!(all, head + room);
        assert_eq!(read, Err(EINVAL));
        assert_eq!(nothing, Ok(()));
        assert_eq!(longer, Err(EINVAL));
        Ok(())
    }

    #[test]
    fn content_is_where_it_was_put() -> Result {
        let mut skb = packet()?;
        skb.push(b"ab")?;
        skb.pull(1)?;
        let (len, start, end) = (skb.len(), bytes::<3>(&skb, 0)?, bytes::<2>(&skb, 99)?);
        Task::with(|task| skb.consume(task))?;

        assert_eq!(len, 101);
        assert_eq!(start, [b'b', 0, 1]);
        assert_eq!(end, [98, 99]);
        Ok(())
    }

    #[test]
    fn memory_comes_back_once() -> Result {
        let rig = Rig::new(c"once")?;
        let (frags, stats) = rig.with_pool(|pool, idle| -> Result<(u32, PoolStats)> {
            let mut skb = SkBuff::new(64, 0, GFP_KERNEL)?;
            // A page each.
            for _ in 0..3 {
                let frag = alloc(pool, idle, 4096)?.received(4096);
                skb.add_frag(frag, pool, 0, 4096).map_err(|_| EIO)?;
            }
            let frags = skb.frags();
            skb.drop_with(Reason::FullRing);
            drop(alloc(pool, idle, 4096)?);
            Ok((frags, pool.stats()))
        })??;
        drop(rig);

        assert_eq!(frags, 3);
        // Three and one more were taken, and all of them came back, to be used again.
        assert_eq!(stats.recycled, 4);
        assert_eq!(stats.released, 0);
        Ok(())
    }

    #[test]
    fn neighbours_become_one() -> Result {
        let rig = Rig::new(c"neighbours")?;
        let (frags, len, recycled) = rig.with_pool(|pool, idle| -> Result<(u32, u32, u64)> {
            let mut skb = SkBuff::new(64, 0, GFP_KERNEL)?;
            let first = alloc(pool, idle, 1024)?.received(1024);
            let second = alloc(pool, idle, 1024)?.received(1000);
            skb.add_frag(first, pool, 0, 1024).map_err(|_| EIO)?;
            skb.add_frag(second, pool, 0, 1000).map_err(|_| EIO)?;
            let (frags, len) = (skb.frags(), skb.len());
            drop(skb);
            Ok((frags, len, pool.stats().recycled))
        })??;
        drop(rig);

        assert_eq!(frags, 1);
        assert_eq!(len, 2024);
        // The pool itself still has a piece of the page.
        assert_eq!(recycled, 0);
        Ok(())
    }

    #[test]
    fn long_packets_have_a_list() -> Result {
        let rig = Rig::new(c"list")?;
        let (frags, len, tail, recycled) =
            rig.with_pool(|pool, idle| -> Result<(u32, u32, Result, u64)> {
                let mut skb = SkBuff::new(64, 0, GFP_KERNEL)?;
                for _ in 0..2 * MAX_FRAGS + 1 {
                    let frag = alloc(pool, idle, 4096)?.received(4096);
                    skb.add_frag(frag, pool, 0, 100).map_err(|_| EIO)?;
                }
                let (frags, len) = (skb.frags(), skb.len());
                let tail = skb.read(len - 1, &mut [0]);
                drop(skb);
                Ok((frags, len, tail, pool.stats().recycled))
            })??;
        drop(rig);

        assert_eq!(frags as usize, MAX_FRAGS);
        assert_eq!(len as usize, (2 * MAX_FRAGS + 1) * 100);
        assert_eq!(tail, Ok(()));
        assert_eq!(recycled as usize, 2 * MAX_FRAGS + 1);
        Ok(())
    }

    #[test]
    fn nothing_is_read_beyond_what_was_written() -> Result {
        let rig = Rig::new(c"beyond")?;
        let (len, read, none, over, far) = rig.with_pool(|pool, idle| -> Result<_> {
            let mut skb = SkBuff::new(4096, 0, GFP_KERNEL)?;
            // A device that says more than there is.
            let frag = alloc(pool, idle, 1000)?.received(u32::MAX);
            let len = frag.len();
            let read = frag.read(990, &mut [0; 11]);
            let none = frag.copy_to(&mut skb, u32::MAX, 2);
            let frag = skb.add_frag(frag, pool, 0, 1001).err().ok_or(EIO)?;
            let over = skb.frags();
            let far = skb.add_frag(frag, pool, 1000, 0).is_err();
            drop(skb);
            Ok((len, read, none, over, far))
        })??;
        drop(rig);

        assert_eq!(len, 1000);
        assert_eq!(read, Err(EINVAL));
        assert_eq!(none, Err(EINVAL));
        assert_eq!(over, 0);
        assert!(far);
        Ok(())
    }

    #[test]
    fn memory_stays_with_its_pool() -> Result {
        let rig = Rig::new(c"stays")?;
        let mut other = rig.pool()?;
        let refused = rig.with_pool(|pool, idle| -> Result<bool> {
            let mut skb = SkBuff::new(64, 0, GFP_KERNEL)?;
            let frag = alloc(pool, idle, 1000)?.received(1000);
            let refused = skb.add_frag(frag, &mut other, 0, 1000).is_err();
            drop(skb);
            Ok(refused)
        })??;
        drop(other);
        drop(rig);

        assert!(refused);
        Ok(())
    }

    #[test]
    fn a_pool_that_is_in_use_is_kept() -> Result {
        let rig = Rig::new(c"kept")?;
        let kept = Arc::pin_init(new_mutex!(None), GFP_KERNEL)?;
        let keeper: Arc<Mutex<Option<PoolFrag>>> = kept.clone();
        rig.with_pool(|pool, idle| -> Result {
            *keeper.lock() = Some(alloc(pool, idle, 1000)?);
            Ok(())
        })??;
        drop(rig);
        // The pool's owner is gone; its memory must not be.
        let frag = kept.lock().take();
        let len = frag.map(|frag| frag.received(10).len());

        assert_eq!(len, Some(10));
        Ok(())
    }

    #[test]
    fn memory_is_not_recycled_in_a_hard_interrupt() -> Result {
        let (_, cpu) = two_cpus()?;
        let rig = Rig::new(c"hard")?;
        let (later, at_once) = rig.with_pool(|pool, idle| -> Result<(u64, u64)> {
            let mut frag = Some(alloc(pool, idle, 4096)?);
            hardirq::on_cpu(cpu, || drop(frag.take()))?;
            let later = pool.stats().recycled;
            drop(alloc(pool, idle, 4096)?);
            Ok((later, pool.stats().recycled))
        })??;
        drop(rig);

        // What the softirq that it interrupted may be just doing, too.
        assert_eq!(later, 0);
        assert_eq!(at_once, 1);
        Ok(())
    }

    #[test]
    fn pools_are_for_instances_of_their_device() -> Result {
        let (rig, other) = (Rig::new(c"ours")?, Rig::new(c"theirs")?);
        let napi = rig.napi(rig.pool()?)?;
        let mut foreign = other.pool()?;
        let shape = Shape::fragment(100)?;
        let (own, theirs) = with(&napi, |pool, idle| {
            (
                pool.alloc(idle, shape).is_some(),
                foreign.alloc(idle, shape).is_some(),
            )
        })?;
        let second = rig.napi(rig.pool()?).err();
        drop((foreign, other));
        drop((napi, rig));

        assert!(own);
        assert!(!theirs);
        // The instance that is not made drops its pool.
        assert_eq!(second, Some(EBUSY));
        Ok(())
    }

    /// A driver that keeps everything: its device is unbound all the same, and has no memory mapped
    /// after that.
    #[test]
    fn a_pool_ends_with_its_device() -> Result {
        for addressing in [Addressing::Physical, Addressing::Platform] {
            let rig = Rig::new(c"unbound")?;
            // SAFETY: The device is bound to nobody who does DMA with it meanwhile.
            unsafe { set_mask(device(&rig._parent)) };
            let memory = memory(device(&rig._parent), addressing)?;
            let pool = PagePool::new(rig.builder.device(), 0, &memory, 64)?;
            let napi = rig.napi(pool)?;
            let shape = Shape::fragment(1000)?;
            let frag = with(&napi, |pool, idle| pool.alloc(idle, shape))?;
            drop(rig);

            // The device is gone; who has its memory still has it.
            let (more, stats) = with(&napi, |pool, idle| {
                (pool.alloc(idle, shape).is_some(), pool.stats())
            })?;
            let mut byte = [0];
            let frag = frag.map(|frag| frag.received(10));
            let read = frag.as_ref().map(|frag| frag.read(9, &mut byte));
            drop(frag);
            drop(napi);

            assert!(!more);
            assert_eq!(stats, PoolStats::default());
            assert_eq!(read, Some(Ok(())));
        }
        Ok(())
    }

    /// A driver of two devices: the memory of one is not mapped for the other.
    #[test]
    fn a_pool_is_its_own_devices() -> Result {
        let (one, two) = (Rig::new(c"one")?, Rig::new(c"two")?);
        let (mut own, mut other) = (KVec::new(), KVec::new());

        for addressing in [Addressing::Physical, Addressing::Platform] {
            let memory = memory(device(&one._parent), addressing)?;
            let make = |rig: &Rig| PagePool::new(rig.builder.device(), 0, &memory, 64).err();
            // SAFETY: The device is bound to nobody who does DMA with it meanwhile.
            unsafe { set_mask(device(&one._parent)) };
            own.push(make(&one), GFP_KERNEL)?;
            other.push(make(&two), GFP_KERNEL)?;
        }
        drop((one, two));

        assert_eq!(own.as_slice(), [None, None]);
        assert_eq!(other.as_slice(), [Some(EINVAL), Some(EINVAL)]);
        Ok(())
    }

    /// Memory says whose addresses it has.
    #[test]
    fn addresses_are_a_devices_own() -> Result {
        let mut seen = KVec::new();

        for addressing in [Addressing::Physical, Addressing::Platform] {
            let rig = Rig::new(c"space")?;
            let dev = device(&rig._parent);
            // SAFETY: The device is bound to nobody who does DMA with it meanwhile.
            unsafe { set_mask(dev) };
            let (own, other) = (memory(dev, addressing)?, memory(dev, addressing)?);
            let places = |buffer: &dyn Fn(Space) -> bool| {
                [own.space(), other.space(), Space::PHYSICAL].map(buffer)
            };

            let pool = PagePool::new(rig.builder.device(), 0, &own, 64)?;
            let (frag, chain) = with(&*rig.napi(pool)?, |pool, idle| -> Result<_> {
                let frag = alloc(pool, idle, 100)?;
                let frag_is = places(&|space| frag.is_in(space));
                let mut chain = PoolChain::with_room(1, GFP_KERNEL)?;
                chain.push(frag).map_err(|_| EIO)?;
                Ok((frag_is, places(&|space| chain.is_in(space))))
            })??;
            let mapped = MappedSkb::new(packet()?, b"header", &Stream::new(&own));
            let mapped = mapped.map_err(|unmapped| unmapped.why)?;
            let mapped_is = places(&|space| mapped.is_in(space));
            drop(mapped);
            seen.push([frag, chain, mapped_is], GFP_KERNEL)?;
        }

        assert_eq!(
            seen.as_slice(),
            [[[true, true, true]; 3], [[true, false, false]; 3]]
        );
        Ok(())
    }

    #[test]
    fn shapes_fit_into_a_page() -> Result {
        let largest = Shape::largest(64)?;
        let same = Shape::packet(64, largest.len());

        assert!(largest.len() > 3000);
        assert_eq!(same, Ok(largest));
        assert_eq!(Shape::packet(64, largest.len() + 64).err(), Some(EINVAL));
        assert_eq!(Shape::packet(5000, 1).err(), Some(EINVAL));
        assert_eq!(Shape::packet(0, u32::MAX).err(), Some(EINVAL));
        assert_eq!(Shape::fragment(0).err(), Some(EINVAL));
        assert_eq!(Shape::fragment(4097).err(), Some(EINVAL));
        assert_eq!(Shape::fragment(4096).map(|shape| shape.len()), Ok(4096));
        Ok(())
    }

    #[test]
    fn chains_give_what_was_written() -> Result {
        let rig = Rig::new(c"chain")?;
        let (segments, full, first, again) = rig.with_pool(|pool, idle| -> Result<_> {
            let mut chain = PoolChain::with_room(3, GFP_KERNEL)?;
            for len in [300, 200, 100] {
                chain.push(alloc(pool, idle, len)?).map_err(|_| EIO)?;
            }
            let mut segments = KVec::new();
            for segment in chain.writable() {
                segments.push(segment.len, GFP_KERNEL)?;
            }
            let full = chain.push(alloc(pool, idle, 1)?).is_err() && chain.is_full();
            let mut first = KVec::new();
            for received in chain.received(250) {
                first.push(received.len(), GFP_KERNEL)?;
            }
            Ok((segments, full, first, chain.len()))
        })??;
        drop(rig);

        assert_eq!(segments.as_slice(), [100, 200, 300]);
        assert!(full);
        assert_eq!(first.as_slice(), [100, 150]);
        assert_eq!(again, 300);
        Ok(())
    }

    #[test]
    fn mapped_has_the_header_in_front() -> Result {
        for addressing in [Addressing::Physical, Addressing::Platform] {
            let parent = faux::Registration::new(c"mapped", None)?;
            if addressing == Addressing::Platform {
                // SAFETY: The device is bound to nobody who does DMA with it meanwhile.
                unsafe { set_mask(device(&parent)) };
            }
            let stream = Stream::new(&memory(device(&parent), addressing)?);

            // Once with room for it, once without.
            for headroom in [512, 0] {
                let mut skb = SkBuff::new(128, headroom, GFP_KERNEL)?;
                skb.put(b"frame")?;
                let mapped = MappedSkb::new(skb, b"header", &stream);
                let (segments, len) = match &mapped {
                    Ok(mapped) => (
                        mapped.readable().map(|segment| segment.len).sum::<u32>(),
                        mapped.len(),
                    ),
                    Err(_) => (0, 0),
                };
                let mut skb = mapped.map_err(|unmapped| unmapped.why)?.into_skb();
                let pushed = skb.len();
                skb.push(&[0; 6])?;
                drop(skb);

                assert_eq!(segments, 11);
                assert_eq!(len, 5);
                assert_eq!(pushed, 5);
            }
            drop(parent);
            let skb = packet()?;
            let late = MappedSkb::new(skb, b"header", &stream).err();
            let why = late.map(|unmapped| unmapped.why);

            match addressing {
                Addressing::Physical => assert_eq!(why, None),
                Addressing::Platform => assert_eq!(why, Some(ENODEV)),
            }
        }
        Ok(())
    }

    /// Lets a device address all of the memory.
    ///
    /// # Safety
    ///
    /// Nobody does DMA with it meanwhile.
    unsafe fn set_mask(dev: &Device<Bound>) {
        let raw = core::ptr::from_ref(dev)
            .cast_mut()
            .cast::<kernel::bindings::device>();

        // SAFETY: The device is valid; by the safety requirements.
        unsafe {
            (*raw).dma_mask = &raw mut (*raw).coherent_dma_mask;
            kernel::bindings::dma_set_mask_and_coherent(raw, u64::MAX);
        }
    }
}
