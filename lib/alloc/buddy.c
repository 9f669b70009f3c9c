/*
 * Buddy allocator: theory.
 *
 * Blocks are 2^k units, aligned to their size.  A block's buddy is the other half of the aligned block twice as large:
 * its number with bit k flipped.  A request takes a block of the smallest order that has one and halves it until it
 * fits; a block that comes back is joined with its buddy as long as that is free and of the same order, so what is free
 * is always in the largest blocks possible.
 *
 * Costs: O(orders) both, and no search: the smallest sufficient order is a bit scan.  A request is rounded up to a
 * power of two, which loses a quarter on average and a half at worst, and two free neighbours that are no buddies do
 * not join. In return alignment is free and large blocks come back.
 *
 * Right for page frames (mm/zone.c), where requests are powers of two anyway and most are of one page.  As a heap for
 * objects it is quick but wastes, see `make bench-alloc`.
 *
 * The unit here is 16 bytes, just enough for the list node in a free block.  One byte for each unit says what block it
 * heads, so that the buddy's state is one load.
 *
 * Invariants: each unit belongs to one block, free or taken, whose head's byte says so and whose other bytes are 0;
 * blocks are aligned to their size; no free block's buddy is a free block of the same order.
 */
#include "lib/alloc/buddy.h"

#include "lib/alloc/allocator.h"

#define HEAD_FREE 0x80u
#define HEAD_TAKEN 0x40u
#define HEAD_ORDER 0x3fu

static always_inline struct list_node *arena_node(const struct buddy_arena *a, uint64_t n)
{
	return (struct list_node *)(a->base + ((n - a->first) << a->unit_shift));
}

static always_inline uint64_t arena_number(const struct buddy_arena *a, const void *block)
{
	return ((uint64_t)((const char *)block - a->base) >> a->unit_shift) + a->first;
}

static always_inline uint8_t *arena_head(const struct buddy_arena *a, const void *block)
{
	return &a->heads[(uint64_t)((const char *)block - a->base) >> a->unit_shift];
}

static always_inline struct list_node *record_free_node(void *owner, uint64_t n, unsigned order)
{
	const struct buddy_arena *a = owner;

	return n - a->first < a->units && a->heads[n - a->first] == (HEAD_FREE | order) ? arena_node(a, n) : NULL;
}

static always_inline struct list_node *record_ahead(void *owner, struct list_node *node, uint64_t units)
{
	const struct buddy_arena *a = owner;

	return (struct list_node *)((char *)node + (units << a->unit_shift));
}

static always_inline void record_set_free(void *owner, struct list_node *node, unsigned order)
{
	const struct buddy_arena *a = owner;

	*arena_head(a, node) = (uint8_t)(HEAD_FREE | order);
}

static always_inline void record_set_part(void *owner, struct list_node *node)
{
	const struct buddy_arena *a = owner;

	*arena_head(a, node) = 0;
}

static const struct buddy_records records = {BUDDY_ORDERS_MAX, record_free_node, record_ahead, record_set_free,
					     record_set_part};

void buddy_arena_init(struct buddy_arena *a, void *base, uint64_t units, unsigned unit_shift, uint8_t *heads)
{
	*a = (struct buddy_arena){.base = base, .units = units, .unit_shift = unit_shift, .heads = heads};
	/* the last number is a multiple of the largest block */
	a->first = -units & ((1ull << (BUDDY_ORDERS_MAX - 1)) - 1);
	buddy_init(&a->buddy);
	for (uint64_t i = 0; i < units; i++)
		heads[i] = 0;
	/* From the end, so that of several blocks of one order the lowest is on top. */
	for (uint64_t end = a->first + units; end > a->first;) {
		unsigned order = MIN((unsigned)__builtin_ctzll(end), BUDDY_ORDERS_MAX - 1);
		while (end - (1ull << order) < a->first || 1ull << order > end)
			order--;
		end -= 1ull << order;
		buddy_give(&a->buddy, &records, a, arena_node(a, end), end, order);
	}
}

void *buddy_arena_take(struct buddy_arena *a, unsigned order)
{
	struct list_node *node = order < BUDDY_ORDERS_MAX ? buddy_take(&a->buddy, &records, a, order) : NULL;

	if (!node)
		return NULL;
	uint64_t end = arena_number(a, node) - a->first + (1ull << order);
	*arena_head(a, node) = (uint8_t)(HEAD_TAKEN | order);
	a->reached = MAX(a->reached, end);
	return node;
}

