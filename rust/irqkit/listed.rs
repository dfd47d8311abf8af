// SPDX-License-Identifier: GPL-2.0

//! Lists of what modules have made, linked through the objects themselves, so that they take no
//! memory, and objects can be made and dropped in any context: what a module has leaked is ended
//! before its code goes.

use core::{
    cell::UnsafeCell,
    ptr::NonNull, //
};

use crate::raw_lock::RawLock;

/// An object's place on its list.
///
/// # Invariants
///
/// The neighbours are alive and on the list. An object that is not `listed` has none.
pub(crate) struct Links<T> {
    listed: bool,
    previous: Option<NonNull<T>>,
    next: Option<NonNull<T>>,
}

impl<T> Links<T> {
    /// Those of an object that is on no list.
    pub(crate) const NONE: Self = Self {
        listed: false,
        previous: None,
        next: None,
    };
}

/// An object that can be on a list.
///
/// # Safety
///
/// `links()` must return the same cell each time, another one for each object, and only the list may
/// use it. `code()` must be what is called back.
pub(crate) unsafe trait Listed: Sized {
    /// Returns its links.
    fn links(&self) -> &UnsafeCell<Links<Self>>;

    /// Returns the address of the code that it has called back.
    fn code(&self) -> usize;

    /// Returns whether that code is in the module at the address `module`.
    ///
    /// # Safety
    ///
    /// The module's memory must still be there.
    unsafe fn is_of(&self, module: usize) -> bool {
        // SAFETY: By the safety requirements.
        unsafe { irqkit_bindings::within_module(self.code(), module as *const _) }
    }
}

/// A list.
///
/// # Invariants
///
/// The objects from `first` on, by `next`, are alive. They are all whose links say `listed`: there is
/// one list for each type.
pub(crate) struct List<T> {
    first: Option<NonNull<T>>,
}

// SAFETY: What is on it may be used by any thread.
unsafe impl<T: Sync> Send for List<T> {}

impl<T> List<T> {
    /// One with nothing on it.
    pub(crate) const EMPTY: Self = Self { first: None };
}

impl<T: Listed> List<T> {
    /// Returns the links of an object.
    ///
    /// # Safety
    ///
    /// `object` must be alive, and the list be borrowed for as long as `'a`, in which nobody else
    /// asks for the same links.
    unsafe fn links<'a>(object: NonNull<T>) -> &'a mut Links<T> {
        // SAFETY: By the safety requirements.
        unsafe { &mut *object.as_ref().links().get() }
    }

    /// Adds an object.
    ///
    /// # Safety
    ///
    /// It must be alive until it was removed, and not be on the list.
    unsafe fn add(&mut self, object: NonNull<T>) {
        if let Some(first) = self.first {
            // SAFETY: By the type invariants it is alive; the list is borrowed.
            unsafe { Self::links(first) }.previous = Some(object);
        }
        // INVARIANT: All are alive, by the safety requirements.
        // SAFETY: As above.
        *unsafe { Self::links(object) } = Links {
            listed: true,
            previous: None,
            next: self.first,
        };
        self.first = Some(object);
    }

    /// Removes an object if it is on the list.
    ///
    /// # Safety
    ///
    /// It must be alive.
    pub(crate) unsafe fn remove(&mut self, object: NonNull<T>) {
        // SAFETY: It is alive by the safety requirements; the list is borrowed.
        let links = core::mem::replace(unsafe { Self::links(object) }, Links::NONE);

        if !links.listed {
            return;
        }
        match links.previous {
            // SAFETY: By the type invariants it is alive; the list is borrowed.
            Some(previous) => unsafe { Self::links(previous) }.next = links.next,
            None => self.first = links.next,
        }
        if let Some(next) = links.next {
            // SAFETY: As above.
            unsafe { Self::links(next) }.previous = links.previous;
        }
    }

    /// Returns the first object for which `is_it` says so.
    pub(crate) fn find(&mut self, mut is_it: impl FnMut(&T) -> bool) -> Option<NonNull<T>> {
        let mut next = self.first;

        while let Some(object) = next {
            // SAFETY: By the type invariants it is alive.
            if is_it(unsafe { object.as_ref() }) {
                return next;
            }
            // SAFETY: As above; the list is borrowed.
            next = unsafe { Self::links(object) }.next;
        }
        None
    }
}

impl<T: Listed> RawLock<List<T>> {
    /// Lists an object. Any context but NMIs.
    ///
    /// # Safety
    ///
    /// It must be new, and stay where it is until [`RawLock::unlist`] was called. This must be the
    /// one list of its type.
    pub(crate) unsafe fn list(&self, object: NonNull<T>) {
        // SAFETY: By the safety requirements.
        self.with(|list| unsafe { list.add(object) });
    }

    /// Takes an object off the list, unless its module's end already did. Any context but NMIs.
    pub(crate) fn unlist(&self, object: &T) {
        // SAFETY: It is borrowed.
        self.with(|list| unsafe { list.remove(NonNull::from(object)) });
    }

    /// Takes an object of the module at the address `module` off the list, and returns it.
    ///
    /// # Safety
    ///
    /// The module's memory must still be there.
    pub(crate) unsafe fn unlist_one_of(&self, module: usize) -> Option<NonNull<T>> {
        self.with(|list| {
            // SAFETY: By the safety requirements.
            let found = list.find(|object| unsafe { object.is_of(module) })?;
            // SAFETY: It is on the list, hence alive.
            unsafe { list.remove(found) };
            Some(found)
        })
    }
}
