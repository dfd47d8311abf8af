// SPDX-License-Identifier: GPL-2.0

#include <asm/barrier.h>

void irqkit_helper_virt_mb(void)
{
	/* Orders what the caller says it orders. */
	virt_mb();
}

void irqkit_helper_virt_rmb(void)
{
	/* As above, reads. */
	virt_rmb();
}

void irqkit_helper_virt_wmb(void)
{
	/* As above, writes. */
	virt_wmb();
}
