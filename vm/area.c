/*
 * The tree of areas: ordered by start, each node augmented with the widest gap below any area of its subtree, so that
 * look-up, insertion and top-down placement all take O(log n) steps.
 *
 * An area's gap is what lies between its predecessor's end (0 for the first) and its own start, less the guard distance
 * if it is a stack. The space above the last area belongs to nobody; area_place looks at it first.
 *
 * Those fields of an object's area that truncation reads (start, end, offset) change under the object's map_lock as
 * well; see rmap.c.
 */
#include "vm/area.h"

#include "core/panic.h"
#include "mm/slab.h"
#include "vm/rmap.h"

static struct slab_cache *area_cache;

void area_cache_init(void)
{
	area_cache = slab_cache_create("area", sizeof(struct area), 0);
	if (!area_cache)
		boot_stop("vm: no memory for the first slab cache");
}

struct area *area_alloc(struct aspace *as)
{
	struct area *a = slab_alloc(area_cache, ALLOC_ZERO);

	if (!a)
		return NULL;
	a->as = as;
	rb_node_clear(&a->map_node);
	return a;
}

void area_free_list(struct area *dead)
{
	while (dead) {
		struct area *a = dead;

		dead = a->next_dead;
		if (a->object)
			vm_object_put(a->object);
		if (a->file)
			vm_file_ops->put(a->file);
		slab_free(area_cache, a);
	}
}

/* ---- the tree ---- */

static void area_recompute(struct rb_node *n)
{
	struct area *a = area_of(n);
	uint64_t gap = a->gap;

	if (n->left)
		gap = MAX(gap, area_of(n->left)->max_gap);
	if (n->right)
		gap = MAX(gap, area_of(n->right)->max_gap);
	a->max_gap = gap;
}

static void gap_compute(struct area *a)
{
	struct area *prev = area_prev(a);
	uint64_t low = prev ? prev->end : 0, high = area_guarded_start(a);

	a->gap = high > low ? high - low : 0;
}

static void gap_update(struct area *a)
{
	if (!a)
		return;
	uint64_t old = a->gap;

	gap_compute(a);
	if (a->gap != old)
		rb_augment_propagate(&a->node, area_recompute);
}

struct area *area_find(const struct aspace *as, uint64_t addr)
{
	struct rb_node *n = as->areas.node;
	struct area *best = NULL;

	while (n) {
		struct area *a = area_of(n);

		if (a->end <= addr) {
			n = n->right;
			continue;
		}
		best = a;
		if (a->start <= addr)
			break;
		n = n->left;
	}
	return best;
}

struct area *area_lookup(struct aspace *as, uint64_t addr)
{
	struct area *a = READ_ONCE(as->last_hit);

	if (a && a->start <= addr && addr < a->end)
		return a;
	a = area_find(as, addr);
	if (!a || a->start > addr)
		return NULL;
	WRITE_ONCE(as->last_hit, a);
	return a;
}

static void insert_at(struct aspace *as, struct area *a, struct rb_node *parent, struct rb_node **link)
{
	rb_link(&a->node, parent, link);
	gap_compute(a);
	rb_insert_augmented(&as->areas, &a->node, area_recompute);
	gap_update(area_next(a));
	as->area_count++;
	area_account(as, a->flags, (int64_t)area_bytes(a));
	rmap_add(a);
}

void area_insert(struct aspace *as, struct area *a)
{
	struct rb_node **link = &as->areas.node, *parent = NULL;

	while (*link) {
		parent = *link;
		link = a->start < area_of(parent)->start ? &parent->left : &parent->right;
	}
	insert_at(as, a, parent, link);
}

void area_append(struct aspace *as, struct area *last, struct area *a)
{
	rb_link(&a->node, last ? &last->node : NULL, last ? &last->node.right : &as->areas.node);
	gap_compute(a);
	rb_insert_augmented(&as->areas, &a->node, area_recompute);
	as->area_count++;
	area_account(as, a->flags, (int64_t)area_bytes(a));
}

