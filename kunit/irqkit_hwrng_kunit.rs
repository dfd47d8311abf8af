// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: random number generators ([`irqkit::hwrng`]), read as users do.

use kernel::prelude::*;

#[path = "support/rng.rs"]
mod rng;
#[path = "support/source.rs"]
mod source;
#[path = "support/mod.rs"]
mod support;

module! {
    type: rng::Module,
    name: "irqkit_hwrng_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's random number generators",
    license: "GPL",
}

#[kunit_tests(irqkit_hwrng)]
mod tests {
    use core::mem::ManuallyDrop;

    use kernel::{
        bindings::O_NONBLOCK,
        device::Bound,
        faux,
        new_mutex,
        prelude::*, //
    };

    use irqkit::hwrng::{
        Quality,
        Registration, //
    };

    use crate::{
        rng::{
            rebind,
            Rng, //
        },
        source::{
            Fake,
            Seen,
            Told,
            LIFE, //
        },
        support::{
            crew::with_thread,
            file::Files,
            two_cpus,
            until, //
        }, //
    };

    const NAME: &CStr = c"kunit-generator";

    /// More reads than any test does.
    const PLENTY: u64 = 1 << 40;

    /// As little entropy as one can speak of: what is given here is none.
    const LEAST: Quality = match Quality::new(1) {
        Some(quality) => quality,
        None => Quality::FULL,
    };

    /// What the core may have left over from the generator before.
    const LEFT: usize = 64;

    /// Reads so much from `/dev/hwrng`.
    fn read(flags: u32, len: usize) -> Result<KVec<u8>> {
        Files::devices()?.read_device(c"hwrng", flags, len)
    }

    /// Whether `bytes` has so many of that value behind what was left over, and nothing else.
    fn all(bytes: &[u8], len: usize, byte: u8) -> bool {
        bytes.len() == LEFT + len && bytes.iter().skip(LEFT).all(|&b| b == byte)
    }

    fn register(
        rng: &Rng,
        name: &CStr,
        quality: Quality,
        fake: Fake,
    ) -> Result<Registration<Fake>> {
        Registration::new(rng.bound().as_ref(), name, quality, Ok::<_, Error>(fake))
    }

    #[test]
    fn quality_has_limits() {
        assert_eq!(Quality::new(0), None);
        assert_eq!(Quality::new(1025), None);
        assert_eq!(Quality::new(1024), Some(Quality::FULL));
        assert_eq!(LEAST.bits(), 1);
    }

    /// The first one is read from, by the core's thread and by users, until it goes.
    #[test]
    fn registered_read_and_gone() -> Result {
        let rng = Rng::get()?;
        let seen = Seen::new(PLENTY)?;
        let before = read(0, 1).err();
        let registration = register(&rng, NAME, LEAST, Fake::new(&seen, 0x5a))?;
        let by_core = seen.was_read();
        let bytes = read(0, LEFT + 1000)?;
        let open = seen.was_told(&[Told::Init]);
        drop(registration);
        let after = read(0, LEFT + 1).err();

        assert_eq!(before, Some(ENODEV));
        assert!(by_core);
        assert!(all(&bytes, 1000, 0x5a));
        assert!(open);
        assert_eq!(after, Some(ENODEV));
        assert!(seen.was_told(&LIFE));
        assert!(seen.is_well());
        Ok(())
    }

    #[test]
    fn a_name_is_had_once() -> Result {
        let rng = Rng::get()?;
        let (seen, other) = (Seen::new(PLENTY)?, Seen::new(PLENTY)?);
        let registration = register(&rng, NAME, LEAST, Fake::new(&seen, 1))?;
        let again = register(&rng, NAME, Quality::FULL, Fake::new(&other, 2)).map(drop);
        drop(registration);
        // It is free again.
        let later = register(&rng, NAME, LEAST, Fake::new(&other, 3)).map(drop);

        assert_eq!(again, Err(EEXIST));
        assert!(seen.was_told(&LIFE));
        assert_eq!(later, Ok(()));
        assert!(other.was_told(&[
            Told::Dropped,
            Told::Init,
            Told::GiveUp,
            Told::Cleanup,
            Told::Dropped
        ]));
        Ok(())
    }

    /// One that can't begin is not registered, and not kept.
    #[test]
    fn an_init_that_fails() -> Result {
        let rng = Rng::get()?;
        let seen = Seen::new(PLENTY)?;
        let mut fake = Fake::new(&seen, 1);
        fake.init = Err(EIO);
        let refused = register(&rng, NAME, LEAST, fake).map(drop);
        let reader = read(0, LEFT + 1).err();

        assert_eq!(refused, Err(EIO));
        assert_eq!(reader, Some(ENODEV));
        assert!(seen.was_told(&[Told::Init, Told::Dropped]));
        Ok(())
    }

