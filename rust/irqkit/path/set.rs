// SPDX-License-Identifier: GPL-2.0

//! The paths of a device, and their files.

use kernel::{
    cpu::CpuId,
    module::ModuleMetadata,
    new_mutex,
    prelude::*,
    seq_file::SeqFile,
    seq_print,
    str::CString,
    sync::{
        atomic::{
            Atomic,
            Relaxed, //
        },
        barrier,
        Arc,
        Mutex, //
    }, //
};

use super::{
    control::{
        Access,
        Bound,
        Control,
        Refusal, //
    },
    counters::{
        self,
        Kind,
        Row, //
    },
    names,
    registry::SetId,
    tree::{
        Node,
        Tree, //
    },
    Path,
    Switch, //
};
use crate::{
    context::Task,
    percpu,
    trace, //
};

mod times;

use times::{
    Histogram,
    HISTOGRAMS, //
};

/// The version of the format of the files.
const VERSION: u32 = 1;

/// The set's own files; no path and no control file may have their names.
const FILES: [(&CStr, Own); 5] = [
    (c"version", Own::Version),
    (c"stats", Own::Stats),
    (c"percpu", Own::PerCpu),
    (c"timing", Own::Timing),
    (c"reset", Own::Reset),
];

/// The paths of a device, in `/sys/kernel/debug/<module>/<device>/`.
///
/// There are the files `version`, `stats`, `percpu`, `timing` and `reset`, a directory for each
/// path with `wait_ns` and `run_ns` (`late_ns`, where work can have a due time; `packets`, where a run has
/// a budget), and the
/// driver's own [`Control`] files. `docs/design.md` has the format.
///
/// Dropping it removes the files and waits for those who are using them; it may sleep and must not
/// be done by a control file's own actions. Its paths live on as long as someone holds them.
/// Leaking it is sound: the files stay until the module that made it goes away.
///
/// If debugfs is disabled, everything works except that no one can see it.
pub struct PathSet {
    tree: Pin<KBox<Mutex<Tree>>>,
    shared: Arc<Shared>,
    /// The address of the `struct module` of the module that made it.
    module: usize,
}

impl PathSet {
    /// Creates a set for `device`, without paths, in the directory of module `M`: that of the
    /// caller, [`crate::LocalModule`] in its own crate.
    ///
    /// `device` is the name on its bus, such as `0000:00:04.0`. It may sleep.
    ///
    /// # Errors
    ///
    /// - `EEXIST`: the module has a set of this name.
    /// - `EINVAL`: the name can't be that of a directory.
    /// - `ENOMEM`.
    pub fn new<M: ModuleMetadata>(device: &CStr) -> Result<Self> {
        if !names::is_component(device.to_str()?) {
            return Err(EINVAL);
        }

        let title = CString::try_from_fmt(fmt!("{}/{}", M::NAME.to_str()?, device.to_str()?))?;
        // CAST: An address, for comparison.
        let module = M::THIS_MODULE.as_ptr() as usize;

        Self::of_id(SetId::create::<M>(device)?, title, device, module)
    }

    /// What is the same for all modules, compiled once for all of them: lockdep knows a lock by its class and by the address
    /// of its name, and does not like one class to have the names of several modules.
    #[inline(never)]
    fn of_id(id: SetId, title: CString, device: &CStr, module: usize) -> Result<Self> {
        let tree = Tree::new(id, title);
        // From here on the directory is removed if anything fails.
        let tree = KBox::pin_init(new_mutex!(tree, "irqkit::path::tree"), GFP_KERNEL)?;
        let shared = Arc::pin_init(Shared::new(device)?, GFP_KERNEL)?;

        for (name, file) in FILES {
            let node = OwnFile {
                shared: shared.clone(),
                file,
            };
            tree.lock().file(None, name, KBox::new(node, GFP_KERNEL)?)?;
        }

        Ok(Self {
            tree,
            shared,
            module,
        })
    }

    /// Adds a path.
    ///
    /// `name` is [`Kind::name`] as a rule, or has a second part, such as `work/refill`. It may
    /// sleep.
    ///
    /// # Errors
    ///
    /// - `EEXIST`: there is a path or a file of this name.
    /// - `EINVAL`: the name is empty, or has other than printable characters between single
    ///   slashes, or has a dot.
    /// - `ENOMEM`.
    pub fn path(&self, kind: Kind, name: &CStr) -> Result<Arc<Path>> {
        if !names::is_path(name.to_str()?) {
            return Err(EINVAL);
        }

        self.shared.take_name(name)?;
        let path = Arc::new(
            Path::new(self.shared.switch.clone(), kind, name)?,
            GFP_KERNEL,
        )?;

        // First where it is counted, so that the files never show less than what is there.
        self.shared.books.lock().add(path.clone())?;

        let mut tree = self.tree.lock();
        tree.dir(name)?;
        for (file, which) in HISTOGRAMS {
            if !which.is_of(kind) {
                continue;
            }
            let node = Histogram {
                shared: self.shared.clone(),
                path: path.clone(),
                which,
            };
            tree.file(Some(name), file, KBox::new(node, GFP_KERNEL)?)?;
        }
        Ok(path)
    }

