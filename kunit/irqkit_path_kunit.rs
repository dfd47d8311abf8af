// SPDX-License-Identifier: GPL-2.0

//! KUnit suite: the statistics of paths, and their files ([`irqkit::path`]).

use kernel::prelude::*;

#[path = "support/mod.rs"]
mod support;

module! {
    type: Suite,
    name: "irqkit_path_kunit",
    authors: ["Rust interrupt suite"],
    description: "KUnit suite: irqkit's path statistics",
    license: "GPL",
}

struct Suite;

impl kernel::Module for Suite {
    fn init(_module: &'static ThisModule) -> Result<Self> {
        Ok(Self)
    }
}

/// A control file: holds a number from 0 to 9, and refuses others.
enum Digit {}

impl irqkit::path::Control for Digit {
    type Data = kernel::sync::atomic::Atomic<u64>;

    const NAME: &'static CStr = c"digit";
    const ACCESS: irqkit::path::Access = irqkit::path::Access::ReadWrite;

    fn show(
        data: &Self::Data,
        _task: irqkit::context::Task<'_>,
        out: &kernel::seq_file::SeqFile,
    ) -> Result {
        kernel::seq_print!(out, "{}\n", data.load(kernel::sync::atomic::Relaxed));
        Ok(())
    }

    fn store(
        data: &Self::Data,
        _task: irqkit::context::Task<'_>,
        text: &str,
    ) -> Result<(), irqkit::path::Refusal> {
        match text.parse::<u64>() {
            Ok(n @ 0..=9) => {
                data.store(n, kernel::sync::atomic::Relaxed);
                Ok(())
            }
            Ok(_) => Err(irqkit::path::Refusal::new(ERANGE, "expected 0 to 9")),
            Err(_) => Err(irqkit::path::Refusal::new(EINVAL, "expected a digit")),
        }
    }
}

#[kunit_tests(irqkit_path)]
mod tests {
    use kernel::{
        cpu::CpuId,
        prelude::*,
        str::CString,
        sync::{
            atomic::{
                Atomic,
                Relaxed, //
            },
            Arc, //
        }, //
    };

    use irqkit::{
        path::{
            Control,
            Kind,
            Path,
            PathSet,
            Pending,
            Serial,
            Stamp, //
        },
        percpu::PerCpu, //
    };

    use crate::{
        support::{
            books::Books,
            crew::on_cpus,
            file::{
                has_line,
                value, //
            },
            hardirq,
            load::while_running,
            online_cpus,
            other::Other,
            two_cpus, //
        },
        Digit, //
    };

    /// The counters that the balance is made of.
    const BALANCE: [&str; 4] = ["scheduled", "runs", "coalesced", "cancelled"];

    /// Makes a run with nothing in it.
    fn run_once(path: &Path, pending: &Pending) {
        let _ = path.schedule(pending, path.stamp());
        drop(path.start(pending));
    }

    #[test]
    fn a_request_runs_coalesces_or_is_cancelled() -> Result {
        let books = Books::new(c"balance")?;
        let path = books.path(Kind::Tasklet)?;
        let pending = Pending::new();

        let idle = path.schedule(&pending, Stamp::NONE);
        let again = path.schedule(&pending, Stamp::NONE);
        let in_flight = books.stats("tasklet", BALANCE)?;

        let mut run = path.start(&pending);
        if let Some(run) = run.as_mut() {
            run.items(2);
            run.items(3);
        }
        let started = run.is_some();
        // From the start on it is not pending any more, though it runs.
        let during = path.schedule(&pending, Stamp::NONE);
        drop(run);
        let cancelled = path.cancel(&pending);
        let nothing = path.cancel(&pending);
        let spurious = path.start(&pending).is_some();
        let stats = books.stats("tasklet", BALANCE)?;
        let items = books.stat("tasklet.items")?;
        drop(books);

        assert_eq!((idle, again), (true, false));
        assert_eq!(in_flight, [2, 0, 1, 0]);
        assert!(started);
        assert!(during);
        assert_eq!((cancelled, nothing), (true, false));
        assert!(!spurious);
        assert_eq!(stats, [3, 1, 1, 1]);
        assert_eq!(items, 5);
        Ok(())
    }

