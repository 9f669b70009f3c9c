/*
 * From the boot memory map to a working memory floor, in the one order that is possible:
 *
 *   1. boot allocator     from usable memory the boot page tables reach (the first GiB)
 *   2. direct map         extended over all other memory; its tables come from 1
 *   3. frame table        an entry per frame from lowest to highest RAM; from 1, now anywhere
 *   4. buddy lists        what the map still calls usable
 *   5. page tables, slab, kernel ranges: from 4
 *
 * Cost counts here, since every boot pays it: the frame table is not cleared (zone.c, invariant 2), only reserved
 * memory that may be released later and the borders of holes are.
 */
#include <arch/mmu.h>
#include "core/boot_info.h"
#include "core/options.h"
#include "core/panic.h"
#include "lib/memmap.h"
#include "mm/boot_alloc.h"
#include "mm/kasan.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "mm/slab_debug.h"
#include "mm/zone.h"
#include "sync/rcu.h"

#define EARLY_MAPPED GIB /* by the boot code, from address 0 */
#define BLOCK_FRAMES (1ull << (PAGE_ORDERS - 1))

static const struct memmap *memory;

static bool type_is_ram(enum memmap_type type)
{
	return type == MEMMAP_USABLE || type == MEMMAP_KERNEL;
}

/* RAM and what firmware left in it for us to read. */
static bool type_is_mapped(enum memmap_type type)
{
	return type_is_ram(type) || type == MEMMAP_ACPI_RECLAIM || type == MEMMAP_ACPI_NVS;
}

bool paddr_is_ram(paddr_t pa)
{
	if ((pa.v >> PAGE_SHIFT) - page_first_frame >= page_frame_count)
		return false;
	const struct memmap_range *r = memmap_find(memory, pa.v);
	return r && type_is_ram(r->type);
}

static void direct_map_add(uint64_t base, uint64_t end)
{
	base = MAX(base, (uint64_t)EARLY_MAPPED);
	end = MIN(end, DIRECT_MAP_SIZE);
	if (base < end &&
	    pgtable_map_kernel(vaddr(DIRECT_MAP_BASE + base), paddr(base), end - base, MMU_READ | MMU_WRITE))
		boot_stop("no memory for the page tables that map memory up to %#llx", (unsigned long long)end);
}

/*
 * Neighbours are mapped as one, for larger leaves.  A reserved range that follows at once on RAM is, to the next MiB,
 * the end of the memory bank, where the firmware keeps tables (SeaBIOS calls its ACPI tables just "reserved"); what
 * lies further is no memory.
 */
static void direct_map_extend(const struct memmap *map)
{
	uint64_t base = 0, end = 0;
	for (size_t i = 0; i < map->count; i++) {
		const struct memmap_range *r = &map->ranges[i];
		bool adjoins = end && r->base == end;
		if (type_is_mapped(r->type)) {
			if (!adjoins) {
				direct_map_add(base, end);
				base = r->base;
			}
			end = r->end;
		} else if (r->type == MEMMAP_RESERVED && adjoins) {
			end = MIN(r->end, ALIGN_UP(end, MIB));
		}
	}
	direct_map_add(base, end);
}

static void frame_table_create(struct memmap *map)
{
	uint64_t first = UINT64_MAX, end = 0;
	for (size_t i = 0; i < map->count; i++) {
		const struct memmap_range *r = &map->ranges[i];
		if (!type_is_ram(r->type) || r->base >= DIRECT_MAP_SIZE)
			continue;
		first = MIN(first, r->base >> PAGE_SHIFT);
		end = MAX(end, MIN(ALIGN_UP(r->end, PAGE_SIZE), DIRECT_MAP_SIZE) >> PAGE_SHIFT);
		page_ram_count += (r->end - r->base) >> PAGE_SHIFT;
	}
	if (first >= end)
		boot_stop("the memory map has no RAM below the limit; check mem= on the command line");
	uint64_t bytes = (end - first) * sizeof(struct page);
	paddr_t table = boot_alloc(bytes, CACHE_LINE, false);
	if (!table.v)
		boot_stop("not enough memory: %llu KiB are needed for page frames, %llu KiB are usable; give the "
			  "machine "
			  "more RAM",
			  (unsigned long long)(bytes / KIB),
			  (unsigned long long)(memmap_total(map, MEMMAP_USABLE) / KIB));
	page_first_frame = first;
	page_frame_count = end - first;
	page_table = paddr_to_ptr(table);
	zone_init(&page_zone, page_table, page_first_frame, page_frame_count);
}

/* Usable frames of range r: whole pages, without frame 0, whose address means "none". */
static bool range_frames(const struct memmap_range *r, uint64_t *first, uint64_t *end)
{
	*first = MAX(ALIGN_UP(r->base, PAGE_SIZE) >> PAGE_SHIFT, 1ull);
	*end = MIN(r->end, DIRECT_MAP_SIZE) >> PAGE_SHIFT;
	return *first < *end;
}

/* Makes valid what freeing may look at outside [from, to), which is usable: see zone.c, invariant 3. */
static void seal_between(uint64_t from, uint64_t to)
{
	if (to - from <= 2 * BLOCK_FRAMES) {
		zone_seal(&page_zone, from, to);
	} else {
		zone_seal(&page_zone, from, from + BLOCK_FRAMES);
		zone_seal(&page_zone, to - BLOCK_FRAMES, to);
	}
}

static void buddy_seed(const struct memmap *map)
{
	uint64_t first, end, done = page_first_frame;
	for (size_t i = 0; i < map->count; i++) {
		if (map->ranges[i].type != MEMMAP_USABLE || !range_frames(&map->ranges[i], &first, &end))
			continue;
		seal_between(done, first);
		zone_prepare(&page_zone, first, end);
		done = end;
	}
	seal_between(done, page_first_frame + page_frame_count);
	for (size_t i = 0; i < map->count; i++)
		if (map->ranges[i].type == MEMMAP_KERNEL) /* may be released: each of its frames */
			zone_seal(&page_zone, map->ranges[i].base >> PAGE_SHIFT,
				  ALIGN_UP(map->ranges[i].end, PAGE_SIZE) >> PAGE_SHIFT);
	for (size_t i = 0; i < map->count; i++) {
		if (map->ranges[i].type != MEMMAP_USABLE || !range_frames(&map->ranges[i], &first, &end))
			continue;
		if (CONFIG_KASAN)
			kasan_frames_free(first, end);
		zone_seed(&page_zone, first, end);
	}
	zone_set_watermarks(&page_zone);
	page_cache_set_size(page_zone.managed_pages);
}

void mm_init(struct boot_info *info)
{
	struct memmap *map = &info->memory;
	memory = map;
	memmap_page_align(map, PAGE_SIZE);
	boot_alloc_init(map, EARLY_MAPPED);
	pgtable_share_kernel_range(vaddr(KMAP_BASE), KMAP_SIZE);
	direct_map_extend(map);
	boot_alloc_set_limit(DIRECT_MAP_SIZE);
	if (CONFIG_KASAN)
		kasan_init(map);
	frame_table_create(map);
	if (CONFIG_KASAN)
		kasan_init_frames();
	boot_alloc_finish();
	buddy_seed(map);
	pgtable_from_boot = false;
	slab_init();
	kmalloc_init();
	kmap_init();
	if (CONFIG_DEBUG && options.alloc_record)
		alloc_record_start();
}

void mm_caches_drain(void)
{
	rcu_drain();
	pgtable_cache_drain();
	kstack_cache_drain();
	slab_caches_drain();
	page_cache_drain();
}