    /// Returns the path of this name, which is added if there is none: for what may come and go and
    /// come again while the set lives, and is counted in one place.
    ///
    /// It may sleep.
    ///
    /// # Errors
    ///
    /// As those of [`Self::path`]; [`EEXIST`] if the name is taken by something of another kind.
    pub fn path_or_existing(&self, kind: Kind, name: &CStr) -> Result<Arc<Path>> {
        let existing = self.shared.books.lock().find(kind, name);

        match existing {
            Some(path) => Ok(path),
            None => self.path(kind, name),
        }
    }

    /// Adds a control file, whose actions work on `data`.
    ///
    /// It may sleep.
    ///
    /// # Errors
    ///
    /// As [`PathSet::path`]; `EXDEV` if the control is of another module than the set, which goes
    /// before the files do.
    pub fn control<C: Control>(&self, data: Arc<C::Data>) -> Result {
        if !names::is_component(C::NAME.to_str()?) {
            return Err(EINVAL);
        }
        if !self.tree.lock().is_of(self.module, Bound::<C>::code())? {
            return Err(EXDEV);
        }

        self.shared.take_name(C::NAME)?;
        let node = KBox::new(Bound::<C>::new(data), GFP_KERNEL)?;

        self.tree.lock().file(None, C::NAME, node)
    }

    /// Returns the address of the `struct module` of the module that made the set; null if that is
    /// built in.
    pub(crate) fn module(&self) -> usize {
        self.module
    }

    /// Returns the device's name.
    pub fn device(&self) -> &CStr {
        &self.shared.switch.device
    }

    /// Returns whether times are being taken.
    pub fn timing(&self) -> bool {
        self.shared.switch.timing.load(Relaxed)
    }

    /// Switches the taking of times on or off, as writing to `timing` does. It may sleep.
    pub fn set_timing(&self, on: bool) {
        self.shared.set_timing(on);
    }

    /// Resets all counters and histograms, as writing to `reset` does. It may sleep.
    ///
    /// The module's documentation, [`crate::path`], says what becomes of what is in flight.
    pub fn reset(&self) {
        self.shared.books.lock().reset();
    }
}

/// What the set's files work on.
#[pin_data(PinnedDrop)]
struct Shared {
    switch: Arc<Switch>,
    #[pin]
    books: Mutex<Books>,
}

impl Shared {
    fn new(device: &CStr) -> Result<impl PinInit<Self, Error>> {
        let switch = Arc::new(
            Switch {
                device: CString::try_from(device)?,
                timing: Atomic::new(false),
            },
            GFP_KERNEL,
        )?;

        Ok(try_pin_init!(Self {
            switch,
            books <- new_mutex!(
                Books {
                    names: KVec::new(),
                    paths: KVec::new(),
                },
                "irqkit::path::books"
            ),
        }))
    }

    /// Sees to it that no two paths or files have the same name.
    fn take_name(&self, name: &CStr) -> Result {
        let mut books = self.books.lock();
        let own = FILES.iter().any(|(file, _)| *file == name);

        if own || books.names.iter().any(|taken| **taken == *name) {
            return Err(EEXIST);
        }
        books.names.push(CString::try_from(name)?, GFP_KERNEL)?;
        Ok(())
    }

    fn set_timing(&self, on: bool) {
        // The lock orders the two halves of it.
        let _books = self.books.lock();

        if self.switch.timing.xchg(on, Relaxed) != on {
            if on {
                trace::timing_inc();
            } else {
                trace::timing_dec();
            }
        }
    }
}

#[pinned_drop]
impl PinnedDrop for Shared {
    fn drop(self: Pin<&mut Self>) {
        // Paths may live on, but no one can look at their times any more.
        self.set_timing(false);
    }
}

/// The paths as their readers see them.
struct Books {
    names: KVec<CString>,
    paths: KVec<Account>,
}

/// A path and the state of its readers.
struct Account {
    path: Arc<Path>,
    /// By possible CPU, in ascending order: what readings are shown relative to.
    base: KVVec<Row>,
    /// The same, for a reading.
    rows: KVVec<Row>,
}

