// SPDX-License-Identifier: GPL-2.0

//! Who takes back what was sent: a NAPI instance, or a tasklet.

use kernel::{
    prelude::*,
    sync::Arc, //
};

use irqkit::{
    context::{
        Atomic,
        SoftIrq, //
    },
    net::{
        self,
        Budget,
        Link,
        Napi,
        Next,
        Poller,
        TxCell, //
    },
    path::{
        self,
        Path,
        PathSet,
        Run,
        Stamp, //
    },
    tasklet::{
        State,
        Tasklet,
        TaskletHandler, //
    }, //
};

use super::{
    complete,
    Transmitter, //
};
use crate::{
    kind::Kind,
    param::Completion, //
};

/// The transmit queue, as NAPI sees it.
pub(crate) struct TxPoller<K: Kind>(Arc<TxCell<Transmitter<K>>>);

impl<K: Kind> Poller for TxPoller<K> {
    #[inline]
    fn poll(&mut self, budget: &mut Budget<'_>, ctx: SoftIrq<'_>) -> Next {
        let done = complete(&mut self.0.lock(ctx).locked(), |skb| budget.consume(skb));

        budget.items(done.into());
        // Interrupts were asked for under the lock. One that comes from now on is not missed: NAPI
        // remembers it.
        Next::Done
    }

    // The ring can't be reached here, which is without the lock. The device does not interrupt again
    // before it is asked to, with event indices, and else not much oftener.
    fn mask(&mut self) {}

    fn unmask(&mut self) -> bool {
        true
    }

    fn netpoll(&mut self, ctx: SoftIrq<'_>) {
        // Whoever prints to the network may hold the lock.
        if let Some(mut queue) = self.0.try_lock(ctx) {
            complete(&mut queue.locked(), drop);
        }
    }
}

/// The transmit queue, as a tasklet sees it.
pub(crate) struct TxTasklet<K: Kind>(Arc<TxCell<Transmitter<K>>>);

impl<K: Kind> TaskletHandler for TxTasklet<K> {
    #[inline]
    fn run(&self, ctx: SoftIrq<'_>, run: &mut Run<'_>) {
        let done = complete(&mut self.0.lock(ctx).locked(), |skb| skb.consume(ctx));

        run.items(done.into());
    }
}

/// The sending queue of a pair, as the receiving one sees it.
pub(crate) struct Sibling<K: Kind> {
    pub(crate) cell: Arc<TxCell<Transmitter<K>>>,
    /// The path by which what was sent comes back.
    pub(crate) path: Arc<Path>,
}

impl<K: Kind> Sibling<K> {
    /// Takes back what was sent, if it costs nothing to speak of: something was, and nobody has the lock. What comes
    /// in is mostly the answer to that, so the interrupt for it is put off.
    #[inline]
    pub(crate) fn complete(&self, budget: &mut Budget<'_>, ctx: SoftIrq<'_>) {
        let Some(mut guard) = self.cell.try_lock(ctx) else {
            return;
        };
        let mut queue = guard.locked();

        if queue.ring.has_used() {
            let done = complete(&mut queue, |skb| budget.consume(skb));
            self.path.items(done.into());
        }
    }

    /// The same for netpoll, which polls no tasklets, and without a budget.
    #[cold]
    pub(crate) fn netpoll(&self, ctx: SoftIrq<'_>) {
        // Whoever prints to the network may hold the lock.
        if let Some(mut guard) = self.cell.try_lock(ctx) {
            let done = complete(&mut guard.locked(), drop);
            self.path.items(done.into());
        }
    }
}

/// Who takes back what was sent.
pub(crate) enum Completer<K: Kind> {
    Napi(Arc<Napi<TxPoller<K>>>),
    Tasklet(Pin<KBox<Tasklet<TxTasklet<K>>>>),
}

impl<K: Kind> Completer<K> {
    /// Makes that of queue `index`, with its path in `files`, and what the receiving queue needs of it. May sleep.
    pub(crate) fn new(
        how: Completion,
        files: &PathSet,
        device: &Arc<net::Device>,
        index: u16,
        cell: &Arc<TxCell<Transmitter<K>>>,
    ) -> Result<(Self, Sibling<K>)> {
        let kind = match how {
            Completion::Napi => path::Kind::Napi,
            Completion::Tasklet => path::Kind::Tasklet,
        };
        let name = kernel::str::CString::try_from_fmt(fmt!("{}/tx{index}", how.name()))?;
        let path = files.path_or_existing(kind, &name)?;
        let sibling = Sibling {
            cell: cell.clone(),
            path: path.clone(),
        };

        let completer = match how {
            Completion::Napi => {
                let poller = TxPoller(cell.clone());
                Self::Napi(device.napi(Link::Tx(index), path, poller)?)
            }
            Completion::Tasklet => {
                let handler = TxTasklet(cell.clone());
                let tasklet = Tasklet::new(Ok::<_, Error>(handler), path, State::Enabled);
                Self::Tasklet(KBox::pin_init(tasklet, GFP_KERNEL)?)
            }
        };
        Ok((completer, sibling))
    }

    /// Has it run soon.
    #[inline]
    pub(crate) fn schedule(&self, ctx: impl Atomic, at: Stamp) {
        match self {
            Self::Napi(napi) => {
                napi.schedule(ctx, at);
            }
            Self::Tasklet(tasklet) => {
                tasklet.schedule(at);
            }
        }
    }

    /// The NAPI instance, if it is one.
    pub(crate) fn napi(&self) -> Option<&Arc<Napi<TxPoller<K>>>> {
        match self {
            Self::Napi(napi) => Some(napi),
            Self::Tasklet(_) => None,
        }
    }
}
