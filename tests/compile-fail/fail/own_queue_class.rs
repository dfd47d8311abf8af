// SPDX-License-Identifier: GPL-2.0

//! The contexts of queues are those of the kernel.

use irqkit::workqueue::Class;

pub enum Nowhere {}

impl Class for Nowhere {} //~ ERROR E0277 the trait bound `Nowhere: workqueue::private::Sealed` is not satisfied

pub fn class<C: Class>() {}
