// SPDX-License-Identifier: GPL-2.0
// lab-want-dmesg: 1 virtqueue 3: used buffer 16 of a queue of 16
// lab-want-dmesg: 1 virtqueue 3: used buffer 5, which is not in flight
// lab-want-dmesg: 1 virtqueue 3: used buffer 0, which is not in flight
// lab-want-dmesg: 1 virtqueue 3: 65 bytes written to used buffer 0, which holds 64

//! KUnit suite: packed virtqueues in DMA memory, against a model device ([`irqkit::virtio`]).
//!
//! The logic of the rings is tested on the host, exhaustively (`tools/ringlogic`). Here it is the
//! memory, and the ownership of buffers.

use irqkit::virtio::ring;
use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/packed_bench.rs"]
mod packed_bench;
#[path = "support/ring_bench.rs"]
mod ring_bench;
#[path = "support/ring_device.rs"]
#[allow(dead_code)]
mod ring_device;

module! {
    type: edu::Module,
    name: "irqkit_virtio_packed_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's packed virtqueues",
    license: "GPL",
}

#[kunit_tests(irqkit_virtio_packed)]
mod tests {
    use kernel::{
        prelude::*,
        sync::atomic::Relaxed, //
    };

    use irqkit::{
        dma::Addressing,
        virtio::{
            AddError,
            Config,
            Order,
            Poison, //
        },
    };

    use crate::{
        packed_bench::{
            queue,
            serve,
            Bus,
            Driver, //
        },
        ring_bench::{
            transformed,
            Bench,
            CONFIG, //
        },
        ring_device::packed::Device,
    };

    /// Sends all of `n` numbers through a queue and back, as many at a time as fit, and returns how
    /// many answers were wrong.
    fn exchange(bench: &Bench, config: &Config, n: u64) -> Result<u64> {
        let (mut driver, mut device) = queue(bench, config)?;
        let mut idle = bench.requests(config.size.into())?;
        let (mut sent, mut back, mut wrong, mut round) = (0, 0, 0, 0u64);

        while back < n {
            while let Some(mut request) = idle.pop() {
                if sent == n {
                    break;
                }
                request.ask(sent)?;
                match driver.add(request) {
                    Ok(()) => sent += 1,
                    Err(refused) => {
                        idle.push(refused.buffer, GFP_KERNEL)?;
                        if refused.why != AddError::Full {
                            return Err(refused.why.into());
                        }
                        break;
                    }
                }
            }
            driver.kick();
            let together = config.in_order && round % 2 == 0;
            let served = serve(&mut device, &bench.line, together)?;
            for nth in 1..=served {
                let used = driver.get_used().ok_or(EIO)?;
                // Of a batch only the last says how much was written: the others are full.
                let written = if together && nth < served { 64 } else { 8 };
                let expected = (transformed(back), written, back);
                if (used.buffer.answer()?, used.written, used.buffer.number) != expected {
                    wrong += 1;
                }
                back += 1;
                idle.push(used.buffer, GFP_KERNEL)?;
            }
            if driver.get_used().is_some() || driver.poisoned().is_some() {
                return Err(EIO);
            }
            round += 1;
        }
        if driver.free() != config.size || driver.in_flight() != 0 {
            wrong += 1;
        }
        Ok(wrong)
    }

    /// What the driver writes the device reads, and the other way round: each way of addressing and
    /// ordering, chains and tables, one at a time and in batches, and sizes that are no powers of two.
    #[test]
    fn numbers_go_there_and_back() -> Result {
        let mut rounds = 0;
        let mut wrong = 0;

        for addressing in [Addressing::Platform, Addressing::Physical] {
            for order in [Order::Smp, Order::Platform] {
                for (size, indirect) in [(2, 0), (7, 0), (64, 0), (2, 2), (3, 2), (17, 4)] {
                    let bench = Bench::new(addressing)?;
                    let config = Config {
                        size,
                        indirect,
                        order,
                        event_idx: rounds % 2 == 0,
                        in_order: rounds % 3 == 0,
                        ..CONFIG
                    };

                    wrong += exchange(&bench, &config, 200)?;
                    rounds += 1;
                }
            }
        }

        assert_eq!(rounds, 24);
        assert_eq!(wrong, 0);
        Ok(())
    }

    /// They are all in one piece, of 9 MiB, which is more than there is.
    #[test]
    fn a_queue_without_memory_for_tables_has_none() -> Result {
        let mut takes = KVec::new();

        for addressing in [Addressing::Platform, Addressing::Physical] {
            for size in [1 << 15, 16] {
                let bench = Bench::new(addressing)?;
                let config = Config {
                    size,
                    indirect: 18,
                    ..CONFIG
                };
                let (driver, _) = queue(&bench, &config)?;
                takes.push(
                    (driver.takes(1), driver.takes(16), driver.takes(18)),
                    GFP_KERNEL,
                )?;
            }
        }

        let expected = [(1, 16, 18), (1, 1, 18)];
        assert_eq!(&takes[..2], &expected);
        assert_eq!(&takes[2..], &expected);
        Ok(())
    }

