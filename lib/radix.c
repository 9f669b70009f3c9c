/*
 * The radix tree of page caches.
 *
 * All leaves are at the same depth, `levels`, so a node needs no field that says where it stands: the shift follows
 * from the depth. `present` mirrors which slots are in use; it makes "is this node empty", "which slot comes next" and
 * "does only slot 0 remain" one instruction each, and radix_next() skips holes of any size in a few steps.
 *
 * Invariants: no node below the top is empty; the top node has something besides slot 0 (else the tree would be lower);
 * levels == 0 holds at most the item of index 0. A failed insertion takes back what it built, so these hold always.
 *
 * Nodes have no parent pointer: the path from the top is at most 11 nodes and is kept on the stack by those who need
 * it.
 */
#include "lib/radix.h"

#include <linux/errno.h>

#define RADIX_LEVELS_MAX 11 /* ceil(64 / 6) */

struct radix_node {
	uint64_t present;
	void *slot[RADIX_FANOUT];
};

_Static_assert(sizeof(struct radix_node) == RADIX_NODE_BYTES, "exported size");

/* The slot of `index` in a node from which `levels` nodes (itself included) lead to the item. */
static inline unsigned int slot_of(uint64_t index, unsigned int levels)
{
	return index >> (levels - 1) * RADIX_BITS & (RADIX_FANOUT - 1);
}

/* Whether a tree of this height can hold the index. */
static inline bool covers(unsigned int levels, uint64_t index)
{
	return levels >= RADIX_LEVELS_MAX || index >> levels * RADIX_BITS == 0;
}

static struct radix_node *node_create(struct radix_tree *tree)
{
	struct radix_node *node = tree->mem->alloc(tree->mem);

	if (node) {
		node->present = 0;
		for (unsigned int i = 0; i < RADIX_FANOUT; i++)
			node->slot[i] = NULL;
	}
	return node;
}

static inline void slot_fill(struct radix_node *node, unsigned int slot, void *what)
{
	node->slot[slot] = what;
	node->present |= BIT(slot);
}

static inline void slot_empty(struct radix_node *node, unsigned int slot)
{
	node->slot[slot] = NULL;
	node->present &= ~BIT(slot);
}

/* Takes away top nodes that only lead to their slot 0, and one that is empty. */
static void tree_lower(struct radix_tree *tree)
{
	while (tree->levels) {
		struct radix_node *top = tree->top;

		if (top->present > 1)
			return;
		tree->top = top->slot[0];
		tree->levels = top->present ? tree->levels - 1 : 0;
		tree->mem->free(tree->mem, top);
	}
}

/* Makes the tree tall enough for `index`. On failure it may be taller than it needs to be. */
static int tree_raise(struct radix_tree *tree, uint64_t index)
{
	if (!tree->top) {
		while (!covers(tree->levels, index))
			tree->levels++;
		if (tree->levels) {
			tree->top = node_create(tree);
			if (!tree->top) {
				tree->levels = 0;
				return -ENOMEM;
			}
		}
		return 0;
	}
	while (!covers(tree->levels, index)) {
		struct radix_node *node = node_create(tree);

		if (!node)
			return -ENOMEM;
		slot_fill(node, 0, tree->top);
		tree->top = node;
		tree->levels++;
	}
	return 0;
}

/*
 * Frees the empty nodes at the lower end of a path, whose last node is path[depth - 1], and lowers the tree. path[i] is
 * left by slot slots[i].
 */
static void tree_prune(struct radix_tree *tree, struct radix_node **path, const uint8_t *slots, unsigned int depth)
{
	while (depth > 1 && !path[depth - 1]->present) {
		depth--;
		tree->mem->free(tree->mem, path[depth]);
		slot_empty(path[depth - 1], slots[depth - 1]);
	}
	tree_lower(tree);
}

/* The place of `index`, which the tree must cover with levels > 0, or NULL. */
static void **tree_slot(const struct radix_tree *tree, uint64_t index)
{
	struct radix_node *node = tree->top;

	for (unsigned int levels = tree->levels; levels > 1; levels--) {
		node = node->slot[slot_of(index, levels)];
		if (!node)
			return NULL;
	}
	return &node->slot[slot_of(index, 1)];
}

void radix_init(struct radix_tree *tree, const struct radix_mem *mem)
{
	*tree = (struct radix_tree){.mem = mem};
}

void *radix_lookup(const struct radix_tree *tree, uint64_t index)
{
	if (!covers(tree->levels, index))
		return NULL;
	if (!tree->levels)
		return tree->top;

	void **slot = tree_slot(tree, index);

	return slot ? *slot : NULL;
}

