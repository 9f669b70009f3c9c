/*
 * Physical pages: theory.
 *
 * One table (page_table) has an entry per frame between the lowest and the highest RAM frame, so frame ↔ entry is
 * arithmetic.  What the entry means depends on its state (page.h); which entries mean anything at all is said in
 * zone.c.
 *
 * Life of a page: FREE (a buddy list owns it) → CACHED (a CPU's cache) → OWNED, one reference → the last page_put() →
 * CACHED → FREE. Larger blocks skip CACHED.  Only page_alloc() leaves the free side and only the last page_put()
 * re-enters it, so a page on the free side has no mapping anywhere: unmap BEFORE put.
 *
 * The per-CPU cache is a chain through link.next, LIFO so that a page just freed, still in the CPU's caches, is used
 * first.  It is touched by its CPU only, with interrupts off: no lock, no atomic operation.  An empty one is refilled
 * and an overfull one relieved in chains, so the zone's lock is taken once for many pages.
 *
 * refs is atomic and counts the users of the block a head stands for.  A put by the only user needs no atomic
 * operation: nobody else can take a new reference without having one.
 *
 * Failure: NULL, at once.  Nothing here sleeps or reclaims; watermarks are in zone.c.  The pages in a CPU's cache were
 * taken above the watermark of the request that fetched them and may serve a lesser one: at most cache_high pages a
 * CPU, which the watermarks allow for.
 */
#include "mm/page.h"

#include <arch/cpu.h>
#include "core/panic.h"
#include "lib/string.h"
#include "mm/kasan.h"
#include "mm/page_internal.h"
#include "mm/zone.h"

struct page *page_table;
uint64_t page_first_frame, page_frame_count;
struct zone page_zone;
uint64_t page_ram_count;
uint64_t alloc_fail_countdown;

/* Of one CPU; interrupts off. */
struct page_cache {
	struct page *chain;
	uint32_t count;
	uint64_t allocs, frees;
} aligned_to(CACHE_LINE);

static struct page_cache page_caches[CPUS_MAX];
/* Refills fetch cache_batch pages; above cache_high half of them go back. Exit frees hundreds at once and fork wants
 * them again, so there is room for them. */
static uint32_t cache_high = 16, cache_batch = 8;

static always_inline struct page_cache *my_cache(void)
{
	return &page_caches[this_cpu()->id];
}

void page_cache_set_size(uint64_t managed_pages)
{
	cache_batch = (uint32_t)MAX(MIN(managed_pages / 512, 64ull), 8ull);
	cache_high = (uint32_t)MAX(MIN(managed_pages / 64, 512ull), 16ull);
}

bool alloc_fail_now_slow(void)
{
	/* Two CPUs may both see 1 and one of them wraps to "never" early; it is a test aid. */
	return __atomic_sub_fetch(&alloc_fail_countdown, 1, __ATOMIC_RELAXED) == 0;
}

void alloc_fail_at(uint64_t n)
{
	WRITE_ONCE(alloc_fail_countdown, n);
}

static always_inline struct page *chain_next(const struct page *p)
{
	return LIST_ENTRY(p->link.next, struct page, link);
}

_Static_assert(offsetof(struct page, link) == 0, "a NULL link is a NULL page");

static noinline void cache_relieve(struct page_cache *c, unsigned count)
{
	/* The oldest pages are at the far end; the first ones are as good and found without a walk over the rest. */
	struct page *first = c->chain, *last = first;
	for (unsigned i = 1; i < count; i++)
		last = chain_next(last);
	c->chain = chain_next(last);
	c->count -= count;
	zone_give_pages(&page_zone, first, count);
}

static noinline struct page *block_alloc(unsigned order, unsigned flags)
{
	if (order >= PAGE_ORDERS)
		return NULL;
	struct page *p = zone_alloc(&page_zone, order, flags);
	if (!p && my_cache()->count) {
		page_cache_drain(); /* single pages held back may be just what a merge lacks */
		p = zone_alloc(&page_zone, order, flags);
	}
	if (p) {
		irqflags_t f = irq_save();
		my_cache()->allocs++;
		irq_restore(f);
	}
	return p;
}

static noinline struct page *zeroed(struct page *p)
{
	memset(page_to_ptr(p), 0, (size_t)PAGE_SIZE << p->order);
	return p;
}

static always_inline struct page *fresh(struct page *p, unsigned order, unsigned flags)
{
	if (CONFIG_DEBUG)
		BUG_ON(p->state != (order ? PAGE_OWNED : PAGE_CACHED) || p->order != order);
	p->link.next = NULL; /* on no list */
	p->refs.n = 1;
	p->state = PAGE_OWNED;
	p->order = (uint8_t)order;
	p->flags = 0;
	p->owner = NULL;
	p->index = 0;
	p->private = 0;
	if (CONFIG_KASAN)
		kasan_page_alloc(p, order);
	return flags & ALLOC_ZERO ? zeroed(p) : p;
}

