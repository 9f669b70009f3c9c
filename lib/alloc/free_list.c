/*
 * Linked-list allocator: theory.
 *
 * What is free is a singly linked list of holes in the order of their addresses; what is taken is recorded nowhere.  A
 * request goes into the FIRST hole it fits in, a block that comes back is joined with the holes it touches.  The order
 * by address makes both neighbours known at the place where the block belongs, and keeps what is in use at low
 * addresses and the large rest whole.
 *
 * Costs: both operations walk the holes, O(h).  Blocks need no header: the caller knows its length.  A hole needs a
 * record of two words, which lies in the hole itself (so the granule is 16 bytes), or, where the addresses are not
 * memory one can write to, in a record of the caller's with the address as a third word.
 *
 * Right where holes are few or requests rare against what else they cost: kernel virtual ranges (mm/kmap.c), of which a
 * running system has some dozens and each of which is a page walk and a zeroed page at least.  Wrong as a general heap:
 * `make bench-alloc` shows how the walk grows with the holes.
 *
 * Invariants: bases ascend; no two holes touch or overlap (else they would be one); no hole is empty.
 * Rejected: best fit (walks the whole list, leaves slivers); next fit (spreads blocks over all addresses, so large
 * holes do not survive); boundary tags (a header on each block to make free O(1), while alloc stays O(h)).
 */
#include "lib/alloc/free_list.h"

#include "lib/alloc/allocator.h"

_Static_assert(sizeof(struct hole) == FREE_LIST_GRANULE, "every hole has room for its record");

static inline uint64_t base_of(const struct free_list *l, const struct hole *h)
{
	return l->elsewhere ? ((const struct hole_elsewhere *)h)->base : (uintptr_t)h;
}

/* The record for a hole at base. */
static inline struct hole *hole_make(const struct free_list *l, struct hole *record, uint64_t base, uint64_t len)
{
	if (l->elsewhere)
		((struct hole_elsewhere *)record)->base = base;
	else
		record = (struct hole *)(uintptr_t)base;
	record->len = len;
	return record;
}

void free_list_init(struct free_list *l, bool elsewhere)
{
	*l = (struct free_list){.elsewhere = elsewhere};
}

/* Cuts [at, at + len) out of the hole *link, which holds it. False: no record for the second piece. */
static bool hole_cut(struct free_list *l, struct hole **link, uint64_t at, uint64_t len, struct hole **record)
{
	struct hole *h = *link, *next = h->next;
	uint64_t base = base_of(l, h), end = base + h->len;

	if (at > base) {
		if (at + len < end) {
			if (l->elsewhere && (!record || !*record))
				return false;
			struct hole *back = hole_make(l, l->elsewhere ? *record : NULL, at + len, end - at - len);
			back->next = next;
			h->next = back;
			l->count++;
			if (l->elsewhere)
				*record = NULL;
		}
		h->len = at - base;
	} else if (at + len < end) {
		*link = hole_make(l, h, at + len, end - at - len); /* in the hole, the record moves along */
		(*link)->next = next;
	} else {
		*link = next;
		l->count--;
		if (l->elsewhere && record) {
			h->next = NULL;
			if (*record)
				(*record)->next = h;
			else
				*record = h;
		}
	}
	l->free_bytes -= len;
	return true;
}

bool free_list_take(struct free_list *l, uint64_t len, uint64_t align, struct hole **record, uint64_t *at)
{
	for (struct hole **link = &l->first; *link; link = &(*link)->next) {
		struct hole *h = *link;

		if (h->len < len)
			continue;
		uint64_t base = base_of(l, h), start = ALIGN_UP(base, align);
		if (start - base > h->len - len || !hole_cut(l, link, start, len, record))
			continue;
		*at = start;
		return true;
	}
	return false;
}

bool free_list_put(struct free_list *l, uint64_t base, uint64_t len, struct hole *record, struct hole **spare)
{
	struct hole **link = &l->first, *before = NULL, *left_over = NULL;

	while (*link && base_of(l, *link) < base) {
		before = *link;
		link = &before->next;
	}
	struct hole *behind = *link;
	if ((before && base_of(l, before) + before->len > base) || (behind && base + len > base_of(l, behind)))
		return false;
	l->free_bytes += len;
	if (behind && base + len == base_of(l, behind)) {
		len += behind->len;
		left_over = behind;
		behind = behind->next;
		left_over->next = NULL;
		l->count--;
	}
	if (before && base_of(l, before) + before->len == base) {
		before->len += len;
		before->next = behind;
		if (record) {
			record->next = left_over;
			left_over = record;
		}
	} else {
		struct hole *h = hole_make(l, record, base, len);
		h->next = behind;
		*link = h;
		l->count++;
	}
	if (l->elsewhere)
		*spare = left_over;
	return true;
}

bool free_list_check(const struct free_list *l)
{
	size_t count = 0;
	uint64_t bytes = 0, last_end = 0;

	for (const struct hole *h = l->first; h; h = h->next) {
		if (!h->len || (count && base_of(l, h) <= last_end))
			return false;
		last_end = base_of(l, h) + h->len;
		bytes += h->len;
		count++;
	}
	return count == l->count && bytes == l->free_bytes;
}

/* ---- as an allocator over an arena ---- */

struct list_allocator {
	struct allocator allocator;
	struct free_list list;
	uintptr_t base, end;
	uintptr_t reached; /* the highest end of a block so far */
};

static void *list_alloc(struct allocator *a, size_t size, size_t align)
{
	struct list_allocator *l = container_of(a, struct list_allocator, allocator);
	uint64_t at;

	if (!allocator_request_ok(size, align, l->end - l->base))
		return NULL;
	size = ALIGN_UP(size, FREE_LIST_GRANULE);
	if (!free_list_take(&l->list, size, MAX(align, (size_t)FREE_LIST_GRANULE), NULL, &at))
		return NULL;
	l->reached = MAX(l->reached, at + size);
	return (void *)(uintptr_t)at;
}

static void list_free(struct allocator *a, void *p, size_t size, size_t align maybe_unused)
{
	struct list_allocator *l = container_of(a, struct list_allocator, allocator);
	bool ok = free_list_put(&l->list, (uintptr_t)p, ALIGN_UP(size, FREE_LIST_GRANULE), NULL, NULL);

	if (!ok)
		__builtin_trap(); /* freed twice */
}

static void list_stats(const struct allocator *a, struct allocator_stats *out)
{
	const struct list_allocator *l = container_of(a, struct list_allocator, allocator);

	*out = (struct allocator_stats){
		.granted = l->end - l->base - l->list.free_bytes,
		.extent = l->reached - l->base,
		.overhead = sizeof(*l),
	};
}

static bool list_check(const struct allocator *a)
{
	const struct list_allocator *l = container_of(a, struct list_allocator, allocator);

	return free_list_check(&l->list) && l->list.free_bytes <= l->end - l->base;
}

static const struct allocator_ops list_ops = {list_alloc, list_free, list_stats, list_check};

struct allocator *free_list_create(void *arena, size_t len_bytes)
{
	struct list_allocator *l = arena;
	char *base;
	size_t len = ALIGN_DOWN(allocator_arena(arena, len_bytes, sizeof(*l), &base), FREE_LIST_GRANULE);

	if (!len)
		return NULL;
	*l = (struct list_allocator){.allocator.ops = &list_ops};
	free_list_init(&l->list, false);
	l->base = l->reached = (uintptr_t)base;
	l->end = l->base + len;
	bool ok = free_list_put(&l->list, l->base, len, NULL, NULL);
	return ok ? &l->allocator : NULL;
}