unsigned buddy_arena_give(struct buddy_arena *a, void *block)
{
	uint64_t n = arena_number(a, block);

	if (n - a->first >= a->units || !(*arena_head(a, block) & HEAD_TAKEN))
		__builtin_trap();
	unsigned order = *arena_head(a, block) & HEAD_ORDER;
	buddy_give(&a->buddy, &records, a, block, n, order);
	return order;
}

bool buddy_arena_check(const struct buddy_arena *a)
{
	uint64_t free_units = 0, free_blocks[BUDDY_ORDERS_MAX] = {0};

	for (uint64_t i = 0; i < a->units;) {
		uint64_t n = a->first + i;
		unsigned order = a->heads[i] & HEAD_ORDER;
		if (!a->heads[i] || !IS_ALIGNED(n, 1ull << order) || i + (1ull << order) > a->units)
			return false;
		for (uint64_t k = i + 1; k < i + (1ull << order); k++)
			if (a->heads[k])
				return false;
		if (a->heads[i] & HEAD_FREE) {
			if (order < BUDDY_ORDERS_MAX - 1 && record_free_node((void *)a, n ^ (1ull << order), order))
				return false;
			free_units += 1ull << order;
			free_blocks[order]++;
		}
		i += 1ull << order;
	}
	for (unsigned k = 0; k < BUDDY_ORDERS_MAX; k++) {
		uint64_t listed = 0;
		for (const struct list_node *l = a->buddy.free[k].head.next; l != &a->buddy.free[k].head; l = l->next)
			listed++;
		if (listed != free_blocks[k] || listed != a->buddy.free_blocks[k] ||
		    (listed != 0) != (a->buddy.nonempty >> k & 1))
			return false;
	}
	return free_units == a->buddy.free_units;
}

/* ---- as an allocator over an arena ---- */

#define UNIT_SHIFT 4u
_Static_assert(sizeof(struct list_node) == 1 << UNIT_SHIFT, "every free block has room for its node");

struct buddy_allocator {
	struct allocator allocator;
	struct buddy_arena arena;
};

static void *buddy_alloc(struct allocator *a, size_t size, size_t align)
{
	struct buddy_allocator *b = container_of(a, struct buddy_allocator, allocator);

	if (!allocator_request_ok(size, align, b->arena.units << UNIT_SHIFT))
		return NULL;
	size = MAX(size, align);
	return buddy_arena_take(&b->arena, buddy_order_of((size + (1u << UNIT_SHIFT) - 1) >> UNIT_SHIFT));
}

static void buddy_free(struct allocator *a, void *p, size_t size maybe_unused, size_t align maybe_unused)
{
	buddy_arena_give(&container_of(a, struct buddy_allocator, allocator)->arena, p);
}

static void buddy_stats(const struct allocator *a, struct allocator_stats *out)
{
	const struct buddy_allocator *b = container_of(a, struct buddy_allocator, allocator);

	*out = (struct allocator_stats){
		.granted = (b->arena.units - b->arena.buddy.free_units) << UNIT_SHIFT,
		.extent = b->arena.reached << UNIT_SHIFT,
		.overhead = sizeof(*b) + b->arena.reached, /* of the bytes per unit what stands for the extent */
	};
}

static bool buddy_check(const struct allocator *a)
{
	return buddy_arena_check(&container_of(a, struct buddy_allocator, allocator)->arena);
}

static const struct allocator_ops buddy_ops = {buddy_alloc, buddy_free, buddy_stats, buddy_check};

struct allocator *buddy_create(void *arena, size_t len_bytes)
{
	struct buddy_allocator *b = arena;
	uint64_t heads = len_bytes >> UNIT_SHIFT;
	char *base;
	/* whole pages, so that blocks aligned to the end are aligned to the largest alignment there is */
	size_t len = ALIGN_DOWN(allocator_arena(arena, len_bytes, sizeof(*b) + heads, &base), ALLOCATOR_ALIGN_MAX);

	if (!len)
		return NULL;
	b->allocator.ops = &buddy_ops;
	buddy_arena_init(&b->arena, base, len >> UNIT_SHIFT, UNIT_SHIFT, (uint8_t *)(b + 1));
	return &b->allocator;
}
