/*
 * Bump allocator: theory.
 *
 * The state is one cursor; what is behind it is taken, what is before it free.  A request costs a subtraction and a
 * mask, because the cursor runs DOWN: aligning the new start is then rounding towards where the cursor goes anyway.
 * Nothing that is freed can be used again, but for one case that costs a counter: when no block is alive at all, the
 * arena starts over.
 *
 * Right where little is asked for and nothing given back: memory before the page allocator (mm/boot_alloc.c).  Wrong
 * for everything else, which `make bench-alloc` shows by the operation at which it runs out.
 *
 * Invariants: low <= cursor <= top; alive == 0 implies cursor == top.
 */
#include "lib/alloc/bump.h"

#include "lib/alloc/allocator.h"

struct bump {
	struct allocator allocator;
	uintptr_t low, cursor, top;
	uintptr_t lowest; /* the cursor's lowest place so far */
	size_t alive;
};

static void *bump_alloc(struct allocator *a, size_t size, size_t align)
{
	struct bump *b = container_of(a, struct bump, allocator);

	if (!allocator_request_ok(size, align, b->top - b->low))
		return NULL;
	uintptr_t at = bump_place(b->low, b->cursor, size, MAX(align, (size_t)ALLOCATOR_ALIGN_MIN));
	if (!at)
		return NULL;
	b->cursor = at;
	b->lowest = MIN(b->lowest, at);
	b->alive++;
	return (void *)at;
}

static void bump_free(struct allocator *a, void *p maybe_unused, size_t size maybe_unused, size_t align maybe_unused)
{
	struct bump *b = container_of(a, struct bump, allocator);

	if (!--b->alive)
		b->cursor = b->top;
}

static void bump_stats(const struct allocator *a, struct allocator_stats *out)
{
	const struct bump *b = container_of(a, struct bump, allocator);

	*out = (struct allocator_stats){
		.granted = b->top - b->cursor,
		.extent = b->top - b->lowest,
		.overhead = sizeof(*b),
	};
}

static bool bump_check(const struct allocator *a)
{
	const struct bump *b = container_of(a, struct bump, allocator);

	return b->low <= b->cursor && b->cursor <= b->top && (b->alive || b->cursor == b->top);
}

static const struct allocator_ops bump_ops = {bump_alloc, bump_free, bump_stats, bump_check};

struct allocator *bump_create(void *arena, size_t len_bytes)
{
	struct bump *b = arena;
	char *base;
	size_t len = allocator_arena(arena, len_bytes, sizeof(*b), &base);

	if (!len)
		return NULL;
	*b = (struct bump){.allocator.ops = &bump_ops, .low = (uintptr_t)base, .top = (uintptr_t)base + len};
	b->cursor = b->lowest = b->top;
	return &b->allocator;
}
