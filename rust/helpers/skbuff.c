// SPDX-License-Identifier: GPL-2.0

#include <linux/dma-mapping.h>
#include <linux/mm.h>
#include <linux/skbuff.h>
#include <linux/virtio_net.h>
#include <net/page_pool/helpers.h>

#include "net.h"

/* What the socket is told names the device; the packet does so only meanwhile. */
void irqkit_helper_skb_tx_timestamp(struct sk_buff *skb, struct net_device *dev)
{
	skb->dev = dev;
	skb_tx_timestamp(skb);
	skb->dev = NULL;
}

void irqkit_helper_skb_mark_for_recycle(struct sk_buff *skb)
{
	skb_mark_for_recycle(skb);
}

/* The core has it again: NETDEV_TX_BUSY. */
void irqkit_helper_skb_give_back(struct sk_buff *skb, struct net_device *dev)
{
	skb->dev = dev;
}

/*
 * Makes room in front of the data that is nobody else's: so much, and so much more
 * for each fragment. How many fragments there are, which are all there is beside the
 * linear part, and memory that the CPU reaches; or an errno. One call, for each frame
 * that is sent takes it.
 */
int irqkit_helper_skb_make_room(struct sk_buff *skb, unsigned int room, unsigned int each)
{
	unsigned int frags = skb_shinfo(skb)->nr_frags;
	int error;

	if (skb_has_frag_list(skb) || !skb_frags_readable(skb) || frags > MAX_SKB_FRAGS)
		return -EINVAL;
	room += each * frags;
	if (likely(room <= skb_headroom(skb) && !skb_header_cloned(skb)))
		return frags;
	/* Its memory can't be moved where somebody else knows the packet. */
	if (skb_shared(skb))
		return -EBUSY;
	error = skb_cow_head(skb, room);
	return error ? error : frags;
}

/*
 * Makes a packet that was sent one that can be received: neither it nor its memory is
 * anybody else's, who sent it does not wait for it, and what the stack has found out
 * about it is forgotten. NULL if there is no memory; it was freed then.
 */
struct sk_buff *irqkit_helper_skb_own(struct sk_buff *skb)
{
	skb = skb_share_check(skb, GFP_ATOMIC);
	if (!skb)
		return NULL;
	skb_orphan(skb);
	if (skb_orphan_frags_rx(skb, GFP_ATOMIC) || skb_unclone(skb, GFP_ATOMIC)) {
		dev_kfree_skb_any_reason(skb, SKB_DROP_REASON_NOMEM);
		return NULL;
	}
	skb_scrub_packet(skb, true);
	return skb;
}

/* The last buffer of a packet: the packet itself, or the end of its list. */
static struct sk_buff *irqkit_skb_last(struct sk_buff *skb)
{
	struct sk_buff *last = skb_shinfo(skb)->frag_list;

	if (!last)
		return skb;
	while (last->next)
		last = last->next;
	return last;
}

/*
 * Appends what is at data, a fragment of a page pool's page, of which the packet
 * takes over the reference. A packet that has all of its fragments gets a further
 * buffer in its list. False if it has memory that is not of page pools, if there is
 * no memory, or this is no place to give a reference back; nothing was changed then.
 */
bool irqkit_helper_skb_append_frag(struct sk_buff *skb, struct page_pool *pool, void *data,
				   unsigned int len, unsigned int truesize)
{
	struct page *page = virt_to_head_page(data);
	unsigned int offset = data - page_address(page);
	struct sk_buff *last = irqkit_skb_last(skb);
	unsigned int used = skb_shinfo(last)->nr_frags;

	/* References to what it has already are given back in one way for all. */
	if (unlikely((skb_is_nonlinear(last) && !last->pp_recycle) || !skb_frags_readable(last) ||
		     (skb_shinfo(last)->flags & SKBFL_ALL_ZEROCOPY)))
		return false;
	if (skb_can_coalesce(last, used, page, offset)) {
		if (!irqkit_may_recycle())
			return false;
		/* The fragment before it has a reference already. */
		page_pool_put_full_page(pool, page, false);
		skb_coalesce_rx_frag(last, used - 1, len, truesize);
	} else {
		if (used == MAX_SKB_FRAGS) {
			struct sk_buff *more = alloc_skb(0, GFP_ATOMIC | __GFP_NOWARN);

			if (!more)
				return false;
			if (last == skb)
				skb_shinfo(skb)->frag_list = more;
			else
				last->next = more;
			skb->truesize += more->truesize;
			last = more;
			used = 0;
		}
		skb_add_rx_frag(last, used, page, offset, len, truesize);
		skb_mark_for_recycle(last);
	}
	if (last != skb) {
		skb->len += len;
		skb->data_len += len;
		skb->truesize += truesize;
	}
	return true;
}

