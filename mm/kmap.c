/*
 * Kernel ranges: theory.
 *
 * Addresses for what needs them but is no part of the direct map: device registers (uncached) and large tables that are
 * contiguous in the address space only.  Physical memory and address space are allocated apart: here ranges of
 * addresses, from the buddy allocator single pages, so a table of a megabyte needs no megabyte in one piece.
 *
 * Free ranges are a red-black tree by address in which each node knows the longest range below it: first fit by address
 * in O(log n), and a range that comes back merges with both neighbours.  Ranges in use are a second tree by address, so
 * that freeing needs no length.  Each range is followed by one unmapped page, which makes running off the end of a
 * table a fault.
 *
 * Locking: range_lock (LOCK_KMAP) for both trees; never held while page tables change or memory is allocated.
 * Failure: NULL; nothing is left behind.
 * Rejected: a bitmap of pages (the area has 128 million); handing addresses out once and never again (large tables come
 * and go with mounts).
 */
#include "mm/kmap.h"

#include <arch/mmu.h>
#include "core/panic.h"
#include "lib/rbtree.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "sync/spinlock.h"

struct krange {
	struct rb_node node; /* in `free_ranges` or `used_ranges` */
	uint64_t base, len;
	uint64_t longest; /* free: the largest len in the subtree */
};

static struct spinlock range_lock = SPINLOCK_INIT(LOCK_KMAP, "kernel ranges");
static struct rb_root free_ranges, used_ranges;
static struct krange whole_area; /* the first node, so that the trees can start without an allocator */

static struct krange *range_entry(struct rb_node *n)
{
	return RB_ENTRY(n, struct krange, node);
}

static void recompute(struct rb_node *n)
{
	struct krange *r = range_entry(n);
	r->longest = r->len;
	if (n->left)
		r->longest = MAX(r->longest, range_entry(n->left)->longest);
	if (n->right)
		r->longest = MAX(r->longest, range_entry(n->right)->longest);
}

static void tree_place(struct rb_root *root, struct krange *r)
{
	struct rb_node **link = &root->node, *parent = NULL;
	while (*link) {
		parent = *link;
		link = r->base < range_entry(parent)->base ? &parent->left : &parent->right;
	}
	rb_link(&r->node, parent, link);
}

static void free_insert(struct krange *r)
{
	tree_place(&free_ranges, r);
	rb_insert_augmented(&free_ranges, &r->node, recompute);
}

/* The lowest free range with at least len bytes. */
static struct krange *first_fit(uint64_t len)
{
	struct rb_node *n = free_ranges.node;
	if (!n || range_entry(n)->longest < len)
		return NULL;
	for (;;) {
		if (n->left && range_entry(n->left)->longest >= len)
			n = n->left;
		else if (range_entry(n)->len >= len)
			return range_entry(n);
		else
			n = n->right;
	}
}

/* A range of len bytes, entered as used; NULL. */
static struct krange *range_alloc(uint64_t len)
{
	struct krange *r = kmalloc(sizeof *r);
	if (!r)
		return NULL;
	struct krange *emptied = NULL;
	irqflags_t f = spin_lock(&range_lock);
	struct krange *from = first_fit(len);
	if (from) {
		r->base = from->base;
		r->len = len;
		from->base += len;
		from->len -= len;
		if (from->len) {
			rb_augment_propagate(&from->node, recompute);
		} else {
			rb_erase_augmented(&free_ranges, &from->node, recompute);
			emptied = from;
		}
		tree_place(&used_ranges, r);
		rb_insert_fix(&used_ranges, &r->node);
	}
	spin_unlock(&range_lock, f);
	if (emptied != &whole_area)
		kfree(emptied);
	if (!from) {
		kfree(r);
		return NULL;
	}
	return r;
}

/* Takes r, which is used, back; merges it with free neighbours. */
static void range_free(struct krange *r)
{
	struct krange *gone[2] = {NULL, NULL};
	irqflags_t f = spin_lock(&range_lock);
	rb_erase(&used_ranges, &r->node);
	free_insert(r);
	struct rb_node *next = rb_next(&r->node), *prev = rb_prev(&r->node);
	if (next && r->base + r->len == range_entry(next)->base) {
		gone[0] = range_entry(next);
		rb_erase_augmented(&free_ranges, next, recompute);
		r->len += gone[0]->len;
		rb_augment_propagate(&r->node, recompute);
	}
	if (prev && range_entry(prev)->base + range_entry(prev)->len == r->base) {
		gone[1] = r;
		rb_erase_augmented(&free_ranges, &r->node, recompute);
		range_entry(prev)->len += r->len;
		rb_augment_propagate(prev, recompute);
	}
	spin_unlock(&range_lock, f);
	for (unsigned i = 0; i < 2; i++)
		if (gone[i] != &whole_area)
			kfree(gone[i]);
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

void *kmap_device(paddr_t pa, size_t len_bytes)
{
	uint64_t offset = pa.v & PAGE_MASK, end;
	if (!len_bytes || __builtin_add_overflow(pa.v, len_bytes, &end) || end > 1ull << 52)
		return NULL;
	uint64_t len = ALIGN_UP(offset + len_bytes, PAGE_SIZE);
	struct krange *r = range_alloc(len + PAGE_SIZE);
	if (!r)
		return NULL;
	if (pgtable_map_kernel(vaddr(r->base), paddr(pa.v - offset), len, MMU_READ | MMU_WRITE | MMU_DEVICE)) {
		pgtable_unmap_kernel(vaddr(r->base), len);
		range_free(r);
		return NULL;
	}
	return (void *)(r->base + offset);
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
	whole_area.base = KRANGE_BASE;
	whole_area.len = KRANGE_END - KRANGE_BASE;
	free_insert(&whole_area);
}

void *(*arch_map_device)(paddr_t pa, size_t len_bytes) = kmap_device;