    #[test]
    fn sizes_are_checked() -> Result {
        let bench = Bench::new(Addressing::Platform)?;
        let mut refused = 0;
        let mut made = 0;

        for size in [0, 32769, u16::MAX] {
            let result = queue(&bench, &Config { size, ..CONFIG });
            refused += u32::from(result.err() == Some(EINVAL));
        }
        for size in [1, 3, 1000, 32768] {
            let (driver, _) = queue(&bench, &Config { size, ..CONFIG })?;
            made += u32::from(driver.size() == size);
        }

        assert_eq!((refused, made), (3, 4));
        Ok(())
    }

    /// A device that breaks the rules; what the driver says of it; how many buffers it had from it.
    fn poisoned(act: impl FnOnce(&mut Device<Bus>)) -> Result<(Option<Poison>, u64, u64, u64)> {
        let bench = Bench::new(Addressing::Platform)?;
        let (mut driver, mut device) = queue(&bench, &CONFIG)?;
        let mut back = 0;

        for request in bench.requests(2)? {
            driver.add(request).map_err(|refused| refused.why)?;
        }
        act(&mut device);
        while driver.get_used().is_some() {
            back += 1;
        }
        let refused = driver.add(bench.request(9)?).err();
        let poison = driver.poisoned();
        let again = driver.get_used().is_some() || driver.has_used() || driver.kick_needed();
        let closed = refused.is_some_and(|refused| refused.why == AddError::Poisoned);
        // The buffers are freed when the device was stopped, and all of them.
        let before = bench.line.early.load(Relaxed);
        drop(driver);
        let early = bench.line.early.load(Relaxed) - before;
        Ok((
            poison,
            back,
            u64::from(closed && !again),
            early + bench.line.stops.load(Relaxed),
        ))
    }

    #[test]
    fn a_device_that_breaks_the_rules_gets_nothing_more() -> Result {
        let range = poisoned(|device| device.push(16, 8, 2))?;
        let never = poisoned(|device| device.push(5, 8, 2))?;
        let twice = poisoned(|device| {
            device.push(0, 8, 2);
            device.push(0, 8, 2);
        })?;
        let long = poisoned(|device| device.push(0, 65, 2))?;

        assert_eq!(
            range,
            (Some(Poison::IdOutOfRange { id: 16, size: 16 }), 0, 1, 1)
        );
        assert_eq!(never, (Some(Poison::NotInFlight { id: 5 }), 0, 1, 1));
        assert_eq!(twice, (Some(Poison::NotInFlight { id: 0 }), 1, 1, 1));
        assert_eq!(
            long,
            (
                Some(Poison::LengthTooLong {
                    id: 0,
                    len: 65,
                    limit: 64
                }),
                0,
                1,
                1
            )
        );
        Ok(())
    }

    /// A device that does not stop keeps what it has; one that does gives it back.
    #[test]
    fn buffers_come_back_when_the_device_was_stopped() -> Result {
        let bench = Bench::new(Addressing::Physical)?;
        let (mut driver, mut device): (Driver, _) = queue(&bench, &CONFIG)?;
        let mut kept = 0;

        for request in bench.requests(3)? {
            driver.add(request).map_err(|refused| refused.why)?;
        }
        // One of them comes back.
        let taken = device.pop().map_err(|_| EPROTO)?.ok_or(EIO)?;
        device.push(taken.chain.head, 8, taken.count);
        let used = driver.get_used().ok_or(EIO)?.buffer.number;
        bench.line.obeys.store(false, Relaxed);
        let disobeyed = driver.stop().map(drop).err();
        bench.line.obeys.store(true, Relaxed);
        let mut stopped = driver.stop()?;
        while let Some(request) = stopped.detach() {
            kept += request.number;
        }
        stopped.restart()?;
        device.reset();
        let fresh = driver.is_fresh();
        driver
            .add(bench.request(4)?)
            .map_err(|refused| refused.why)?;
        let kicked = driver.kick();
        let said = bench.line.said.load(Relaxed);
        let served = serve(&mut device, &bench.line, false)?;
        let number = driver.get_used().ok_or(EIO)?.buffer.number;

        assert_eq!((used, disobeyed, kept), (0, Some(EBUSY), 3));
        assert!(fresh && kicked);
        // The queue's number, the next descriptor, and the wrap counter.
        assert_eq!(said, 3 | (2 << 16) | (1 << 31));
        assert_eq!((served, number), (1, 4));
        Ok(())
    }
}
