// SPDX-License-Identifier: GPL-2.0

//! The debugfs directories of all path sets, by module: `<module>/<device>/`.
//!
//! It exists for two reasons. The sets of a module share a directory, which is there as long as the
//! first of them is made until the last is gone, and drivers have no good place to keep it. And a
//! set may be leaked: then its files would outlive the code of the module that made them, and
//! reading one would jump into nowhere. So when a module goes away, what it left behind in debugfs
//! is removed before its memory is.

use kernel::{
    bindings,
    error::to_result,
    module::ModuleMetadata,
    prelude::*,
    str::CString,
    sync::global_lock,
    time::{
        delay::fsleep,
        Delta, //
    },
    types::Opaque, //
};

/// A directory or file of debugfs, possibly none at all or an error, which its functions take as
/// well.
///
/// debugfs may be disabled, and drivers must work all the same; so no one looks.
///
/// # Invariants
///
/// It is null, an error pointer, or a dentry that debugfs made. Whether that was removed since is
/// for its user to know: it says nothing about its life.
#[derive(Clone, Copy)]
pub(super) struct Dentry(*mut bindings::dentry);

// SAFETY: It is an address; what is done with it is up to its owner. The functions of debugfs may
// be called from any thread.
unsafe impl Send for Dentry {}

// SAFETY: As above.
unsafe impl Sync for Dentry {}

impl Dentry {
    /// Creates a directory in `parent`, or at the root of debugfs.
    ///
    /// # Safety
    ///
    /// `parent`, if there is one, must not have been removed.
    pub(super) unsafe fn create_dir(name: &CStr, parent: Option<Dentry>) -> Self {
        let parent = parent.map_or(core::ptr::null_mut(), |parent| parent.0);

        // SAFETY: The name is copied; the parent is live, or an error, by the safety requirements.
        // INVARIANT: It is what debugfs returned.
        Self(unsafe { bindings::debugfs_create_dir(name.as_char_ptr(), parent) })
    }

    /// Returns the address.
    pub(super) fn as_raw(self) -> *mut bindings::dentry {
        self.0
    }

    /// Removes it and all that is in it, and waits for those who are using any of the files.
    ///
    /// # Safety
    ///
    /// It must not have been removed, and must not be used any more.
    unsafe fn remove(self) {
        // SAFETY: It is live, or an error, by the safety requirements.
        unsafe { bindings::debugfs_remove(self.0) };
    }
}

/// The directory of a set.
struct SetDir {
    id: u64,
    device: CString,
    dentry: Dentry,
    /// Someone is removing it, and will take it off the list afterwards.
    going: bool,
}

/// The directory of a module.
struct ModuleDir {
    /// The address of its `struct module`, for comparison.
    module: usize,
    dentry: Dentry,
    sets: KVec<SetDir>,
}

struct State {
    modules: KVec<ModuleDir>,
    next_id: u64,
}

global_lock! {
    // SAFETY: `Registry::new` initialises it, which runs when irqkit is loaded and before there is
    // anyone who could make a set.
    unsafe(uninit) static STATE: Mutex<State> = State {
        modules: KVec::new(),
        next_id: 1,
    };
}

impl State {
    /// Removes the directories of modules that have no sets.
    fn remove_empty(&mut self) {
        self.modules.retain(|dir| {
            let used = !dir.sets.is_empty();
            if !used {
                // SAFETY: The directory is on the list, so it was not removed yet; now it leaves
                // the list.
                unsafe { dir.dentry.remove() };
            }
            used
        });
    }

    /// Finds the set `id`, unless it is being removed.
    fn find(&mut self, id: u64) -> Option<&mut SetDir> {
        self.modules
            .iter_mut()
            .flat_map(|module| module.sets.iter_mut())
            .find(|set| set.id == id && !set.going)
    }

    /// Takes the set `id` off the list.
    fn forget(&mut self, id: u64) {
        for module in self.modules.iter_mut() {
            module.sets.retain(|set| set.id != id);
        }
        self.remove_empty();
    }
}

/// A set's directory, by its place in the registry. Dropping it does not remove the directory; see
/// [`SetId::remove`].
pub(super) struct SetId(u64);

impl SetId {
    /// Creates the directory `<module>/<device>`. Fails with `EEXIST` if the module has one of this
    /// name.
    ///
    /// It may sleep.
    pub(super) fn create<M: ModuleMetadata>(device: &CStr) -> Result<Self> {
        // CAST: An address, for comparison.
        let module = M::THIS_MODULE.as_ptr() as usize;
        let name = CString::try_from(device)?;

        let mut state = STATE.lock();
        let state = &mut *state;
        let id = state.next_id;

        let at = match state.modules.iter().position(|dir| dir.module == module) {
            Some(at) => at,
            None => {
                let at = state.modules.len();
                // First make room: afterwards nothing can fail, and no directory be left over.
                state.modules.reserve(1, GFP_KERNEL)?;
                // SAFETY: There is no parent.
                let dentry = unsafe { Dentry::create_dir(M::NAME, None) };
                state.modules.push_within_capacity(ModuleDir {
                    module,
                    dentry,
                    sets: KVec::new(),
                })?;
                at
            }
        };

        let created = (|| {
            let dir = state.modules.get_mut(at).ok_or(ENOENT)?;
            if dir.sets.iter().any(|set| *set.device == *name) {
                return Err(EEXIST);
            }
            dir.sets.reserve(1, GFP_KERNEL)?;
            // SAFETY: The module's directory is on the list, so it was not removed.
            let dentry = unsafe { Dentry::create_dir(device, Some(dir.dentry)) };
            dir.sets.push_within_capacity(SetDir {
                id,
                device: name,
                dentry,
                going: false,
            })?;
            Ok(())
        })();

        if let Err(error) = created {
            state.remove_empty();
            return Err(error);
        }
        state.next_id += 1;

        Ok(Self(id))
    }

