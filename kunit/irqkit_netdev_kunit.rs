// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: a device that is registered, and what the core asks of it ([`irqkit::net::Driver`]).

use kernel::prelude::*;

#[path = "support/owner.rs"]
mod owner;
#[path = "support/stack.rs"]
mod stack;

module! {
    type: Suite,
    name: "irqkit_netdev_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's network devices",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_netdev)]
mod tests {
    use kernel::{
        bindings,
        device::{
            Bound,
            Device, //
        },
        faux,
        ffi::{
            c_int,
            c_ulong, //
        },
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
        dma::{
            Addressing,
            Pool, //
        },
        net::{
            self,
            Builder,
            Features,
            Link,
            PagePool,
            Registration,
            Shape,
            SkBuff,
            Tx,
            TxStat,
            Xmit, //
        },
        path::{
            Kind,
            PathSet, //
        },
    };

    use crate::{
        owner::Owner,
        stack, //
    };

    // SAFETY: As the kernel declares them, but for types that are only passed on.
    unsafe extern "C" {
        fn dev_close(dev: *mut bindings::net_device);
        fn alloc_skb_with_frags(
            header_len: c_ulong,
            data_len: c_ulong,
            order: c_int,
            error: *mut c_int,
            gfp: bindings::gfp_t,
        ) -> *mut bindings::sk_buff;
        fn consume_skb(skb: *mut bindings::sk_buff);
    }

    const OK: c_int = 0;
    const BUSY: c_int = 0x10;

    /// What becomes of a frame.
    #[derive(Clone, Copy, Eq, PartialEq)]
    enum Fate {
        Keep,
        GiveBack,
        /// Another one is given back.
        Replace,
    }

    #[pin_data]
    struct Card {
        fate: Fate,
        opened: Atomic<u64>,
        sent: Atomic<u64>,
        #[pin]
        kept: SpinLock<KVec<SkBuff>>,
    }

    impl Card {
        fn new(fate: Fate) -> Result<Arc<Self>> {
            Arc::pin_init(
                pin_init!(Self {
                    fate,
                    opened: Atomic::new(0),
                    sent: Atomic::new(0),
                    kept <- new_spinlock!(KVec::with_capacity(8, GFP_KERNEL)?),
                }? Error),
                GFP_KERNEL,
            )
        }
    }

    impl net::Driver for Card {
        fn open(&self, _dev: &net::Device, _task: Task<'_>) -> Result {
            self.opened.store(self.opened.load(Relaxed) + 1, Relaxed);
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
            if !stack::is_marked(&skb) {
                return Xmit::Done;
            }
            self.sent.store(self.sent.load(Relaxed) + 1, Relaxed);
            match self.fate {
                Fate::GiveBack => return Xmit::Busy(skb),
                Fate::Replace => {
                    if let Ok(other) = SkBuff::new(64, 0, GFP_ATOMIC) {
                        return Xmit::Busy(other);
                    }
                }
                Fate::Keep => {
                    let _ = self.kept.lock().push_within_capacity(skb);
                }
            }
            Xmit::Done
        }
    }

    struct Rig {
        registration: Registration<Card>,
        parent: faux::Registration,
    }

    impl Rig {
        fn new(name: &CStr, fate: Fate, features: Features) -> Result<Self> {
            let parent = faux::Registration::new(name, None)?;
            let dev: &faux::Device<Bound> = parent.as_ref();
            let dev: &Device<Bound> = dev.as_ref();

            Ok(Self {
                registration: Builder::new(dev, 1, 1)?
                    .features(features, features, features)
                    .register(Card::new(fate)?)?,
                parent,
            })
        }

        fn card(&self) -> Arc<Card> {
            self.registration.data().clone()
        }

        fn with<R>(&self, f: impl FnOnce(*mut bindings::net_device) -> R) -> Option<R> {
            stack::with(self.registration.device(), f)
        }

        fn open(&self) -> Result {
            stack::open(self.registration.device())
        }

        /// Sends a frame, and returns what came of it, and the frame, of which only the address may be
        /// used unless it came back.
        fn send(&self) -> Result<(c_int, *mut bindings::sk_buff)> {
            self.send_with(0)
        }

