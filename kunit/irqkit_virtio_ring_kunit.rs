// SPDX-License-Identifier: GPL-2.0
// lab-want-dmesg: 1 virtqueue 3: the used index jumped from 0 to 28672 with 2 buffers in flight
// lab-want-dmesg: 1 virtqueue 3: used buffer 16 of a queue of 16
// lab-want-dmesg: 1 virtqueue 3: used buffer 5, which is not in flight
// lab-want-dmesg: 1 virtqueue 3: 65 bytes written to used buffer 0, which holds 64

//! KUnit suite: split virtqueues in DMA memory, against a model device ([`irqkit::virtio`]).
//!
//! The logic of the rings is tested on the host, exhaustively (`tools/ringlogic`). Here it is the
//! memory, the ownership of buffers, and two CPUs.

use irqkit::virtio::ring;
use kernel::prelude::*;

#[path = "support/edu.rs"]
mod edu;
#[path = "support/ring_bench.rs"]
mod ring_bench;
#[path = "support/ring_device.rs"]
#[allow(dead_code)]
mod ring_device;
#[path = "support/mod.rs"]
mod support;

module! {
    type: edu::Module,
    name: "irqkit_virtio_ring_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's virtqueues",
    license: "GPL",
}

#[kunit_tests(irqkit_virtio_ring)]
mod tests {
    use kernel::{
        prelude::*,
        sync::atomic::{
            Acquire,
            Atomic,
            Full,
            Relaxed,
            Release, //
        }, //
    };

    use irqkit::{
        dma::Addressing,
        virtio::{
            AddError,
            Config,
            Order,
            Refused, //
        },
    };

    use crate::{
        ring_bench::{
            serve,
            transformed,
            Bench,
            Bus,
            Driver,
            CONFIG, //
        },
        ring_device::Device,
        support::{
            crew::with_thread,
            hardirq,
            two_cpus,
            until, //
        },
    };

