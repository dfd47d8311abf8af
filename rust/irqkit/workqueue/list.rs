// SPDX-License-Identifier: GPL-2.0

//! The list of a queue's items, linked through the items themselves: so that it takes no memory,
//! and items can be made and dropped in any context.

use core::ptr::NonNull;

use kernel::bindings;

use super::item::Item;

/// The neighbours of an item on its queue's list, under the list's lock.
///
/// # Invariants
///
/// The neighbours are alive and on the same list. An item that is not `listed` has none.
pub(super) struct Links {
    listed: bool,
    previous: Option<NonNull<Item>>,
    next: Option<NonNull<Item>>,
}

impl Links {
    /// Those of an item that is on no list.
    pub(super) const NONE: Self = Self {
        listed: false,
        previous: None,
        next: None,
    };
}

/// The items of a queue.
///
/// # Invariants
///
/// The items from `open` and from `buried` on, by `next`, are alive, and no item is on both. They
/// are all the queue's whose links say `listed`.
pub(super) struct Items {
    /// Those that take requests.
    open: Option<NonNull<Item>>,
    /// Those that were found when the queue was closed.
    buried: Option<NonNull<Item>>,
    closed: bool,
}

// SAFETY: The items may be used by any thread.
unsafe impl Send for Items {}

impl Items {
    pub(super) const fn new() -> Self {
        // INVARIANT: There are none.
        Self {
            open: None,
            buried: None,
            closed: false,
        }
    }

    /// No item is to be added any more.
    pub(super) fn close(&mut self) {
        self.closed = true;
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    /// Returns the links of an item.
    ///
    /// # Safety
    ///
    /// `item` must be alive, and the lock of its queue's list be held for as long as `'a`, in which
    /// nobody else asks for the same links.
    unsafe fn links<'a>(item: NonNull<Item>) -> &'a mut Links {
        // SAFETY: By the safety requirements.
        unsafe { &mut *(*item.as_ptr()).links.get() }
    }

    /// Adds an item to the open ones.
    ///
    /// # Safety
    ///
    /// `item` must be alive, not be listed, and be removed before it goes. `self` must be that of
    /// its queue.
    pub(super) unsafe fn add(&mut self, item: NonNull<Item>) {
        let next = self.open;
        // INVARIANT: The item is alive until it is removed, and listed.
        self.open = Some(item);
        // SAFETY: `self` is exclusive, so the lock is held; the item is alive, and `next` by the
        // type invariant.
        unsafe { Self::link(item, next) };
    }

    /// Links `item` before `next`.
    ///
    /// # Safety
    ///
    /// Both must be alive and different, and the list's lock be held.
    unsafe fn link(item: NonNull<Item>, next: Option<NonNull<Item>>) {
        // SAFETY: By the safety requirements; the borrow ends here.
        *unsafe { Self::links(item) } = Links {
            listed: true,
            previous: None,
            next,
        };
        if let Some(next) = next {
            // SAFETY: As above.
            unsafe { Self::links(next) }.previous = Some(item);
        }
    }

    /// Takes one of the open items to the buried ones, and returns it.
    pub(super) fn bury(&mut self) -> Option<NonNull<Item>> {
        let item = self.open?;

        // SAFETY: By the type invariant it is alive, and it is on this list.
        unsafe { self.remove(item) };
        let next = self.buried;
        // INVARIANT: It is alive until it is removed, and listed again.
        self.buried = Some(item);
        // SAFETY: `self` is exclusive, so the lock is held; both are alive by the type invariant.
        unsafe { Self::link(item, next) };
        Some(item)
    }

    /// Removes `item` if it is listed.
    ///
    /// # Safety
    ///
    /// `item` must be alive, and `self` be that of its queue.
    pub(super) unsafe fn remove(&mut self, item: NonNull<Item>) {
        // SAFETY: `self` is exclusive, so the lock is held; the item is alive.
        let links = core::mem::replace(unsafe { Self::links(item) }, Links::NONE);

        // INVARIANT: Its neighbours are linked to each other below, and it has none any more.
        if !links.listed {
            return;
        }
        match links.previous {
            // SAFETY: As above; it is another item, which is alive by the type invariant.
            Some(previous) => unsafe { Self::links(previous) }.next = links.next,
            None if self.open == Some(item) => self.open = links.next,
            None => self.buried = links.next,
        }
        if let Some(next) = links.next {
            // SAFETY: As above.
            unsafe { Self::links(next) }.previous = links.previous;
        }
    }

    /// Returns whether `work` is that of a listed item. It is not looked into.
    pub(super) fn has(&mut self, work: *mut bindings::work_struct) -> bool {
        for first in [self.open, self.buried] {
            let mut at = first;

            while let Some(item) = at {
                // SAFETY: By the type invariant it is alive.
                if unsafe { item.as_ref() }.as_work() == work {
                    return true;
                }
                // SAFETY: `self` is exclusive, so the lock is held; the borrow ends here.
                at = unsafe { Self::links(item) }.next;
            }
        }
        false
    }
}
