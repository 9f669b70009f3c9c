/*
 * Fixed-size blocks: the free ones of one size, linked through themselves.
 *
 * The first word of a free block is the link, so the record costs nothing, and what was freed last, still in the CPU's
 * caches, is used first.  Both operations are a handful of instructions without a branch that depends on the past.
 * This is the innermost part of mm/slab.c (the objects of a slab, the per-CPU chains) and of fixed.c.
 *
 * A pool does not link its blocks in advance: they are cut off a run of memory one by one as they are needed, so memory
 * nobody asked for is not touched.
 */
#pragma once

#include "lib/types.h"

static always_inline void *block_link(const void *block)
{
	return *(void *const *)block;
}

static always_inline void block_link_set(void *block, void *next)
{
	*(void **)block = next;
}

static always_inline void block_push(void **chain, void *block)
{
	block_link_set(block, *chain);
	*chain = block;
}

/* *chain is not empty. */
static always_inline void *block_pop(void **chain)
{
	void *block = *chain;

	*chain = block_link(block);
	return block;
}

/* Blocks of one run; laid out to share the words `index` and `private` of struct page. */
struct block_pool {
	uint32_t out; /* taken and not put back */
	uint32_t cut; /* ever cut off the run */
	void *free;   /* put back */
};

/* A block of the run of blocks of `stride` bytes that starts at `base`; the caller knows that one is left
 * (out < blocks in the run). *fresh says whether it was cut off just now. */
static always_inline void *block_pool_take(struct block_pool *p, void *base, size_t stride, bool *fresh)
{
	p->out++;
	*fresh = !p->free;
	if (p->free)
		return block_pop(&p->free);
	return (char *)base + (size_t)p->cut++ * stride;
}

static always_inline void block_pool_put(struct block_pool *p, void *block)
{
	block_push(&p->free, block);
	p->out--;
}
