/*
 * Page tables: allocation and walking, the same on every architecture.  arch/mmu.h says what an entry looks like.
 *
 * A program's tables belong to its address space (vm/aspace.h) whose LOCK_PAGETABLE lock is held for every call on them
 * that changes entries; pgtable_ensure may allocate and so is called with it held too (page_alloc never sleeps).
 */
#pragma once

#include <arch/mmu.h>
#include "lib/types.h"

/* A root whose upper half is the kernel's. -ENOMEM. */
int pgtable_create(paddr_t *root) must_check;
/* Frees all tables below the user half and the root. All leaves must have been cleared; root must not be active on any
 * CPU. */
void pgtable_destroy(paddr_t root);
/* Level-0 entry of va, or NULL where no table exists (or a large leaf covers it). */
pte_t *pgtable_find(paddr_t root, vaddr_t va);
/* Level-0 entry of va, with the tables on the way made. NULL when out of memory. */
pte_t *pgtable_ensure(paddr_t root, vaddr_t va) must_check;
/*
 * For ranges: the run of level-0 entries from *va up to end or the end of their table; *count says how many. Skips
 * holes: *va moves to the first address whose table exists. NULL at the end.
 */
pte_t *pgtable_run(paddr_t root, vaddr_t *va, vaddr_t end, unsigned *count);
/* Frees the tables that lie wholly inside [start,end) and are empty of entries after an unmap; clamps to what no area
 * uses (floor/ceiling). */
void pgtable_trim(paddr_t root, vaddr_t start, vaddr_t end);
/* Pages that tables take (VmPTE). */
uint64_t pgtable_page_count(paddr_t root);

/* Kernel half: maps physical range with the largest leaves that fit. -ENOMEM, -EEXIST. */
int pgtable_map_kernel(vaddr_t va, paddr_t pa, uint64_t len_bytes, unsigned prot) must_check;
/* Unmaps whole 4 KiB pages in the kernel half and flushes them everywhere. */
void pgtable_unmap_kernel(vaddr_t va, uint64_t len_bytes);
/* Translates through any root; false when not mapped. */
bool pgtable_translate(paddr_t root, vaddr_t va, paddr_t *pa, unsigned *prot);
