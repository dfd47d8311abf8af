/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _IRQKIT_KEYS_H
#define _IRQKIT_KEYS_H

#include <linux/jump_label.h>

/* How many path sets have `timing` on. Defined in trace.c, used by Rust. */
DECLARE_STATIC_KEY_FALSE(irqkit_timing);

#endif /* _IRQKIT_KEYS_H */
