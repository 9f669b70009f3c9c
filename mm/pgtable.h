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
struct mmu_context;
/* Frees the tables that lie wholly inside [start,end) and are empty of entries after an unmap, once no CPU remembers
 * them. */
void pgtable_trim(struct mmu_context *context, vaddr_t start, vaddr_t end);
/* Pages that tables take (VmPTE). */
uint64_t pgtable_page_count(paddr_t root);

/* Kernel half: maps physical range with the largest leaves that fit. -ENOMEM, -EEXIST. */
int pgtable_map_kernel(vaddr_t va, paddr_t pa, uint64_t len_bytes, unsigned prot) must_check;
struct page;
/* The same for single pages from anywhere, all within one level-0 table, where nothing is mapped yet. -ENOMEM, -EEXIST:
 * a larger leaf is there; then nothing was mapped. */
int pgtable_map_kernel_pages(vaddr_t va, struct page *const *pages, unsigned count, unsigned prot) must_check;
/* Takes whole 4 KiB pages out of the kernel half. CPUs may remember them until tlb_flush_kernel() (mm/tlb.h), so
 * neither addresses nor pages may be used again before. */
void pgtable_clear_kernel(vaddr_t va, uint64_t len_bytes);
/* The same with the flush, by all CPUs. */
void pgtable_unmap_kernel(vaddr_t va, uint64_t len_bytes);
/* Translates through any root; false when not mapped. */
bool pgtable_translate(paddr_t root, vaddr_t va, paddr_t *pa, unsigned *prot);

/* ---- looking at them (pgtable_dump.c); nothing here changes or allocates anything ---- */

/* Neighbouring pages of one size with the same rights. */
struct pgtable_range {
	uint64_t start, last; /* the last byte: the kernel half ends where 64 bits do */
	paddr_t pa;	      /* of start */
	unsigned prot;	      /* enum mmu_prot */
	unsigned level;	      /* of the leaves */
	bool contiguous;      /* physically */
};

/*
 * Up to max ranges from *at to `last`, inclusive; *at becomes where to go on, *done says that there is nothing left.
 * Tables below root must not be freed meanwhile: a program's caller holds its LOCK_PAGETABLE lock, the kernel half
 * needs none (its tables are never freed). Any context.
 */
unsigned pgtable_ranges(paddr_t root, uint64_t *at, uint64_t last, struct pgtable_range *out, unsigned max, bool *done);
/* The entries on the way to va, from the root down, as far as there are any; how many. As above. */
unsigned pgtable_walk(paddr_t root, vaddr_t va, pte_t entries[PT_LEVELS]);
/* How many pages of the kernel half can be written and executed: 0, or something is wrong. */
uint64_t pgtable_check_wx(void);
/* What a kernel address is for ("direct map"), and the bounds of that; NULL: nothing is ever mapped there. */
const char *pgtable_region(uint64_t va, uint64_t *start, uint64_t *last);
/* "rw-" and the like, user and device bits behind it. */
const char *pgtable_prot_text(unsigned prot, char buf[8]);
struct monitor_out;
struct spinlock;
/* For the command `pagetables`: all of the kernel half; a program's half; the way to one address. lock: of the
 * program's tables, NULL: not needed or not to be had. */
void pgtable_print_kernel(struct monitor_out *out);
void pgtable_print_user(struct monitor_out *out, paddr_t root, struct spinlock *lock);
void pgtable_print_walk(struct monitor_out *out, paddr_t root, vaddr_t va);