/* The ways that are not the short one are calls at the end of it, so that it needs no stack frame for them. */
static noinline struct page *large_alloc(unsigned order, unsigned flags)
{
	struct page *p = block_alloc(order, flags);
	return p ? fresh(p, order, flags) : NULL;
}

static noinline struct page *refill_alloc(struct page_cache *c, unsigned flags, irqflags_t f)
{
	c->count = zone_take_pages(&page_zone, cache_batch, flags, &c->chain);
	struct page *p = c->chain;
	if (p) {
		c->chain = chain_next(p);
		c->count--;
		c->allocs++;
	}
	irq_restore(f);
	return p ? fresh(p, 0, flags) : NULL;
}

static always_inline struct page *alloc(unsigned order, unsigned flags)
{
	if (unlikely(order))
		return large_alloc(order, flags);
	irqflags_t f = irq_save();
	struct page_cache *c = my_cache();
	struct page *p = c->chain;
	if (unlikely(!p))
		return refill_alloc(c, flags, f);
	c->chain = chain_next(p);
	c->count--;
	c->allocs++;
	irq_restore(f);
	return fresh(p, 0, flags);
}

struct page *page_alloc_uncounted(unsigned order, unsigned flags)
{
	return alloc(order, flags);
}

struct page *page_alloc(unsigned order, unsigned flags)
{
	if (alloc_fail_now())
		return NULL;
	return alloc(order, flags);
}

static noinline void large_free(struct page *p)
{
	irqflags_t f = irq_save();
	my_cache()->frees++;
	irq_restore(f);
	zone_free(&page_zone, p);
}

static noinline void put_relieve(struct page_cache *c, irqflags_t f)
{
	cache_relieve(c, cache_high / 2);
	irq_restore(f);
}

static noinline cold void put_wrong(const struct page *p)
{
	panic("page %#llx put in state %u", (unsigned long long)page_to_paddr(p).v, p->state);
}

static always_inline void page_free(struct page *p)
{
	if (unlikely(p->state != PAGE_OWNED)) {
		put_wrong(p);
		return;
	}
	if (CONFIG_KASAN)
		kasan_page_free(p);
	if (unlikely(p->order)) {
		large_free(p);
		return;
	}
	p->state = PAGE_CACHED;
	irqflags_t f = irq_save();
	struct page_cache *c = my_cache();
	c->frees++;
	p->link.next = (struct list_node *)c->chain; /* link is first, and the chain may be empty */
	c->chain = p;
	if (unlikely(++c->count > cache_high)) {
		put_relieve(c, f);
		return;
	}
	irq_restore(f);
}

static noinline void put_shared(struct page *p)
{
	if (refcount_put(&p->refs))
		page_free(p);
}

void page_put(struct page *p)
{
	/* With a single reference it is ours, and nobody can take another meanwhile; those who had one are done with
	 * the page (acquire: against the release of their refcount_put). */
	if (unlikely(atomic_load_acquire(&p->refs.n) != 1)) {
		put_shared(p);
		return;
	}
	p->refs.n = 0;
	page_free(p);
}

void page_cache_drain(void)
{
	irqflags_t f = irq_save();
	struct page_cache *c = my_cache();
	if (c->count)
		cache_relieve(c, c->count);
	irq_restore(f);
}

uint64_t page_free_count(void)
{
	uint64_t n = READ_ONCE(page_zone.buddy.free_units);
	CPUS_FOR_EACH(i)
		n += READ_ONCE(page_caches[i].count);
	return n;
}

void page_stats_get(struct page_stats *out)
{
	*out = (struct page_stats){.total = page_ram_count, .free = page_free_count()};
	out->reserved = page_ram_count - READ_ONCE(page_zone.managed_pages);
	for (unsigned k = 0; k < PAGE_ORDERS; k++)
		out->free_blocks[k] = READ_ONCE(page_zone.buddy.free_blocks[k]);
	for (unsigned i = 0; i < CPUS_MAX; i++) {
		out->allocs += READ_ONCE(page_caches[i].allocs);
		out->frees += READ_ONCE(page_caches[i].frees);
	}
}

void page_release_range(paddr_t base, uint64_t len_bytes)
{
	uint64_t end;
	if (__builtin_add_overflow(base.v, len_bytes, &end))
		return;
	uint64_t first = (base.v + PAGE_MASK) >> PAGE_SHIFT, last = end >> PAGE_SHIFT;
	first = MAX(first, MAX(page_first_frame, 1ull));
	last = MIN(last, page_first_frame + page_frame_count);
	for (uint64_t i = first; i < last; i++)
		BUG_ON(page_table[i - page_first_frame].state != PAGE_RESERVED);
	if (first >= last)
		return;
	if (CONFIG_KASAN)
		kasan_frames_free(first, last);
	zone_seed(&page_zone, first, last);
}
