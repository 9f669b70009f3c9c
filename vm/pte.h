/*
 * What vm/ puts into page-table entries.  Internal to vm/.
 *
 *   empty              nothing here yet
 *   anon (PTE_SOFT1)   a page that belongs to this address space alone or to copies of it: private memory
 *   zero               the shared page of zeroes, never counted, never freed
 *   object             a page of the area's object
 *
 * An anon or object entry holds one reference to its page.  Entries of an inaccessible area (PROT_NONE) keep their page
 * but are hidden from the hardware, also from the kernel's own copies: bit 0, "present", is off.
 */
#pragma once

#include <arch/mmu.h>
#include "mm/page.h"
#include "mm/pgtable.h"
#include "vm/area.h"

#define ENTRY_PRESENT 1ull

extern struct page *vm_zero_page;

static always_inline pte_t entry_read(const pte_t *e)
{
	return (pte_t){READ_ONCE(e->v)};
}

static always_inline void entry_write(pte_t *e, pte_t v)
{
	WRITE_ONCE(e->v, v.v);
}

/* Empties an entry that processors may be using. */
static always_inline pte_t entry_take(pte_t *e)
{
	return (pte_t){__atomic_exchange_n(&e->v, 0, __ATOMIC_RELAXED)};
}

static always_inline bool entry_empty(pte_t e)
{
	return e.v == 0;
}

static always_inline bool entry_is_anon(pte_t e)
{
	return e.v & PTE_SOFT1;
}

static always_inline bool entry_is_zero(pte_t e)
{
	return pte_paddr(e).v == page_to_paddr(vm_zero_page).v;
}

static always_inline struct page *entry_page(pte_t e)
{
	return paddr_to_page(pte_paddr(e));
}

/* An entry for a page in an area, as the area's protection has it; writable: whether writes need no further fault. */
static inline pte_t entry_make(unsigned area_flags, const struct page *p, bool anon, bool writable)
{
	unsigned prot = MMU_USER | MMU_READ;
	pte_t e;

	if (area_flags & AREA_EXEC)
		prot |= MMU_EXEC;
	if (writable && (area_flags & AREA_WRITE))
		prot |= MMU_WRITE;
	e = pte_leaf(page_to_paddr(p), prot, 0);
	if (anon)
		e.v |= PTE_SOFT1;
	if (!(area_flags & AREA_PROT))
		e.v &= ~ENTRY_PRESENT;
	return e;
}

/* Whether a write to an object's page must be seen: then its first one faults. */
static inline bool area_tracks_dirty(const struct area *a)
{
	return a->object && a->object->ops->write;
}

/* Counts pages mapped; as->table_lock held. */
static inline void resident_add(struct aspace *as, int64_t anon, int64_t file)
{
	as->resident_anon += anon;
	as->resident_file += file;

	uint64_t now = (uint64_t)(as->resident_anon + as->resident_file);

	if (now > as->peak_resident)
		as->peak_resident = now;
	if (anon)
		__atomic_fetch_add(&vm_anon_pages, (uint64_t)anon, __ATOMIC_RELAXED);
}

/* Brings the system's count of table pages up to date after tables were made or freed; as->table_lock held, or as is
 * still private. */
static inline void tables_count(struct aspace *as)
{
	uint64_t now = pgtable_page_count(as->mmu.root);

	__atomic_fetch_add(&vm_pagetable_pages, now - as->tables_counted, __ATOMIC_RELAXED);
	as->tables_counted = now;
}
