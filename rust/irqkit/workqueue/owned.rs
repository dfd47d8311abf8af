// SPDX-License-Identifier: GPL-2.0

//! The three ways to own a work item.

use core::{
    cell::UnsafeCell,
    marker::PhantomData,
    mem::ManuallyDrop,
    ops::Deref,
    ptr::NonNull, //
};

use kernel::{
    alloc::Flags,
    cpu::CpuId,
    prelude::*,
    sync::{
        Arc,
        LockClassKey, //
    },
    time::Delta, //
};

use super::{
    entry::Ops,
    item::{
        Item,
        Request, //
    },
    Class,
    Handler,
    Job,
    Queue,
    Tasks, //
};
use crate::path::{
    Run,
    Stamp, //
};

/// A work item, pinned in its owner.
///
/// It dereferences to [`Item`], by which it is requested.
///
/// # Dropping
///
/// Dropping it takes back what is pending or delayed (`cancelled`), and waits for a run in
/// progress. It never runs afterwards, even if its handler requests itself.
///
/// It stands for `disable_delayed_work_sync()` and must be done in task context, and not by its own
/// handler, which would wait for itself: an item whose handler may drop its owner belongs into an
/// [`ArcWork`]. Elsewhere it is a bug, which the kernel reports, and at worst the thread or the CPU
/// hangs; the memory is not freed while it is in use.
///
/// Leaking it is harmless: its memory is not reused, and it is closed before its code goes away.
///
/// # Invariants
///
/// `item` is of `Self::OPS`, and is field `item` of `Self`, pinned.
#[pin_data]
pub struct Work<T: Handler<C>, C: Class = Tasks> {
    // First, because it waits for who uses the handler.
    #[pin]
    item: Item,
    #[pin]
    handler: T,
    _class: PhantomData<fn() -> C>,
}

impl<T: Handler<C>, C: Class> Work<T, C> {
    const OPS: Ops = Ops {
        waits: true,
        run: Self::run,
        acquire: Self::nothing,
        release: Self::nothing,
    };

    /// Creates an item of `queue` that runs `handler`.
    ///
    /// `key` is `static_lock_class!()`, by which lockdep tells it from others. It may be called
    /// from any context that `handler` allows.
    ///
    /// # Errors
    ///
    /// - `ESHUTDOWN`: the queue was closed, as the module that it was made for goes away.
    /// - `EXDEV`: the queue was made for another module than the handler's.
    pub fn new<E>(
        handler: impl PinInit<T, E>,
        queue: &Queue<C>,
        key: Pin<&'static LockClassKey>,
    ) -> impl PinInit<Self, Error>
    where
        Error: From<E>,
    {
        let queue = queue.shared().clone();

        // INVARIANT: The item is made of these operations.
        try_pin_init!(Self {
            handler <- handler,
            item <- Item::new(queue, &Self::OPS, key),
            _class: PhantomData,
        })
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &T {
        &self.handler
    }

    /// [`Ops::run`]
    ///
    /// # Safety
    ///
    /// As it says, with an item of `Self::OPS`.
    unsafe fn run(item: NonNull<Item>, run: &mut Run<'_>) {
        // SAFETY: By the type invariant it is field `item` of a `Self`, whose drop waits for this.
        let work = unsafe { &*kernel::container_of!(item.as_ptr(), Self, item) };

        // SAFETY: This is called by the entry of class `C`, in its context.
        work.handler.run(unsafe { C::token() }, &work.item, run);
    }

    /// [`Ops::acquire`] and [`Ops::release`]: drop waits instead.
    ///
    /// # Safety
    ///
    /// As they say; it does nothing.
    unsafe fn nothing(_item: NonNull<Item>) {}
}

impl<T: Handler<C>, C: Class> Deref for Work<T, C> {
    type Target = Item;

    #[inline]
    fn deref(&self) -> &Item {
        &self.item
    }
}

/// An item and its handler in an [`Arc`].
///
/// # Invariants
///
/// `item` is of `ArcWork::<T, C>::OPS`, and is field `item` of `Self`, which is in an [`Arc`]. The
/// core's requests have a reference each.
#[pin_data]
struct ArcNode<T: Handler<C>, C: Class> {
    // First: nobody uses it any more, but its drop may ask who its item is.
    #[pin]
    handler: T,
    #[pin]
    item: Item,
    _class: PhantomData<fn() -> C>,
}

/// A work item in an [`Arc`].
///
/// A request that is pending or delayed, and a run, keep it alive. It dereferences to [`Item`], by
/// which it is requested.
///
/// # Dropping
///
/// Dropping a handle neither cancels nor waits, and may be done in any context, including its own
/// handler. The last one to go, which may be the run, drops the handler in its context. What is
/// pending when the [`Queue`] is dropped is taken back, so that is what ends it.
///
/// Leaking it is harmless, as with [`Work`](Work#dropping).
pub struct ArcWork<T: Handler<C>, C: Class = Tasks>(Arc<ArcNode<T, C>>);

impl<T: Handler<C>, C: Class> ArcWork<T, C> {
    const OPS: Ops = Ops {
        waits: false,
        run: Self::run,
        acquire: Self::acquire,
        release: Self::release,
    };

