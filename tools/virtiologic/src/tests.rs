// SPDX-License-Identifier: GPL-2.0

//! Unit and property tests.

mod common;
mod features;
mod layout;
mod space;