void area_remove(struct aspace *as, struct area *a)
{
	struct area *next = area_next(a);

	rmap_remove(a);
	rb_erase_augmented(&as->areas, &a->node, area_recompute);
	gap_update(next);
	as->area_count--;
	as->last_hit = NULL;
	area_account(as, a->flags, -(int64_t)area_bytes(a));
}

void area_resize(struct aspace *as, struct area *a, uint64_t start, uint64_t end)
{
	area_account(as, a->flags, (int64_t)(end - start) - (int64_t)area_bytes(a));
	rmap_resize(a, start, end);
	gap_update(a);
	gap_update(area_next(a));
	as->last_hit = NULL;
}

void area_split(struct aspace *as, struct area *a, uint64_t at, struct area *upper)
{
	ASSERT(a->start < at && at < a->end);
	upper->start = at;
	upper->end = a->end;
	upper->flags = a->flags;
	upper->has_anon = a->has_anon;
	if (a->object || a->file)
		upper->offset = a->offset + (at - a->start);
	upper->object = a->object;
	if (upper->object)
		vm_object_get(upper->object);
	upper->file = a->file;
	if (upper->file)
		vm_file_ops->get(upper->file);
	/*
	 * The upper part joins the object's tree while the whole is still in it, so that a truncation never misses it;
	 * in the area tree the order is the other way round, since there areas must not overlap.
	 */
	rmap_add(upper);
	area_resize(as, a, a->start, at);
	area_insert(as, upper);
}

bool area_can_merge(const struct area *l, const struct area *r)
{
	if (l->end != r->start || l->flags != r->flags || l->object != r->object || l->file != r->file)
		return false;
	if (l->flags & AREA_GROWSDOWN)
		return false;
	return (!l->object && !l->file) || l->offset + area_bytes(l) == r->offset;
}

/* l takes over r's range. The bytes were counted in both, so the total stays right. */
static void absorb(struct aspace *as, struct area *l, struct area *r, struct area **dead)
{
	uint64_t end = r->end;

	l->has_anon |= r->has_anon;
	/* In the object's tree l covers the range before r leaves it: see area_split. */
	rmap_resize(l, l->start, end);
	area_remove(as, r);
	area_account(as, l->flags, (int64_t)area_bytes(r));
	gap_update(area_next(l));
	area_bury(dead, r);
}

struct area *area_merge(struct aspace *as, struct area *a, struct area **dead)
{
	struct area *next, *prev = area_prev(a);

	/* More than one: what change_flags cut off may follow something that fits as well. */
	while ((next = area_next(a)) != NULL && area_can_merge(a, next))
		absorb(as, a, next, dead);
	if (prev && area_can_merge(prev, a)) {
		absorb(as, prev, a, dead);
		a = prev;
	}
	return a;
}

struct area *area_pop_any(struct aspace *as)
{
	struct rb_node *n = as->areas.node;

	if (!n)
		return NULL;
	while (n->left || n->right)
		n = n->left ? n->left : n->right;

	struct rb_node *parent = rb_parent(n);

	if (!parent)
		as->areas.node = NULL;
	else if (parent->left == n)
		parent->left = NULL;
	else
		parent->right = NULL;
	rmap_remove(area_of(n));
	return area_of(n);
}

void area_account(struct aspace *as, unsigned flags, int64_t bytes)
{
	as->mapped_bytes += (uint64_t)bytes;
	if (as->mapped_bytes > as->peak_mapped)
		as->peak_mapped = as->mapped_bytes;
	if (flags & AREA_LOCKED)
		as->locked_bytes += (uint64_t)bytes;
	if (flags & (AREA_GROWSDOWN | AREA_STACK))
		as->stack_bytes += (uint64_t)bytes;
	else if (area_is_data(flags))
		as->data_bytes += (uint64_t)bytes;
	else if (flags & AREA_EXEC)
		as->exec_bytes += (uint64_t)bytes;
}

