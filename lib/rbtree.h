/*
 * An intrusive red-black tree, optionally augmented.
 *
 * The caller searches (only it knows the order) and hands the empty place it found to rb_link(); the tree then restores
 * balance. No operation allocates, recurses or fails. The tree owns nothing; its user names the lock.
 *
 *	struct rb_node **link = &root->node, *parent = NULL;
 *	while (*link) {
 *		parent = *link;
 *		link = key < RB_ENTRY(parent, struct thing, rb)->key ? &parent->left : &parent->right;
 *	}
 *	rb_link(&thing->rb, parent, link);
 *	rb_insert_fix(root, &thing->rb);
 *
 * Augmentation: each element may cache a value computed from itself and its two children (the widest gap below it, the
 * largest end of an interval). The user supplies `recompute(node)`, which derives the node's value from node->left and
 * node->right; the tree calls it, children before parents, for every node whose subtree changed. One tree uses either
 * the plain or the augmented calls, never both. When a key or value changes in place the user calls
 * rb_augment_propagate().
 */
#pragma once

#include "lib/types.h"

struct rb_node {
	uintptr_t parent_colour; /* address of the parent; bit 0 set: black */
	struct rb_node *left, *right;
};

struct rb_root {
	struct rb_node *node;
};

typedef void (*rb_recompute_fn)(struct rb_node *node);

/* clang-format off */
#define RB_ROOT_INIT {NULL}
/* clang-format on */
#define RB_ENTRY(node, type, member) container_of(node, type, member)

/* In-order visit. The body must not remove `var`. */
#define RB_FOR_EACH(var, root, member)                                                       \
	for (struct rb_node *it_##var = rb_first(root);                                      \
	     it_##var && ((var) = container_of(it_##var, __typeof__(*(var)), member), true); \
	     it_##var = rb_next(it_##var))

static inline void rb_init(struct rb_root *root)
{
	root->node = NULL;
}

static inline bool rb_empty(const struct rb_root *root)
{
	return !root->node;
}

static inline struct rb_node *rb_parent(const struct rb_node *node)
{
	return (struct rb_node *)(node->parent_colour & ~(uintptr_t)1);
}

/* A node on no tree may be marked as such, for users who need to ask; erase does not mark. */
static inline void rb_node_clear(struct rb_node *node)
{
	node->parent_colour = (uintptr_t)node;
}

static inline bool rb_node_linked(const struct rb_node *node)
{
	return node->parent_colour != (uintptr_t)node;
}

/* Puts `node` into the empty place `*link` below `parent` (NULL for the root). A fix call must follow at once. */
static inline void rb_link(struct rb_node *node, struct rb_node *parent, struct rb_node **link)
{
	node->parent_colour = (uintptr_t)parent;
	node->left = NULL;
	node->right = NULL;
	*link = node;
}

void rb_insert_fix(struct rb_root *root, struct rb_node *node);
void rb_erase(struct rb_root *root, struct rb_node *node);

/* As above for an augmented tree; `node`'s own value need not have been computed before. */
void rb_insert_augmented(struct rb_root *root, struct rb_node *node, rb_recompute_fn recompute);
void rb_erase_augmented(struct rb_root *root, struct rb_node *node, rb_recompute_fn recompute);

/* Recomputes `node` and everything above it; `node` may be NULL. */
void rb_augment_propagate(struct rb_node *node, rb_recompute_fn recompute);

/* Puts `new_node` exactly where `old_node` is. The order must be the same; an augmented user propagates afterwards. */
void rb_replace(struct rb_root *root, struct rb_node *old_node, struct rb_node *new_node);

/* In-order walk; NULL at the ends or when the tree is empty. rb_next/rb_prev are O(1) amortised over a walk. */
struct rb_node *rb_first(const struct rb_root *root);
struct rb_node *rb_last(const struct rb_root *root);
struct rb_node *rb_next(const struct rb_node *node);
struct rb_node *rb_prev(const struct rb_node *node);