    /// Sends all of `n` numbers through a queue and back, as many at a time as fit, and returns how
    /// many answers were wrong.
    fn exchange(bench: &Bench, config: &Config, n: u64) -> Result<u64> {
        let (mut driver, mut device) = bench.queue(config)?;
        let mut idle = bench.requests(config.size.into())?;
        let (mut sent, mut back, mut wrong) = (0, 0, 0);

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
            serve(&mut device, &bench.line)?;
            while let Some(used) = driver.get_used() {
                let expected = (transformed(back), 8, back);
                if (used.buffer.answer()?, used.written, used.buffer.number) != expected {
                    wrong += 1;
                }
                back += 1;
                idle.push(used.buffer, GFP_KERNEL)?;
            }
            if driver.poisoned().is_some() {
                return Err(EIO);
            }
        }
        if driver.free() != config.size || driver.in_flight() != 0 {
            wrong += 1;
        }
        drop(driver);
        Ok(wrong)
    }

    /// What the driver writes the device reads, and the other way round: each way of addressing,
    /// chains and tables, and sizes from the smallest.
    #[test]
    fn numbers_go_there_and_back() -> Result {
        let mut rounds = 0;
        let mut wrong = 0;

        for addressing in [Addressing::Platform, Addressing::Physical] {
            for order in [Order::Smp, Order::Platform] {
                for (size, indirect) in [(2, 0), (8, 0), (64, 0), (1, 2), (2, 2), (16, 4)] {
                    let bench = Bench::new(addressing)?;
                    let config = Config {
                        size,
                        indirect,
                        order,
                        event_idx: rounds % 2 == 0,
                        ..CONFIG
                    };
                    // A request has two segments: a queue of one needs a table, and tables of 2 in a
                    // queue of one have 1 entry.
                    if size == 1 {
                        let (mut driver, _) = bench.queue(&config)?;
                        let refused = driver.add(bench.request(0)?);
                        wrong +=
                            u64::from(refused.map_err(|r| r.why) != Err(AddError::TooManySegments));
                    } else {
                        wrong += exchange(&bench, &config, 200)?;
                    }
                    rounds += 1;
                }
            }
        }

        assert_eq!(rounds, 24);
        assert_eq!(wrong, 0);
        Ok(())
    }

    /// A driver of two devices: what one of them sees at an address need not be what the other does.
    #[test]
    fn memory_of_another_device_is_refused() -> Result {
        let mut outcome = KVec::new();

        for (own, other) in [
            (Addressing::Platform, Addressing::Platform),
            (Addressing::Platform, Addressing::Physical),
            (Addressing::Physical, Addressing::Platform),
            (Addressing::Physical, Addressing::Physical),
        ] {
            let (own, other) = (Bench::new(own)?, Bench::new(other)?);
            let (mut driver, _) = own.queue(&CONFIG)?;
            let (mut mixed, foreign) = (own.request(1)?, other.request(2)?);
            // One part of it is enough.
            let mut whole = other.request(3)?;
            core::mem::swap(&mut mixed.parts.1, &mut whole.parts.1);

            let why = |refused: Refused<_>| refused.why;
            let whys = (
                driver.add(mixed).map_err(why),
                driver.add(foreign).map_err(why),
                driver.in_flight(),
                driver.add(own.request(4)?).map_err(why),
            );
            drop(driver);
            outcome.push(whys, GFP_KERNEL)?;
        }

        let refused = (Err(AddError::Foreign), Err(AddError::Foreign), 0, Ok(()));
        // Physical addresses are the same for everyone.
        let taken = (Ok(()), Ok(()), 2, Ok(()));
        assert_eq!(outcome.as_slice(), [refused, refused, refused, taken]);
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
                let (driver, _) = bench.queue(&config)?;
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

    /// The 16-bit indices wrap.
    #[test]
    fn numbers_go_on_beyond_the_wrap() -> Result {
        let bench = Bench::new(Addressing::Platform)?;
        let wrong = exchange(&bench, &CONFIG, 70_000)?;

        assert_eq!(wrong, 0);
        Ok(())
    }

    #[test]
    fn sizes_are_checked() -> Result {
        let bench = Bench::new(Addressing::Platform)?;
        let mut refused = 0;
        let mut made = 0;

        for size in [0, 3, 12, 65_535, 32_769, 49_152] {
            let result = bench.queue(&Config { size, ..CONFIG });
            refused += usize::from(result.err() == Some(EINVAL));
        }
        for size in [1, 2, 1024, 32_768] {
            let (driver, _) = bench.queue(&Config { size, ..CONFIG })?;
            let parts = driver.addresses();
            let aligned = parts.descriptors % 16 == 0 && parts.driver % 2 == 0;

            made += usize::from(aligned && parts.device % 4 == 0 && driver.size() == size);
        }

        assert_eq!(refused, 6);
        assert_eq!(made, 4);
        Ok(())
    }

    /// A device that sleeps is notified, once a batch, of the queue and the position in it.
    #[test]
    fn kicks_reach_a_device_that_sleeps() -> Result {
        let bench = Bench::new(Addressing::Platform)?;
        let (mut driver, mut device) = bench.queue(&CONFIG)?;
        let mut all = bench.requests(6)?;
        let mut seen = KVec::new();

        for asleep in [true, false, true] {
            if asleep {
                device.sleep();
            } else {
                device.stay_awake();
            }
            for _ in 0..2 {
                if let Some(request) = all.pop() {
                    driver.add(request).map_err(|refused| refused.why)?;
                }
            }
            let rang = driver.kick();
            seen.push((rang, bench.line.said.load(Relaxed)), GFP_KERNEL)?;
            serve(&mut device, &bench.line)?;
        }
        let nothing = driver.kick();
        drop(driver);

        let expected = [(true, 0x2_0003), (false, 0x2_0003), (true, 0x6_0003)];
        assert_eq!(seen.as_slice(), expected.as_slice());
        assert!(!nothing);
        Ok(())
    }

    /// What the log says is checked by the header of this file.
    fn poison(act: impl FnOnce(&mut Device<Bus>)) -> Result<(Option<&'static str>, u64, u64)> {
        let bench = Bench::new(Addressing::Platform)?;
        let (mut driver, mut device) = bench.queue(&Config {
            event_idx: false,
            ..CONFIG
        })?;

        for request in bench.requests(2)? {
            driver.add(request).map_err(|refused| refused.why)?;
        }
        act(&mut device);
        let none = driver.get_used().is_none() && driver.get_used().is_none();
        let refused = driver.add(bench.request(9)?).map_err(|refused| refused.why);
        let name = driver.poisoned().map(|poison| poison.name());
        let kept = bench.line.dropped.load(Relaxed);

        // Its buffers come back when the device was stopped, and it can be used again.
        let mut stopped = driver.stop()?;
        let mut detached = 0;
        while stopped.detach().is_some() {
            detached += 1;
        }
        stopped.restart()?;
        device.reset();
        bench.line.stopped.store(false, Relaxed);
        driver
            .add(bench.request(7)?)
            .map_err(|refused| refused.why)?;
        serve(&mut device, &bench.line)?;
        let works = driver
            .get_used()
            .is_some_and(|used| used.buffer.answer() == Ok(transformed(7)));
        drop(driver);

        // The refused one alone was dropped before.
        if !none || refused != Err(AddError::Poisoned) || kept != 1 || !works {
            return Err(EINVAL);
        }
        Ok((name, detached, bench.line.early.load(Relaxed)))
    }

    #[test]
    fn each_wrong_doing_has_a_name() -> Result {
        let jump = poison(|device| device.jump(0x7000))?;
        let range = poison(|device| device.push(16, 0))?;
        let flight = poison(|device| device.push(5, 0))?;
        let length = poison(|device| device.push(0, 65))?;

        // Early are the one that was refused, and the one that came back in the end.
        assert_eq!(jump, (Some("used_index_jump"), 2, 2));
        assert_eq!(range, (Some("id_out_of_range"), 2, 2));
        assert_eq!(flight, (Some("not_in_flight"), 2, 2));
        assert_eq!(length, (Some("length_too_long"), 2, 2));
        Ok(())
    }

    /// Buffers that the device has are not dropped before the device was stopped.
    #[test]
    fn buffers_outlive_the_devices_use_of_them() -> Result {
        let bench = Bench::new(Addressing::Platform)?;
        let (mut driver, mut device) = bench.queue(&CONFIG)?;

        for request in bench.requests(4)? {
            driver.add(request).map_err(|refused| refused.why)?;
        }
        let chain = device.pop().map_err(|_| EPROTO)?.ok_or(EPROTO)?;
        let kept = bench.line.dropped.load(Relaxed);
        device.memory.answer(&chain);
        drop(driver);
        let stops = bench.line.stops.load(Relaxed);
        let dropped = bench.line.dropped.load(Relaxed);
        let early = bench.line.early.load(Relaxed);

        assert_eq!(kept, 0);
        assert!(stops > 0);
        assert_eq!((dropped, early), (4, 0));
        Ok(())
    }

    /// A device that can't be stopped keeps what it has, for good if need be.
    #[test]
    fn nothing_is_taken_from_a_device_that_runs() -> Result {
        let bench = Bench::new(Addressing::Platform)?;
        let (mut driver, mut device) = bench.queue(&CONFIG)?;

        driver
            .add(bench.request(1)?)
            .map_err(|refused| refused.why)?;
        bench.line.obeys.store(false, Relaxed);
        let stop = driver.stop().map(|_| ()).err();
        let refused = driver
            .add(bench.request(2)?)
            .map_err(|refused| refused.why)
            .err();
        // It is still there to be written to.
        serve(&mut device, &bench.line)?;
        let used = driver.get_used().is_some();
        let dropped = bench.line.dropped.load(Relaxed);

        // Now it does.
        bench.line.obeys.store(true, Relaxed);
        let mut stopped = driver.stop()?;
        let answer = stopped.detach().map(|request| request.answer());
        let more = stopped.detach().is_some();
        drop(driver);

        assert_eq!(stop, Some(EBUSY));
        assert_eq!(refused, Some(AddError::Stopped));
        assert!(!used);
        // The one that was refused.
        assert_eq!(dropped, 1);
        assert_eq!(answer, Some(Ok(transformed(1))));
        assert!(!more);
        Ok(())
    }

    /// The hot path neither sleeps nor allocates: it runs in a hard interrupt.
    #[test]
    fn a_hard_interrupt_may_do_it_all() -> Result {
        let (_, cpu) = two_cpus()?;
        let bench = Bench::new(Addressing::Platform)?;
        let (mut driver, mut device) = bench.queue(&Config {
            indirect: 4,
            ..CONFIG
        })?;
        let mut request = Some(bench.request(5)?);
        let mut back = None;

        device.sleep();
        hardirq::on_cpu(cpu, || {
            if let Some(request) = request.take() {
                if let Err(refused) = driver.add(request) {
                    back = Some(refused.buffer);
                }
            }
            driver.kick();
            driver.disable_cb();
            if serve(&mut device, &bench.line).is_ok() && !driver.enable_cb() {
                back = driver.get_used().map(|used| used.buffer);
            }
        })?;
        let answer = back.as_ref().map(|request| request.answer());
        let kicks = bench.line.kicks.load(Relaxed);
        drop(driver);

        assert_eq!(answer, Some(Ok(transformed(5))));
        assert_eq!(kicks, 1);
        Ok(())
    }

    /// How much the two CPUs did, and what went wrong.
    #[derive(Debug, Default, PartialEq)]
    struct Race {
        back: u64,
        wrong: u64,
        lost: u64,
        fault: bool,
    }

    /// Sleeps until `counter` is no longer what it was.
    fn moved(counter: &Atomic<u64>, from: u64) -> bool {
        until(|| counter.load(Acquire) != from)
    }

    fn drive(driver: &mut Driver, bench: &Bench, n: u64) -> Result<Race> {
        let mut idle = bench.requests(8)?;
        let mut race = Race::default();
        let mut sent = 0;

        while race.back < n {
            while let Some(mut request) = idle.pop() {
                if sent == n {
                    break;
                }
                request.ask(sent)?;
                driver.add(request).map_err(|refused| refused.why)?;
                sent += 1;
                if sent % 3 == 0 {
                    driver.kick();
                }
            }
            driver.kick();

            let interrupts = bench.line.interrupts.load(Acquire);
            driver.disable_cb();
            loop {
                while let Some(used) = driver.get_used() {
                    let right = transformed(race.back);

                    race.wrong += u64::from(used.buffer.answer() != Ok(right));
                    race.back += 1;
                    idle.push(used.buffer, GFP_KERNEL)?;
                }
                if driver.poisoned().is_some() {
                    return Err(EIO);
                }
                if driver.enable_cb() {
                    break;
                }
            }
            if race.back < n && idle.is_empty() && !moved(&bench.line.interrupts, interrupts) {
                race.lost += 1;
                return Ok(race);
            }
        }
        Ok(race)
    }

    /// Driver and device on two CPUs, each sleeping when it finds nothing to do: all arrives, and
    /// no wake-up is lost.
    #[test]
    fn two_cpus_exchange_numbers() -> Result {
        const N: u64 = 2_000;
        let (_, cpu) = two_cpus()?;
        let mut races = KVec::new();

        for (event_idx, indirect, order) in [
            (true, 0, Order::Smp),
            (false, 0, Order::Smp),
            (true, 2, Order::Platform),
        ] {
            let bench = Bench::new(Addressing::Physical)?;
            let (mut driver, device) = bench.queue(&Config {
                event_idx,
                indirect,
                order,
                ..CONFIG
            })?;
            let (lost, fault) = (Atomic::<u64>::new(0), Atomic::<bool>::new(false));
            let given_up = Atomic::<bool>::new(false);
            let bus = device.memory;

            let race = with_thread(
                cpu,
                |_| {
                    let mut device = Device::new(bus, CONFIG.size, event_idx);
                    let mut done = 0;

                    while done < N && !given_up.load(Acquire) {
                        let kicks = bench.line.kicks.load(Acquire);
                        match serve(&mut device, &bench.line) {
                            Ok(served) => done += served,
                            Err(_) => {
                                fault.store(true, Relaxed);
                                break;
                            }
                        }
                        if done < N && device.sleep() && !moved(&bench.line.kicks, kicks) {
                            lost.fetch_add(1, Full);
                            break;
                        }
                        device.stay_awake();
                    }
                },
                || {
                    let race = drive(&mut driver, &bench, N);

                    given_up.store(true, Release);
                    race
                },
            )?;
            drop(driver);
            let mut race = race?;
            race.lost += lost.load(Relaxed);
            race.fault = fault.load(Relaxed);
            races.push(race, GFP_KERNEL)?;
        }

        assert_eq!(races.len(), 3);
        for race in races {
            let right = Race {
                back: N,
                ..Race::default()
            };

            assert_eq!(race, right);
        }
        Ok(())
    }
}
