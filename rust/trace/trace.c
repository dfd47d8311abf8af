// SPDX-License-Identifier: GPL-2.0
/*
 * What only C can define for irqkit: its tracepoints and its static key.
 */

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "irqkit_trace.h"
#include "irqkit_keys.h"

DEFINE_STATIC_KEY_FALSE(irqkit_timing);