int radix_insert(struct radix_tree *tree, uint64_t index, void *item)
{
	struct radix_node *path[RADIX_LEVELS_MAX];
	uint8_t slots[RADIX_LEVELS_MAX];
	unsigned int depth = 0, slot;
	struct radix_node *node;

	if (tree_raise(tree, index) < 0) {
		tree_lower(tree);
		return -ENOMEM;
	}
	if (!tree->levels) {
		if (tree->top)
			return -EEXIST;
		tree->top = item;
		tree->count = 1;
		return 0;
	}
	node = tree->top;
	for (unsigned int levels = tree->levels; levels > 1; levels--) {
		slot = slot_of(index, levels);
		path[depth] = node;
		slots[depth++] = slot;
		if (!node->slot[slot]) {
			struct radix_node *child = node_create(tree);

			if (!child) {
				tree_prune(tree, path, slots, depth);
				return -ENOMEM;
			}
			slot_fill(node, slot, child);
		}
		node = node->slot[slot];
	}
	slot = slot_of(index, 1);
	if (node->slot[slot])
		return -EEXIST; /* then nothing was built on the way */
	slot_fill(node, slot, item);
	tree->count++;
	return 0;
}

void *radix_replace(struct radix_tree *tree, uint64_t index, void *item)
{
	void **slot, *old;

	if (!covers(tree->levels, index))
		return NULL;
	slot = tree->levels ? tree_slot(tree, index) : &tree->top;
	if (!slot || !*slot)
		return NULL;
	old = *slot;
	*slot = item;
	return old;
}

void *radix_remove(struct radix_tree *tree, uint64_t index)
{
	struct radix_node *path[RADIX_LEVELS_MAX];
	uint8_t slots[RADIX_LEVELS_MAX];
	unsigned int depth = 0;
	void *at = tree->top;

	if (!covers(tree->levels, index))
		return NULL;
	for (unsigned int levels = tree->levels; levels && at; levels--) {
		path[depth] = at;
		slots[depth] = slot_of(index, levels);
		at = path[depth]->slot[slots[depth]];
		depth++;
	}
	if (!at)
		return NULL;
	tree->count--;
	if (!depth) {
		tree->top = NULL;
		return at;
	}
	slot_empty(path[depth - 1], slots[depth - 1]);
	tree_prune(tree, path, slots, depth);
	return at;
}

void *radix_next(const struct radix_tree *tree, uint64_t *index)
{
	struct radix_node *path[RADIX_LEVELS_MAX];
	unsigned int depth = 0, levels = tree->levels;
	uint64_t want = *index;

	if (!tree->top || !covers(levels, want))
		return NULL;
	if (!levels)
		return tree->top;
	path[0] = tree->top;
	for (;;) {
		unsigned int below = levels - depth; /* nodes from here down to an item */
		unsigned int shift = (below - 1) * RADIX_BITS, slot = slot_of(want, below);
		uint64_t there = path[depth]->present >> slot;

		if (there) {
			unsigned int skip = __builtin_ctzll(there);

			if (skip) /* the first index below that slot */
				want = ((want >> shift) + skip) << shift;
			void *child = path[depth]->slot[slot + skip];

			if (below == 1) {
				*index = want;
				return child;
			}
			path[++depth] = child;
			continue;
		}
		/* Nothing more in this node: go up to one that has a further slot, and begin at that. */
		do {
			if (!depth)
				return NULL;
			depth--;
			shift += RADIX_BITS;
		} while ((want >> shift & (RADIX_FANOUT - 1)) == RADIX_FANOUT - 1);
		if (__builtin_add_overflow(want >> shift << shift, 1ull << shift, &want))
			return NULL; /* the top node of a full-height tree has 16 slots in use */
	}
}

void radix_clear(struct radix_tree *tree, radix_visit_fn visit, void *ctx)
{
	struct radix_node *path[RADIX_LEVELS_MAX];
	unsigned int depth = 0, levels = tree->levels;
	uint64_t prefix = 0; /* the slots taken from the top to path[depth] */
	void *top = tree->top;

	radix_init(tree, tree->mem);
	if (!levels) {
		if (top && visit)
			visit(ctx, 0, top);
		return;
	}
	path[0] = top;
	for (;;) {
		struct radix_node *node = path[depth];

		if (node->present) {
			unsigned int slot = __builtin_ctzll(node->present);
			void *child = node->slot[slot];
			uint64_t here = prefix << RADIX_BITS | slot;

			node->present &= node->present - 1;
			if (depth == levels - 1) {
				if (visit)
					visit(ctx, here, child);
			} else {
				path[++depth] = child;
				prefix = here;
			}
			continue;
		}
		tree->mem->free(tree->mem, node);
		if (!depth)
			return;
		depth--;
		prefix >>= RADIX_BITS;
	}
}
