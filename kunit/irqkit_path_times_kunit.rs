// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: the times that paths take, and their histograms ([`irqkit::path`]).

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_path_times_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's path times",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

#[kunit_tests(irqkit_path_times)]
mod tests {
    use core::fmt::Write;

    use kernel::{
        prelude::*,
        str::CString,
        sync::atomic::{
            Acquire,
            Atomic,
            Relaxed,
            Release, //
        },
        time::Delta, //
    };

    use irqkit::{
        path::{
            histogram::{
                self,
                Cell,
                Word, //
            },
            Cause,
            Kind,
            Path,
            Pending,
            Serial,
            Stamp, //
        },
        percpu::PerCpu, //
    };

    use crate::support::{
        books::Books,
        crew::on_cpus,
        file::value,
        online_cpus,
        spin_for, //
    };

    /// Makes a run with nothing in it.
    fn run_once(path: &Path, pending: &Pending) {
        let _ = path.schedule(pending, path.stamp());
        drop(path.start(pending));
    }

    #[test]
    fn times_are_taken_only_when_switched_on() -> Result {
        let books = Books::new(c"timing")?;
        let other = Books::new(c"timing2")?;
        let path = books.path(Kind::Work)?;
        let stranger = other.path(Kind::Work)?;
        let pending = Pending::new();
        let states = [
            ("0", c"0\n"),
            ("1", c"1\n"),
            ("off\n", c"0\n"),
            (" on ", c"1\n"),
            ("n", c"0\n"),
            ("y", c"1\n"),
        ];
        let mut wrong = 0;
        let mut counts = [0; 3];

        run_once(&path, &pending);
        let off = path.stamp().is_none() && !path.timing();
        counts[0] = value(&*books.read("work/run_ns")?, "count").ok_or(ENOENT)?;

        for (text, shown) in states {
            books.write("timing", text)?;
            if *books.read("timing")? != *shown || books.set.timing() != (shown == c"1\n") {
                wrong += 1;
            }
        }
        let bad = ["2", "", "yes please", "1 1"].map(|text| books.write("timing", text));

        run_once(&path, &pending);
        run_once(&stranger, &pending);
        let on = !path.stamp().is_none() && path.timing() && !stranger.timing();
        counts[1] = value(&*books.read("work/run_ns")?, "count").ok_or(ENOENT)?;
        counts[2] = value(&*other.read("work/run_ns")?, "count").ok_or(ENOENT)?;

        books.set.set_timing(false);
        run_once(&path, &pending);
        let after = value(&*books.read("work/run_ns")?, "count").ok_or(ENOENT)?;
        drop((books, other));

        assert!(off);
        assert_eq!(wrong, 0);
        assert!(bad.iter().all(|result| *result == Err(EINVAL)));
        assert!(on);
        assert_eq!(counts, [0, 1, 0]);
        assert_eq!(after, 1);
        Ok(())
    }

    /// Waiting and running times are those that passed, and the file's summary fits its lines.
    #[test]
    fn times_are_true() -> Result {
        const WAIT: Delta = Delta::from_micros(300);
        const RUN: Delta = Delta::from_micros(700);
        const RUNS: u64 = 20;

        let books = Books::new(c"times")?;
        let path = books.path(Kind::Work)?;
        let pending = Pending::new();
        let mut wrong = 0;

        books.set.set_timing(true);
        for _ in 0..RUNS {
            let _ = path.schedule(&pending, path.stamp());
            spin_for(WAIT);
            let run = path.start(&pending);
            spin_for(RUN);
            drop(run);
        }

        for (file, least) in [("work/wait_ns", WAIT), ("work/run_ns", RUN)] {
            let text = books.read(file)?;
            let least = u64::try_from(least.as_nanos())?;
            let [count, sum, min, max] =
                ["count", "sum", "min", "max"].map(|key| value(&text, key).unwrap_or(u64::MAX));
            let (mut buckets, mut low_sum, mut high_sum) = (0, 0, 0);
            let (mut lowest, mut highest) = (u64::MAX, 0);

            for line in text.to_str()?.lines() {
                let mut words = line.split(' ').map(|word| word.parse::<u64>());
                if let (Some(Ok(low)), Some(Ok(high)), Some(Ok(n)), None) =
                    (words.next(), words.next(), words.next(), words.next())
                {
                    if low > high || n == 0 {
                        wrong += 1;
                    }
                    buckets += n;
                    low_sum += low * n;
                    high_sum += high * n;
                    lowest = lowest.min(low);
                    highest = highest.max(high);
                }
            }
            let fits = count == RUNS
                && buckets == count
                && (low_sum..=high_sum).contains(&sum)
                && lowest <= min
                && min <= max
                && max <= highest
                && (count * min..=count * max).contains(&sum);
            if !fits || min < least {
                wrong += 1;
            }
        }
        drop(books);

        assert_eq!(wrong, 0);
        Ok(())
    }

