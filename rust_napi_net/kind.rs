// SPDX-License-Identifier: GPL-2.0

//! What a card is compiled for: its rings, and the buffers that frames come into. Which of them it is
//! is chosen once, when the device is found, and not for each frame.

use core::marker::PhantomData;

use irqkit::{
    net::{
        InNapi,
        PagePool,
        PoolChain,
        PoolFrag,
        Received,
        Shape, //
    },
    virtio::{
        Buffer,
        Rings, //
    }, //
};

/// The kind of a card.
pub(crate) trait Kind: Send + Sync + 'static {
    /// Its rings.
    type Rings: Rings;
    /// What frames come into.
    type Memory: Memory;
}

/// The kind of a card with rings `R` and buffers `M`.
pub(crate) struct Of<R, M>(PhantomData<fn() -> (R, M)>);

impl<R: Rings, M: Memory> Kind for Of<R, M> {
    type Rings = R;
    type Memory = M;
}

/// What buffers are to be like.
#[derive(Clone, Copy)]
pub(crate) struct Shapes {
    /// The first piece, around which a packet can be built.
    pub(crate) first: Shape,
    /// The other pieces.
    pub(crate) more: Shape,
    /// How many of those.
    pub(crate) count: usize,
}

/// A buffer that a frame comes into.
pub(crate) trait Memory: Buffer + Send + Sized + 'static {
    /// What is left when the first piece was taken out.
    type Rest;

    /// Makes a buffer, if there is memory, out of what is left of an earlier one if there is that.
    fn alloc<A: InNapi>(
        pool: &mut PagePool,
        at: &A,
        shapes: &Shapes,
        spare: Option<Self>,
    ) -> Option<Self>;

    /// Takes out the first piece of what the device has written.
    fn first(self, written: u32) -> Option<(Received, Self::Rest)>;

    /// Takes out the next one.
    fn next(rest: &mut Self::Rest) -> Option<Received>;

    /// Returns what can be made use of again.
    fn spare(rest: Self::Rest) -> Option<Self>;

    /// Returns a first piece, of which all was copied, as a buffer, if it is one.
    fn reuse(first: Received) -> Option<Self>;
}

impl Memory for PoolFrag {
    type Rest = ();

    #[inline]
    fn alloc<A: InNapi>(
        pool: &mut PagePool,
        at: &A,
        shapes: &Shapes,
        spare: Option<Self>,
    ) -> Option<Self> {
        // Neither back to the pool nor taken from it.
        spare
            .filter(|spare| spare.shape() == shapes.first)
            .or_else(|| pool.alloc(at, shapes.first))
    }

    #[inline]
    fn first(self, written: u32) -> Option<(Received, ())> {
        Some((self.received(written), ()))
    }

    #[inline]
    fn next(_rest: &mut ()) -> Option<Received> {
        None
    }

    #[inline]
    fn spare(_rest: ()) -> Option<Self> {
        None
    }

    #[inline]
    fn reuse(first: Received) -> Option<Self> {
        Some(first.reuse())
    }
}

impl Memory for PoolChain {
    /// The chain, and how much of it was written.
    type Rest = (Self, u32);

    fn alloc<A: InNapi>(
        pool: &mut PagePool,
        at: &A,
        shapes: &Shapes,
        spare: Option<Self>,
    ) -> Option<Self> {
        let mut chain = match spare {
            Some(chain) => chain,
            None => Self::with_room(shapes.count + 1, at.alloc_flags()).ok()?,
        };

        // From the end to the beginning. Pieces that were not written to are there still; one of
        // them may be a first one, so they are all taken out.
        let whole = chain.len();
        chain.received(whole).for_each(drop);
        for _ in 0..shapes.count {
            chain.push(pool.alloc(at, shapes.more)?).ok()?;
        }
        chain.push(pool.alloc(at, shapes.first)?).ok()?;
        Some(chain)
    }

    fn first(mut self, written: u32) -> Option<(Received, Self::Rest)> {
        let first = self.received(written).next()?;
        let left = written.saturating_sub(first.len());

        Some((first, (self, left)))
    }

    fn next((chain, left): &mut Self::Rest) -> Option<Received> {
        let next = chain.received(*left).next()?;

        *left = left.saturating_sub(next.len());
        Some(next)
    }

    fn spare((chain, _): Self::Rest) -> Option<Self> {
        Some(chain)
    }

    /// It is one of several, and the list that they are in has gone its own way.
    fn reuse(_first: Received) -> Option<Self> {
        None
    }
}
