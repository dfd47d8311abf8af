// SPDX-License-Identifier: GPL-2.0

//! Work on queues of all kinds.

use irqkit::{
    context::{
        Context,
        HardIrq,
        Task, //
    },
    path::{
        PathSet,
        Run,
        Stamp, //
    },
    workqueue::{
        system,
        ArcWork,
        BoxWork,
        Class,
        Handler,
        Item,
        Job,
        Queue,
        SoftIrqs,
        Tasks,
        Token,
        Work, //
    }, //
};
use kernel::{
    prelude::*,
    static_lock_class,
    time::Delta, //
};

/// Runs anywhere.
pub struct Anywhere;

impl<C: Class> Handler<C> for Anywhere {
    fn run(&self, ctx: Token<'_, C>, this: &Item, run: &mut Run<'_>) {
        if KBox::new([0u8; 64], ctx.alloc_flags()).is_err() {
            this.schedule_after(Delta::from_millis(1), run.cause());
        }
        run.items(1);
    }
}

impl<C: Class> Job<C> for Anywhere {
    fn run(self, _ctx: Token<'_, C>, run: &mut Run<'_>) {
        run.items(1);
    }
}

/// Needs a task.
pub struct Sleeper;

impl Handler for Sleeper {
    fn run(&self, task: Task<'_>, _this: &Item, _run: &mut Run<'_>) {
        task.sleep(Delta::from_millis(1));
    }
}

/// Several kinds of task queue in one place.
pub fn choose(set: &PathSet) -> Result<KVec<Queue>> {
    let mut queues = KVec::new();

    queues.push(
        Queue::percpu(c"percpu").cpu_intensive().build(set)?,
        GFP_KERNEL,
    )?;
    queues.push(
        Queue::unbound(c"unbound").max_active(2).build(set)?,
        GFP_KERNEL,
    )?;
    queues.push(
        Queue::ordered(c"ordered").mem_reclaim().build(set)?,
        GFP_KERNEL,
    )?;
    queues.push(system::dfl(set)?, GFP_KERNEL)?;
    Ok(queues)
}

/// An owner with its items in it, and without a lifetime: the queue may go first.
#[pin_data]
pub struct Owner {
    #[pin]
    sleeper: Work<Sleeper>,
    #[pin]
    softirq: Work<Anywhere, SoftIrqs>,
    shared: ArcWork<Anywhere>,
}

pub fn own(tasks: &Queue<Tasks>, softirqs: &Queue<SoftIrqs>) -> Result<Pin<KBox<Owner>>> {
    let shared = ArcWork::new(Anywhere, tasks, static_lock_class!(), GFP_KERNEL)?;

    KBox::try_pin_init(
        try_pin_init!(Owner {
            sleeper <- Work::new(Sleeper, tasks, static_lock_class!()),
            softirq <- Work::new(Anywhere, softirqs, static_lock_class!()),
            shared,
        }),
        GFP_KERNEL,
    )
}

pub fn interrupt(_ctx: HardIrq<'_>, owner: &Owner, once: BoxWork<Anywhere, SoftIrqs>) -> bool {
    owner.sleeper.schedule(Stamp::NONE);
    owner.softirq.schedule(Stamp::NONE);
    owner.shared.clone().schedule(Stamp::NONE);
    once.schedule(Stamp::NONE).is_ok()
}

pub fn wait(task: Task<'_>, owner: &Owner, queue: &Queue) -> Result<bool> {
    queue.flush(task)?;
    queue.drain(task, Delta::from_millis(100))?;
    Ok(owner.softirq.flush(task)? && owner.sleeper.cancel_and_wait(task)?)
}
