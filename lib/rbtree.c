/*
 * Red-black trees: insertion, removal and walking, with the augmented variants made from the same code.
 *
 * Invariants: the root is black; a red node has black children; every path from a node down to an empty place passes
 * the same number of black nodes. Hence no path is more than twice as long as another. A fresh node is red and can
 * only break the second rule, a removed one only the third; both are mended on the way up with at most two and three
 * rotations.
 *
 * An augmented value depends on the node and its subtree, so it is put right in two steps: first along the path from
 * the place of change to the root, with the shape as it is, then at the two nodes each rotation touches (a rotation
 * leaves the set of nodes below its top unchanged, so nothing above needs to know). The generic bodies are inlined once
 * with recompute == NULL, which leaves the plain tree without any trace of it.
 *
 * Rejected: AVL trees (shorter, but removal may rotate all the way up, which matters for augmented address-space
 * trees), and a parent-less node (no O(1) removal given only the node).
 */
#include "lib/rbtree.h"

#define RB_BLACK ((uintptr_t)1)

static inline bool is_red(const struct rb_node *node)
{
	return node && !(node->parent_colour & RB_BLACK);
}

static inline void set_parent(struct rb_node *node, struct rb_node *parent)
{
	node->parent_colour = (uintptr_t)parent | (node->parent_colour & RB_BLACK);
}

static inline void set_black(struct rb_node *node)
{
	node->parent_colour |= RB_BLACK;
}

static inline void set_red(struct rb_node *node)
{
	node->parent_colour &= ~RB_BLACK;
}

/* Makes `parent` (or the root) point to `to` where it pointed to `from`. */
static inline void change_child(struct rb_root *root, struct rb_node *parent, struct rb_node *from, struct rb_node *to)
{
	if (!parent)
		root->node = to;
	else if (parent->left == from)
		parent->left = to;
	else
		parent->right = to;
}

/* Raises top->right above `top`. */
static always_inline void rotate_left(struct rb_root *root, struct rb_node *top, rb_recompute_fn recompute)
{
	struct rb_node *raised = top->right, *parent = rb_parent(top);

	top->right = raised->left;
	if (top->right)
		set_parent(top->right, top);
	raised->left = top;
	set_parent(raised, parent);
	set_parent(top, raised);
	change_child(root, parent, top, raised);
	if (recompute) {
		recompute(top);
		recompute(raised);
	}
}

static always_inline void rotate_right(struct rb_root *root, struct rb_node *top, rb_recompute_fn recompute)
{
	struct rb_node *raised = top->left, *parent = rb_parent(top);

	top->left = raised->right;
	if (top->left)
		set_parent(top->left, top);
	raised->right = top;
	set_parent(raised, parent);
	set_parent(top, raised);
	change_child(root, parent, top, raised);
	if (recompute) {
		recompute(top);
		recompute(raised);
	}
}

/* `node` is red and so may be its parent. */
static always_inline void mend_red(struct rb_root *root, struct rb_node *node, rb_recompute_fn recompute)
{
	struct rb_node *parent;

	while (parent = rb_parent(node), is_red(parent)) {
		struct rb_node *grand = rb_parent(parent); /* exists: the root is black */
		bool on_left = parent == grand->left;
		struct rb_node *uncle = on_left ? grand->right : grand->left;

		if (is_red(uncle)) {
			set_black(parent);
			set_black(uncle);
			set_red(grand);
			node = grand;
			continue;
		}
		if (on_left) {
			if (node == parent->right) {
				rotate_left(root, parent, recompute);
				parent = node;
			}
			set_black(parent);
			set_red(grand);
			rotate_right(root, grand, recompute);
		} else {
			if (node == parent->left) {
				rotate_right(root, parent, recompute);
				parent = node;
			}
			set_black(parent);
			set_red(grand);
			rotate_left(root, grand, recompute);
		}
		break;
	}
	set_black(root->node);
}