    /// Creates an item of `queue` that runs `handler`, allocated with `flags`.
    ///
    /// `key` is `static_lock_class!()`, by which lockdep tells it from others. It may be called
    /// from any context that `handler` and `flags` allow.
    ///
    /// # Errors
    ///
    /// As [`Work::new`], and `ENOMEM`.
    pub fn new<E>(
        handler: impl PinInit<T, E>,
        queue: &Queue<C>,
        key: Pin<&'static LockClassKey>,
        flags: Flags,
    ) -> Result<Self>
    where
        Error: From<E>,
    {
        let queue = queue.shared().clone();

        // INVARIANT: The item is made of these operations. Nothing is pending.
        let node = try_pin_init!(ArcNode {
            handler <- handler,
            item <- Item::new(queue, &Self::OPS, key),
            _class: PhantomData,
        }? Error);
        Ok(Self(Arc::pin_init::<Error>(node, flags)?))
    }

    /// Returns the handler.
    #[inline]
    pub fn handler(&self) -> &T {
        &self.0.handler
    }

    /// Returns the node that `item` is of.
    fn node(item: NonNull<Item>) -> *const ArcNode<T, C> {
        // SAFETY: By the invariants of the node it is field `item` of one.
        unsafe { kernel::container_of!(item.as_ptr(), ArcNode<T, C>, item) }
    }

    /// [`Ops::run`]
    ///
    /// # Safety
    ///
    /// As it says, with an item of `Self::OPS`.
    unsafe fn run(item: NonNull<Item>, run: &mut Run<'_>) {
        // SAFETY: By the invariants of the node, the request's reference keeps it alive.
        let node = unsafe { &*Self::node(item) };

        // SAFETY: This is called by the entry of class `C`, in its context.
        node.handler.run(unsafe { C::token() }, &node.item, run);
    }

    /// [`Ops::acquire`]
    ///
    /// # Safety
    ///
    /// As it says, with an item of `Self::OPS`.
    unsafe fn acquire(item: NonNull<Item>) {
        // SAFETY: By the invariants of the node it is in an `Arc`, which is alive. The reference
        // that is made of it is not dropped.
        let node = ManuallyDrop::new(unsafe { Arc::from_raw(Self::node(item)) });

        // The request's, until `release`.
        let _ = ManuallyDrop::new((*node).clone());
    }

    /// [`Ops::release`]
    ///
    /// # Safety
    ///
    /// As it says, with an item of `Self::OPS`.
    unsafe fn release(item: NonNull<Item>) {
        // SAFETY: It is the reference that `acquire` has left.
        drop(unsafe { Arc::from_raw(Self::node(item)) });
    }
}

impl<T: Handler<C>, C: Class> Clone for ArcWork<T, C> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: Handler<C>, C: Class> Deref for ArcWork<T, C> {
    type Target = Item;

    #[inline]
    fn deref(&self) -> &Item {
        &self.0.item
    }
}

/// An item and its job in a [`KBox`].
///
/// # Invariants
///
/// - `item` is of `BoxWork::<J, C>::OPS`, and is field `item` of `Self`, which is in a [`KBox`].
/// - It is owned by its [`BoxWork`] and idle, or by the core's one request.
/// - `job` is used by its owner alone.
#[pin_data]
struct BoxNode<J: Job<C>, C: Class> {
    // First, as in `ArcNode`.
    job: UnsafeCell<Option<J>>,
    #[pin]
    item: Item,
    _class: PhantomData<fn() -> C>,
}

/// A work item in a [`KBox`], which runs once and consumes its job.
///
/// Dropping it, which means that it was never requested, frees it and may be done in any context.
/// From the request on it belongs to the queue; when that is dropped before it runs, so is the job.
#[must_use = "it does nothing until it is scheduled"]
pub struct BoxWork<J: Job<C>, C: Class = Tasks>(Pin<KBox<BoxNode<J, C>>>);

// SAFETY: Who has it has the job alone, which is `Send`, and the item, which may be used by any
// thread.
unsafe impl<J: Job<C>, C: Class> Send for BoxWork<J, C> {}

impl<J: Job<C>, C: Class> BoxWork<J, C> {
    const OPS: Ops = Ops {
        waits: false,
        run: Self::run,
        acquire: Self::nothing,
        release: Self::release,
    };

