/*
 * What the parts of mm/ share and nobody else needs.
 */
#pragma once

#include "lib/types.h"
#include "mm/page.h"

struct zone;

/* The one zone of the live kernel; page.c. */
extern struct zone page_zone;
/* All RAM in the memory map, in pages. */
extern uint64_t page_ram_count;
/* Sizes the per-CPU page caches to the machine. */
void page_cache_set_size(uint64_t managed_pages);

/* Until the page allocator runs, page tables come from the boot allocator; mm_init() ends that. */
extern bool pgtable_from_boot;
/* Makes the root entries for [va, va + len) so that every address space copied from now on shares them. Panics when out
 * of memory: boot only. */
void pgtable_share_kernel_range(vaddr_t va, uint64_t len_bytes);

void slab_init(void);
void kmalloc_init(void);
void kmap_init(void);

/* The parts of mm_caches_drain(). */
void slab_caches_drain(void);
void kstack_cache_drain(void);
void pgtable_cache_drain(void);
