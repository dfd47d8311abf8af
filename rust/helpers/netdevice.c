// SPDX-License-Identifier: GPL-2.0

#include <linux/cpumask.h>
#include <linux/etherdevice.h>
#include <linux/jiffies.h>
#include <linux/netdevice.h>
#include <linux/skbuff.h>
#include <net/netdev_queues.h>

#include "net.h"

void irqkit_helper_netdev_setup(struct net_device *dev, struct device *parent,
				const struct net_device_ops *ops,
				const struct netdev_stat_ops *stat_ops,
				const struct irqkit_netdev *config)
{
	SET_NETDEV_DEV(dev, parent);
	dev->netdev_ops = ops;
	dev->stat_ops = stat_ops;
	dev->features = config->features;
	dev->hw_features = config->hw_features;
	dev->vlan_features = config->vlan_features;
	dev->mtu = config->mtu;
	dev->min_mtu = config->min_mtu;
	dev->max_mtu = config->max_mtu;
	dev->needed_headroom = config->headroom;
	dev->watchdog_timeo = msecs_to_jiffies(config->watchdog_ms);
	/* An skb that is given to the driver is the driver's alone. */
	dev->priv_flags &= ~IFF_TX_SKB_SHARING;
	dev->priv_flags |= IFF_LIVE_ADDR_CHANGE;
	if (config->gso_max_size)
		netif_set_tso_max_size(dev, config->gso_max_size);
}

void irqkit_helper_eth_hw_addr_set(struct net_device *dev, const u8 *addr)
{
	eth_hw_addr_set(dev, addr);
}

void irqkit_helper_eth_hw_addr_random(struct net_device *dev)
{
	eth_hw_addr_random(dev);
}

void irqkit_helper_netdev_lock(struct net_device *dev)
{
	netdev_lock(dev);
}

void irqkit_helper_netdev_unlock(struct net_device *dev)
{
	netdev_unlock(dev);
}

/*
 * A byte at a time: it may be changed just then. The lock by which the core copies
 * it is the core's own. The last byte is always 0.
 */
void irqkit_helper_netdev_copy_name(const struct net_device *dev, char *to)
{
	unsigned int i;

	for (i = 0; i < IFNAMSIZ - 1; i++)
		to[i] = READ_ONCE(dev->name[i]);
	to[i] = '\0';
}

u32 irqkit_helper_netdev_mtu(const struct net_device *dev)
{
	return READ_ONCE(dev->mtu);
}

void irqkit_helper_netdev_set_mtu(struct net_device *dev, u32 mtu)
{
	WRITE_ONCE(dev->mtu, mtu);
}

u64 irqkit_helper_netdev_features(const struct net_device *dev)
{
	return dev->features;
}

bool irqkit_helper_netif_carrier_ok(const struct net_device *dev)
{
	return netif_carrier_ok(dev);
}

int irqkit_helper_netif_set_xps_queue(struct net_device *dev, const struct cpumask *mask,
				      u16 index)
{
	return netif_set_xps_queue(dev, mask, index);
}

struct netdev_queue *irqkit_helper_netdev_get_tx_queue(struct net_device *dev,
						       unsigned int index)
{
	return netdev_get_tx_queue(dev, index);
}

bool irqkit_helper_netdev_xmit_more(void)
{
	return netdev_xmit_more();
}

void irqkit_helper_netif_tx_lock_queue(struct netdev_queue *txq)
{
	__netif_tx_lock(txq, smp_processor_id());
}

bool irqkit_helper_netif_tx_trylock_queue(struct netdev_queue *txq)
{
	return __netif_tx_trylock(txq);
}

void irqkit_helper_netif_tx_unlock_queue(struct netdev_queue *txq)
{
	__netif_tx_unlock(txq);
}

void irqkit_helper_netif_tx_lock_queue_bh(struct netdev_queue *txq)
{
	__netif_tx_lock_bh(txq);
}

void irqkit_helper_netif_tx_unlock_queue_bh(struct netdev_queue *txq)
{
	__netif_tx_unlock_bh(txq);
}

void irqkit_helper_netif_tx_stop_queue(struct netdev_queue *txq)
{
	netif_tx_stop_queue(txq);
}

/* A queue without a qdisc is one of a device that was never registered: there is nobody to wake. */
void irqkit_helper_netif_tx_wake_queue(struct netdev_queue *txq)
{
	if (rcu_access_pointer(txq->qdisc))
		netif_tx_wake_queue(txq);
	else
		netif_tx_start_queue(txq);
}

/* Stopped by the driver. */
bool irqkit_helper_netif_tx_queue_stopped(const struct netdev_queue *txq)
{
	return netif_tx_queue_stopped(txq);
}

/* Stopped by the driver or by BQL. */
bool irqkit_helper_netif_xmit_stopped(const struct netdev_queue *txq)
{
	return netif_xmit_stopped(txq);
}

bool irqkit_helper_netdev_tx_sent_queue(struct netdev_queue *txq, unsigned int bytes,
					bool more)
{
	return __netdev_tx_sent_queue(txq, bytes, more);
}

/* As above, it wakes what has a qdisc. */
void irqkit_helper_netdev_tx_completed_queue(struct netdev_queue *txq, unsigned int packets,
					     unsigned int bytes)
{
	if (rcu_access_pointer(txq->qdisc))
		netdev_tx_completed_queue(txq, packets, bytes);
}

void irqkit_helper_netdev_tx_reset_queue(struct netdev_queue *txq)
{
	netdev_tx_reset_queue(txq);
}
