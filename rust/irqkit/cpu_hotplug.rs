// SPDX-License-Identifier: GPL-2.0

//! CPUs that come and go.
//!
//! A driver that has spread its interrupts over the CPUs wants to do that again when one comes
//! back: the kernel moves interrupts away from a CPU that goes, but not back to it.
//!
//! C header: [`include/linux/cpuhotplug.h`](srctree/include/linux/cpuhotplug.h)

use core::marker::PhantomPinned;

use kernel::{
    bindings,
    cpu::CpuId,
    device::{
        Bound,
        Device, //
    },
    devres::Devres,
    error::{
        from_result,
        to_result, //
    },
    prelude::*,
    sync::atomic::{
        Atomic,
        Relaxed, //
    },
    types::Opaque, //
};

use crate::{
    context::Task,
    owner, //
};

/// What wants to know when CPUs come and go.
///
/// Both functions are called by the CPU's own hotplug task, while it is online; no other CPU comes
/// or goes meanwhile. They must not wait for anything that waits for that, such as
/// `cpus_read_lock()`: what does is the business of a work item.
pub trait Watcher: Send + Sync + 'static {
    /// `cpu` has come.
    fn online(&self, cpu: CpuId, task: Task<'_>);

    /// `cpu` is about to go.
    fn offline(&self, cpu: CpuId, task: Task<'_>) {
        let _ = (cpu, task);
    }
}

