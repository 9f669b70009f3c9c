/*
 * Buddy allocator: theory.
 *
 * The design is that of lib/alloc/buddy.c, where it is explained: blocks of 2^k frames, aligned to their size, halved
 * until they fit and joined with their buddies when they come back, both in O(orders).  Here the records are the frame
 * table's.
 *
 * Invariants
 *  1. Every managed frame belongs to exactly one block, and the block's first frame (its head) has a valid struct page:
 *     state, order.
 *  2. Only entries of heads, of RESERVED frames and of frames whose owner filled them in have meaning; all others may
 *     be garbage. This is what makes boot cheap: the table is not cleared, a machine of 16 GiB writes a few thousand
 *     entries rather than four million.
 *  3. Freeing reads the entry of the buddy of a block.  That is always a valid one.  Inside managed memory: if the
 *     buddy were in the middle of a larger block, that block, being aligned, would hold the block being freed as well.
 *     Outside: zone_seal() has marked what lies within one largest block of any seeded range, zone_prepare() the heads
 *     of a range not seeded yet, and frames beyond the table are not looked at.
 *  4. A free block is on the list of its order and in no cache; nothing maps it.  Unmap BEFORE put.
 *
 * Locking: one spinlock a zone.  It is taken rarely: single pages, nearly all requests, come from per-CPU caches
 * (page.c) that trade in chains with zone_take_pages()/zone_give_pages(), one lock a chain.  zone_take_pages uses up
 * the smallest blocks first, so fragments go before a large block is broken, and a broken block is handed out whole:
 * its pages later merge again.
 *
 * Failure: NULL.  Two watermarks leave something for those who cannot wait: programs' pages (ALLOC_USER) stop first,
 * then ordinary kernel requests; ALLOC_RESERVE may take the last page.  A block freed twice or never allocated is our
 * bug and panics by its state.
 *
 * Rejected: bitmaps for the buddies (the entry must be touched anyway for its links); a list per CPU and order (order 0
 * is nearly all); zones by address (no device here needs low memory, and a zone costs a list walk).
 */
#include "mm/zone.h"

#include "core/panic.h"
#include "lib/string.h"

_Static_assert(sizeof(struct page) == 48, "the frame table is 48 bytes a frame");

void zone_init(struct zone *z, struct page *table, uint64_t first_frame, uint64_t frame_count)
{
	*z = (struct zone){.table = table, .first_frame = first_frame, .frame_count = frame_count};
	spin_init(&z->lock, LOCK_ZONE, "zone");
	buddy_init(&z->buddy);
}

static struct page *entry(struct zone *z, uint64_t frame)
{
	return &z->table[frame - z->first_frame];
}

static uint64_t frame_of(const struct zone *z, const struct page *p)
{
	return (uint64_t)(p - z->table) + z->first_frame;
}

/* The frame table as the buddies' records: all inlined. */

static always_inline struct list_node *record_free_node(void *owner, uint64_t frame, unsigned order)
{
	struct zone *z = owner;
	if (frame - z->first_frame >= z->frame_count)
		return NULL;
	struct page *p = entry(z, frame);
	return p->state == PAGE_FREE && p->order == order ? &p->link : NULL;
}

static always_inline struct list_node *record_ahead(void *owner maybe_unused, struct list_node *node, uint64_t frames)
{
	return &(LIST_ENTRY(node, struct page, link) + frames)->link;
}

static always_inline void record_set_free(void *owner maybe_unused, struct list_node *node, unsigned order)
{
	struct page *p = LIST_ENTRY(node, struct page, link);
	p->state = PAGE_FREE;
	p->order = (uint8_t)order;
}

static always_inline void record_set_part(void *owner maybe_unused, struct list_node *node)
{
	LIST_ENTRY(node, struct page, link)->state = PAGE_RESERVED;
}

static const struct buddy_records records = {PAGE_ORDERS, record_free_node, record_ahead, record_set_free,
					     record_set_part};

/* Joins the block with its buddies as far as they are free and puts the result on its list. */
static void merge_locked(struct zone *z, struct page *p, unsigned order)
{
	buddy_give(&z->buddy, &records, z, &p->link, frame_of(z, p), order);
}

/* Takes a block of at least `order` off its list and cuts it down; NULL if there is none. */
static struct page *take_locked(struct zone *z, unsigned order)
{
	struct list_node *node = buddy_take(&z->buddy, &records, z, order);
	if (!node)
		return NULL;
	struct page *p = LIST_ENTRY(node, struct page, link);
	p->order = (uint8_t)order;
	return p;
}

/* How many pages a request with these flags may still take. */
static uint64_t allowance(const struct zone *z, unsigned flags)
{
	uint64_t keep = z->reserve_pages;
	if (flags & ALLOC_RESERVE)
		keep = 0;
	else if (flags & ALLOC_USER)
		keep = z->user_pages;
	return z->buddy.free_units > keep ? z->buddy.free_units - keep : 0;
}

