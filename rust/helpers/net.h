/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the network helpers and the bindings have in common: struct net_device,
 * struct napi_struct and struct page_pool pull in half of the kernel's types, so
 * Rust knows their sizes and what it needs of them, and not their members.
 */
#ifndef _IRQKIT_HELPERS_NET_H
#define _IRQKIT_HELPERS_NET_H

#include <linux/cache.h>
#include <linux/irqflags.h>
#include <linux/netdevice.h>
#include <linux/preempt.h>
#include <linux/skbuff.h>
#include <linux/types.h>
#include <net/page_pool/types.h>

/*
 * In a hard interrupt memory can't go back to a page pool: what was interrupted
 * may be a softirq that is just doing the same, and the pool would take it for that.
 */
static inline bool irqkit_may_recycle(void)
{
	return !in_hardirq() && !in_nmi() && !irqs_disabled();
}

/* Memory for a NAPI instance. */
struct irqkit_napi {
	u64 words[DIV_ROUND_UP(sizeof(struct napi_struct), sizeof(u64))];
} ____cacheline_aligned;

static_assert(__alignof__(struct irqkit_napi) >= __alignof__(struct napi_struct));

enum irqkit_net_layout {
	IRQKIT_NETDEV_PRIV = offsetof(struct net_device, priv),
	IRQKIT_NAPI_WEIGHT = NAPI_POLL_WEIGHT,
	IRQKIT_NAME_SIZE = IFNAMSIZ,
	IRQKIT_MAX_SKB_FRAGS = MAX_SKB_FRAGS,
	/* What build_skb() takes at the end of a buffer. */
	IRQKIT_SKB_TAIL = SKB_DATA_ALIGN(sizeof(struct skb_shared_info)),
	IRQKIT_CACHE_BYTES = SMP_CACHE_BYTES,
	IRQKIT_PAGE_SIZE = PAGE_SIZE,
};

/* The members of struct net_device that are set before it is registered. */
struct irqkit_netdev {
	netdev_features_t features;
	netdev_features_t hw_features;
	netdev_features_t vlan_features;
	u32 mtu;
	u32 min_mtu;
	u32 max_mtu;
	u32 gso_max_size;
	u32 watchdog_ms;
	u16 headroom;
};

/* What virtio_net_hdr_to_skb() and virtio_net_hdr_from_skb() tell of a packet. */
struct irqkit_offload {
	u8 flags;
	u8 gso_type;
	u16 hdr_len;
	u16 gso_size;
	u16 csum_start;
	u16 csum_offset;
};

struct irqkit_page_pool_stats {
	u64 fast;
	u64 slow;
	u64 empty;
	u64 refill;
	u64 cached;
	u64 cache_full;
	u64 ring;
	u64 ring_full;
	u64 released;
};

#endif