    #[test]
    fn stats_are_written_as_documented() -> Result {
        let books = Books::new(c"format")?;
        let hard = books.path(Kind::HardIrq)?;
        let refill = books.set.path(Kind::Work, c"work/refill")?;
        let napi = books.set.path(Kind::Napi, c"napi/rx0")?;
        let serial = Serial::new();

        for counted in [Path::handled, Path::wake_thread, Path::none] {
            drop(hard.arrive(&serial, Stamp::NONE));
            counted(&hard);
        }
        hard.context_mismatch();
        refill.scheduled(5);
        refill.coalesced(2);
        refill.cancelled(1);
        refill.begin(Stamp::NONE).items(9);
        // Of another path's run.
        refill.items(3);
        for counted in [
            Path::budget_exhausted,
            Path::completed,
            Path::rescheduled,
            Path::missed,
        ] {
            counted(&napi);
        }
        napi.completed();

        let stats = books.read("stats")?;
        let version = books.read("version")?;
        let empty = books.read("work/refill/wait_ns")?;
        drop(books);

        assert!(*version == *c"1\n");
        assert!(*empty == *c"count 0\nsum 0\nmin 0\nmax 0\n");
        assert!(
            *stats
                == *c"hardirq.scheduled 3\n\
hardirq.coalesced 0\n\
hardirq.runs 3\n\
hardirq.items 0\n\
hardirq.cancelled 0\n\
hardirq.handled 1\n\
hardirq.wake_thread 1\n\
hardirq.none 1\n\
hardirq.context_mismatch 1\n\
hardirq.overlap 0\n\
work/refill.scheduled 5\n\
work/refill.coalesced 2\n\
work/refill.runs 1\n\
work/refill.items 12\n\
work/refill.cancelled 1\n\
work/refill.context_mismatch 0\n\
work/refill.overlap 0\n\
napi/rx0.scheduled 0\n\
napi/rx0.coalesced 0\n\
napi/rx0.runs 0\n\
napi/rx0.items 0\n\
napi/rx0.cancelled 0\n\
napi/rx0.budget_exhausted 1\n\
napi/rx0.completed 2\n\
napi/rx0.rescheduled 1\n\
napi/rx0.missed 1\n\
napi/rx0.context_mismatch 0\n\
napi/rx0.overlap 0\n"
        );
        Ok(())
    }

    #[test]
    fn percpu_says_where() -> Result {
        let books = Books::new(c"percpu")?;
        let path = books.path(Kind::Bh)?;
        let (one, other) = two_cpus()?;

        for (cpu, n) in [(one, 3), (other, 4)] {
            on_cpus(&[cpu], |_| path.scheduled(n))?;
        }
        on_cpus(&[other], |_| path.coalesced(7))?;
        let text = books.read("percpu")?;
        let expected = CString::try_from_fmt(fmt!(
            "bh.scheduled {} 3\nbh.scheduled {} 4\nbh.coalesced {} 7\n",
            one.as_u32(),
            other.as_u32(),
            other.as_u32()
        ))?;
        drop(books);

        assert!(*text == *expected);
        Ok(())
    }

    /// After load from tasks and hard interrupts on all CPUs the books balance to the last request,
    /// whatever resets there were meanwhile.
    #[test]
    fn books_balance_under_load_and_resets() -> Result {
        const REQUESTS: u64 = 3000;

        let books = Books::new(c"load")?;
        let path = books.path(Kind::Work)?;
        let hard = books.path(Kind::HardIrq)?;
        let cpus = online_cpus()?;
        let pending = Pending::new();
        let serials = PerCpu::new(GFP_KERNEL, |_| Serial::new())?;
        let errors = Atomic::<u64>::new(0);

        books.set.set_timing(true);
        let load = |resets: bool| {
            on_cpus(&cpus, |cpu: CpuId| {
                for i in 0..REQUESTS {
                    let _ = path.schedule(&pending, path.stamp());
                    if i % 2 == 0 {
                        if let Some(mut run) = path.start(&pending) {
                            run.items(1);
                        }
                    }
                    if i % 50 == 0 {
                        path.cancel(&pending);
                        let raised = hardirq::on_cpu(cpu, || {
                            let _ = path.schedule(&pending, path.stamp());
                            serials.with(|serial| drop(hard.arrive(serial, Stamp::NONE)));
                        });
                        errors.fetch_add(u64::from(raised.is_err()), Relaxed);
                    }
                    if resets && i % 30 == 7 {
                        books.set.reset();
                    }
                }
            })
        };

        load(false)?;
        let exact = books.stats("work", BALANCE)?;
        let items = books.stat("work.items")?;
        let interrupts = books.stats("hardirq", ["scheduled", "runs", "overlap"])?;
        let left = u64::from(pending.is_pending());
        load(true)?;
        let _ = path.cancel(&pending);
        let [scheduled, ran, coalesced, cancelled] = books.stats("work", BALANCE)?;
        let total = cpus.len() as u64 * REQUESTS;
        let raised = cpus.len() as u64 * REQUESTS.div_ceil(50);
        drop(books);

        assert_eq!(errors.load(Relaxed), 0);
        assert_eq!(exact[0], total + raised);
        assert_eq!(exact[0], exact[1] + exact[2] + exact[3] + left);
        assert_eq!(items, exact[1]);
        assert_eq!(interrupts, [raised, raised, 0]);
        assert_eq!(scheduled, ran + coalesced + cancelled);
        Ok(())
    }

