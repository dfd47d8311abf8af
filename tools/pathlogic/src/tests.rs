// SPDX-License-Identifier: GPL-2.0

//! Unit and property tests.

mod counters;
mod histogram;
mod names;
