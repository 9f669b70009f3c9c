/*
 * The buddy allocator on a zone of its own: a table of pages without memory behind it.
 */
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/boot_alloc.h"
#include "mm/slab.h"
#include "mm/zone.h"

#define FRAMES 4096u

/* first_frame is odd on purpose: nothing may depend on the table's start being aligned. */
static struct zone *zone_make(uint64_t first_frame, uint64_t frames)
{
	struct zone *z = kmalloc(sizeof *z);
	struct page *table = kmalloc(frames * sizeof *table);
	KTEST_TRUE(z && table);
	memset(table, 0xff, frames * sizeof *table); /* as garbage as memory at boot */
	zone_init(z, table, first_frame, frames);
	return z;
}

static void zone_drop(struct zone *z)
{
	kfree(z->table);
	kfree(z);
}

static void seed_all(struct zone *z, uint64_t first, uint64_t end)
{
	zone_seal(z, z->first_frame, first);
	zone_prepare(z, first, end);
	zone_seal(z, end, z->first_frame + z->frame_count);
	zone_seed(z, first, end);
	zone_check(z);
}

KTEST(mm, zone_seed_is_maximal)
{
	struct zone *z = zone_make(1, FRAMES);
	seed_all(z, 3, 4096);
	KTEST_EQ(z->buddy.free_units, 4093);
	/* 3, 4-7, 8-15, …, 512-1023, then three of 1024 */
	KTEST_EQ(z->buddy.free_blocks[0], 1);
	KTEST_EQ(z->buddy.free_blocks[1], 0);
	for (unsigned k = 2; k < 10; k++)
		KTEST_EQ(z->buddy.free_blocks[k], 1);
	KTEST_EQ(z->buddy.free_blocks[10], 3);
	zone_drop(z);
}

KTEST(mm, zone_splits_and_merges_every_order)
{
	struct zone *z = zone_make(0, FRAMES);
	seed_all(z, 0, FRAMES);
	for (unsigned k = 0; k < PAGE_ORDERS; k++) {
		struct page *p = zone_alloc(z, k, 0);
		KTEST_TRUE(p != NULL);
		KTEST_EQ(p->order, k);
		KTEST_EQ(p->state, PAGE_OWNED);
		KTEST_TRUE(IS_ALIGNED((uint64_t)(p - z->table), 1ull << k));
		zone_check(z);
		KTEST_EQ(z->buddy.free_units, FRAMES - (1u << k));
		zone_free(z, p);
		zone_check(z);
		KTEST_EQ(z->buddy.free_blocks[PAGE_ORDERS - 1], FRAMES >> (PAGE_ORDERS - 1));
	}
	KTEST_TRUE(zone_alloc(z, PAGE_ORDERS - 1, 0) != NULL);
	zone_drop(z);
}

KTEST(mm, zone_exhausts_and_recovers)
{
	struct zone *z = zone_make(16, FRAMES);
	seed_all(z, 100, 3000);
	struct page **got = kmalloc(FRAMES * sizeof *got);
	KTEST_TRUE(got != NULL);
	unsigned n = 0;
	while ((got[n] = zone_alloc(z, 0, ALLOC_RESERVE)))
		n++;
	KTEST_EQ(n, 2900);
	KTEST_EQ(z->buddy.nonempty, 0);
	KTEST_TRUE(zone_alloc(z, 0, ALLOC_RESERVE) == NULL);
	zone_check(z);
	/* every second one back: nothing merges; then the others: all does */
	for (unsigned i = 0; i < n; i += 2)
		zone_free(z, got[i]);
	zone_check(z);
	for (unsigned i = 1; i < n; i += 2)
		zone_free(z, got[i]);
	zone_check(z);
	KTEST_EQ(z->buddy.free_units, 2900);
	KTEST_EQ(z->buddy.free_blocks[10], 1); /* 1024-2047 */
	kfree(got);
	zone_drop(z);
}

KTEST(mm, zone_watermarks)
{
	struct zone *z = zone_make(0, FRAMES);
	seed_all(z, 0, FRAMES);
	zone_set_watermarks(z);
	KTEST_EQ(z->reserve_pages, 32);
	KTEST_EQ(z->user_pages, 96);
	unsigned user = 0, kernel = 0, reserve = 0;
	while (zone_alloc(z, 0, ALLOC_USER))
		user++;
	while (zone_alloc(z, 0, 0))
		kernel++;
	KTEST_TRUE(zone_alloc(z, 1, 0) == NULL);
	while (zone_alloc(z, 0, ALLOC_RESERVE))
		reserve++;
	KTEST_EQ(user, FRAMES - 96);
	KTEST_EQ(kernel, 64);
	KTEST_EQ(reserve, 32);
	zone_drop(z);
}

KTEST(mm, zone_chains)
{
	struct zone *z = zone_make(0, FRAMES);
	seed_all(z, 5, 1000);
	struct page *chain = NULL;
	unsigned n = zone_take_pages(z, 64, 0, &chain), seen = 0;
	KTEST_EQ(n, 64);
	for (struct page *p = chain; p; p = LIST_ENTRY(p->link.next, struct page, link)) {
		KTEST_EQ(p->state, PAGE_CACHED);
		seen++;
	}
	KTEST_EQ(seen, 64);
	zone_check(z);
	zone_give_pages(z, chain, 64);
	zone_check(z);
	KTEST_EQ(z->buddy.free_units, 995);
	KTEST_EQ(zone_take_pages(z, 5000, 0, &(struct page *){NULL}), 995);
	zone_drop(z);
}