struct page *zone_alloc(struct zone *z, unsigned order, unsigned flags)
{
	struct page *p = NULL;
	irqflags_t f = spin_lock(&z->lock);
	if (allowance(z, flags) >= 1ull << order)
		p = take_locked(z, order);
	if (p)
		p->state = PAGE_OWNED;
	spin_unlock(&z->lock, f);
	return p;
}

unsigned zone_take_pages(struct zone *z, unsigned want, unsigned flags, struct page **chain)
{
	unsigned got = 0;
	irqflags_t f = spin_lock(&z->lock);
	uint64_t left = MIN(allowance(z, flags), (uint64_t)want);
	while (left && z->buddy.nonempty) {
		unsigned order = (unsigned)__builtin_ctz(z->buddy.nonempty);
		while ((1ull << order) > left)
			order--;
		struct page *p = take_locked(z, order);
		if (!p)
			break;
		unsigned n = 1u << order;
		for (unsigned i = n; i-- > 0;) { /* lowest address on top */
			p[i].state = PAGE_CACHED;
			p[i].order = 0;
			p[i].link.next = *chain ? &(*chain)->link : NULL;
			*chain = &p[i];
		}
		got += n;
		left -= n;
	}
	spin_unlock(&z->lock, f);
	return got;
}

void zone_free(struct zone *z, struct page *p)
{
	irqflags_t f = spin_lock(&z->lock);
	if (unlikely(p->state != PAGE_OWNED || p->order >= PAGE_ORDERS))
		panic("page %#llx freed in state %u", (unsigned long long)frame_of(z, p), p->state);
	merge_locked(z, p, p->order);
	spin_unlock(&z->lock, f);
}

void zone_give_pages(struct zone *z, struct page *chain, unsigned count)
{
	irqflags_t f = spin_lock(&z->lock);
	for (; count; count--) {
		struct page *next = LIST_ENTRY(chain->link.next, struct page, link);
		merge_locked(z, chain, 0);
		chain = next;
	}
	spin_unlock(&z->lock, f);
}

void zone_seal(struct zone *z, uint64_t first, uint64_t end)
{
	first = MAX(first, z->first_frame);
	end = MIN(end, z->first_frame + z->frame_count);
	if (first < end)
		memset(entry(z, first), 0, (end - first) * sizeof(struct page));
	_Static_assert(PAGE_RESERVED == 0, "sealed by clearing");
}

void zone_prepare(struct zone *z, uint64_t first, uint64_t end)
{
	BUG_ON(first < z->first_frame || end > z->first_frame + z->frame_count);
	while (first < end) {
		unsigned order = buddy_first_order(first, end, PAGE_ORDERS);
		if (order < PAGE_ORDERS - 1) /* the largest blocks have no buddy that could ask */
			entry(z, first)->state = PAGE_RESERVED;
		first += 1ull << order;
	}
}

void zone_seed(struct zone *z, uint64_t first, uint64_t end)
{
	BUG_ON(first < z->first_frame || end > z->first_frame + z->frame_count);
	irqflags_t f = spin_lock(&z->lock);
	z->managed_pages += end > first ? end - first : 0;
	while (first < end) {
		unsigned order = buddy_first_order(first, end, PAGE_ORDERS);
		merge_locked(z, entry(z, first), order);
		first += 1ull << order;
	}
	spin_unlock(&z->lock, f);
}

void zone_set_watermarks(struct zone *z)
{
	z->reserve_pages = MAX(MIN(z->managed_pages / 128, 1024ull), 16ull);
	z->user_pages = z->reserve_pages + MAX(MIN(z->managed_pages / 64, 2048ull), 24ull);
}

void zone_check(struct zone *z)
{
	SPIN_GUARD(&z->lock);
	uint64_t pages = 0;
	for (unsigned k = 0; k < PAGE_ORDERS; k++) {
		uint64_t blocks = 0;
		struct page *p;
		LIST_FOR_EACH(p, &z->buddy.free[k], link) {
			uint64_t frame = frame_of(z, p), buddy = frame ^ (1ull << k);
			BUG_ON(frame - z->first_frame >= z->frame_count);
			BUG_ON(p->state != PAGE_FREE || p->order != k || !IS_ALIGNED(frame, 1ull << k));
			if (k < PAGE_ORDERS - 1 && buddy - z->first_frame < z->frame_count)
				BUG_ON(entry(z, buddy)->state == PAGE_FREE && entry(z, buddy)->order == k);
			blocks++;
		}
		BUG_ON(blocks != z->buddy.free_blocks[k]);
		BUG_ON((blocks != 0) != (z->buddy.nonempty >> k & 1));
		pages += blocks << k;
	}
	BUG_ON(pages != z->buddy.free_units);
}
