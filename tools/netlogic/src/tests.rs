// SPDX-License-Identifier: GPL-2.0

//! Unit and property tests.

mod config;
mod features;
mod header;
mod patience;
mod share;
mod sweep;
