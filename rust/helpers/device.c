// SPDX-License-Identifier: GPL-2.0

#include <linux/device.h>
#include <linux/module.h>

/* The device must be bound. */
bool irqkit_helper_driver_owns(struct device *dev, unsigned long addr)
{
	const struct module *owner = dev->driver->owner;

	return owner && within_module(addr, owner);
}