    #[test]
    fn readings_under_load_never_show_an_end_without_its_request() -> Result {
        let books = Books::new(c"readers")?;
        let path = books.path(Kind::Work)?;
        let (_, there) = two_cpus()?;
        let wrong = while_running(
            there,
            || {
                // Without a pause: the moment between two counters of a reading is short.
                for _ in 0..5000 {
                    path.scheduled(1);
                    drop(path.begin(Stamp::NONE));
                }
            },
            || -> Result<u64> {
                let (mut wrong, mut moved, mut last) = (0, 0, 0);

                // Readings show something while the load goes on beside them, which is up to
                // whoever runs this machine.
                for i in 0..5000 {
                    if i % 100 == 99 {
                        books.write("reset", "1")?;
                    }
                    let [scheduled, runs, coalesced, cancelled] = books.stats("work", BALANCE)?;
                    wrong += u64::from(scheduled < runs + coalesced + cancelled);
                    moved += u64::from(scheduled != last);
                    last = scheduled;
                    if moved == 300 {
                        break;
                    }
                }
                Ok(wrong)
            },
        )??;
        let rest = books.stats("work", BALANCE)?;
        drop(books);

        assert_eq!(wrong, 0);
        assert_eq!(rest[0], rest[1]);
        Ok(())
    }

    #[test]
    fn reset_keeps_what_is_in_flight() -> Result {
        let books = Books::new(c"reset")?;
        let path = books.path(Kind::Thread)?;
        let pending = Pending::new();

        books.set.set_timing(true);
        for _ in 0..5 {
            run_once(&path, &pending);
        }
        let _ = path.schedule(&pending, path.stamp());
        let before = books.stats("thread", BALANCE)?;
        books.write("reset", "1")?;
        let pended = books.stats("thread", BALANCE)?;
        let emptied = books.read("thread/run_ns")?;

        // This one begins before, and ends after the next reset.
        let run = path.start(&pending);
        books.write("reset", "1\n")?;
        let running = books.stats("thread", BALANCE)?;
        drop(run);
        let ended = books.stats("thread", BALANCE)?;
        let skipped = value(&*books.read("thread/run_ns")?, "count");

        run_once(&path, &pending);
        let after = books.stats("thread", BALANCE)?;
        let recorded = value(&*books.read("thread/run_ns")?, "count");
        let bad = ["0", "", "2", "now"].map(|text| books.write("reset", text));
        drop(books);

        assert_eq!(before, [6, 5, 0, 0]);
        assert_eq!(pended, [1, 0, 0, 0]);
        assert!(*emptied == *c"count 0\nsum 0\nmin 0\nmax 0\n");
        assert_eq!(running, [0, 0, 0, 0]);
        assert_eq!(ended, [0, 0, 0, 0]);
        assert_eq!(skipped, Some(0));
        assert_eq!(after, [1, 1, 0, 0]);
        assert_eq!(recorded, Some(1));
        assert!(bad.iter().all(|result| *result == Err(EINVAL)));
        Ok(())
    }