    /// A better one takes over, and the other one is back when that goes.
    #[test]
    fn the_better_one_is_read_from() -> Result {
        let rng = Rng::get()?;
        let (seen, better) = (Seen::new(PLENTY)?, Seen::new(PLENTY)?);
        let registration = register(&rng, NAME, LEAST, Fake::new(&seen, 1))?;
        let second = register(&rng, c"kunit-better", Quality::FULL, Fake::new(&better, 2))?;
        let cleaned = until(|| seen.was_told(&[Told::Init, Told::Cleanup]));
        let from_better = read(0, LEFT + 100)?;
        drop(second);
        let from_first = read(0, LEFT + 100)?;
        drop(registration);

        assert!(cleaned);
        assert!(all(&from_better, 100, 2));
        assert!(all(&from_first, 100, 1));
        assert!(better.was_told(&LIFE));
        assert!(seen.was_told(&[
            Told::Init,
            Told::Cleanup,
            Told::Init,
            Told::GiveUp,
            Told::Cleanup,
            Told::Dropped
        ]));
        assert!(seen.is_well() && better.is_well());
        Ok(())
    }

    /// Who does not want to wait does not.
    #[test]
    fn a_read_without_waiting() -> Result {
        let rng = Rng::get()?;
        let seen = Seen::new(1)?;
        let registration = register(&rng, NAME, LEAST, Fake::new(&seen, 1))?;
        // The core's thread has what there was, and rests.
        let taken = seen.was_read();
        let _left = read(O_NONBLOCK, LEFT);
        let nothing = read(O_NONBLOCK, 1).err();
        drop(registration);

        assert!(taken);
        assert_eq!(nothing, Some(EAGAIN));
        assert!(seen.was_told(&LIFE));
        Ok(())
    }

    /// The error of a read is the reader's, unless it gave something.
    #[test]
    fn reads_that_fail() -> Result {
        let rng = Rng::get()?;
        let mut results = KVec::new();

        for stock in [0, PLENTY] {
            let seen = Seen::new(stock)?;
            let mut fake = Fake::new(&seen, 7);
            fake.end = Err(EIO);
            let registration = register(&rng, NAME, LEAST, fake)?;
            let _left = read(O_NONBLOCK, LEFT);
            results.push(read(0, 10), GFP_KERNEL)?;
            drop(registration);
        }
        let given = results.pop().ok_or(EINVAL)?;
        let failed = results.pop().ok_or(EINVAL)?.err();

        assert_eq!(failed, Some(EIO));
        assert!(given.is_ok_and(|bytes| bytes.as_slice() == [7; 10]));
        Ok(())
    }

    /// A user waits for a byte when the driver goes: the driver is not kept, and the user gets an
    /// error.
    #[test]
    fn gone_under_a_user_who_waits() -> Result {
        let rng = Rng::get()?;
        let (cpu, _) = two_cpus()?;
        let seen = Seen::new(1)?;
        let registration = register(&rng, NAME, LEAST, Fake::new(&seen, 1))?;
        let taken = seen.was_read();
        let _left = read(O_NONBLOCK, LEFT);
        pin_init::stack_pin_init!(let slot = new_mutex!(Some(registration)));
        let leave = |_| {
            seen.is_awaited();
            let registration = slot.lock().take();
            drop(registration);
        };
        let reader = with_thread(cpu, leave, || read(0, 1).err())?;

        assert!(taken);
        assert_eq!(reader, Some(ENODEV));
        assert!(seen.was_told(&LIFE));
        assert!(seen.is_well());
        Ok(())
    }

    /// The same when it is the core's own thread that waits.
    #[test]
    fn gone_under_the_core() -> Result {
        let rng = Rng::get()?;
        let seen = Seen::new(0)?;
        let registration = register(&rng, NAME, LEAST, Fake::new(&seen, 1))?;
        let awaited = seen.is_awaited();
        drop(registration);

        assert!(awaited);
        assert!(seen.was_told(&LIFE));
        assert!(seen.is_well());
        Ok(())
    }

    /// Who forgets the registration still has the generator taken away with the device.
    #[test]
    fn kept_over_unbind() -> Result {
        let rng = Rng::get()?;
        let seen = Seen::new(0)?;
        let mut kept = ManuallyDrop::new(register(&rng, NAME, LEAST, Fake::new(&seen, 1))?);
        let awaited = seen.is_awaited();
        let mut gone = false;
        rebind(rng, || gone = seen.was_told(&LIFE))?;
        // SAFETY: It is not used any more. All that is left of it is its memory.
        unsafe { ManuallyDrop::drop(&mut kept) };

        let rng = Rng::get()?;
        let again = Seen::new(PLENTY)?;
        let second = register(&rng, NAME, LEAST, Fake::new(&again, 2)).map(drop);

        assert!(awaited);
        assert!(gone);
        assert_eq!(second, Ok(()));
        Ok(())
    }

    /// What a device with another driver keeps would be called when this module is gone.
    #[test]
    fn devices_of_other_drivers_are_refused() -> Result {
        let parent = faux::Registration::new(c"irqkit_foreign", None)?;
        let dev: &faux::Device<Bound> = parent.as_ref();
        let seen = Seen::new(PLENTY)?;
        let fake = Ok::<_, Error>(Fake::new(&seen, 1));
        let refused = Registration::<Fake>::new(dev.as_ref(), NAME, LEAST, fake).map(drop);
        drop(parent);

        assert_eq!(refused, Err(EXDEV));
        assert!(!seen.was_told(&[Told::Init]));
        Ok(())
    }
}
