// SPDX-License-Identifier: GPL-2.0

#include <linux/io.h>

phys_addr_t irqkit_helper_virt_to_phys(void *address)
{
	return virt_to_phys(address);
}