static bool irqkit_gso_is_known(u8 type)
{
	switch (type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_NONE:
	case VIRTIO_NET_HDR_GSO_TCPV4:
	case VIRTIO_NET_HDR_GSO_TCPV6:
	case VIRTIO_NET_HDR_GSO_UDP_L4:
		return true;
	default:
		return false;
	}
}

/* The device says so of a packet that it received; it may have to be pulled. */
int irqkit_helper_skb_set_offload(struct sk_buff *skb, const struct irqkit_offload *offload)
{
	const struct virtio_net_hdr hdr = {
		.flags = offload->flags,
		.gso_type = offload->gso_type,
		.hdr_len = __cpu_to_virtio16(true, offload->hdr_len),
		.gso_size = __cpu_to_virtio16(true, offload->gso_size),
		.csum_start = __cpu_to_virtio16(true, offload->csum_start),
		.csum_offset = __cpu_to_virtio16(true, offload->csum_offset),
	};

	/* It is written to what all that share its memory have in common. */
	if (skb_cloned(skb) || skb_shared(skb))
		return -EBUSY;
	if (!irqkit_gso_is_known(hdr.gso_type))
		return -EINVAL;
	/* Who is to cut it must compute checksums anyway; and it would be dissected, which takes a device. */
	if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE && !hdr.flags)
		return -EINVAL;
	return virtio_net_hdr_to_skb(skb, &hdr, true);
}

/* What the stack asks of a device for a packet that is to be sent. */
int irqkit_helper_skb_offload(const struct sk_buff *skb, struct irqkit_offload *offload)
{
	struct virtio_net_hdr hdr;
	int error = virtio_net_hdr_from_skb(skb, &hdr, true, false, 0);

	if (error)
		return error;
	if (hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE)
		__virtio_net_set_hdrlen(skb, &hdr, true);
	*offload = (struct irqkit_offload) {
		.flags = hdr.flags,
		.gso_type = hdr.gso_type,
		.hdr_len = __virtio16_to_cpu(true, hdr.hdr_len),
		.gso_size = __virtio16_to_cpu(true, hdr.gso_size),
		.csum_start = __virtio16_to_cpu(true, hdr.csum_start),
		.csum_offset = __virtio16_to_cpu(true, hdr.csum_offset),
	};
	return 0;
}

/* Where fragment i of a packet is; its length, or 0 if there is no such fragment. */
unsigned int irqkit_helper_skb_frag(const struct sk_buff *skb, unsigned int i, phys_addr_t *at)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	const skb_frag_t *frag = &info->frags[i];

	if (i >= info->nr_frags || i >= MAX_SKB_FRAGS)
		return 0;
	*at = page_to_phys(skb_frag_page(frag)) + skb_frag_off(frag);
	return skb_frag_size(frag);
}

struct sk_buff *irqkit_helper_alloc_skb_plain(unsigned int size, bool may_sleep)
{
	return alloc_skb(size, (may_sleep ? GFP_KERNEL : GFP_ATOMIC) | __GFP_NOWARN);
}

/* Maps what header bytes and the linear part make, then the fragments. */
int irqkit_helper_skb_map(struct device *dev, const struct sk_buff *skb, unsigned int header,
			  u64 *to)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int i, linear = header + skb_headlen(skb);

	to[0] = dma_map_single(dev, skb->data - header, linear, DMA_TO_DEVICE);
	if (dma_mapping_error(dev, to[0]))
		return -ENOMEM;
	for (i = 0; i < info->nr_frags; i++) {
		const skb_frag_t *frag = &info->frags[i];

		to[i + 1] = skb_frag_dma_map(dev, frag, 0, skb_frag_size(frag), DMA_TO_DEVICE);
		if (dma_mapping_error(dev, to[i + 1]))
			goto undo;
	}
	return 0;

undo:
	while (i--)
		dma_unmap_page(dev, to[i + 1], skb_frag_size(&info->frags[i]), DMA_TO_DEVICE);
	dma_unmap_single(dev, to[0], linear, DMA_TO_DEVICE);
	return -ENOMEM;
}

void irqkit_helper_skb_unmap(struct device *dev, const struct sk_buff *skb, unsigned int header,
			     const u64 *from)
{
	const struct skb_shared_info *info = skb_shinfo(skb);
	unsigned int i;

	dma_unmap_single(dev, from[0], header + skb_headlen(skb), DMA_TO_DEVICE);
	for (i = 0; i < info->nr_frags; i++)
		dma_unmap_page(dev, from[i + 1], skb_frag_size(&info->frags[i]), DMA_TO_DEVICE);
}
