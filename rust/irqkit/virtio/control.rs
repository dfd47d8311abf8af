// SPDX-License-Identifier: GPL-2.0

//! Queues for commands: a request that the device reads, an answer that it writes, one at a time.

use kernel::{
    prelude::*,
    sync::Arc,
    time::{
        delay::fsleep,
        Delta, //
    }, //
};

use super::{
    buffer::{
        InBuffer,
        OutBuffer, //
    },
    doorbell::Doorbell,
    queue::Queue,
    ring::virtqueue::Virtqueue,
    rings::{
        PackedQueue,
        SplitQueue, //
    }, //
};
use crate::{
    context::Task,
    dma::Pool, //
};

/// How many descriptors such a queue has: a command takes two.
pub(super) const CONTROL_SIZE: u16 = 4;

/// How long a command may take, and how long the pauses are between two looks: the first, and the
/// longest.
const LIMIT: Delta = Delta::from_secs(5);
const FIRST_PAUSE: Delta = Delta::from_micros(20);
const LAST_PAUSE: Delta = Delta::from_millis(5);

/// A request and the room for its answer.
type Command = (OutBuffer, InBuffer);

/// The queue, by its kind: which one matters little for a command.
pub(super) enum Ring {
    Split(SplitQueue<Command, Doorbell>),
    Packed(PackedQueue<Command, Doorbell>),
}

/// A queue for commands, such as the one of a network card by which it is told how many of its queues
/// to use. Made by [`Setup::control`](super::Setup::control).
///
/// It has no interrupts: who gives a command waits, and looks.
///
/// Dropping it stops the device, as it does for any queue. It is used and dropped in task context.
pub struct Control {
    ring: Ring,
    /// The buffer; [`None`] while the device has it.
    spare: Option<Command>,
}

impl Control {
    /// Makes it of a split queue.
    pub(super) fn split(
        queue: SplitQueue<Command, Doorbell>,
        pool: &Arc<Pool>,
        room: usize,
        answer: usize,
    ) -> Result<Self> {
        Self::new(Ring::Split(queue), pool, room, answer)
    }

    /// Makes it of a packed queue.
    pub(super) fn packed(
        queue: PackedQueue<Command, Doorbell>,
        pool: &Arc<Pool>,
        room: usize,
        answer: usize,
    ) -> Result<Self> {
        Self::new(Ring::Packed(queue), pool, room, answer)
    }

    fn new(mut ring: Ring, pool: &Arc<Pool>, room: usize, answer: usize) -> Result<Self> {
        ring.disable_cb();
        Ok(Self {
            ring,
            spare: Some((
                OutBuffer::new(pool.alloc(room, GFP_KERNEL)?),
                InBuffer::new(pool.alloc(answer, GFP_KERNEL)?),
            )),
        })
    }

    /// Gives the device a command: a request, whose parts are put one behind the other, and waits
    /// until it has filled `answer`, at most about 5 s. Returns how many bytes of it the device has
    /// written. May sleep.
    ///
    /// A command that took too long still belongs to the device. As long as it does, no other one is
    /// given.
    ///
    /// # Errors
    ///
    /// - [`EINVAL`] if the request or `answer` is empty, [`EMSGSIZE`] if there is no room for one of
    ///   them;
    /// - [`ETIMEDOUT`] if the device took too long, and later [`EBUSY`] as long as it does;
    /// - [`EIO`] if the device broke the rules;
    /// - [`ENODEV`] if it is not at work.
    pub fn command(
        &mut self,
        _task: Task<'_>,
        request: &[&[u8]],
        answer: &mut [u8],
    ) -> Result<usize> {
        if !self.ring.is_at_work() {
            return Err(ENODEV);
        }
        self.collect();
        self.give(request, answer.len())?;

        let mut pause = FIRST_PAUSE;
        let mut waited = Delta::ZERO;
        loop {
            if let Some(written) = self.collect() {
                let (_, room) = self.spare.as_ref().ok_or(EIO)?;
                // No more than there is room for, by the queue's own books.
                let written = usize::try_from(written)?.min(answer.len());
                room.read(0, answer.get_mut(..written).ok_or(EIO)?)?;
                return Ok(written);
            }
            if self.ring.is_poisoned() {
                return Err(EIO);
            }
            if !self.ring.is_at_work() {
                return Err(ENODEV);
            }
            if waited >= LIMIT {
                return Err(ETIMEDOUT);
            }
            fsleep(pause);
            waited += pause;
            pause = (pause + pause).min(LAST_PAUSE);
        }
    }

    /// Takes the buffer back if the device has done with it, and returns how much it has written.
    fn collect(&mut self) -> Option<u32> {
        let (command, written) = self.ring.get_used()?;

        self.spare = Some(command);
        Some(written)
    }

    /// Hands the request to the device.
    fn give(&mut self, request: &[&[u8]], answer: usize) -> Result {
        if self.ring.is_poisoned() {
            return Err(EIO);
        }
        let (out, room) = self.spare.as_mut().ok_or(EBUSY)?;

        let mut end = 0usize;
        for part in request {
            out.write(end, part).map_err(|_| EMSGSIZE)?;
            end += part.len();
        }
        if end == 0 || answer == 0 {
            return Err(EINVAL);
        }
        out.set_len(u32::try_from(end).map_err(|_| EMSGSIZE)?)
            .map_err(|_| EMSGSIZE)?;
        room.set_len(u32::try_from(answer).map_err(|_| EMSGSIZE)?)
            .map_err(|_| EMSGSIZE)?;
        room.clear();

        let command = self.spare.take().ok_or(EBUSY)?;
        self.ring.give(command).map_err(|(command, error)| {
            self.spare = Some(command);
            error
        })
    }

    /// Makes it as new, after the device was reset. May sleep.
    pub(super) fn restart(&mut self) -> Result {
        if let Some(command) = self.ring.restart()? {
            self.spare = Some(command);
        }
        self.ring.disable_cb();
        Ok(())
    }

    /// Returns the queue.
    pub(super) fn ring(&mut self) -> &mut Ring {
        &mut self.ring
    }
}

/// Does the same with a queue of either kind.
macro_rules! with {
    ($ring:expr, $queue:ident => $do:expr) => {
        match $ring {
            Ring::Split($queue) => $do,
            Ring::Packed($queue) => $do,
        }
    };
}

impl Ring {
    fn disable_cb(&mut self) {
        with!(self, queue => queue.disable_cb());
    }

    fn get_used(&mut self) -> Option<(Command, u32)> {
        let used = with!(self, queue => queue.get_used())?;

        Some((used.buffer, used.written))
    }

    fn is_poisoned(&self) -> bool {
        with!(self, queue => queue.poisoned().is_some())
    }

    fn is_at_work(&self) -> bool {
        with!(self, queue => queue.port().is_at_work())
    }

    fn give(&mut self, command: Command) -> Result<(), (Command, Error)> {
        with!(self, queue => {
            queue
                .add(command)
                .map_err(|refused| (refused.buffer, refused.why.into()))?;
            queue.kick();
        });
        Ok(())
    }

    fn restart(&mut self) -> Result<Option<Command>> {
        with!(self, queue => restart(queue))
    }
}

/// Takes the one buffer back that the device did not return, if there is one, and makes the queue
/// live again.
fn restart<R>(queue: &mut Queue<Command, Doorbell, R>) -> Result<Option<Command>>
where
    R: Virtqueue<Command>,
{
    let mut stopped = queue.stop()?;
    let command = stopped.detach();

    stopped.restart()?;
    Ok(command)
}
