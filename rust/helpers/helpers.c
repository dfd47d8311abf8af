// SPDX-License-Identifier: GPL-2.0
/*
 * Inline functions and macros of C, one shim each, for irqkit to call.
 *
 * A helper for foo() is irqkit_helper_foo(), not rust_helper_foo(): those belong
 * to the kernel, which may one day export one of the same name.
 *
 * Sorted alphabetically.
 */

#include <linux/compiler_types.h>

#include "barrier.c"
#include "device.c"
#include "interrupt.c"
#include "io.c"
#include "jump_label.c"
#include "napi.c"
#include "netdevice.c"
#include "page_pool.c"
#include "pci.c"
#include "percpu.c"
#include "skbuff.c"
#include "spinlock.c"
#include "workqueue.c"
