// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: packets built around what a device has written ([`irqkit::net::Received::into_skb`]).

use kernel::prelude::*;

#[path = "support/freed.rs"]
mod freed;
#[path = "support/polled.rs"]
mod polled;
#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_skb_built_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: packets around a page pool's memory",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_skb_built)]
mod tests {
    use kernel::{
        bindings,
        prelude::*, //
    };

    use irqkit::{
        net::{
            Idle,
            PagePool,
            PoolFrag,
            Received,
            Shape,
            SkBuff, //
        },
        virtio::Buffer, //
    };

    use crate::{
        freed::{
            mark,
            Watch, //
        },
        polled::{
            recycled,
            Stand, //
        }, //
    };

    const HEADROOM: u32 = 64;
    /// What the device writes: a header, a frame that begins with a mark, and something behind it.
    const WRITTEN: usize = 100;
    const HEADER: usize = 12;
    const FRAME: usize = 80;

    fn written() -> [u8; WRITTEN] {
        let mut bytes = [0; WRITTEN];

        for (value, byte) in (100..).zip(&mut bytes) {
            *byte = value;
        }
        let marked = mark(0);
        bytes[HEADER..HEADER + marked.len()].copy_from_slice(&marked);
        bytes
    }

    /// Writes as the device does.
    fn write(frag: &PoolFrag, bytes: &[u8]) -> Result {
        let segment = frag.writable().next().ok_or(EINVAL)?;
        if bytes.len() > segment.len as usize {
            return Err(EINVAL);
        }

        // SAFETY: The address is that of memory, which the fragment owns, as long as that at least. The
        // mapping goes before this returns.
        unsafe {
            let memory =
                bindings::memremap(segment.address, bytes.len(), bindings::MEMREMAP_WB as usize);
            if memory.is_null() {
                return Err(ENOMEM);
            }
            memory
                .cast::<u8>()
                .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
            bindings::memunmap(memory);
        }
        Ok(())
    }

    fn receive(pool: &mut PagePool, idle: &Idle<'_>, shape: Shape) -> Result<Received> {
        let frag = pool.alloc(idle, shape).ok_or(ENOMEM)?;

        write(&frag, &written())?;
        Ok(frag.received(WRITTEN as u32))
    }

    /// Returns the memory if no packet was built around it.
    fn refused(built: Result<SkBuff, Received>) -> Result<Received> {
        built.err().ok_or(EIO)
    }

    #[test]
    fn it_is_what_was_written() -> Result {
        // A piece of a page, and one that leaves nothing of a page for another.
        for (len, size) in [(256, None), (3000, Some(4096))] {
            let stand = Stand::new(c"written")?;
            let watch = Watch::new()?;
            let shape = Shape::packet(HEADROOM, len)?;
            let ((skb, memory), queue) = stand.poll_once(
                |pool, idle| receive(pool, idle, shape),
                |pool, received, budget| {
                    let memory = received.truesize();
                    let built = received.into_skb(pool, budget, HEADER as u32, FRAME as u32);
                    (built.ok(), memory)
                },
            )?;
            let mut skb = skb.ok_or(EIO)?;

            let lengths = [skb.len(), skb.headlen(), skb.frags()];
            let rooms = [skb.headroom(), skb.tailroom()];
            let mut bytes = [0; FRAME];
            skb.read(0, &mut bytes)?;
            let offload = (skb.is_verified(), skb.is_partial(), skb.is_gso());
            // All of its room is its own: what is behind that stays as it is.
            let filled = skb.put_zeroes(rooms[1]);
            let pushed = skb.push(&[0; HEADROOM as usize + HEADER]);
            let over = (skb.push(&[0]), skb.put(&[0]));
            skb.pull(HEADROOM + HEADER as u32)?;
            let early = recycled(&queue)?;
            drop(skb);
            let back = recycled(&queue)?;
            let freed = watch.seen(0);
            drop((queue, watch, stand));

            assert_eq!(lengths, [FRAME as u32, FRAME as u32, 0]);
            assert_eq!(rooms[0], HEADROOM + HEADER as u32);
            assert!(rooms[1] >= len - (HEADER + FRAME) as u32);
            assert_eq!(bytes, written()[HEADER..HEADER + FRAME]);
            assert_eq!(offload, (false, false, false));
            assert_eq!((filled, pushed), (Ok(()), Ok(())));
            assert_eq!(over, (Err(ENOSPC), Err(ENOSPC)));
            // With what the device can't write, and to the end of the page if nobody else gets that.
            assert!(memory > HEADROOM + len);
            assert_eq!(size.unwrap_or(memory), memory);
            // All of that, and its own structure.
            let own = freed.truesize.saturating_sub(memory);
            assert!(own as usize >= size_of::<bindings::sk_buff>() && own < 512);
            assert_eq!(freed.times, 1);
            // A page that nobody else has goes back when the packet is freed, and not before; of one that has room left
            // the pool has a piece itself.
            assert_eq!(early, 0);
            assert_eq!(back, u64::from(size.is_some()));
        }
        Ok(())
    }