/// What the core is given of a [`Watcher`]: the node, and the functions for its type.
///
/// # Invariants
///
/// It is field `head` of the [`Node`] for whose type the functions are.
#[repr(C)]
struct Head {
    node: Opaque<bindings::hlist_node>,
    /// # Safety
    ///
    /// This and the next: the pointer is to this `Head`, inside of a [`Node`] that lives until they return.
    online: unsafe fn(*const Head, CpuId, Task<'_>),
    offline: unsafe fn(*const Head, CpuId, Task<'_>),
}

/// A [`Watcher`] that the core knows of.
///
/// # Invariants
///
/// It was added to the instances of [`STATE`].
#[pin_data(PinnedDrop)]
#[repr(C)]
struct Node<T: Watcher> {
    #[pin]
    head: Head,
    #[pin]
    watcher: T,
    #[pin]
    _pin: PhantomPinned,
}

// SAFETY: The core may call from any task, and `T` is `Send`.
unsafe impl<T: Watcher> Send for Node<T> {}

// SAFETY: Nobody but the core touches the node, under its own lock, and `T` is `Sync`.
unsafe impl<T: Watcher> Sync for Node<T> {}

/// The state of the hotplug machine that is irqkit's; 0 while there is none.
static STATE: Atomic<i32> = Atomic::new(0);

/// Returns [`STATE`] as the core knows it.
fn state() -> Result<bindings::cpuhp_state> {
    match STATE.load(Relaxed) {
        0 => Err(ENODEV),
        // CAST: It is what the core gave us, which is not negative.
        state => Ok(state as bindings::cpuhp_state),
    }
}

impl<T: Watcher> Node<T> {
    fn new<E>(watcher: impl PinInit<T, E>) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        // INVARIANT: If initialisation succeeds, it was added.
        try_pin_init!(Self {
            watcher <- watcher,
            _pin: PhantomPinned,
            // SAFETY: It initialises all of the head, or fails without having given it to anybody.
            head <- unsafe {
                pin_init::pin_init_from_closure(|head: *mut Head| {
                    head.write(Head {
                        node: Opaque::zeroed(),
                        online: Self::online,
                        offline: Self::offline,
                    });
                    // The watcher is initialised, and pinned until its drop has removed it.
                    to_result(bindings::__cpuhp_state_add_instance(
                        state()?,
                        (*head).node.get(),
                        false,
                    ))
                })
            },
        })
    }

    /// # Safety
    ///
    /// `head` is that of a `Node<T>`.
    unsafe fn online(head: *const Head, cpu: CpuId, task: Task<'_>) {
        // SAFETY: By the safety requirements; it is the first field, as of C.
        unsafe { &*head.cast::<Self>() }.watcher.online(cpu, task);
    }

    /// # Safety
    ///
    /// `head` is that of a `Node<T>`.
    unsafe fn offline(head: *const Head, cpu: CpuId, task: Task<'_>) {
        // SAFETY: As above.
        unsafe { &*head.cast::<Self>() }.watcher.offline(cpu, task);
    }
}

#[pinned_drop]
impl<T: Watcher> PinnedDrop for Node<T> {
    fn drop(self: Pin<&mut Self>) {
        if let Ok(state) = state() {
            // SAFETY: By the type invariant it was added. When it returns, neither function runs, and
            // neither will.
            unsafe {
                bindings::__cpuhp_state_remove_instance(state, self.head.node.get(), false);
            }
        }
    }
}

/// Calls one of the functions of an instance.
///
/// # Safety
///
/// To be called by the core's callbacks, with what it gave them.
unsafe fn call(
    cpu: c_uint,
    node: *mut bindings::hlist_node,
    which: impl FnOnce(&Head) -> unsafe fn(*const Head, CpuId, Task<'_>),
) -> c_int {
    let head = node.cast::<Head>();

    from_result(|| {
        let cpu = CpuId::from_u32(cpu).ok_or(EINVAL)?;
        // SAFETY: By the safety requirements it is the node of an instance, which is the first field
        // of a `Head`.
        let function = which(unsafe { &*head });

        // SAFETY: By the type invariant of `Head` the function is for its type. The core calls in
        // the task of the CPU.
        unsafe { function(head, cpu, Task::new()) };
        Ok(0)
    })
}

/// # Safety
///
/// To be called by the core, with the node of an instance.
unsafe extern "C" fn online(cpu: c_uint, node: *mut bindings::hlist_node) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { call(cpu, node, |head| head.online) }
}

/// # Safety
///
/// To be called by the core, with the node of an instance.
unsafe extern "C" fn offline(cpu: c_uint, node: *mut bindings::hlist_node) -> c_int {
    // SAFETY: By the safety requirements.
    unsafe { call(cpu, node, |head| head.offline) }
}

/// What the core calls for a state that has instances.
type Multi = unsafe extern "C" fn(c_uint, *mut bindings::hlist_node) -> c_int;
/// What its type has it be.
type Single = unsafe extern "C" fn(c_uint) -> c_int;

/// irqkit's state of the hotplug machine. Its module holds the only one.
pub(crate) struct Registry(());

impl Registry {
    /// Asks for a state. May sleep.
    ///
    /// # Safety
    ///
    /// To be called once, when irqkit is loaded; the result must be dropped before its code goes,
    /// and after all of [`Registration`].
    pub(crate) unsafe fn new() -> Result<Self> {
        // SAFETY: The core calls these with a node, since the state is one of instances, and by a
        // pointer of that type.
        let (online, offline) = unsafe {
            (
                core::mem::transmute::<Multi, Single>(online),
                core::mem::transmute::<Multi, Single>(offline),
            )
        };
        // SAFETY: The name and the functions are static, and live until the state is removed.
        let state = unsafe {
            bindings::__cpuhp_setup_state(
                bindings::cpuhp_state_CPUHP_AP_ONLINE_DYN,
                c"irqkit:online".as_char_ptr(),
                false,
                Some(online),
                Some(offline),
                true,
            )
        };

        to_result(state.min(0))?;
        STATE.store(state, Relaxed);
        Ok(Self(()))
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        if let Ok(state) = state() {
            STATE.store(0, Relaxed);
            // SAFETY: It is ours, and has no instances: devres has removed them, at the latest when
            // their devices were unbound from drivers that use irqkit.
            unsafe { bindings::__cpuhp_remove_state(state, false) };
        }
    }
}

/// A registered [`Watcher`].
///
/// Dropping it waits for a call in progress, then drops the watcher; task context, and not from one
/// of the watcher's own calls. At the latest that happens when the device is unbound, so leaking it
/// is harmless.
///
/// Stands for `cpuhp_state_add_instance_nocalls()` and `cpuhp_state_remove_instance_nocalls()`.
#[must_use = "the watcher is unregistered when the registration is dropped"]
pub struct Registration<T: Watcher>(#[allow(dead_code)] Devres<Node<T>>);

impl<T: Watcher> Registration<T> {
    /// Registers `watcher` for as long as `dev` is bound. Task context.
    ///
    /// # Errors
    ///
    /// `EXDEV` if the watcher is not of the module whose driver the device is bound to; `ENOMEM`.
    pub fn new<E>(dev: &Device<Bound>, watcher: impl PinInit<T, E>) -> Result<Self>
    where
        Error: From<E>,
    {
        owner::check(dev, Node::<T>::online as *const ())?;
        Ok(Self(Devres::new::<Error>(dev, Node::new(watcher))?))
    }
}
