/*
 * A 64-way radix tree from a 64-bit index to a pointer: the index of a page cache.
 *
 * Its height follows the largest index present, so a tree that holds only index 0 has no node at all, one with indices
 * below 64 has a single node, and a lookup costs one step for each six bits. Items are non-NULL pointers that the tree
 * borrows. Only radix_insert allocates, through the caller's `radix_mem`. The caller's lock guards everything; lookups
 * may run concurrently with each other but not with a change.
 */
#pragma once

#include "lib/types.h"

#define RADIX_BITS 6
#define RADIX_FANOUT (1u << RADIX_BITS)
#define RADIX_NODE_BYTES (8 + RADIX_FANOUT * sizeof(void *))

struct radix_node;

/* Where nodes come from. `alloc` returns RADIX_NODE_BYTES of 8-aligned memory (contents arbitrary) or NULL. */
struct radix_mem {
	void *(*alloc)(const struct radix_mem *mem);
	void (*free)(const struct radix_mem *mem, void *node);
};

struct radix_tree {
	void *top;	     /* levels == 0: the item of index 0, or NULL; else the top node, never NULL */
	uint64_t count;	     /* items present */
	unsigned int levels; /* nodes between the tree and an item */
	const struct radix_mem *mem;
};

typedef void (*radix_visit_fn)(void *ctx, uint64_t index, void *item);

/* `mem` is borrowed for the tree's life. */
void radix_init(struct radix_tree *tree, const struct radix_mem *mem);

static inline bool radix_empty(const struct radix_tree *tree)
{
	return tree->count == 0;
}

/* The item at `index`, or NULL. */
void *radix_lookup(const struct radix_tree *tree, uint64_t index);

/* Puts the non-NULL `item` at `index`. 0, -EEXIST (something is there) or -ENOMEM; on failure nothing has changed. */
int must_check radix_insert(struct radix_tree *tree, uint64_t index, void *item);

/* Puts the non-NULL `item` in place of what is at `index` and returns the old item; NULL (and no change) if there is
 * none. */
void *radix_replace(struct radix_tree *tree, uint64_t index, void *item);

/* Removes and returns the item at `index`, or NULL. Frees every node this empties. */
void *radix_remove(struct radix_tree *tree, uint64_t index);

/* The first item at or after *index, whose index goes to *index; NULL (and *index unchanged) if there is none. */
void *radix_next(const struct radix_tree *tree, uint64_t *index);

/* Empties the tree, calling `visit` (may be NULL) for each item in order. `visit` must not touch the tree. */
void radix_clear(struct radix_tree *tree, radix_visit_fn visit, void *ctx);
