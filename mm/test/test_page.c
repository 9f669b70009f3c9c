/*
 * The live page allocator through its public face.
 */
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/zone.h"

KTEST(mm, page_alloc_is_exclusive_and_fresh)
{
	uint64_t free = page_free_count();
	for (unsigned order = 0; order < 8; order++) {
		struct page *a = page_alloc(order, ALLOC_ZERO), *b = page_alloc(order, 0);
		KTEST_TRUE(a && b && a != b);
		KTEST_EQ(a->order, order);
		KTEST_EQ(refcount_read(&a->refs), 1);
		KTEST_TRUE(!a->owner && !a->private && !a->flags && !a->index);
		const uint64_t *words = page_to_ptr(a);
		for (size_t i = 0; i < ((size_t)PAGE_SIZE << order) / 8; i++)
			KTEST_EQ(words[i], 0);
		memset(page_to_ptr(a), 0xa5, (size_t)PAGE_SIZE << order);
		memset(page_to_ptr(b), 0x5a, (size_t)PAGE_SIZE << order);
		KTEST_EQ(*(uint8_t *)page_to_ptr(a), 0xa5);
		KTEST_TRUE(paddr_is_ram(page_to_paddr(a)));
		KTEST_TRUE(paddr_to_page(page_to_paddr(a)) == a && ptr_to_page(page_to_ptr(a)) == a);
		page_put(a);
		page_put(b);
	}
	KTEST_TRUE(page_alloc(PAGE_ORDERS, 0) == NULL);
	KTEST_EQ(page_free_count(), free);
}

KTEST(mm, page_refs_free_with_the_last)
{
	uint64_t free = page_free_count();
	struct page *p = page_alloc(0, 0);
	KTEST_TRUE(p != NULL);
	page_get(p);
	page_get(p);
	page_put(p);
	page_put(p);
	KTEST_EQ(page_free_count(), free - 1);
	KTEST_EQ(p->state, PAGE_OWNED);
	page_put(p);
	KTEST_EQ(page_free_count(), free);
	KTEST_EQ(p->state, PAGE_CACHED);
}

/* Everything a program may have, then everything the kernel may have, and all of it back. */
KTEST(mm, page_exhaustion_leaves_the_reserve)
{
	struct page *chain = NULL, *p;
	uint64_t user = 0, kernel = 0;
	mm_caches_drain();
	uint64_t free = page_free_count();
	while ((p = page_alloc(0, ALLOC_USER))) {
		p->owner = chain;
		chain = p;
		user++;
	}
	KTEST_TRUE(page_free_count() >= page_zone.user_pages);
	while ((p = page_alloc(0, 0))) {
		p->owner = chain;
		chain = p;
		kernel++;
	}
	p = page_alloc(0, ALLOC_RESERVE);
	bool reserve_served = p != NULL;
	if (p)
		page_put(p);
	while (chain) {
		p = chain;
		chain = p->owner;
		page_put(p);
	}
	mm_caches_drain();
	KTEST_TRUE(reserve_served);
	KTEST_TRUE(user && kernel);
	KTEST_EQ(page_free_count(), free);
	zone_check(&page_zone);
}

/* A CPU keeps some pages for itself, and no more: what is freed by the hundred goes back, and takes part in merging. */
KTEST(mm, page_cache_of_a_cpu_is_bounded)
{
	enum { N = 3000 };
	struct page *chain = NULL, *p;
	unsigned n = 0;
	mm_caches_drain();
	uint64_t free = page_zone.buddy.free_units;
	for (; n < N && (p = page_alloc(0, 0)); n++) {
		p->owner = chain;
		chain = p;
	}
	while (chain) {
		p = chain;
		chain = p->owner;
		page_put(p);
	}
	uint64_t kept = free - READ_ONCE(page_zone.buddy.free_units);
	KTEST_EQ(n, N);
	KTEST_TRUE(kept > 0 &&
		   kept <= 520); /* some, for the next who asks; page_cache_set_size() says how many at most */
	mm_caches_drain();
	KTEST_EQ(page_zone.buddy.free_units, free);
	/* the last freed is the next given out: it is the one in the CPU's cache */
	p = page_alloc(0, 0);
	KTEST_TRUE(p != NULL);
	page_put(p);
	struct page *q = page_alloc(0, 0);
	page_put(q);
	KTEST_TRUE(p == q);
}

/* Single pages that a CPU holds back may be just what a larger block lacks. */
KTEST(mm, page_cache_is_drained_for_a_large_block)
{
	struct page *chain = NULL, *p, *block;
	mm_caches_drain();
	while ((p = page_alloc(0, 0))) {
		p->owner = chain;
		chain = p;
	}
	for (unsigned i = 0; chain && i < 8; i++) {
		p = chain;
		chain = p->owner;
		page_put(p);
	}
	block = page_alloc(1, 0);
	while (chain) {
		p = chain;
		chain = p->owner;
		page_put(p);
	}
	KTEST_TRUE(block != NULL);
	page_put(block);
}

KTEST(mm, page_fail_at_is_one_shot)
{
	alloc_fail_at(2);
	struct page *a = page_alloc(0, 0), *b = page_alloc(0, 0), *c = page_alloc(0, 0);
	bool as_told = a && !b && c;
	if (a)
		page_put(a);
	if (b)
		page_put(b);
	if (c)
		page_put(c);
	KTEST_TRUE(as_told);
}

KTEST(mm, page_holes_are_no_ram)
{
	KTEST_TRUE(!paddr_is_ram(paddr((page_first_frame + page_frame_count) << PAGE_SHIFT)));
	KTEST_TRUE(!paddr_is_ram(paddr(0xfee00000)));
	struct page_stats s;
	page_stats_get(&s);
	KTEST_TRUE(s.free <= s.total && s.reserved < s.total && s.free + s.reserved <= s.total);
}