/* ---- placement ---- */

static bool subtree_fits(const struct rb_node *n, uint64_t len)
{
	return n && RB_ENTRY(n, struct area, node)->max_gap >= len;
}

/* The last area, in order, of a subtree that has one with a gap of len. */
static struct area *last_fitting(struct rb_node *n, uint64_t len)
{
	for (;;) {
		if (subtree_fits(n->right, len))
			n = n->right;
		else if (area_of(n)->gap >= len)
			return area_of(n);
		else
			n = n->left;
	}
}

/* The last area before a that has a gap of len. */
static struct area *prev_fitting(struct area *a, uint64_t len)
{
	struct rb_node *n = &a->node;

	if (subtree_fits(n->left, len))
		return last_fitting(n->left, len);
	for (struct rb_node *parent; (parent = rb_parent(n)) != NULL; n = parent) {
		if (parent->right != n)
			continue;
		if (area_of(parent)->gap >= len)
			return area_of(parent);
		if (subtree_fits(parent->left, len))
			return last_fitting(parent->left, len);
	}
	return NULL;
}

/* The highest start of len bytes in [low,high) that is at least floor, or 0. */
static uint64_t fit_top(uint64_t floor, uint64_t low, uint64_t high, uint64_t len)
{
	floor = MAX(floor, low);
	return high > floor && high - floor >= len ? high - len : 0;
}

uint64_t area_place(const struct aspace *as, uint64_t len, uint64_t low, uint64_t high)
{
	if (len == 0 || high <= low || high - low < len)
		return 0;

	/* The gap that `high` cuts, or the one above all areas. */
	struct area *a = area_find(as, high - 1);
	struct area *prev = a ? area_prev(a) : area_of(rb_last(&as->areas));
	uint64_t top = a ? MIN(high, area_guarded_start(a)) : high;
	uint64_t at = fit_top(prev ? prev->end : 0, low, top, len);

	if (at)
		return at;
	/* Then whole gaps, downwards. The first that is wide enough decides: if `low` cuts it, all others lie below. */
	if (a)
		a = prev_fitting(a, len);
	else
		a = prev && prev->gap < len ? prev_fitting(prev, len) : prev;
	if (!a)
		return 0;
	prev = area_prev(a);
	return fit_top(prev ? prev->end : 0, low, MIN(high, area_guarded_start(a)), len);
}

bool area_range_free(const struct aspace *as, uint64_t addr, uint64_t len)
{
	struct area *a = area_find(as, addr);

	return !a || (a->start >= addr && area_guarded_start(a) >= addr + len);
}

/* ---- checking ---- */

#if CONFIG_DEBUG || CONFIG_KTEST
const char *area_tree_check(const struct aspace *as)
{
	struct area *a, *prev = NULL;
	uint64_t bytes = 0;
	uint32_t count = 0;

	RB_FOR_EACH(a, &as->areas, node) {
		uint64_t low = prev ? prev->end : 0, high = area_guarded_start(a), want = a->gap;

		if (a->start >= a->end || !IS_ALIGNED(a->start, PAGE_SIZE) || !IS_ALIGNED(a->end, PAGE_SIZE))
			return "bad range";
		if (prev && prev->end > a->start)
			return "areas overlap";
		if (a->gap != (high > low ? high - low : 0))
			return "wrong gap";
		if (a->node.left)
			want = MAX(want, area_of(a->node.left)->max_gap);
		if (a->node.right)
			want = MAX(want, area_of(a->node.right)->max_gap);
		if (a->max_gap != want)
			return "wrong widest gap";
		if (a->as != as || (a->object && !rb_node_linked(&a->map_node)))
			return "not in its object's tree";
		bytes += area_bytes(a);
		count++;
		prev = a;
	}
	if (bytes != as->mapped_bytes)
		return "wrong sum of bytes";
	return count == as->area_count ? NULL : "wrong count";
}
#endif
