// SPDX-License-Identifier: GPL-2.0
/*
 * Exports irqkit's Rust symbols and C helpers to the modules that are built
 * against its crate. The list is made from the objects at build time.
 *
 * The names are Rust's (v0 mangling), which C accepts as identifiers; the types
 * are of no interest to the linker.
 */

#include <linux/export.h>

#define EXPORT_SYMBOL_RUST_GPL(sym) extern int sym; EXPORT_SYMBOL_GPL(sym)

#include "exports_irqkit_generated.h"
