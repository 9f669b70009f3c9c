/*
 * Memory before the page allocator: a bump allocator over the boot memory map.  Theory in boot_alloc.c.
 * Used by mm_init() only, on the boot CPU, before anything else runs.
 */
#pragma once

#include "lib/memmap.h"
#include "lib/types.h"

/* Serves from usable memory in `map` (borrowed until boot_alloc_finish) below `limit`, the end of what is mapped. */
void boot_alloc_init(struct memmap *map, uint64_t limit);
/* More memory became reachable. */
void boot_alloc_set_limit(uint64_t limit);
/* Zeroed when asked. align is a power of two. A physical address, or 0 when nothing fits. Never freed. */
paddr_t boot_alloc(uint64_t len_bytes, uint64_t align_bytes, bool zero) must_check;
/* What was handed out becomes MEMMAP_KERNEL in the map. No allocation after it. */
void boot_alloc_finish(void);

struct boot_alloc_stats {
	uint64_t bytes, wasted_bytes; /* handed out; lost to alignment */
	unsigned calls, regions;
};
extern struct boot_alloc_stats boot_alloc_stats;
