// SPDX-License-Identifier: GPL-2.0
/*
 * Exports irqkit's Rust symbols and C helpers to the modules that are built
 * against its crate, all of them as GPL-only. The list is made from the objects
 * at build time (Kbuild).
 *
 * The names are Rust's (v0 mangling), which C accepts as identifiers; the list
 * declares each as an int, because types are of no interest to the linker.
 */

#include <linux/export.h>

#include "exports_irqkit_generated.h"
