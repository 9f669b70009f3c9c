/*
 * Fixed-size-block allocator: theory.
 *
 * A list of free blocks for each of a few sizes, powers of two.  A request takes a block of the next size up, a block
 * that comes back goes on the list of its size: two or three memory accesses each, whatever the past.  A list that is
 * empty gets one more block from an address-ordered free list (free_list.c), which also serves what is larger than the
 * largest size.
 *
 * Costs: O(1), but for the first use of each block.  Up to half of a block is lost inside, and a block stays of its
 * size for ever: what one phase of a program used in small blocks, the next cannot use in large ones.  The slab
 * allocator is the cure for just that, by giving back whole slabs.
 *
 * Right where all blocks are of one size and live in a run of their own: then nothing is lost.  That is a slab
 * (blocks.h in mm/slab.c).
 *
 * A block of size s is aligned to s, so alignment is a request for at least that size.
 */
#include "lib/alloc/allocator.h"
#include "lib/alloc/blocks.h"
#include "lib/alloc/free_list.h"

#define BLOCK_MIN 16u
#define SIZES 8u /* 16 … 2048 */
#define BLOCK_MAX (BLOCK_MIN << (SIZES - 1))

struct fixed {
	struct allocator allocator;
	void *free[SIZES];
	struct free_list rest;
	uintptr_t base, end, reached;
	size_t granted;
};

/* size and align are no larger than BLOCK_MAX. */
static inline unsigned size_index(size_t size, size_t align)
{
	size_t need = MAX(MAX(size, align), (size_t)BLOCK_MIN);

	return 60u - (unsigned)__builtin_clzll(need - 1);
}

static void *rest_take(struct fixed *f, size_t size, size_t align)
{
	uint64_t at;

	if (!free_list_take(&f->rest, size, align, NULL, &at))
		return NULL;
	f->reached = MAX(f->reached, at + size);
	f->granted += size;
	return (void *)(uintptr_t)at;
}

static void *fixed_alloc(struct allocator *a, size_t size, size_t align)
{
	struct fixed *f = container_of(a, struct fixed, allocator);

	if (!allocator_request_ok(size, align, f->end - f->base))
		return NULL;
	if (size > BLOCK_MAX || align > BLOCK_MAX)
		return rest_take(f, ALIGN_UP(size, FREE_LIST_GRANULE), MAX(align, (size_t)FREE_LIST_GRANULE));
	unsigned k = size_index(size, align);
	if (!f->free[k])
		return rest_take(f, BLOCK_MIN << k, BLOCK_MIN << k);
	f->granted += BLOCK_MIN << k;
	return block_pop(&f->free[k]);
}

static void fixed_free(struct allocator *a, void *p, size_t size, size_t align)
{
	struct fixed *f = container_of(a, struct fixed, allocator);

	if (size > BLOCK_MAX || align > BLOCK_MAX) {
		size = ALIGN_UP(size, FREE_LIST_GRANULE);
		f->granted -= size;
		if (!free_list_put(&f->rest, (uintptr_t)p, size, NULL, NULL))
			__builtin_trap(); /* freed twice */
		return;
	}
	unsigned k = size_index(size, align);
	f->granted -= BLOCK_MIN << k;
	block_push(&f->free[k], p);
}

static void fixed_stats(const struct allocator *a, struct allocator_stats *out)
{
	const struct fixed *f = container_of(a, struct fixed, allocator);

	*out = (struct allocator_stats){
		.granted = f->granted,
		.extent = f->reached - f->base,
		.overhead = sizeof(*f),
	};
}

/* Alive, kept by size, and in the rest: that must be the arena. */
static bool fixed_check(const struct allocator *a)
{
	const struct fixed *f = container_of(a, struct fixed, allocator);
	size_t kept = 0;

	for (unsigned k = 0; k < SIZES; k++)
		for (const void *b = f->free[k]; b; b = block_link(b)) {
			if (!IS_ALIGNED((uintptr_t)b, BLOCK_MIN << k))
				return false;
			kept += BLOCK_MIN << k;
		}
	return free_list_check(&f->rest) && kept + f->granted + f->rest.free_bytes == f->end - f->base;
}

static const struct allocator_ops fixed_ops = {fixed_alloc, fixed_free, fixed_stats, fixed_check};

struct allocator *fixed_create(void *arena, size_t len_bytes)
{
	struct fixed *f = arena;
	char *base;
	size_t len = ALIGN_DOWN(allocator_arena(arena, len_bytes, sizeof(*f), &base), FREE_LIST_GRANULE);

	if (!len)
		return NULL;
	*f = (struct fixed){.allocator.ops = &fixed_ops};
	free_list_init(&f->rest, false);
	f->base = f->reached = (uintptr_t)base;
	f->end = f->base + len;
	bool ok = free_list_put(&f->rest, f->base, len, NULL, NULL);
	return ok ? &f->allocator : NULL;
}
