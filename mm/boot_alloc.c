/*
 * Boot allocator: theory.
 *
 * The page allocator's own frame table, and the tables of the direct map that must reach it, need memory before there
 * is a page
 * allocator.  A bump allocator (lib/alloc/bump.c) is the right one here: nothing is ever given back, there are a
 * handful of requests, and its whole state is a cursor.
 *
 * One usable range of the memory map is the region being served.  The cursor runs from its end DOWN, for two reasons:
 * firmware leaves ragged ends at the top of memory, which are of little use for large blocks anyway, and low memory
 * stays whole.  Alignment only loses what lies between two requests.  When a request does not fit, what was used of the
 * region is entered into the map as MEMMAP_KERNEL and another region is searched: the highest one that has room.
 * boot_alloc_finish() does the same for the last region, so the map afterwards shows exactly the memory that is still
 * free; the frame allocator is seeded from the map and needs no other hand-over.
 *
 * Failure: the caller gets 0 and panics with the amount of memory the kernel needs.  A map too full to record a region
 * makes the region unusable, never double-used.
 *
 * Rejected: a linked free list (nothing is freed); carving straight from the map per call (an entry per call where the
 * cursor needs one).
 */
#include "mm/boot_alloc.h"

#include "core/panic.h"
#include "lib/alloc/bump.h"
#include "lib/string.h"
#include "mm/page.h"

struct boot_alloc_stats boot_alloc_stats;

static struct memmap *memory;
static uint64_t reach;		  /* no byte at or above it is handed out */
static uint64_t low, cursor, top; /* region: free is [low, cursor), handed out [cursor, top) */

void boot_alloc_init(struct memmap *map, uint64_t limit)
{
	memory = map;
	reach = limit;
	low = cursor = top = 0;
}

void boot_alloc_set_limit(uint64_t limit)
{
	reach = limit;
}

static void region_close(void)
{
	if (cursor < top && memmap_add(memory, cursor, top - cursor, MEMMAP_KERNEL))
		boot_stop("boot memory map is full (%zu ranges)", memory->count);
	low = cursor = top = 0;
}

/* The place `len` bytes would get at the end of [base, end), or 0. Page 0 is never handed out: 0 means "none"
 * everywhere. */
static uint64_t place_in(uint64_t base, uint64_t end, uint64_t len, uint64_t align)
{
	return bump_place(MAX(base, (uint64_t)PAGE_SIZE), end, len, align);
}

static bool region_open(uint64_t len, uint64_t align)
{
	region_close();
	for (size_t i = memory->count; i-- > 0;) {
		const struct memmap_range *r = &memory->ranges[i];
		uint64_t base = ALIGN_UP(r->base, PAGE_SIZE), end = ALIGN_DOWN(MIN(r->end, reach), PAGE_SIZE);
		if (r->type != MEMMAP_USABLE || !place_in(base, end, len, align))
			continue;
		low = base;
		cursor = top = end;
		boot_alloc_stats.regions++;
		return true;
	}
	return false;
}

paddr_t boot_alloc(uint64_t len_bytes, uint64_t align_bytes, bool zero)
{
	uint64_t at = place_in(low, cursor, len_bytes, align_bytes);
	if (!at) {
		if (!region_open(len_bytes, align_bytes))
			return paddr(0);
		at = place_in(low, cursor, len_bytes, align_bytes);
	}
	boot_alloc_stats.calls++;
	boot_alloc_stats.bytes += len_bytes;
	boot_alloc_stats.wasted_bytes += cursor - at - len_bytes;
	cursor = at;
	if (zero)
		memset(paddr_to_ptr(paddr(at)), 0, len_bytes);
	return paddr(at);
}

void boot_alloc_finish(void)
{
	if (top)
		cursor = ALIGN_DOWN(cursor, PAGE_SIZE);
	region_close();
	memory = NULL;
}
