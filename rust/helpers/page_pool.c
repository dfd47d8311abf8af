// SPDX-License-Identifier: GPL-2.0

#include <linux/dma-mapping.h>
#include <linux/kmemleak.h>
#include <linux/mm.h>
#include <linux/netdevice.h>
#include <net/page_pool/helpers.h>

#include "net.h"

/* An error pointer if it fails. */
struct page_pool *irqkit_helper_page_pool_create(struct net_device *dev, struct device *parent,
						 unsigned int queue, unsigned int size,
						 bool map)
{
	const struct page_pool_params params = {
		.pool_size = size,
		.nid = NUMA_NO_NODE,
		.dev = parent,
		.dma_dir = DMA_FROM_DEVICE,
		.max_len = PAGE_SIZE,
		.netdev = dev,
		.queue_idx = queue,
		.flags = map ? PP_FLAG_DMA_MAP | PP_FLAG_DMA_SYNC_DEV : 0,
	};

	return page_pool_create(&params);
}

/*
 * Returns where the fragment is, how large, and its address for the device. Where it
 * may sleep nothing is received meanwhile, and what memory is waited for may be an
 * answer that this device receives: one try, and no waiting for others to free some.
 */
void *irqkit_helper_page_pool_alloc(struct page_pool *pool, unsigned int *size, bool atomic,
				    u64 *address)
{
	gfp_t gfp = (atomic ? GFP_ATOMIC : GFP_KERNEL | __GFP_NORETRY) | __GFP_NOWARN;
	unsigned int offset;
	struct page *page = page_pool_alloc(pool, &offset, size, gfp);

	if (unlikely(!page))
		return NULL;
	*address = (pool->dma_map ? page_pool_get_dma_addr(page) : page_to_phys(page)) + offset;
	return page_address(page) + offset;
}

/* False where it can't be. */
bool irqkit_helper_page_pool_free(struct page_pool *pool, void *data)
{
	if (unlikely(!irqkit_may_recycle()))
		return false;
	page_pool_free_va(pool, data, false);
	return true;
}

void irqkit_helper_page_pool_sync(struct page_pool *pool, void *data, unsigned int len)
{
	struct page *page = virt_to_head_page(data);

	page_pool_dma_sync_for_cpu(pool, page, data - page_address(page), len);
}

/* From here on skbs that end on this NAPI's CPU put pages into its cache. */
void irqkit_helper_page_pool_link(struct page_pool *pool, struct napi_struct *napi)
{
	page_pool_enable_direct_recycling(pool, napi);
}

bool irqkit_helper_netdev_has_page_pools(const struct net_device *dev)
{
	return !hlist_empty(&dev->page_pools);
}

void irqkit_helper_page_pool_stats(const struct page_pool *pool,
				   struct irqkit_page_pool_stats *to)
{
#ifdef CONFIG_PAGE_POOL_STATS
	struct page_pool_stats stats = { };

	page_pool_get_stats(pool, &stats);
	*to = (struct irqkit_page_pool_stats) {
		.fast = stats.alloc_stats.fast,
		.slow = stats.alloc_stats.slow,
		.empty = stats.alloc_stats.empty,
		.refill = stats.alloc_stats.refill,
		.cached = stats.recycle_stats.cached,
		.cache_full = stats.recycle_stats.cache_full,
		.ring = stats.recycle_stats.ring,
		.ring_full = stats.recycle_stats.ring_full,
		.released = stats.recycle_stats.released_refcnt,
	};
#else
	*to = (struct irqkit_page_pool_stats) { };
#endif
}

/* The device gets again what the CPU has looked at. */
void irqkit_helper_page_pool_sync_back(struct page_pool *pool, void *data, unsigned int len)
{
	struct page *page = virt_to_head_page(data);

	dma_sync_single_range_for_device(pool->p.dev, page_pool_get_dma_addr(page),
					 data - page_address(page), len, pool->p.dma_dir);
}

void irqkit_helper_kmemleak_not_leak(const void *memory)
{
	kmemleak_not_leak(memory);
}