/* Paths through `node` (possibly empty), a child of `parent`, lack one black node. */
static always_inline void mend_black(struct rb_root *root, struct rb_node *node, struct rb_node *parent,
				     rb_recompute_fn recompute)
{
	while (parent && !is_red(node)) {
		bool on_left = node == parent->left;
		/* exists: its side has the extra black */
		struct rb_node *sibling = on_left ? parent->right : parent->left;

		if (is_red(sibling)) {
			set_black(sibling);
			set_red(parent);
			if (on_left)
				rotate_left(root, parent, recompute);
			else
				rotate_right(root, parent, recompute);
			sibling = on_left ? parent->right : parent->left;
		}

		struct rb_node *near = on_left ? sibling->left : sibling->right;
		struct rb_node *far = on_left ? sibling->right : sibling->left;

		if (!is_red(near) && !is_red(far)) {
			set_red(sibling);
			node = parent;
			parent = rb_parent(node);
			continue;
		}
		if (!is_red(far)) {
			set_black(near);
			set_red(sibling);
			if (on_left)
				rotate_right(root, sibling, recompute);
			else
				rotate_left(root, sibling, recompute);
			far = sibling;
			sibling = near;
		}
		sibling->parent_colour = (sibling->parent_colour & ~RB_BLACK) | (parent->parent_colour & RB_BLACK);
		set_black(parent);
		set_black(far);
		if (on_left)
			rotate_left(root, parent, recompute);
		else
			rotate_right(root, parent, recompute);
		return;
	}
	if (node)
		set_black(node);
}

static always_inline void erase(struct rb_root *root, struct rb_node *node, rb_recompute_fn recompute)
{
	struct rb_node *parent = rb_parent(node); /* of the place that loses a node */
	struct rb_node *child;			  /* what moves into that place */
	bool lost_black;

	if (node->left && node->right) {
		/* The successor leaves its own place, which has no left child, and takes over the node's. */
		struct rb_node *heir = node->right;

		while (heir->left)
			heir = heir->left;
		lost_black = !is_red(heir);
		child = heir->right;
		if (heir == node->right) {
			parent = heir;
		} else {
			parent = rb_parent(heir);
			parent->left = child;
			heir->right = node->right;
			set_parent(heir->right, heir);
		}
		heir->left = node->left;
		set_parent(heir->left, heir);
		change_child(root, rb_parent(node), node, heir);
		heir->parent_colour = node->parent_colour;
	} else {
		lost_black = !is_red(node);
		child = node->left ? node->left : node->right;
		change_child(root, parent, node, child);
	}
	if (child)
		set_parent(child, parent);
	if (recompute)
		rb_augment_propagate(parent, recompute);
	if (lost_black)
		mend_black(root, child, parent, recompute);
}

void rb_insert_fix(struct rb_root *root, struct rb_node *node)
{
	mend_red(root, node, NULL);
}

void rb_erase(struct rb_root *root, struct rb_node *node)
{
	erase(root, node, NULL);
}

void rb_insert_augmented(struct rb_root *root, struct rb_node *node, rb_recompute_fn recompute)
{
	rb_augment_propagate(node, recompute);
	mend_red(root, node, recompute);
}

void rb_erase_augmented(struct rb_root *root, struct rb_node *node, rb_recompute_fn recompute)
{
	erase(root, node, recompute);
}

void rb_augment_propagate(struct rb_node *node, rb_recompute_fn recompute)
{
	for (; node; node = rb_parent(node))
		recompute(node);
}

void rb_replace(struct rb_root *root, struct rb_node *old_node, struct rb_node *new_node)
{
	*new_node = *old_node;
	change_child(root, rb_parent(old_node), old_node, new_node);
	if (new_node->left)
		set_parent(new_node->left, new_node);
	if (new_node->right)
		set_parent(new_node->right, new_node);
}

struct rb_node *rb_first(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->left)
		node = node->left;
	return node;
}

struct rb_node *rb_last(const struct rb_root *root)
{
	struct rb_node *node = root->node;

	while (node && node->right)
		node = node->right;
	return node;
}

struct rb_node *rb_next(const struct rb_node *node)
{
	struct rb_node *at = node->right, *parent;

	if (at) {
		while (at->left)
			at = at->left;
		return at;
	}
	while ((parent = rb_parent(node)) && node == parent->right)
		node = parent;
	return parent;
}

struct rb_node *rb_prev(const struct rb_node *node)
{
	struct rb_node *at = node->left, *parent;

	if (at) {
		while (at->right)
			at = at->right;
		return at;
	}
	while ((parent = rb_parent(node)) && node == parent->left)
		node = parent;
	return parent;
}
