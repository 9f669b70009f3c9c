/*
 * Bitmap allocator: theory.
 *
 * A bit for each granule of 16 bytes says whether it is taken.  A request is a search for a run of clear bits, a word
 * of 64 at a time, from the lowest granule that may be free; giving back is clearing bits, and neighbours join without
 * being looked for.  Nothing is written into free memory.
 *
 * Costs: O(bits/64) to find, O(length/64 + 1) to mark; one bit in 128 of the arena for the map.  A block has no header
 * and no minimum but the granule.
 *
 * Right where all requests are of one granule, and where what is allocated is no memory at all: numbers of processes
 * (proc/pid.c), file descriptors (proc/fdtable.c), kernel stack slots (mm/kstack.c), all of which use lib/bitmap
 * directly.  As a heap it walks over everything alive.
 *
 * Invariant: no granule below `hint` is free.
 */
#include "lib/alloc/allocator.h"
#include "lib/bitmap.h"

#define GRANULE 16u

struct bitmap_allocator {
	struct allocator allocator;
	uint64_t *map; /* set: taken */
	char *base;
	size_t granules, taken;
	size_t hint;
	size_t reached; /* the highest end of a run so far */
};

/* The first free run of `run` granules that starts at a multiple of `step` granules; arenas are aligned for
 * all steps. */
static size_t run_find(const struct bitmap_allocator *b, size_t run, size_t step)
{
	size_t at = b->hint;

	for (;;) {
		at = bitmap_next_zero_run(b->map, b->granules, at, run);
		if (at >= b->granules || IS_ALIGNED(at, step))
			return at;
		size_t aligned = ALIGN_UP(at, step);
		if (aligned + run <= b->granules && bitmap_next_set(b->map, aligned + run, aligned) == aligned + run)
			return aligned;
		at = aligned;
	}
}

static void *bitmap_alloc(struct allocator *a, size_t size, size_t align)
{
	struct bitmap_allocator *b = container_of(a, struct bitmap_allocator, allocator);

	if (!allocator_request_ok(size, align, b->granules * GRANULE))
		return NULL;
	size_t run = (size + GRANULE - 1) / GRANULE;
	size_t at = run_find(b, run, MAX(align / GRANULE, (size_t)1));
	if (at >= b->granules)
		return NULL;
	bitmap_set_range(b->map, at, run);
	if (at == b->hint)
		b->hint = at + run;
	b->taken += run;
	b->reached = MAX(b->reached, at + run);
	return b->base + at * GRANULE;
}

static void bitmap_free(struct allocator *a, void *p, size_t size, size_t align maybe_unused)
{
	struct bitmap_allocator *b = container_of(a, struct bitmap_allocator, allocator);
	size_t at = (size_t)((char *)p - b->base) / GRANULE, run = (size + GRANULE - 1) / GRANULE;

	bitmap_clear_range(b->map, at, run);
	b->hint = MIN(b->hint, at);
	b->taken -= run;
}

static void bitmap_stats(const struct allocator *a, struct allocator_stats *out)
{
	const struct bitmap_allocator *b = container_of(a, struct bitmap_allocator, allocator);

	*out = (struct allocator_stats){
		.granted = b->taken * GRANULE,
		.extent = b->reached * GRANULE,
		.overhead = sizeof(*b) + b->reached / 8, /* of the map what stands for the extent */
	};
}

static bool bitmap_check(const struct allocator *a)
{
	const struct bitmap_allocator *b = container_of(a, struct bitmap_allocator, allocator);

	return bitmap_count(b->map, b->granules) == b->taken && bitmap_first_zero(b->map, b->granules) >= b->hint;
}

static const struct allocator_ops bitmap_ops = {bitmap_alloc, bitmap_free, bitmap_stats, bitmap_check};

struct allocator *bitmap_create(void *arena, size_t len_bytes)
{
	struct bitmap_allocator *b = arena;
	size_t words = BITMAP_WORDS(len_bytes / GRANULE);
	char *base;
	size_t len = allocator_arena(arena, len_bytes, sizeof(*b) + words * sizeof(uint64_t), &base);

	if (len < GRANULE)
		return NULL;
	*b = (struct bitmap_allocator){
		.allocator.ops = &bitmap_ops,
		.map = (uint64_t *)(b + 1),
		.base = base,
		.granules = len / GRANULE,
	};
	for (size_t i = 0; i < words; i++)
		b->map[i] = 0;
	return &b->allocator;
}