    #[test]
    fn cause_is_taken_once() -> Result {
        let books = Books::new(c"cause")?;
        let path = books.path(Kind::HardIrq)?;
        let serial = Serial::new();
        let cause = Cause::new();

        let empty = cause.take().is_none();
        books.set.set_timing(true);
        let early = path.stamp();
        cause.set(early);
        spin_for(Delta::from_micros(200));
        let mut run = path.arrive(&serial, Stamp::NONE);
        run.since(cause.take());
        let kept = run.cause() == early;
        drop(run);
        let emptied = cause.take().is_none();
        // Without a known cause there is a running time, but no waiting time.
        drop(path.arrive(&serial, Stamp::NONE));
        let wait = books.read("hardirq/wait_ns")?;
        let run = books.read("hardirq/run_ns")?;
        drop(books);

        assert!(empty && emptied);
        assert!(kept);
        assert_eq!(value(&wait, "count"), Some(1));
        assert!(value(&wait, "min").is_some_and(|ns| ns >= 200_000));
        assert_eq!(value(&run, "count"), Some(2));
        Ok(())
    }

    /// A word of a histogram, as the product has it.
    #[repr(transparent)]
    struct Slot(Atomic<u64>);

    impl Word for Slot {
        fn load(&self) -> u64 {
            self.0.load(Relaxed)
        }

        fn load_acquire(&self) -> u64 {
            self.0.load(Acquire)
        }

        fn store(&self, value: u64) {
            self.0.store(value, Relaxed);
        }

        fn store_release(&self, value: u64) {
            self.0.store(value, Release);
        }
    }

    /// A histogram that can be given any time, which clocks can't.
    #[repr(transparent)]
    struct Table(Cell<Slot>);

    // SAFETY: It consists of atomic integers, for which all zeroes are valid.
    unsafe impl Zeroable for Table {}

    /// Text with room for what the tests write.
    struct Text(KVec<u8>);

    impl Write for Text {
        fn write_str(&mut self, text: &str) -> core::fmt::Result {
            self.0
                .extend_from_slice(text.as_bytes(), GFP_KERNEL)
                .map_err(|_| core::fmt::Error)
        }
    }

    fn table_text(tables: &PerCpu<Table>, epoch: u64) -> Result<KVec<u8>> {
        let mut text = Text(KVec::new());

        histogram::write(&mut text, epoch, tables.iter().map(|(_, table)| &table.0))?;
        Ok(text.0)
    }

    #[test]
    fn nothing_overflows_the_top_bucket() -> Result {
        let tables = PerCpu::<Table>::zeroed(GFP_KERNEL)?;
        let cpus = online_cpus()?;

        on_cpus(&cpus, |_| {
            tables.with_irqs_off(|table| {
                for value in [
                    0,
                    3,
                    9,
                    histogram::LAST_LOW - 1,
                    histogram::LAST_LOW,
                    1 << 62,
                ] {
                    table.0.record(1, value);
                }
            });
        })?;
        let text = table_text(&tables, 1)?;
        let next = table_text(&tables, 2)?;
        let n = cpus.len() as u64;
        let (m, count) = (2 * n, 6 * n);
        let sum = n * (12 + 2 * histogram::LAST_LOW - 1 + (1 << 62));
        let expected = CString::try_from_fmt(fmt!(
            "0 0 {n}\n3 3 {n}\n8 9 {n}\n1649267441664 1924145348607 {n}\n\
             1924145348608 18446744073709551615 {m}\n\
             count {count}\nsum {sum}\nmin 0\nmax 4611686018427387904\n"
        ))?;
        drop(tables);

        assert!(*text == *expected.to_bytes());
        // In the next epoch it has never recorded anything.
        assert!(*next == *b"count 0\nsum 0\nmin 0\nmax 0\n");
        Ok(())
    }
}
