// SPDX-License-Identifier: GPL-2.0

#include <linux/etherdevice.h>
#include <linux/netdevice.h>
#include <linux/preempt.h>
#include <linux/skbuff.h>

#include "net.h"

/*
 * A poll runs in a softirq, in a task with softirqs off (threaded, busy polling),
 * or for netpoll, then with interrupts off as well.
 */
bool irqkit_helper_in_poll(void)
{
	return (softirq_count() || irqs_disabled()) && !in_hardirq() && !in_nmi();
}

void irqkit_helper_netif_napi_add_rx(struct net_device *dev, struct napi_struct *napi,
				     int (*poll)(struct napi_struct *, int), int index)
{
	netif_napi_add_config(dev, napi, poll, index);
}

void irqkit_helper_netif_napi_add_tx(struct net_device *dev, struct napi_struct *napi,
				     int (*poll)(struct napi_struct *, int))
{
	netif_napi_add_tx(dev, napi, poll);
}

void irqkit_helper_netif_napi_del(struct napi_struct *napi)
{
	netif_napi_del(napi);
}

/* The device is not registered, or no longer: nobody looks at its queues. */
void irqkit_helper_netif_queue_set_napi(struct net_device *dev, unsigned int index,
					bool tx, struct napi_struct *napi)
{
	netif_queue_set_napi(dev, index,
			     tx ? NETDEV_QUEUE_TYPE_TX : NETDEV_QUEUE_TYPE_RX, napi);
}

void irqkit_helper_netif_napi_set_irq(struct napi_struct *napi, int irq)
{
	netif_napi_set_irq(napi, irq);
}

/* From a task: the softirq runs when softirqs are enabled again. */
void irqkit_helper_napi_schedule_bh(struct napi_struct *napi)
{
	local_bh_disable();
	__napi_schedule(napi);
	local_bh_enable();
}

/* At least an Ethernet header is linear. */
void irqkit_helper_napi_receive(struct napi_struct *napi, struct sk_buff *skb, u16 queue)
{
	skb->protocol = eth_type_trans(skb, napi->dev);
	skb_record_rx_queue(skb, queue);
	napi_gro_receive(napi, skb);
}

/* Scheduled or being polled, and not because it is disabled. */
bool irqkit_helper_napi_is_polled(const struct napi_struct *napi)
{
	unsigned long state = READ_ONCE(napi->state);

	return (state & NAPIF_STATE_SCHED) && !(state & (NAPIF_STATE_DISABLE | NAPIF_STATE_NPSVC));
}
