// SPDX-License-Identifier: GPL-2.0

#include <linux/cpumask.h>
#include <linux/jiffies.h>
#include <linux/math64.h>
#include <linux/minmax.h>
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/workqueue.h>

struct workqueue_struct *irqkit_helper_alloc_workqueue(const char *name,
						       unsigned int flags,
						       int max_active)
{
	return alloc_workqueue("%s", flags, max_active, name);
}

/*
 * The key is of who makes the item: lockdep tells those apart. Code that is
 * generic over the context has one key for both, but they must not be taken for
 * the same lock. Classes are known by address, so the key has room for more.
 */
void irqkit_helper_init_delayed_work(struct delayed_work *work,
				     work_func_t func, bool softirq,
				     struct lock_class_key *key)
{
#ifdef CONFIG_LOCKDEP
	if (softirq)
		key = (struct lock_class_key *)&key->subkeys[1];
#endif
	__INIT_WORK_KEY(&work->work, func, 0, key);
	__timer_init(&work->timer, delayed_work_timer_fn, TIMER_IRQSAFE);
}

void irqkit_helper_init_work(struct work_struct *work, work_func_t func)
{
	INIT_WORK(work, func);
}

/* Rounds up: nothing is to happen before its time. */
unsigned long irqkit_helper_delay_to_jiffies(u64 ns)
{
	return min_t(u64, DIV_ROUND_UP_ULL(ns, TICK_NSEC), MAX_JIFFY_OFFSET);
}

bool irqkit_helper_cpu_online(unsigned int cpu)
{
	return cpu_online(cpu);
}

bool irqkit_helper_within_module(unsigned long addr, const struct module *mod)
{
	return within_module(addr, mod);
}

/*
 * Waits until no CPU and no task is in the middle of a function that does not
 * sleep.
 */
void irqkit_helper_synchronize_code(void)
{
	synchronize_rcu();
#ifdef CONFIG_TASKS_RCU
	synchronize_rcu_tasks();
#endif
}
