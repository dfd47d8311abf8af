// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: packets that come in as they went out ([`irqkit::net::Budget::receive`]).

use kernel::prelude::*;

#[path = "support/stack.rs"]
mod stack;
#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_receive_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: packets that irqkit's network devices give to the stack",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_receive)]
mod tests {
    use core::ptr;

    use kernel::{
        bindings,
        device::Bound,
        faux,
        ffi::c_int,
        new_spinlock,
        prelude::*,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc,
            SpinLock, //
        },
    };

    use irqkit::{
        context::{
            SoftIrq,
            Task, //
        },
        net::{
            self,
            Budget,
            Builder,
            Checksum,
            Link,
            Napi,
            Next,
            Offload,
            Poller,
            Registration,
            RxStat,
            SkBuff,
            Tx,
            Xmit, //
        },
        path::{
            Kind,
            PathSet,
            Stamp, //
        },
    };

    use crate::{
        stack,
        support::until, //
    };

    // SAFETY: As the kernel declares them, but for types that are only passed on.
    unsafe extern "C" {
        fn __alloc_skb(
            size: u32,
            gfp: bindings::gfp_t,
            flags: c_int,
            node: c_int,
        ) -> *mut bindings::sk_buff;
        fn skb_clone(skb: *mut bindings::sk_buff, gfp: bindings::gfp_t) -> *mut bindings::sk_buff;
        fn consume_skb(skb: *mut bindings::sk_buff);
    }

    /// What was sent.
    #[pin_data]
    struct Wire {
        #[pin]
        sent: SpinLock<KVec<SkBuff>>,
    }

    impl net::Driver for Wire {
        fn open(&self, _dev: &net::Device, _task: Task<'_>) -> Result {
            Ok(())
        }

        fn stop(&self, _dev: &net::Device, _task: Task<'_>) {}

        fn start_xmit(
            &self,
            _dev: &net::Device,
            skb: SkBuff,
            _tx: &mut Tx<'_>,
            _: SoftIrq<'_>,
        ) -> Xmit {
            if stack::is_marked(&skb) {
                let _ = self.sent.lock().push_within_capacity(skb);
            }
            Xmit::Done
        }
    }

    /// The address of the packet that a test has kept, which outlives this; 0 if it has none.
    #[derive(Clone, Copy)]
    struct Witness(usize);

    impl Witness {
        /// How many packets have its memory, and 100 if it is known to a device.
        fn look(self) -> i32 {
            if self.0 == 0 {
                return 1;
            }
            // SAFETY: The test keeps it. The memory ends where what is shared of it begins.
            unsafe {
                let skb: *const bindings::sk_buff = ptr::with_exposed_provenance(self.0);
                let end = (*skb).head.add((*skb).end as usize);
                let sharers = (*end.cast::<bindings::skb_shared_info>()).dataref.counter & 0xffff;
                let device = *stack::device_of(skb.cast_mut());

                sharers + if device.is_null() { 0 } else { 100 }
            }
        }
    }

    /// Gives what it has to the stack, and looks at what was kept then.
    struct Giver {
        packet: Option<SkBuff>,
        kept: Witness,
        /// 0 before that.
        seen: Arc<Atomic<i32>>,
    }

    impl Poller for Giver {
        fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
            if let Some(skb) = self.packet.take() {
                if let Some(credit) = budget.take() {
                    // The stack gets it at the end of the poll.
                    budget.receive(credit, skb);
                    self.seen.store(self.kept.look(), Relaxed);
                }
            }
            Next::Done
        }

        fn mask(&mut self) {}

        fn unmask(&mut self) -> bool {
            true
        }
    }

    struct Rig {
        registration: Registration<Wire>,
        parent: faux::Registration,
    }

    impl Rig {
        fn new(name: &CStr) -> Result<Self> {
            let parent = faux::Registration::new(name, None)?;
            let dev: &faux::Device<Bound> = parent.as_ref();
            let wire = Arc::pin_init(
                pin_init!(Wire {
                    sent <- new_spinlock!(KVec::with_capacity(8, GFP_KERNEL)?),
                }? Error),
                GFP_KERNEL,
            )?;

            Ok(Self {
                registration: Builder::new(dev.as_ref(), 1, 1)?.register(wire)?,
                parent,
            })
        }

        /// Sends a frame that is somewhere in a memory of so many bytes, and returns it as the driver got it,
        /// and what the sender has kept: a packet with the same memory, or another reference to the packet.
        fn send(&self, room: u32, keep: Keep) -> Result<(SkBuff, Kept)> {
            let device = self.registration.device();
            stack::open(device)?;
            let kept = stack::with(device, |dev| {
                // SAFETY: The packet is new, has room for so many bytes, and is given away, with the device that
                // it is for, which is registered; but for one reference if it has two.
                unsafe {
                    let skb = __alloc_skb(room + 60, bindings::GFP_KERNEL, 0, -1);
                    let mut kept = ptr::null_mut();
                    if !skb.is_null() {
                        (*skb).data = (*skb).data.add(room as usize);
                        (*skb).tail += room;
                        stack::fill(skb);
                        match keep {
                            Keep::Nothing => (),
                            Keep::Clone => kept = skb_clone(skb, bindings::GFP_KERNEL),
                            Keep::Reference => {
                                (&raw mut (*skb).users).cast::<i32>().write(2);
                                kept = skb;
                            }
                        }
                        stack::send(skb, dev);
                    }
                    kept
                }
            })
            .ok_or(ENODEV)?;
            let sent = self.registration.data().sent.lock().pop();

            Ok((sent.ok_or(ENOENT)?, Kept(kept)))
        }
    }

    #[derive(Clone, Copy)]
    enum Keep {
        Nothing,
        Clone,
        Reference,
    }

    /// What a sender has kept.
    ///
    /// # Invariants
    ///
    /// It is null, or points to a packet of which this holds a reference.
    struct Kept(*mut bindings::sk_buff);

    impl Drop for Kept {
        fn drop(&mut self) {
            if !self.0.is_null() {
                // SAFETY: By the type invariants it is ours.
                unsafe { consume_skb(self.0) };
            }
        }
    }

    /// Receives a packet, and returns what is to be seen of `kept` while the stack has it, and how many packets,
    /// and how many of a length that can't be, were counted.
    fn receive(rig: &Rig, name: &CStr, packet: SkBuff, kept: &Kept) -> Result<(i32, [u64; 2])> {
        let dev: &faux::Device<Bound> = rig.parent.as_ref();
        // What is registered takes no more instances.
        let builder = Builder::new(dev.as_ref(), 1, 1)?;
        let device = builder.device().clone();
        let paths = PathSet::new::<crate::LocalModule>(name)?;
        let path = paths.path_or_existing(Kind::Napi, c"napi/rx0")?;
        let seen = Arc::new(Atomic::new(0), GFP_KERNEL)?;
        let giver = Giver {
            packet: Some(packet),
            kept: Witness(kept.0.expose_provenance()),
            seen: seen.clone(),
        };
        let napi: Arc<Napi<Giver>> = device.napi(Link::Rx(0), path, giver)?;

        Task::with(|task| {
            napi.enable(task)?;
            napi.schedule_from_task(task, Stamp::NONE);
            Ok::<_, Error>(())
        })??;
        let polled = until(|| seen.load(Relaxed) != 0);
        Task::with(|task| napi.disable(task))?;
        let stats = device.rx_stats(0).ok_or(ENOENT)?;
        let counted = [stats.get(RxStat::Packets), stats.get(RxStat::LengthErrors)];
        drop(napi);
        drop(builder);
        if !polled {
            return Err(ETIMEDOUT);
        }
        Ok((seen.load(Relaxed), counted))
    }

    #[test]
    fn what_is_received_shares_no_memory() -> Result {
        let rig = Rig::new(c"cloned")?;
        let (packet, kept) = rig.send(64, Keep::Clone)?;
        let before = Witness(kept.0.expose_provenance()).look();
        let (seen, counted) = receive(&rig, c"cloned", packet, &kept)?;
        drop(kept);
        drop(rig);

        assert_eq!(before, 2);
        assert_eq!(seen, 1);
        assert_eq!(counted, [1, 0]);
        Ok(())
    }

    /// As pktgen does.
    #[test]
    fn what_is_received_nobody_holds_on_to() -> Result {
        let rig = Rig::new(c"held")?;
        let (packet, kept) = rig.send(64, Keep::Reference)?;
        let (seen, counted) = receive(&rig, c"held", packet, &kept)?;
        drop(kept);
        drop(rig);

        assert_eq!(seen, 1);
        assert_eq!(counted, [1, 0]);
        Ok(())
    }

    #[test]
    fn offloads_are_not_written_to_what_is_shared() -> Result {
        const OFFLOAD: Offload = Offload {
            checksum: Some(Checksum {
                start: 34,
                offset: 16,
            }),
            gso: None,
        };
        let rig = Rig::new(c"offload")?;
        let mut answers = KVec::new();
        for keep in [Keep::Nothing, Keep::Clone, Keep::Reference] {
            let (mut packet, kept) = rig.send(64, keep)?;
            answers.push(packet.set_offload(&OFFLOAD), GFP_KERNEL)?;
            drop((packet, kept));
        }
        drop(rig);

        assert_eq!(&answers[..], &[Ok(()), Err(EBUSY), Err(EBUSY)]);
        Ok(())
    }

    /// The stack counts where its headers are in 16 bits.
    #[test]
    fn what_begins_too_far_away_is_dropped() -> Result {
        let rig = Rig::new(c"far")?;
        let (near, kept) = rig.send(65_000, Keep::Nothing)?;
        let near = receive(&rig, c"near", near, &kept)?;
        let (far, kept) = rig.send(65_500, Keep::Nothing)?;
        let far = receive(&rig, c"far", far, &kept)?;
        drop(rig);

        assert_eq!(near, (1, [1, 0]));
        assert_eq!(far, (1, [0, 1]));
        Ok(())
    }
}
