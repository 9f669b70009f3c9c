/*
 * Reverse mapping: which areas show which part of an object.
 *
 * Truncation must take pages away from every program that has them mapped.  Each object keeps its areas in a tree
 * ordered by offset and augmented with the largest end offset below, so all areas that meet a range are found without
 * looking at the others (a library is mapped by every program, in several pieces each).
 *
 * Locking.  Truncation holds no address space's lock: it comes from file systems with inode locks held, which rank
 * either side of it.  It takes the object's map_lock, and under that each area's table_lock in turn.  That is enough,
 *   because
 *   - an area in the tree is alive, and so is its address space: teardown takes the areas out of the trees, under
 *     map_lock, before it frees anything;
 *   - start, end and offset of an area in the tree change under map_lock only (rmap_resize), and an area that is split
 *     or merged is at all times covered by the tree, if need be twice;
 *   - page-table entries move from one area to another (mremap) with map_lock held, so no walk misses one between two
 *     places;
 *   - tables are freed under table_lock, and only where no area is;
 *   - a fault maps an object's page under table_lock after checking that the page still belongs to the object.
 *     Truncation first takes pages out of the object and then walks: either the fault sees that the page has gone, or
 *     the walk sees the fault's entry.
 *
 * The walk runs with interrupts off.  Its length is bounded by the tables that exist for the range, not by the range.
 *
 * Rejected: a list (each truncation would visit every mapping of the object); back pointers per page (16 bytes for each
 * mapping of each page to speed up what is rare); taking aspace->lock (lock order, and its holders may be waiting for
 * I/O on this very object).
 */
#include "vm/rmap.h"

#include "core/panic.h"
#include "vm/gather.h"

static inline struct area *mapping_of(struct rb_node *n)
{
	return RB_ENTRY(n, struct area, map_node);
}

static inline uint64_t mapping_end(const struct area *a)
{
	return a->offset + (a->end - a->start);
}

static void mapping_recompute(struct rb_node *n)
{
	struct area *a = mapping_of(n);
	uint64_t end = mapping_end(a);

	if (n->left)
		end = MAX(end, mapping_of(n->left)->map_end_max);
	if (n->right)
		end = MAX(end, mapping_of(n->right)->map_end_max);
	a->map_end_max = end;
}

static void link_locked(struct area *a)
{
	struct rb_node **link = &a->object->maps.node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = a->offset < mapping_of(parent)->offset ? &parent->left : &parent->right;
	}
	rb_link(&a->map_node, parent, link);
	rb_insert_augmented(&a->object->maps, &a->map_node, mapping_recompute);
}

static void unlink_locked(struct area *a)
{
	rb_erase_augmented(&a->object->maps, &a->map_node, mapping_recompute);
	rb_node_clear(&a->map_node);
}

void rmap_add(struct area *a)
{
	if (!a->object)
		return;
	SPIN_GUARD(&a->object->map_lock);
	if (!rb_node_linked(&a->map_node))
		link_locked(a);
}

void rmap_remove(struct area *a)
{
	if (!a->object)
		return;
	SPIN_GUARD(&a->object->map_lock);
	if (rb_node_linked(&a->map_node))
		unlink_locked(a);
}

static void set_range(struct area *a, uint64_t start, uint64_t end)
{
	if (a->object || a->file)
		a->offset += start - a->start; /* modulo 2^64 when the start moves down */
	a->start = start;
	a->end = end;
}

void rmap_resize(struct area *a, uint64_t start, uint64_t end)
{
	if (!a->object) {
		set_range(a, start, end);
		return;
	}
	SPIN_GUARD(&a->object->map_lock);
	if (!rb_node_linked(&a->map_node)) {
		set_range(a, start, end);
	} else if (start == a->start) { /* the key stays */
		set_range(a, start, end);
		rb_augment_propagate(&a->map_node, mapping_recompute);
	} else {
		unlink_locked(a);
		set_range(a, start, end);
		link_locked(a);
	}
}

/* The first mapping, in order of offset, of the subtree that meets [first,end); NULL if none does. */
static struct area *first_meeting(struct rb_node *n, uint64_t first, uint64_t end)
{
	while (n && mapping_of(n)->map_end_max > first) {
		if (n->left && mapping_of(n->left)->map_end_max > first) {
			/* Something on the left ends late enough. If that begins too late, so does everything to its
			 * right. */
			n = n->left;
			continue;
		}
		struct area *a = mapping_of(n);

		if (a->offset >= end)
			return NULL;
		if (mapping_end(a) > first)
			return a;
		n = n->right;
	}
	return NULL;
}

/* The next one after a: up the tree from where a was found, with the same pruning. */
static struct area *next_meeting(struct area *a, uint64_t first, uint64_t end)
{
	struct rb_node *n = &a->map_node;

	for (;;) {
		if (n->right && mapping_of(n->right)->map_end_max > first)
			return first_meeting(n->right, first, end);

		struct rb_node *parent;

		while ((parent = rb_parent(n)) != NULL && parent->right == n)
			n = parent;
		if (!parent || mapping_of(parent)->offset >= end)
			return NULL;
		n = parent;
		if (mapping_end(mapping_of(n)) > first)
			return mapping_of(n);
	}
}

void vm_unmap_object_range(struct vm_object *o, uint64_t first_index, uint64_t end_index)
{
	uint64_t index_max = UINT64_MAX >> PAGE_SHIFT;
	uint64_t first = MIN(first_index, index_max) << PAGE_SHIFT;
	uint64_t end = end_index > index_max ? UINT64_MAX : end_index << PAGE_SHIFT;

	if (first >= end)
		return;
	SPIN_GUARD(&o->map_lock);
	for (struct area *a = first_meeting(o->maps.node, first, end); a; a = next_meeting(a, first, end)) {
		uint64_t from = a->offset >= first ? a->start : a->start + (first - a->offset);
		uint64_t to = mapping_end(a) <= end ? a->end : a->start + (end - a->offset);

		zap_object_pages(a->as, from, to);
	}
}