        /// The same, with so many bytes that are in a page of their own.
        fn send_with(&self, paged: u16) -> Result<(c_int, *mut bindings::sk_buff)> {
            let sent = self.with(|dev| {
                let mut error = 0;

                // SAFETY: The packet is new, has room for so many bytes, and is given away, with the
                // device that it is for, which is registered.
                unsafe {
                    let skb = alloc_skb_with_frags(
                        128,
                        paged.into(),
                        0,
                        &raw mut error,
                        bindings::GFP_KERNEL,
                    );
                    if skb.is_null() {
                        return Err(ENOMEM);
                    }
                    stack::fill(skb);
                    (*skb).len += u32::from(paged);
                    (*skb).data_len = paged.into();
                    Ok((stack::send(skb, dev), skb))
                }
            });

            sent.ok_or(ENODEV)?
        }
    }

    /// # Safety
    ///
    /// `skb` is a valid packet.
    unsafe fn names_a_device(skb: *mut bindings::sk_buff) -> bool {
        // SAFETY: By the safety requirements.
        unsafe { !(*stack::device_of(skb)).is_null() }
    }

    #[test]
    fn a_packet_that_was_given_back_is_the_cores() -> Result {
        let rig = Rig::new(c"back", Fate::GiveBack, Features::NONE)?;
        rig.open()?;
        let (answer, skb) = rig.send()?;
        // SAFETY: It came back.
        let named = answer == BUSY && unsafe { names_a_device(skb) };
        // The queue is stopped: the driver is not asked.
        let (again, other) = rig.send()?;
        let sent = rig.card().sent.load(Relaxed);
        for (answer, skb) in [(answer, skb), (again, other)] {
            if answer == BUSY {
                // SAFETY: It came back, and is not used after this.
                unsafe { consume_skb(skb) };
            }
        }
        drop(rig);

        assert_eq!(answer, BUSY);
        assert!(named);
        assert_eq!(again, BUSY);
        assert_eq!(sent, 1);
        Ok(())
    }

    /// The core would go on with the one that it gave, which was freed.
    #[test]
    fn another_packet_is_not_given_back() -> Result {
        let rig = Rig::new(c"other", Fate::Replace, Features::NONE)?;
        rig.open()?;
        let (answer, _) = rig.send()?;
        let sent = rig.card().sent.load(Relaxed);
        drop(rig);

        assert_eq!(answer, OK);
        assert_eq!(sent, 1);
        Ok(())
    }

    #[test]
    fn a_packet_that_is_kept_names_no_device() -> Result {
        let rig = Rig::new(c"kept", Fate::Keep, Features::NONE)?;
        rig.open()?;
        let (answer, skb) = rig.send()?;
        let card = rig.card();
        drop(rig);
        // SAFETY: The card has it.
        let named = answer == OK && unsafe { names_a_device(skb) };
        let sent = card.sent.load(Relaxed);
        drop(card);

        assert_eq!(answer, OK);
        assert_eq!(sent, 1);
        assert!(!named);
        Ok(())
    }

    /// A packet gives its pages back in one way for all of them.
    #[test]
    fn pages_of_others_are_not_joined_by_a_pools() -> Result {
        let rig = Rig::new(c"others", Fate::Keep, Features::SG | Features::HW_CSUM)?;
        rig.open()?;
        let (plain, _) = rig.send()?;
        let (paged, _) = rig.send_with(100)?;
        let card = rig.card();
        let mut other = card.kept.lock().pop().ok_or(ENOENT)?;
        let mut own = card.kept.lock().pop().ok_or(ENOENT)?;
        let frags = (own.frags(), other.frags());

        // What is registered takes no more instances.
        let dev: &faux::Device<Bound> = rig.parent.as_ref();
        // SAFETY: There is no hardware: nobody addresses anything.
        let memory = unsafe { Pool::new(dev.as_ref(), Addressing::Physical) }?;
        let builder = Builder::new(dev.as_ref(), 1, 1)?;
        let device = builder.device();
        let paths = PathSet::new::<crate::LocalModule>(c"others")?;
        let path = paths.path_or_existing(Kind::Napi, c"napi/rx0")?;
        let pool = PagePool::new(device, 0, &memory, 64)?;
        let napi = device.napi(Link::Rx(0), path, Owner(pool))?;
        let joined = Task::with(|task| {
            napi.with(task, |Owner(pool), idle| -> Result<_> {
                let mut join = |skb: &mut SkBuff| -> Result<bool> {
                    let frag = pool.alloc(idle, Shape::fragment(1000)?).ok_or(ENOMEM)?;
                    Ok(skb.add_frag(frag.received(1000), pool, 0, 1000).is_ok())
                };

                Ok((join(&mut own)?, join(&mut other)?))
            })
        })??;
        let after = (own.len(), other.len());
        drop(own);
        drop(other);
        drop(napi);
        drop(builder);
        drop(rig);

        assert_eq!((plain, paged), (OK, OK));
        assert_eq!(frags, (0, 1));
        assert_eq!(joined, (true, false));
        assert_eq!(after, (1060, 160));
        Ok(())
    }

