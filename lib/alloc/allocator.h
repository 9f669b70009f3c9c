/*
 * Allocators: theory, and the one interface to all designs.
 *
 * An allocator hands out pieces of one arena, a run of memory it is given once.  Every design answers the same two
 * questions differently: where does the next request go, and how is what comes back found again?  The answer fixes the
 * costs (n: blocks alive, h: holes, b: bits in the map, k: block sizes):
 *
 *   design     alloc        free         record of a free block        loses                            serves
 *   bump       O(1)         nothing      none                          all that is freed                mm/boot_alloc
 *   free list  O(h)         O(h)         in the hole itself            to holes between blocks          mm/kmap
 *   fixed      O(1), O(h)   O(1)         in the block itself           to the next size, and to blocks  mm/slab:
 *                                                                      objects kept for their size for ever     of one
 *                                                                      slab
 *   bitmap     O(b/64)      O(size)      a bit outside the memory      to its granule, and to holes     pids, fds,
 *              stacks
 *   buddy      O(k)         O(k)         list node and order           up to half, to powers of two     mm/zone: pages
 *   slab       O(1)         O(1)         in the object itself          to the next size class; a slab   mm/slab,
 *                                                                      kmalloc is kept by its last object
 *
 * Internal fragmentation is what a block has beyond the bytes asked for; external is memory the design holds between
 * and beside blocks.  `make bench-alloc` measures both, and the instructions an operation takes, with one recorded
 * trace for all (tools/bench/alloc).
 *
 * The kernel's hot paths do not call through this table of pointers: an indirect call costs more than a slab's whole
 * fast path and hides it from inlining.  They use the same code by its own functions: bump_place(), struct free_list,
 * struct block_pool, lib/bitmap, struct buddy.  What is added here is what a private arena needs around them.  The
 * exception is mm/slab.c, which has per-CPU chains, locks and struct page where slab_arena.c has one chain and a table;
 * the pool in each slab, the shape of slabs and the size classes are shared.
 *
 * A request is given back with the size and alignment it was made with: no design needs a header in front of a block.
 *
 * Locking: none; an allocator belongs to one user or to that user's lock.
 * Failure: NULL, and nothing has changed.  Freeing what is not alive is the caller's bug; designs that see it by the
 * way (buddy, free list) trap, others rely on what stands above them (mm/slab's debug checks).
 */
#pragma once

#include "lib/types.h"

/* Arenas start at a multiple of this, and no request may ask for more. */
#define ALLOCATOR_ALIGN_MAX 4096u
/* Every block is aligned to this whatever is asked. */
#define ALLOCATOR_ALIGN_MIN 16u

struct allocator_stats {
	size_t granted;	 /* bytes in blocks now alive, with what rounding added */
	size_t extent;	 /* the most of the arena ever claimed: what a smallest sufficient arena would have to have */
	size_t overhead; /* the design's own records outside `extent` */
};

struct allocator;

struct allocator_ops {
	/* size > 0; align a power of two. NULL when nothing fits. */
	void *(*alloc)(struct allocator *a, size_t size, size_t align);
	/* p is alive and was asked for with just these words. */
	void (*free)(struct allocator *a, void *p, size_t size, size_t align);
	void (*stats)(const struct allocator *a, struct allocator_stats *out);
	/* Whether the design's own invariants hold. Slow: tests. */
	bool (*check)(const struct allocator *a);
};

/* The head of each design's state. */
struct allocator {
	const struct allocator_ops *ops;
};

static inline void *allocator_alloc(struct allocator *a, size_t size, size_t align)
{
	return a->ops->alloc(a, size, align);
}

static inline void allocator_free(struct allocator *a, void *p, size_t size, size_t align)
{
	a->ops->free(a, p, size, align);
}

struct allocator_design {
	const char *name;
	/* An allocator over [arena, arena + len_bytes), its state at the arena's start; NULL if that is too small. The
	 * arena is borrowed until the allocator is forgotten: there is nothing to destroy. */
	struct allocator *(*create)(void *arena, size_t len_bytes);
};

enum { ALLOCATOR_DESIGNS = 6 };
extern const struct allocator_design allocator_designs[ALLOCATOR_DESIGNS];

struct allocator *bump_create(void *arena, size_t len_bytes);
struct allocator *free_list_create(void *arena, size_t len_bytes);
struct allocator *fixed_create(void *arena, size_t len_bytes);
struct allocator *bitmap_create(void *arena, size_t len_bytes);
struct allocator *buddy_create(void *arena, size_t len_bytes);
struct allocator *slab_arena_create(void *arena, size_t len_bytes);

/* For create(): the memory left behind `state_bytes` of state, from *base on; 0 if none or the arena is misaligned. */
static inline size_t allocator_arena(void *arena, size_t len_bytes, size_t state_bytes, char **base)
{
	size_t skip = ALIGN_UP(state_bytes, ALLOCATOR_ALIGN_MAX);

	if ((uintptr_t)arena % ALLOCATOR_ALIGN_MAX || len_bytes <= skip)
		return 0;
	*base = (char *)arena + skip;
	return len_bytes - skip;
}

/* Whether a design may look at the request at all; rounding up cannot overflow after it. */
static inline bool allocator_request_ok(size_t size, size_t align, size_t arena_len)
{
	return size && size <= arena_len && align && !(align & (align - 1)) && align <= ALLOCATOR_ALIGN_MAX;
}
