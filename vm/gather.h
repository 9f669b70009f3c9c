/*
 * Taking pages out of page tables: always "unmap, flush, free".  Internal to vm/; theory in gather.c.
 */
#pragma once

#include "vm/pte.h"

#define GATHER_PAGES 64
#define GATHER_FLUSHES 32 /* more single-page flushes than this cost more than forgetting everything */

struct gather {
	struct aspace *as;
	unsigned pages, flushes;
	int64_t anon, file;
	bool flush_all;
	struct page *page[GATHER_PAGES];
	uint64_t va[GATHER_FLUSHES];
};

static inline void gather_init(struct gather *g, struct aspace *as)
{
	g->as = as;
	g->pages = 0;
	g->flushes = 0;
	g->anon = 0;
	g->file = 0;
	g->flush_all = false;
}

/* Notes that the translation of va changed or went. */
static inline void gather_flush(struct gather *g, uint64_t va)
{
	if (g->flushes < GATHER_FLUSHES)
		g->va[g->flushes++] = va;
	else
		g->flush_all = true;
}

/* Flushes, then drops the pages gathered. as->table_lock held all the time from the first entry on. */
void gather_finish(struct gather *g);
/* Empties one entry (not an empty one). table_lock held. */
void gather_take(struct gather *g, pte_t *e, uint64_t va);

/*
 * Another page in place of the one that a present entry shows, or other rights: no processor sees the new one while
 * another may still see the old. table_lock held.
 */
void entry_replace(struct aspace *as, pte_t *e, uint64_t va, pte_t new);

/* Unmaps everything in [start,end); takes table_lock. True if there was any table. */
bool zap_range(struct aspace *as, uint64_t start, uint64_t end);
/* The same for pages of objects only: private copies stay. */
void zap_object_pages(struct aspace *as, uint64_t start, uint64_t end);
/* The same for an address space that nobody can run in any more: no flushing. */
void zap_dead(struct aspace *as);
