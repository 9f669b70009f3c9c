/*
 * Kernel ranges: theory.
 *
 * Addresses for what needs them but is no part of the direct map: device registers (uncached) and large tables that are
 * contiguous in the address space only.  Physical memory and address space are allocated apart: here ranges of
 * addresses, from the buddy allocator single pages, so a table of a megabyte needs no megabyte in one piece.
 *
 * Free ranges are an address-ordered list with first fit (lib/alloc/free_list.c), their records kept apart from them,
 * since there is no memory at an address that is free.  The list has one hole more than there are gaps between ranges
 * in use: a few dozen on a machine with many devices and mounts, and walking one costs a handful of instructions, while
 * any range costs at least a mapped and zeroed page.  Ranges in use are a tree by address, so that freeing needs no
 * length; there may be many without a hole between them.  Each range is followed by one unmapped page, which makes
 * running off the end of a table a fault.
 *
 * Locking: range_lock (LOCK_KMAP) for list and tree; never held while page tables change or memory is allocated.
 * Failure: NULL; nothing is left behind.
 * Rejected: a bitmap of pages (the area has 128 million); handing addresses out once and never again (large tables come
 * and go with mounts); a tree of free
 * ranges in which each node knows the longest below it: O(log n), but far more code, for a list this short.
 */
#include "mm/kmap.h"

#include <arch/mmu.h>
#include "core/panic.h"
#include "lib/alloc/free_list.h"
#include "lib/rbtree.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "sync/spinlock.h"

/* In use: node and base, len. Free: the first two words are the hole's record. */
struct krange {
	union {
		struct rb_node node; /* in used_ranges */
		struct hole_elsewhere hole;
	};
	uint64_t base, len;
};

static struct spinlock range_lock = SPINLOCK_INIT(LOCK_KMAP, "kernel ranges");
static struct free_list free_ranges;
static struct rb_root used_ranges;
static struct krange whole_area; /* the first hole, so that the list can start without an allocator */

static struct krange *range_entry(struct rb_node *n)
{
	return RB_ENTRY(n, struct krange, node);
}

static void used_insert(struct krange *r)
{
	struct rb_node **link = &used_ranges.node, *parent = NULL;
	while (*link) {
		parent = *link;
		link = r->base < range_entry(parent)->base ? &parent->left : &parent->right;
	}
	rb_link(&r->node, parent, link);
	rb_insert_fix(&used_ranges, &r->node);
}

/* Records of holes that are no more. */
static void records_free(struct hole *h)
{
	while (h) {
		struct krange *r = container_of(h, struct krange, hole.hole);
		h = h->next;
		if (r != &whole_area)
			kfree(r);
	}
}

/* A range of len bytes, entered as used; NULL. */
static struct krange *range_alloc(uint64_t len)
{
	struct krange *r = kmalloc(sizeof *r);
	if (!r)
		return NULL;
	struct hole *emptied = NULL; /* no spare is needed: all is pages, so nothing is left in front of a range */
	irqflags_t f = spin_lock(&range_lock);
	bool found = free_list_take(&free_ranges, len, PAGE_SIZE, &emptied, &r->base);
	if (found) {
		r->len = len;
		used_insert(r);
	}
	spin_unlock(&range_lock, f);
	records_free(emptied);
	if (!found) {
		kfree(r);
		return NULL;
	}
	return r;
}

/* Takes r, which is used, back; joins it with the holes it touches. */
static void range_free(struct krange *r)
{
	struct hole *left_over = NULL;
	irqflags_t f = spin_lock(&range_lock);
	rb_erase(&used_ranges, &r->node);
	bool ok = free_list_put(&free_ranges, r->base, r->len, &r->hole.hole, &left_over);
	spin_unlock(&range_lock, f);
	BUG_ON(!ok);
	records_free(left_over);
}

static struct krange *used_find(uint64_t base)
{
	irqflags_t f = spin_lock(&range_lock);
	struct rb_node *n = used_ranges.node;
	while (n && range_entry(n)->base != base)
		n = base < range_entry(n)->base ? n->left : n->right;
	spin_unlock(&range_lock, f);
	return n ? range_entry(n) : NULL;
}

void *kmap_device_as(paddr_t pa, size_t len_bytes, unsigned kind)
{
	uint64_t offset = pa.v & PAGE_MASK, end;
	if (!len_bytes || __builtin_add_overflow(pa.v, len_bytes, &end) || end > 1ull << 52)
		return NULL;
	uint64_t len = ALIGN_UP(offset + len_bytes, PAGE_SIZE);
	struct krange *r = range_alloc(len + PAGE_SIZE);
	if (!r)
		return NULL;
	if (pgtable_map_kernel(vaddr(r->base), paddr(pa.v - offset), len, MMU_READ | MMU_WRITE | kind)) {
		pgtable_unmap_kernel(vaddr(r->base), len);
		range_free(r);
		return NULL;
	}
	return (void *)(r->base + offset);
}

void *kmap_device(paddr_t pa, size_t len_bytes)
{
	return kmap_device_as(pa, len_bytes, MMU_DEVICE);
}

static void pages_free(uint64_t base, uint64_t len)
{
	/* The frames are found through the tables: collect them on a chain, unmap all, then free, so that nothing is
	 * freed while mapped. */
	struct page *chain = NULL;
	for (uint64_t at = base; at < base + len; at += PAGE_SIZE) {
		paddr_t pa = paddr(0);
		unsigned prot;
		if (!pgtable_translate(mmu_kernel_root(), vaddr(at), &pa, &prot))
			continue;
		struct page *p = paddr_to_page(pa);
		p->owner = chain;
		chain = p;
	}
	pgtable_unmap_kernel(vaddr(base), len);
	while (chain) {
		struct page *p = chain;
		chain = p->owner;
		page_put(p);
	}
}

void *kmap_alloc(size_t len_bytes)
{
	uint64_t len;
	if (!len_bytes || alloc_fail_now() || __builtin_add_overflow(len_bytes, PAGE_MASK, &len))
		return NULL;
	len &= ~PAGE_MASK;
	if (len >= KRANGE_END - KRANGE_BASE)
		return NULL;
	struct krange *r = range_alloc(len + PAGE_SIZE);
	if (!r)
		return NULL;
	for (uint64_t done = 0; done < len; done += PAGE_SIZE) {
		struct page *p = page_alloc_uncounted(0, ALLOC_ZERO);
		if (p && !pgtable_map_kernel(vaddr(r->base + done), page_to_paddr(p), PAGE_SIZE, MMU_READ | MMU_WRITE))
			continue;
		if (p)
			page_put(p);
		pages_free(r->base, done);
		range_free(r);
		return NULL;
	}
	return (void *)r->base;
}

void kmap_free(void *p)
{
	if (!p)
		return;
	struct krange *r = used_find((uintptr_t)p);
	if (!r)
		panic("kmap_free of %p, which was never allocated", p);
	pages_free(r->base, r->len - PAGE_SIZE);
	range_free(r);
}

void kmap_init(void)
{
	struct hole *none;
	free_list_init(&free_ranges, true);
	bool ok = free_list_put(&free_ranges, KRANGE_BASE, KRANGE_END - KRANGE_BASE, &whole_area.hole.hole, &none);
	BUG_ON(!ok);
}

void *(*arch_map_device)(paddr_t pa, size_t len_bytes) = kmap_device;
