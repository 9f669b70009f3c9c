/*
 * The areas of one address space: the tree, placement, splitting and merging.  Internal to vm/; theory in aspace.c.
 *
 * All functions need as->lock held for writing, the look-ups for reading.  None may fail except area_alloc.
 */
#pragma once

#include "vm/aspace.h"

#define AREA_PROT (AREA_READ | AREA_WRITE | AREA_EXEC)

/* A blank area of this address space, on no tree. NULL when out of memory. */
struct area *area_alloc(struct aspace *as) must_check;
/* Frees areas chained by next_dead with their references: never under as->lock, since a file's last put may take any
 * lock. */
void area_free_list(struct area *dead);
void area_cache_init(void);

static inline void area_bury(struct area **dead, struct area *a)
{
	a->next_dead = *dead;
	*dead = a;
}

static inline struct area *area_of(struct rb_node *n)
{
	return n ? RB_ENTRY(n, struct area, node) : NULL;
}

static inline struct area *area_first(const struct aspace *as)
{
	return area_of(rb_first(&as->areas));
}

static inline struct area *area_next(const struct area *a)
{
	return area_of(rb_next(&a->node));
}

static inline struct area *area_prev(const struct area *a)
{
	return area_of(rb_prev(&a->node));
}

static inline uint64_t area_bytes(const struct area *a)
{
	return a->end - a->start;
}

/* A private writable mapping: what RLIMIT_DATA and the commit heuristic count. */
static inline bool area_is_data(unsigned flags)
{
	return (flags & (AREA_WRITE | AREA_SHARED | AREA_GROWSDOWN)) == AREA_WRITE;
}

static inline uint64_t area_page_index(const struct area *a, uint64_t va)
{
	return (a->offset + (va - a->start)) >> PAGE_SHIFT;
}

/* Where a new mapping below must end at the latest: a stack keeps its guard gap free. */
static inline uint64_t area_guarded_start(const struct area *a)
{
	if (!(a->flags & AREA_GROWSDOWN))
		return a->start;
	return a->start > VM_STACK_GUARD_BYTES ? a->start - VM_STACK_GUARD_BYTES : 0;
}

/* The first area with end > addr. */
struct area *area_find(const struct aspace *as, uint64_t addr);
/* The area that holds addr or NULL; tries the last hit first and remembers it. For readers. */
struct area *area_lookup(struct aspace *as, uint64_t addr);

void area_insert(struct aspace *as, struct area *a);
/* Adds an area known to lie above all others: no search. */
void area_append(struct aspace *as, struct area *last, struct area *a);
void area_remove(struct aspace *as, struct area *a);
/* Moves the edges; the offset follows the start. The new range must overlap no neighbour. */
void area_resize(struct aspace *as, struct area *a, uint64_t start, uint64_t end);
/* Cuts a at `at` (inside it): a keeps the lower part, `upper` (from area_alloc) becomes the other. */
void area_split(struct aspace *as, struct area *a, uint64_t at, struct area *upper);
/* Whether r could continue l; l->end == r->start is part of the question. */
bool area_can_merge(const struct area *l, const struct area *r);
/* Merges a with the neighbours it fits; returns what it became part of. Absorbed areas go to *dead. */
struct area *area_merge(struct aspace *as, struct area *a, struct area **dead);

/* Takes the last node off without rebalancing, for tearing the whole tree down. */
struct area *area_pop_any(struct aspace *as);

/* Counts bytes of an area with these flags in or out. */
void area_account(struct aspace *as, unsigned flags, int64_t bytes);

/* The highest page-aligned start with len free bytes in [low,high), or 0. */
uint64_t area_place(const struct aspace *as, uint64_t len, uint64_t low, uint64_t high);
/* Whether [addr,addr+len) is free and keeps its distance from a stack above. */
bool area_range_free(const struct aspace *as, uint64_t addr, uint64_t len);

#if CONFIG_DEBUG || CONFIG_KTEST
/* NULL, or what is wrong with the tree. */
const char *area_tree_check(const struct aspace *as);
#endif
