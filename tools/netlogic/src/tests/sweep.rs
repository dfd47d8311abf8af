// SPDX-License-Identifier: GPL-2.0

use crate::sweep::{
    sweep,
    End,
    Ring, //
};
use proptest::prelude::*;

/// A ring of a device that says what it likes.
struct Model<I> {
    /// How many buffers it has.
    in_flight: u32,
    /// What the device says each time that it is looked at: how many of them it is done with.
    says: I,
    asked: u32,
}

impl<I: Iterator<Item = u32>> Model<I> {
    fn new(in_flight: u32, says: impl IntoIterator<IntoIter = I>) -> Self {
        Self {
            in_flight,
            says: says.into_iter(),
            asked: 0,
        }
    }

    fn look(&mut self) -> u32 {
        self.says.next().unwrap_or(0)
    }
}

impl<I: Iterator<Item = u32>> Ring for Model<I> {
    fn take(&mut self) -> u32 {
        let taken = self.look().min(self.in_flight);

        self.in_flight -= taken;
        taken
    }

    fn ask(&mut self) -> bool {
        self.asked += 1;
        self.look() == 0
    }
}

#[test]
fn what_comes_while_it_asks_is_taken() {
    assert_eq!(sweep(&mut Model::new(8, [3, 0])), (3, End::Asked));
    assert_eq!(
        sweep(&mut Model::new(8, [3, 1, 1, 2, 2, 0])),
        (6, End::Asked)
    );
}

#[test]
fn what_comes_after_it_found_nothing_is_taken() {
    assert_eq!(sweep(&mut Model::new(8, [0, 0])), (0, End::Asked));
    assert_eq!(sweep(&mut Model::new(8, [0, 1, 1, 0])), (1, End::Asked));
}

#[test]
fn a_device_that_flips_does_not_keep_it_busy() {
    let mut model = Model::new(8, [0, 1].into_iter().cycle());

    assert_eq!(sweep(&mut model), (0, End::Revoked));
    assert_eq!(model.asked, 1);
}

proptest! {
    #[test]
    fn it_ends_whatever_the_device_says(in_flight in 0u32..300, says in prop::collection::vec(0u32..4, 1..20)) {
        let mut model = Model::new(in_flight, says.into_iter().cycle());
        let (taken, end) = sweep(&mut model);

        prop_assert_eq!(taken + model.in_flight, in_flight);
        // One round for each that there was, and one in which there was nothing.
        prop_assert!(model.asked <= in_flight + 1);
        if end == End::Revoked {
            prop_assert!(model.asked > 0);
        }
    }
}
