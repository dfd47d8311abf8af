// SPDX-License-Identifier: GPL-2.0

#include <linux/irqflags.h>
#include <linux/percpu.h>
#include <linux/preempt.h>

void __percpu *irqkit_helper___alloc_percpu_gfp(size_t size, size_t align,
						gfp_t gfp)
{
	return __alloc_percpu_gfp(size, align, gfp);
}

void *irqkit_helper_per_cpu_ptr(void __percpu *ptr, int cpu)
{
	return per_cpu_ptr(ptr, cpu);
}

void *irqkit_helper_raw_cpu_ptr(void __percpu *ptr)
{
	return raw_cpu_ptr(ptr);
}

void irqkit_helper_this_cpu_add_u64(u64 __percpu *ptr, u64 n)
{
	this_cpu_add(*ptr, n);
}

void irqkit_helper_preempt_disable(void)
{
	preempt_disable();
}

void irqkit_helper_preempt_enable(void)
{
	preempt_enable();
}

unsigned long irqkit_helper_local_irq_save(void)
{
	unsigned long flags;

	local_irq_save(flags);
	return flags;
}

void irqkit_helper_local_irq_restore(unsigned long flags)
{
	local_irq_restore(flags);
}
