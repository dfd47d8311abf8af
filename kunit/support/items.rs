// SPDX-License-Identifier: GPL-2.0

//! Work items made of closures, and what tests of them need.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    prelude::*,
    static_lock_class,
    sync::{
        atomic::Atomic,
        Arc, //
    }, //
};

use irqkit::{
    context::Task,
    path::Run,
    workqueue::{
        Class,
        Handler,
        Item,
        Queue,
        Token,
        Work, //
    }, //
};

use super::{
    books::Books,
    gate::Gate, //
};

/// A handler made of a closure.
pub(crate) struct Body<F>(pub(crate) F);

impl<C, F> Handler<C> for Body<F>
where
    C: Class,
    F: Fn(&Item, &mut Run<'_>) + Send + Sync + 'static,
{
    fn run(&self, _ctx: Token<'_, C>, this: &Item, run: &mut Run<'_>) {
        self.0(this, run);
    }
}

/// Creates an item of `queue`.
pub(crate) fn work<C, F>(queue: &Queue<C>, body: F) -> Result<Pin<KBox<Work<Body<F>, C>>>>
where
    C: Class,
    F: Fn(&Item, &mut Run<'_>) + Send + Sync + 'static,
{
    KBox::pin_init(
        Work::new(Body(body), queue, static_lock_class!()),
        GFP_KERNEL,
    )
}

/// A number that handlers and tests share.
pub(crate) fn shared() -> Result<Arc<Atomic<u64>>> {
    Ok(Arc::new(Atomic::new(0), GFP_KERNEL)?)
}

/// A gate that is closed.
pub(crate) fn closed_gate() -> Result<Arc<Gate>> {
    let gate = Arc::new(Gate::open(), GFP_KERNEL)?;

    gate.close();
    Ok(gate)
}

/// The books of the path `work/<name>`: `scheduled`, `runs`, `coalesced` and `cancelled`.
pub(crate) fn account(books: &Books, name: &str) -> Result<[u64; 4]> {
    let path = kernel::str::CString::try_from_fmt(fmt!("work/{name}"))?;

    books.stats(
        path.to_str()?,
        ["scheduled", "runs", "coalesced", "cancelled"],
    )
}

/// Returns whether the books of [`account`] balance.
pub(crate) fn balanced(account: [u64; 4]) -> bool {
    let [scheduled, runs, coalesced, cancelled] = account;

    scheduled == runs + coalesced + cancelled
}

/// Calls `f` with the token of the test's task.
pub(crate) fn task<R>(f: impl FnOnce(Task<'_>) -> R) -> Result<R> {
    Task::with(|task| f(task))
}
