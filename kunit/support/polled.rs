// SPDX-License-Identifier: GPL-2.0

//! A receive queue with a page pool, which is polled once, for what can only be done there.

// No suite uses all of it.
#![allow(dead_code)]

use kernel::{
    device::{
        Bound,
        Device, //
    },
    faux,
    prelude::*,
    sync::{
        atomic::{
            Acquire,
            Atomic,
            Release, //
        },
        Arc, //
    }, //
};

use irqkit::{
    context::{
        SoftIrq,
        Task, //
    },
    dma::{
        Addressing,
        Pool, //
    },
    net::{
        Budget,
        Builder,
        Idle,
        Link,
        Napi,
        Next,
        PagePool,
        Poller, //
    },
    path::{
        Kind,
        PathSet,
        Stamp, //
    }, //
};

use crate::support::until;

/// What is done in the poll, with what was laid ready for it.
pub(crate) type Job<S, R> = fn(&mut PagePool, S, &mut Budget<'_>) -> R;

/// Does its job in the first poll.
pub(crate) struct Polled<S, R> {
    pool: PagePool,
    job: Job<S, R>,
    ready: Option<S>,
    result: Option<R>,
    done: Arc<Atomic<bool>>,
}

impl<S: Send + 'static, R: Send + 'static> Poller for Polled<S, R> {
    fn poll(&mut self, budget: &mut Budget<'_>, _ctx: SoftIrq<'_>) -> Next {
        if let Some(ready) = self.ready.take() {
            self.result = Some((self.job)(&mut self.pool, ready, budget));
            self.done.store(true, Release);
        }
        Next::Done
    }

    fn mask(&mut self) {}

    fn unmask(&mut self) -> bool {
        true
    }
}

/// A device that is not registered, with one pair of queues.
pub(crate) struct Stand {
    builder: Builder,
    paths: PathSet,
    memory: Arc<Pool>,
    _parent: faux::Registration,
}

/// The instance of its receive queue.
pub(crate) type Queue<S, R> = Arc<Napi<Polled<S, R>>>;

impl Stand {
    pub(crate) fn new(name: &CStr) -> Result<Self> {
        let parent = faux::Registration::new(name, None)?;
        let dev: &faux::Device<Bound> = parent.as_ref();
        let dev: &Device<Bound> = dev.as_ref();

        Ok(Self {
            builder: Builder::new(dev, 1, 1)?,
            paths: PathSet::new::<crate::LocalModule>(name)?,
            // SAFETY: There is no hardware: nobody addresses anything.
            memory: unsafe { Pool::new(dev, Addressing::Physical) }?,
            _parent: parent,
        })
    }

    /// Makes a pool, of which there may be several.
    pub(crate) fn pool(&self) -> Result<PagePool> {
        PagePool::new(self.builder.device(), 0, &self.memory, 64)
    }

    /// Has `job` done in a poll, with what `ready` made before, and returns what came of it, and the queue,
    /// which is disabled. Once.
    pub(crate) fn poll_once<S: Send + 'static, R: Send + 'static>(
        &self,
        ready: impl FnOnce(&mut PagePool, &Idle<'_>) -> Result<S>,
        job: Job<S, R>,
    ) -> Result<(R, Queue<S, R>)> {
        let path = self.paths.path_or_existing(Kind::Napi, c"napi/rx0")?;
        let done = Arc::new(Atomic::new(false), GFP_KERNEL)?;
        let polled = Polled {
            pool: self.pool()?,
            job,
            ready: None,
            result: None,
            done: done.clone(),
        };
        let napi = self.builder.device().napi(Link::Rx(0), path, polled)?;

        let result = Task::with(|task| {
            napi.with(task, |polled, idle| -> Result {
                polled.ready = Some(ready(&mut polled.pool, idle)?);
                Ok(())
            })?;
            napi.enable(task)?;
            napi.schedule_from_task(task, Stamp::NONE);
            until(|| done.load(Acquire));
            napi.disable(task);
            napi.with(task, |polled, _| polled.result.take())
                .ok_or(ETIMEDOUT)
        })??;
        Ok((result, napi))
    }
}

/// Returns how many pages came back to the pool of `queue`, to be used again.
pub(crate) fn recycled<S: Send + 'static, R: Send + 'static>(queue: &Queue<S, R>) -> Result<u64> {
    Task::with(|task| queue.with(task, |polled, _| polled.pool.stats().recycled))
}