    /// Each of them promises the core something, such as the operations of TLS.
    #[test]
    fn features_without_a_name_are_left_out() -> Result {
        let all = Features::from_bits(u64::MAX);
        let rig = Rig::new(
            c"features",
            Fate::Keep,
            Features::SG | all.without(Features::ALL),
        )?;
        let on = rig.registration.device().features();
        drop(rig);

        // CAST: A number of a bit.
        let tls = Features::from_bits(1 << bindings::NETIF_F_HW_TLS_RX_BIT as u32);
        assert!(on.contains(Features::SG));
        assert!(!on.contains(tls));
        Ok(())
    }

    #[test]
    fn what_is_open_is_not_opened_again() -> Result {
        let rig = Rig::new(c"open", Fate::Keep, Features::NONE)?;
        rig.open()?;
        rig.open()?;
        let once = rig.card().opened.load(Relaxed);
        // SAFETY: The device is registered, and the RTNL is held.
        rig.with(|dev| unsafe { dev_close(dev) });
        rig.open()?;
        let twice = rig.card().opened.load(Relaxed);
        drop(rig);

        assert_eq!(once, 1);
        assert_eq!(twice, 2);
        Ok(())
    }

    /// The kernel stops the machine if more is completed than was sent, and if BQL counts round.
    #[test]
    fn what_is_stopped_is_not_stopped_again() -> Result {
        let rig = Rig::new(c"stops", Fate::Keep, Features::NONE)?;
        rig.open()?;
        let device = rig.registration.device().clone();
        let cell = device.tx_cell(0, ())?;

        Task::with(|task| {
            let mut guard = cell.lock_task(task);
            let mut queue = guard.locked();

            for _ in 0..2 {
                queue.stop();
                queue.stop();
                queue.wake();
                queue.wake();
            }
        })?;
        let counted = device
            .tx_stats(0)
            .map(|stats| (stats.get(TxStat::Stop), stats.get(TxStat::Wake)));
        drop(cell);
        drop(rig);

        assert_eq!(counted, Some((2, 2)));
        Ok(())
    }

    #[test]
    fn bql_learns_of_nothing_that_cannot_be() -> Result {
        const LEN: u32 = 1500;
        let rig = Rig::new(c"bql", Fate::Keep, Features::NONE)?;
        rig.open()?;
        let device = rig.registration.device().clone();
        let cell = device.tx_cell(0, ())?;

        Task::with(|task| {
            let mut guard = cell.lock_task(task);
            let mut queue = guard.locked();

            // What was never sent.
            queue.completed(1, LEN);
            // More than what was sent, and twice.
            let _ = queue.sent(LEN, false);
            queue.completed(1, 2 * LEN);
            queue.completed(1, LEN);
            // Packets that can't be so long, and more than can be counted; then all of that at once,
            // and again.
            for _ in 0..64 {
                let _ = queue.sent(u32::MAX, true);
            }
            queue.completed(64, u32::MAX);
            queue.completed(64, u32::MAX);
            // What is forgotten does not come back.
            let _ = queue.sent(LEN, false);
            queue.reset();
            queue.completed(1, LEN);
            // No packets are no bytes.
            queue.completed(0, LEN);
            let _ = queue.sent(LEN, false);
            queue.completed(1, LEN);
        })?;
        let packets = device.tx_stats(0).map(|stats| stats.get(TxStat::Packets));
        drop(cell);
        drop(rig);

        // What the driver says of packets is counted whatever BQL thinks of it.
        assert_eq!(packets, Some(3 + 128 + 2));
        Ok(())
    }

    #[test]
    fn what_is_kept_ends_with_its_parent() -> Result {
        let rig = Rig::new(c"forgotten", Fate::Keep, Features::NONE)?;
        rig.open()?;
        let device = rig.registration.device().clone();
        let there = rig.with(|_| ()).is_some();
        let late = rig.registration;
        drop(rig.parent);
        let after = stack::with(&device, |_| ()).is_some();
        let carrier = Task::with(|task| {
            device.set_carrier(task, false);
            device.set_present(task, true);
            device.carrier()
        })?;
        drop((late, device));

        assert!(there);
        assert!(!after);
        // Nothing can be done to it any more.
        assert!(carrier);
        Ok(())
    }
}