    /// Creates an item of `queue` that does `job`, allocated with `flags`.
    ///
    /// `key` is `static_lock_class!()`, by which lockdep tells it from others. It may be called
    /// from any context that `flags` allow.
    ///
    /// # Errors
    ///
    /// As [`Work::new`], and `ENOMEM`.
    pub fn new(
        job: J,
        queue: &Queue<C>,
        key: Pin<&'static LockClassKey>,
        flags: Flags,
    ) -> Result<Self> {
        let queue = queue.shared().clone();

        // INVARIANT: The item is made of these operations. It is idle.
        let node = try_pin_init!(BoxNode {
            job: UnsafeCell::new(Some(job)),
            item <- Item::new(queue, &Self::OPS, key),
            _class: PhantomData,
        }? Error);
        Ok(Self(KBox::pin_init(node, flags)?))
    }

    /// Requests its run, as [`Item::schedule`].
    ///
    /// May be called from any context but NMIs.
    ///
    /// # Errors
    ///
    /// `ESHUTDOWN`, and the item: its queue is closed.
    pub fn schedule(self, at: Stamp) -> Result<(), (Self, Error)> {
        self.request(|item| Ok(item.schedule(at)))
    }

    /// Requests its run on `cpu`, as [`Item::schedule_on`].
    ///
    /// May be called from any context but NMIs.
    ///
    /// # Errors
    ///
    /// With the item: `ESHUTDOWN`, its queue is closed; `ENXIO`, the CPU is not online.
    pub fn schedule_on(self, cpu: CpuId, at: Stamp) -> Result<(), (Self, Error)> {
        self.request(|item| item.schedule_on(cpu, at))
    }

    /// Requests its run after `delay`, as [`Item::schedule_after`].
    ///
    /// May be called from any context but NMIs.
    ///
    /// # Errors
    ///
    /// `ESHUTDOWN`, and the item: its queue is closed.
    pub fn schedule_after(self, delay: Delta, at: Stamp) -> Result<(), (Self, Error)> {
        self.request(|item| Ok(item.schedule_after(delay, at)))
    }

    fn request(self, request: impl FnOnce(&Item) -> Result<Request>) -> Result<(), (Self, Error)> {
        // SAFETY: It is treated as pinned.
        let node = KBox::into_raw(unsafe { Pin::into_inner_unchecked(self.0) });

        // INVARIANT: If this succeeds, the owner is the request, which may have ended already.
        //
        // SAFETY: Until then the box is ours; its end, in `release`, comes after the request has
        // done with it, as that has the item's lock.
        let answer = request(unsafe { &(*node).item });
        let error = match answer {
            Ok(Request::New) => return Ok(()),
            // Being idle before, it can't have coalesced.
            Ok(Request::Coalesced | Request::Refused) => ESHUTDOWN,
            Err(error) => error,
        };

        // SAFETY: No request was made, so it is still ours; it is pinned.
        let node = unsafe { Pin::new_unchecked(KBox::from_raw(node)) };
        Err((Self(node), error))
    }

    /// Returns the node that `item` is of.
    fn node(item: NonNull<Item>) -> *mut BoxNode<J, C> {
        // SAFETY: By the invariants of the node it is field `item` of one.
        unsafe { kernel::container_of!(item.as_ptr(), BoxNode<J, C>, item) }
    }

    /// [`Ops::run`]
    ///
    /// # Safety
    ///
    /// As it says, with an item of `Self::OPS`.
    unsafe fn run(item: NonNull<Item>, run: &mut Run<'_>) {
        let node = Self::node(item);

        // SAFETY: By the invariants of the node its owner is the request, which is this.
        let job = unsafe { &mut *(*node).job.get() }.take();

        if let Some(job) = job {
            // SAFETY: This is called by the entry of class `C`, in its context.
            job.run(unsafe { C::token() }, run);
        }
    }

    /// [`Ops::acquire`]: the request that is being made becomes the owner.
    ///
    /// # Safety
    ///
    /// As it says; it does nothing.
    unsafe fn nothing(_item: NonNull<Item>) {}

    /// [`Ops::release`]
    ///
    /// # Safety
    ///
    /// As it says, with an item of `Self::OPS`.
    unsafe fn release(item: NonNull<Item>) {
        // SAFETY: By the invariants of the node it is in a `KBox`, which the request owns, and it
        // is pinned.
        drop(unsafe { Pin::new_unchecked(KBox::from_raw(Self::node(item))) });
    }
}
