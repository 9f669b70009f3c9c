/*
 * A zone: one run of page frames under one buddy allocator.  Theory in zone.c.  The live kernel has one (page.c); tests
 * make their own over a table of pages with no memory behind it, since the allocator never touches the memory it
 * manages.
 */
#pragma once

#include "lib/alloc/buddy.h"
#include "lib/list.h"
#include "lib/types.h"
#include "mm/page.h"
#include "sync/spinlock.h"

struct zone {
	struct spinlock lock;	/* LOCK_ZONE: guards all below but what is marked I */
	struct page *table;	/* I: entry of frame first_frame */
	uint64_t first_frame;	/* I */
	uint64_t frame_count;	/* I */
	struct buddy buddy;	/* numbered by frame; free_units is also read without the lock */
	uint64_t managed_pages; /* ever seeded */
	uint64_t reserve_pages; /* only ALLOC_RESERVE gets below this many free */
	uint64_t user_pages;	/* ALLOC_USER doesn't get below this many */
};

/* Nothing in it yet. The table's content may be garbage. */
void zone_init(struct zone *z, struct page *table, uint64_t first_frame, uint64_t frame_count);
/* Makes the entries valid that freeing next to the not yet seeded frames [first, end) may look at. */
void zone_prepare(struct zone *z, uint64_t first, uint64_t end);
/* Gives frames [first, end) to the zone. None may be in it already; they, and what lies within one largest block
 * outside, must be sealed, prepared or seeded before. */
void zone_seed(struct zone *z, uint64_t first, uint64_t end);
/* Marks the entries of frames [first, end), clamped to the table, as PAGE_RESERVED. */
void zone_seal(struct zone *z, uint64_t first, uint64_t end);
/* Sets the two watermarks from managed_pages. */
void zone_set_watermarks(struct zone *z);

/* A block, its entry in state PAGE_OWNED and otherwise not filled in; NULL when none or below the watermark flags
 * stands for. */
struct page *zone_alloc(struct zone *z, unsigned order, unsigned flags) must_check;
/* Takes up to `want` single pages, state PAGE_CACHED, chained through link.next. Returns how many. */
unsigned zone_take_pages(struct zone *z, unsigned want, unsigned flags, struct page **chain);
/* Gives back a block of p->order pages in state PAGE_OWNED. */
void zone_free(struct zone *z, struct page *p);
/* Gives back `count` pages of state PAGE_CACHED chained through link.next. */
void zone_give_pages(struct zone *z, struct page *chain, unsigned count);

/* Walks all lists and checks every invariant of the theory; panics if one is broken. Slow: tests. */
void zone_check(struct zone *z);