/* Random allocations and frees of all orders; a byte map says who has each frame. */
KTEST(mm, zone_random_against_shadow)
{
	enum { HELD = 256 };
	struct zone *z = zone_make(7, FRAMES);
	seed_all(z, 20, 4000);
	uint8_t *taken = kzalloc(FRAMES + 8);
	struct page **held = kzalloc(HELD * sizeof *held);
	KTEST_TRUE(taken && held);
	uint64_t seed = 12345, free_pages = z->buddy.free_units;
	for (unsigned i = 0; i < 20000; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		struct page **h = &held[(seed >> 33) % HELD];
		if (*h) {
			uint64_t at = (uint64_t)(*h - z->table) + 7;
			for (uint64_t k = 0; k < 1ull << (*h)->order; k++)
				taken[at + k] = 0;
			free_pages += 1ull << (*h)->order;
			zone_free(z, *h);
			*h = NULL;
		} else {
			unsigned order = (unsigned)__builtin_ctzll((seed >> 45) | 1ull << 7);
			*h = zone_alloc(z, order, ALLOC_RESERVE);
			if (!*h)
				continue;
			uint64_t at = (uint64_t)(*h - z->table) + 7;
			KTEST_TRUE(at >= 20 && at + (1ull << order) <= 4000);
			for (uint64_t k = 0; k < 1ull << order; k++) {
				KTEST_EQ(taken[at + k], 0);
				taken[at + k] = 1;
			}
			free_pages -= 1ull << order;
		}
		KTEST_EQ(z->buddy.free_units, free_pages);
	}
	zone_check(z);
	for (unsigned i = 0; i < HELD; i++)
		if (held[i])
			zone_free(z, held[i]);
	zone_check(z);
	KTEST_EQ(z->buddy.free_units, 3980);
	kfree(held);
	kfree(taken);
	zone_drop(z);
}

KTEST(mm, zone_seeds_ranges_with_gaps)
{
	struct zone *z = zone_make(0, FRAMES);
	/* 10-19 and 20-29 with frame 15 missing, then released: all of it must merge as if it had been one */
	zone_seal(z, 0, 10);
	zone_prepare(z, 10, 15);
	zone_seal(z, 15, 16);
	zone_prepare(z, 16, 30);
	zone_seal(z, 30, FRAMES);
	zone_seed(z, 10, 15);
	zone_seed(z, 16, 30);
	zone_check(z);
	KTEST_EQ(z->buddy.free_units, 19);
	zone_seed(z, 15, 16);
	zone_check(z);
	KTEST_EQ(z->buddy.free_blocks[1], 2); /* 10-11, 28-29 */
	KTEST_EQ(z->buddy.free_blocks[2], 2); /* 12-15, 24-27 */
	KTEST_EQ(z->buddy.free_blocks[3], 1); /* 16-23 */
	KTEST_EQ(z->buddy.free_blocks[0], 0);
	zone_drop(z);
}

KTEST(mm, boot_alloc_bumps_down)
{
	struct memmap_range storage[16];
	struct memmap map;
	memmap_init(&map, storage, ARRAY_SIZE(storage));
	KTEST_EQ(memmap_add(&map, 0, 0x9f000, MEMMAP_USABLE), 0);
	KTEST_EQ(memmap_add(&map, 0x100000, 0x700000, MEMMAP_USABLE), 0);
	KTEST_EQ(memmap_add(&map, 0x900000, 0x1800, MEMMAP_USABLE), 0);
	boot_alloc_init(&map, UINT64_MAX);
	KTEST_EQ(boot_alloc(0x1000, 0x1000, false).v, 0x900000); /* the highest that fits, whole pages only */
	KTEST_EQ(boot_alloc(0x1000, 0x1000, false).v, 0x7ff000);
	KTEST_EQ(boot_alloc(100, 64, false).v, 0x7fef80);
	KTEST_EQ(boot_alloc(0x2000, 0x1000, false).v, 0x7fc000);
	KTEST_EQ(boot_alloc(0x800000, 0x1000, false).v, 0);
	boot_alloc_finish();
	KTEST_EQ(memmap_total(&map, MEMMAP_KERNEL), 0x1000 + 0x4000);
	KTEST_EQ(memmap_find(&map, 0x7fc000)->type, MEMMAP_KERNEL);
	KTEST_EQ(memmap_find(&map, 0x7fbfff)->type, MEMMAP_USABLE);

	/* below the limit only, and never page 0 */
	boot_alloc_init(&map, 0x3000);
	KTEST_EQ(boot_alloc(0x1000, 0x1000, false).v, 0x2000);
	KTEST_EQ(boot_alloc(0x1000, 0x1000, false).v, 0x1000);
	KTEST_EQ(boot_alloc(0x1000, 0x1000, false).v, 0);
	KTEST_EQ(boot_alloc(100, 64, false).v, 0);
	boot_alloc_finish();
}
