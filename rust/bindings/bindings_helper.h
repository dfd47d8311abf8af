/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Headers of what kernel::bindings lacks. Types come from there wherever it has
 * them: bindgen_parameters names what is generated from here.
 *
 * Sorted alphabetically.
 */

#include <linux/etherdevice.h>
#include <linux/hw_random.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/suspend.h>
#include <net/netdev_queues.h>
#include <net/page_pool/helpers.h>

#include "../helpers/net.h"
#include "../trace/irqkit_trace.h"
