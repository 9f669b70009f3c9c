/*
 * The buddy system over numbered units; theory in buddy.c.  mm/zone.c has it over page frames, buddy.c over an arena.
 *
 * Where the record of a block is differs between the two, so it is asked by functions; they are constant and inlined,
 * and what comes out is the code one would have written by hand for either.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"

#define BUDDY_ORDERS_MAX 20u

struct buddy {
	uint32_t nonempty;   /* bit per order with a free block */
	uint64_t free_units; /* in all lists; may be read without the owner's lock */
	uint64_t free_blocks[BUDDY_ORDERS_MAX];
	struct list free[BUDDY_ORDERS_MAX];
};

/* Questions about the block that a node or the number of its first unit stands for, put to `owner`, whoever keeps the
 * records. */
struct buddy_records {
	unsigned orders; /* in use, 1 … BUDDY_ORDERS_MAX */
	/* The node of the free block of just this order that n heads, or NULL; n may lie beyond the managed numbers. */
	struct list_node *(*free_node)(void *owner, uint64_t n, unsigned order);
	/* The node `units` further on. */
	struct list_node *(*ahead)(void *owner, struct list_node *node, uint64_t units);
	void (*set_free)(void *owner, struct list_node *node, unsigned order);
	/* It no longer heads a block: it became part of a larger one. */
	void (*set_part)(void *owner, struct list_node *node);
};

static inline void buddy_init(struct buddy *b)
{
	*b = (struct buddy){0};
	for (unsigned k = 0; k < BUDDY_ORDERS_MAX; k++)
		list_init(&b->free[k]);
}

/* On the list of its order. Does not count free_units. */
static always_inline void buddy_add(struct buddy *b, const struct buddy_records *r, void *owner, struct list_node *node,
				    unsigned order)
{
	r->set_free(owner, node, order);
	list_push_front(&b->free[order], node);
	b->nonempty |= 1u << order;
	b->free_blocks[order]++;
}

static always_inline void buddy_remove(struct buddy *b, struct list_node *node, unsigned order)
{
	list_remove(node);
	b->free_blocks[order]--;
	if (list_empty(&b->free[order]))
		b->nonempty &= ~(1u << order);
}

/* Takes the block [n, n + 2^order) of this node in: joins it with its buddies as far as they are free. */
static always_inline void buddy_give(struct buddy *b, const struct buddy_records *r, void *owner,
				     struct list_node *node, uint64_t n, unsigned order)
{
	b->free_units += 1ull << order;
	while (order < r->orders - 1) {
		struct list_node *other = r->free_node(owner, n ^ (1ull << order), order);
		if (!other)
			break;
		buddy_remove(b, other, order);
		/* whichever half stops being a head must not look like one */
		r->set_part(owner, node);
		r->set_part(owner, other);
		if (n & 1ull << order) {
			n ^= 1ull << order;
			node = other;
		}
		order++;
	}
	buddy_add(b, r, owner, node, order);
}

/* Takes a block of at least `order` off its list and cuts it down to that, keeping the lower half; NULL if there is
 * none. */
static always_inline struct list_node *buddy_take(struct buddy *b, const struct buddy_records *r, void *owner,
						  unsigned order)
{
	uint32_t fits = b->nonempty & (~0u << order);
	if (!fits)
		return NULL;
	unsigned k = (unsigned)__builtin_ctz(fits);
	struct list_node *node = b->free[k].head.next;
	buddy_remove(b, node, k);
	while (k > order) {
		k--;
		buddy_add(b, r, owner, r->ahead(owner, node, 1ull << k), k);
	}
	b->free_units -= 1ull << order;
	return node;
}

/* The order of the first block of [first, end), which is not empty, when that is cut into as few blocks as possible. */
static inline unsigned buddy_first_order(uint64_t first, uint64_t end, unsigned orders)
{
	unsigned order = first ? (unsigned)__builtin_ctzll(first) : orders - 1;
	order = MIN(order, orders - 1);
	while ((1ull << order) > end - first)
		order--;
	return order;
}

/* The order of the smallest block of at least `units` (> 0). */
static inline unsigned buddy_order_of(uint64_t units)
{
	return units == 1 ? 0 : 64u - (unsigned)__builtin_clzll(units - 1);
}

/* Buddies over memory that is written to: the list nodes lie in the free blocks, a byte for each unit says what it
 * heads. The design on its own, and the pages below slab_arena.c. */
struct buddy_arena {
	struct buddy buddy;
	char *base;
	uint64_t first, units; /* number of the first unit, and how many */
	unsigned unit_shift;
	uint8_t *heads;	  /* per unit: order | HEAD_FREE or HEAD_TAKEN; 0: heads nothing */
	uint64_t reached; /* the highest end of a block so far, in units */
};

/* heads: a byte for each unit. The END of the arena is what blocks are aligned to (a block of order k starts a multiple
 * of 2^k units before it), so that the small blocks an uneven length leaves lie at its start and are used first. */
void buddy_arena_init(struct buddy_arena *a, void *base, uint64_t units, unsigned unit_shift, uint8_t *heads);
void *buddy_arena_take(struct buddy_arena *a, unsigned order) must_check;
/* The order it had. Traps on what is no block. */
unsigned buddy_arena_give(struct buddy_arena *a, void *block);
bool buddy_arena_check(const struct buddy_arena *a);