    /// Whoever is refused still has the memory, as it was.
    #[test]
    fn what_was_not_written_is_refused() -> Result {
        let stand = Stand::new(c"range")?;
        let shape = Shape::packet(HEADROOM, 3000)?;
        let (built, queue) = stand.poll_once(
            |pool, idle| receive(pool, idle, shape),
            |pool, mut received, budget| -> Result<SkBuff> {
                const ALL: u32 = WRITTEN as u32;

                for (offset, len) in [
                    (0, ALL + 1),
                    (1, ALL),
                    (ALL, 1),
                    (ALL + 1, 0),
                    (0, 3000),
                    (u32::MAX, 2),
                    (2, u32::MAX),
                ] {
                    received = refused(received.into_skb(pool, budget, offset, len))?;
                }
                received.into_skb(pool, budget, 0, ALL).map_err(|_| EINVAL)
            },
        )?;
        let read = built.and_then(|skb| {
            let mut bytes = [0; WRITTEN];
            skb.read(0, &mut bytes)?;
            Ok((skb.len(), bytes))
        });
        let back = recycled(&queue)?;
        drop((queue, stand));

        assert_eq!(read, Ok((WRITTEN as u32, written())));
        assert_eq!(back, 1);
        Ok(())
    }

    #[test]
    fn memory_of_another_pool_is_refused() -> Result {
        let stand = Stand::new(c"another")?;
        let other = stand.pool()?;
        let shape = Shape::packet(HEADROOM, 3000)?;
        let (built, queue) = stand.poll_once(
            |pool, idle| Ok((receive(pool, idle, shape)?, other)),
            |pool, (received, mut other), budget| {
                let built = refused(received.into_skb(&mut other, budget, 0, 60))
                    .and_then(|own| own.into_skb(pool, budget, 0, 60).map_err(|_| EINVAL));
                // It is to be dropped by a task.
                (built, other)
            },
        )?;
        let (built, other) = built;
        let len = built.map(|skb| skb.len());
        let back = recycled(&queue)?;
        drop((queue, other, stand));

        assert_eq!(len, Ok(60));
        assert_eq!(back, 1);
        Ok(())
    }

    /// What has no room for that at its end.
    #[test]
    fn memory_for_fragments_is_refused() -> Result {
        let stand = Stand::new(c"fragment")?;
        let shape = Shape::fragment(4096)?;
        let (refused, queue) = stand.poll_once(
            |pool, idle| receive(pool, idle, shape),
            |pool, received, budget| {
                let for_packets = received.is_for_packets();
                (
                    for_packets,
                    refused(received.into_skb(pool, budget, 0, 60)).map(drop),
                )
            },
        )?;
        let back = recycled(&queue)?;
        drop((queue, stand));

        assert_eq!(refused, (false, Ok(())));
        assert_eq!(back, 1);
        Ok(())
    }
}
