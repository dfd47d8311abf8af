// SPDX-License-Identifier: GPL-2.0

#include <asm/barrier.h>

void irqkit_helper_virt_mb(void)
{
	virt_mb();
}

void irqkit_helper_virt_rmb(void)
{
	virt_rmb();
}

void irqkit_helper_virt_wmb(void)
{
	virt_wmb();
}