    /// The detector of what must not happen does detect it.
    #[test]
    fn overlap_is_seen() -> Result {
        let books = Books::new(c"overlap")?;
        let path = books.path(Kind::HardIrq)?;
        let serial = Serial::new();

        books.set.set_timing(true);
        drop(path.arrive(&serial, Stamp::NONE));
        drop(path.arrive(&serial, Stamp::NONE));
        let none = books.stat("hardirq.overlap")?;
        let outer = path.arrive(&serial, Stamp::NONE);
        drop(path.arrive(&serial, Stamp::NONE));
        drop(outer);
        let one = books.stat("hardirq.overlap")?;
        drop(path.arrive(&serial, Stamp::NONE));
        let still = books.stat("hardirq.overlap")?;
        drop(books);

        assert_eq!((none, one, still), (0, 1, 1));
        Ok(())
    }

    #[test]
    fn names_are_unique_and_well_formed() -> Result {
        let books = Books::new(c"names")?;
        let taken = books.path(Kind::Work)?;
        let results = [
            c"work", c"stats", c"", c"/x", c"x/", c"a//b", c"..", c"a b", c"work/x",
        ]
        .map(|name| books.set.path(Kind::Work, name).map(drop));
        let twin = Books::new(c"names").map(drop);
        let bad = Books::new(c"a/b").map(drop);
        drop((taken, books));

        assert_eq!(
            results,
            [
                Err(EEXIST),
                Err(EEXIST),
                Err(EINVAL),
                Err(EINVAL),
                Err(EINVAL),
                Err(EINVAL),
                Err(EINVAL),
                Err(EINVAL),
                Ok(()),
            ]
        );
        assert_eq!(twin, Err(EEXIST));
        assert_eq!(bad, Err(EINVAL));
        Ok(())
    }

    #[test]
    fn control_files_do_as_they_are_told() -> Result {
        let books = Books::new(c"control")?;
        let digit = Arc::new(Atomic::<u64>::new(5), GFP_KERNEL)?;

        books.set.control::<Digit>(digit.clone())?;
        let twice = books.set.control::<Digit>(digit.clone());
        let before = books.read("digit")?;
        let written = books.write("digit", "  7\n");
        let after = books.read("digit")?;
        let refused = [books.write("digit", "10"), books.write("digit", "x")];
        let stays = digit.load(Relaxed);
        drop(books);

        assert_eq!(twice, Err(EEXIST));
        assert!(*before == *c"5\n");
        assert_eq!(written, Ok(()));
        assert!(*after == *c"7\n");
        assert_eq!(refused, [Err(ERANGE), Err(EINVAL)]);
        assert_eq!(stays, 7);
        Ok(())
    }

    /// Files go with the module that the set was made for: later than the code of another may go.
    #[test]
    fn controls_of_other_modules_are_refused() -> Result {
        let device = CString::try_from_fmt(fmt!("foreign"))?;
        let set = PathSet::new::<Other>(&device)?;
        let digit = Arc::new(Atomic::new(5), GFP_KERNEL)?;
        let refused = set.control::<Digit>(digit);
        // The name is not taken by what there is not.
        let free = set.path(Kind::Work, Digit::NAME).map(drop);
        drop(set);

        assert_eq!(refused, Err(EXDEV));
        assert_eq!(free, Ok(()));
        Ok(())
    }

    #[test]
    fn paths_outlive_their_set() -> Result {
        let books = Books::new(c"outlive")?;
        let path = books.path(Kind::Napi)?;
        let pending = Pending::new();

        books.set.set_timing(true);
        run_once(&path, &pending);
        let file = books.read("stats").is_ok();
        let (fs, dir) = books.without_set();
        let stats = CString::try_from_fmt(fmt!("{}/stats", dir.to_str()?))?;
        let gone = fs.read(&stats).map(drop);
        run_once(&path, &pending);
        let timing = path.timing();
        let again = Books::new(c"outlive").map(drop);
        drop((path, fs));

        assert!(file);
        assert_eq!(gone, Err(ENOENT));
        assert!(!timing);
        assert_eq!(again, Ok(()));
        Ok(())
    }

    #[test]
    fn lines_are_found() {
        // The helper that other tests stand on.
        assert!(has_line(c"a 1\nb 2\n", "b 2"));
        assert!(!has_line(c"a 1\nb 22\n", "b 2"));
        assert_eq!(value(c"a.runs 1\na.runs_x 2\n", "a.runs"), Some(1));
    }
}