impl Books {
    /// Adds a path, and so to the files.
    fn add(&mut self, path: Arc<Path>) -> Result {
        let cpus = percpu::possible_cpus().count();

        self.paths.push(
            Account {
                path,
                base: KVVec::from_elem(Row::ZERO, cpus, GFP_KERNEL)?,
                rows: KVVec::from_elem(Row::ZERO, cpus, GFP_KERNEL)?,
            },
            GFP_KERNEL,
        )?;
        Ok(())
    }

    /// Returns the path of this kind and name.
    fn find(&self, kind: Kind, name: &CStr) -> Option<Arc<Path>> {
        self.paths
            .iter()
            .map(|account| &account.path)
            .find(|path| path.kind() == kind && path.name() == name)
            .cloned()
    }

    fn reset(&mut self) {
        for account in self.paths.iter_mut() {
            account.reset();
        }
    }
}

impl Account {
    /// Reads the path's counters into `rows`.
    fn read(&mut self) {
        for pass in 0..2 {
            for (row, cpu) in self.rows.iter_mut().zip(percpu::possible_cpus()) {
                counters::fill(row, pass, self.path.kind, |counter| {
                    self.path.counters.on(cpu, counter as usize)
                });
            }
            // What ended requests was read before the requests are.
            barrier::smp_mb(barrier::Read);
        }
    }

    /// Returns what is to be shown of the last reading, by CPU.
    fn shown(&self) -> impl Iterator<Item = (CpuId, Row)> + '_ {
        percpu::possible_cpus()
            .zip(self.rows.iter().zip(&self.base))
            .map(|(cpu, (row, base))| (cpu, row.since(base)))
    }

    fn reset(&mut self) {
        self.read();
        counters::rebase(&mut self.rows);
        core::mem::swap(&mut self.rows, &mut self.base);

        // The only writer of the epoch, for it is under the lock.
        let epoch = &self.path.epoch;
        epoch.store(epoch.load(Relaxed).wrapping_add(1), Relaxed);
    }
}

/// A file of the set itself.
#[derive(Clone, Copy)]
enum Own {
    Version,
    Stats,
    PerCpu,
    Timing,
    Reset,
}

struct OwnFile {
    shared: Arc<Shared>,
    file: Own,
}

impl Node for OwnFile {
    fn access(&self) -> Access {
        match self.file {
            Own::Version | Own::Stats | Own::PerCpu => Access::ReadOnly,
            Own::Timing => Access::ReadWrite,
            Own::Reset => Access::WriteOnly,
        }
    }

    fn show(&self, _task: Task<'_>, out: &SeqFile) -> Result {
        match self.file {
            Own::Version => seq_print!(out, "{VERSION}\n"),
            Own::Stats => {
                for account in self.shared.books.lock().paths.iter_mut() {
                    account.read();

                    let name = account.path.name.to_str()?;
                    let mut sum = Row::ZERO;
                    account.shown().for_each(|(_, row)| sum.add(&row));
                    for counter in account.path.kind.counters() {
                        seq_print!(out, "{}.{} {}\n", name, counter.name(), sum.get(counter));
                    }
                }
            }
            Own::PerCpu => {
                for account in self.shared.books.lock().paths.iter_mut() {
                    account.read();

                    let name = account.path.name.to_str()?;
                    for counter in account.path.kind.counters() {
                        for (cpu, row) in account.shown().filter(|(_, row)| row.get(counter) != 0) {
                            seq_print!(
                                out,
                                "{}.{} {} {}\n",
                                name,
                                counter.name(),
                                cpu.as_u32(),
                                row.get(counter)
                            );
                        }
                    }
                }
            }
            Own::Timing => {
                seq_print!(
                    out,
                    "{}\n",
                    u8::from(self.shared.switch.timing.load(Relaxed))
                );
            }
            Own::Reset => return Err(EINVAL),
        }
        Ok(())
    }

    fn store(&self, _task: Task<'_>, text: &str) -> Result<(), Refusal> {
        match (self.file, text) {
            (Own::Timing, "0" | "n" | "off") => self.shared.set_timing(false),
            (Own::Timing, "1" | "y" | "on") => self.shared.set_timing(true),
            (Own::Timing, _) => return Err(Refusal::new(EINVAL, "expected 0 or 1")),
            (Own::Reset, "1") => self.shared.books.lock().reset(),
            (Own::Reset, _) => return Err(Refusal::new(EINVAL, "expected 1")),
            _ => return Err(EINVAL.into()),
        }
        Ok(())
    }
}
