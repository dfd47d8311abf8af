// SPDX-License-Identifier: GPL-2.0

//! Driver and device of a packed queue at the same time, on threads.

use std::{thread, time::Duration};

use super::{memory::Byte, packed_memory::pair, tries};
use crate::ring::virtqueue::Virtqueue;

/// Each side sleeps when it finds nothing, and is woken by the other's event or never.
#[test]
fn nobody_sleeps_for_ever() {
    let rounds = u64::from(tries(200_000, 200));

    for (event_idx, in_order) in [(true, false), (false, false), (true, true)] {
        let (mut driver, mut device) = pair(13, 0, event_idx, in_order);
        let (kick, kicked) = std::sync::mpsc::channel::<()>();
        let (interrupt, interrupted) = std::sync::mpsc::channel::<()>();

        let device = thread::spawn(move || {
            let mut done = 0;
            while done < rounds {
                while let Some(taken) = device.pop().expect("the driver keeps to the rules") {
                    device.push(taken.chain.head, taken.chain.room(), taken.count);
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
}