    /// Calls `f` with the set's directory, which is not removed meanwhile; does nothing if it was.
    ///
    /// It may sleep.
    pub(super) fn with<R>(&self, f: impl FnOnce(Dentry) -> R) -> Option<R> {
        let mut state = STATE.lock();

        state.find(self.0).map(|set| f(set.dentry))
    }

    /// Removes the set's directory, unless its module's end already did, and waits for those who
    /// are using any of its files. When this returns, no file of the set is being used, or ever
    /// will be.
    ///
    /// It may sleep.
    pub(super) fn remove(&self) {
        remove(self.0);
    }
}

/// Removes the directory of set `id`, or waits for who does.
fn remove(id: u64) {
    let dentry = {
        let mut state = STATE.lock();
        state.find(id).map(|set| {
            set.going = true;
            set.dentry
        })
    };

    match dentry {
        Some(dentry) => {
            // Not under the lock: it may take as long as a driver's slowest control file.
            //
            // SAFETY: The set was on the list and not going, so it is not removed yet; having
            // marked it, we are the only ones who do. Files are made under the lock in sets that
            // are not going only.
            unsafe { dentry.remove() };
            STATE.lock().forget(id);
        }
        None => {
            while STATE.lock().is_listed(id) {
                fsleep(Delta::from_millis(1));
            }
        }
    }
}

impl State {
    /// Returns whether the set `id` is on the list, going or not.
    fn is_listed(&self, id: u64) -> bool {
        self.modules
            .iter()
            .flat_map(|module| module.sets.iter())
            .any(|set| set.id == id)
    }
}

/// Removes the sets that the module at the address `module` has left, and returns whether there were
/// any. It may sleep.
fn remove_sets_of(module: usize) -> bool {
    let mut found = false;

    loop {
        let left = STATE
            .lock()
            .modules
            .iter()
            .filter(|dir| dir.module == module)
            .find_map(|dir| dir.sets.first().map(|set| set.id));

        match left {
            Some(id) => remove(id),
            None => return found,
        }
        found = true;
    }
}

/// A module has come, or goes.
///
/// # Safety
///
/// To be called by the kernel's chain of module notifiers only; `module` is the module's address.
unsafe extern "C" fn module_changed(
    _block: *mut bindings::notifier_block,
    state: usize,
    module: *mut c_void,
) -> c_int {
    // CAST: A small constant.
    if state == bindings::module_state_MODULE_STATE_GOING as usize {
        let module = module as usize;

        // The module's exit function has run, so nothing is left but what was leaked. First who may
        // start the rest: users by its files, and its work. Either may have made more of both in the
        // meantime, so it is not over before a look finds neither.
        while remove_sets_of(module) | crate::workqueue::module_goes(module) {}
        // SAFETY: By the safety requirements; its memory goes after this.
        unsafe { crate::ticker::module_goes(module) };
        // What ticks may schedule them.
        //
        // SAFETY: As above.
        unsafe { crate::tasklet::module_goes(module) };
    }

    // NOTIFY_DONE
    0
}

/// The registry's life. irqkit's module holds the only one.
///
/// # Invariants
///
/// `notifier` is on the kernel's chain of module notifiers.
#[pin_data(PinnedDrop)]
pub struct Registry {
    #[pin]
    notifier: Opaque<bindings::notifier_block>,
}

// SAFETY: It may be unregistered on any thread.
unsafe impl Send for Registry {}

// SAFETY: Nothing can be done with a shared reference.
unsafe impl Sync for Registry {}

impl Registry {
    /// Starts the registry. It may sleep.
    ///
    /// # Safety
    ///
    /// The initialiser must be run once, when irqkit is loaded, before anything else in
    /// [`crate::path`] is used; and the result must be dropped before irqkit's code goes away.
    pub(crate) unsafe fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            // INVARIANT: If this succeeds, the block is on the chain.
            notifier <- Opaque::try_ffi_init(|slot: *mut bindings::notifier_block| {
                // SAFETY: By the safety requirements, this is done once, and first.
                unsafe { STATE.init() };

                let block = bindings::notifier_block {
                    notifier_call: Some(module_changed),
                    ..Default::default()
                };
                // SAFETY: `slot` is valid for writes.
                unsafe { slot.write(block) };

                // SAFETY: The block is initialised and pinned, and taken off the chain before it
                // goes.
                to_result(unsafe { bindings::register_module_notifier(slot) })
            }),
        })
    }
}

#[pinned_drop]
impl PinnedDrop for Registry {
    fn drop(self: Pin<&mut Self>) {
        // SAFETY: By the type invariant it is on the chain.
        unsafe { bindings::unregister_module_notifier(self.notifier.get()) };

        // No module has a set any more. Statics are not dropped.
        STATE.lock().modules = KVec::new();
    }
}
