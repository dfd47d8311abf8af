// SPDX-License-Identifier: GPL-2.0

#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqflags.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>

/*
 * A hard handler is promised that it may not be interrupted by its own line or
 * by softirqs on its CPU. Usually that is hard interrupt context; where handlers
 * are forced into threads (PREEMPT_RT, threadirqs) it is a task with softirqs
 * off, and free_irq() with CONFIG_DEBUG_SHIRQ makes a call of its own with
 * interrupts off.
 */
bool irqkit_helper_in_hard_handler(void)
{
	if (in_hardirq())
		return irqs_disabled();
	return !in_nmi() && !in_serving_softirq() &&
	       (irqs_disabled() || softirq_count());
}

bool irqkit_helper_in_hardirq(void)
{
	return in_hardirq();
}

bool irqkit_helper_in_softirq_handler(void)
{
	return in_serving_softirq() && !in_hardirq() && !in_nmi() && !irqs_disabled();
}

/*
 * As far as it can be known: without CONFIG_PREEMPT_COUNT a spinlock leaves no
 * trace.
 */
bool irqkit_helper_may_sleep(void)
{
	return in_task() && !irqs_disabled() && !softirq_count() &&
	       !(preempt_count() & PREEMPT_MASK) && !rcu_preempt_depth();
}

int irqkit_helper_irq_set_affinity_and_hint(unsigned int irq, const struct cpumask *mask)
{
	return irq_set_affinity_and_hint(irq, mask);
}

int irqkit_helper_irq_update_affinity_hint(unsigned int irq, const struct cpumask *mask)
{
	return irq_update_affinity_hint(irq, mask);
}

const struct cpumask *irqkit_helper_irq_get_affinity_mask(unsigned int irq)
{
	return irq_get_affinity_mask(irq);
}

const struct cpumask *irqkit_helper_irq_get_effective_affinity_mask(unsigned int irq)
{
	return irq_get_effective_affinity_mask(irq);
}

void irqkit_helper_tasklet_schedule(struct tasklet_struct *t)
{
	tasklet_schedule(t);
}

void irqkit_helper_tasklet_hi_schedule(struct tasklet_struct *t)
{
	tasklet_hi_schedule(t);
}

void irqkit_helper_tasklet_disable(struct tasklet_struct *t)
{
	tasklet_disable(t);
}

void irqkit_helper_tasklet_disable_nosync(struct tasklet_struct *t)
{
	tasklet_disable_nosync(t);
}

void irqkit_helper_tasklet_enable(struct tasklet_struct *t)
{
	tasklet_enable(t);
}

/* Once it was disabled: what tasklet_disable() waits for. */
bool irqkit_helper_tasklet_is_running(struct tasklet_struct *t)
{
#if defined(CONFIG_SMP) || defined(CONFIG_PREEMPT_RT)
	return test_bit_acquire(TASKLET_STATE_RUN, &t->state);
#else
	return false;
#endif
}

bool irqkit_helper_tasklet_is_disabled(struct tasklet_struct *t)
{
	return atomic_read(&t->count) != 0;
}

/* Undoes every tasklet_disable() at once; the caller is the last user. */
void irqkit_helper_tasklet_enable_all(struct tasklet_struct *t)
{
	atomic_set_release(&t->count, 0);
}
