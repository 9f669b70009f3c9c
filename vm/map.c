/*
 * mmap, munmap and brk: making areas and taking them away.
 */
#include <asm/errno.h>
#include "core/panic.h"
#include "vm/change.h"
#include "vm/fault.h"
#include "vm/gather.h"
#include "vm/internal.h"

/* ---- taking away ---- */

/*
 * Frees tables that an unmapping left without any area. Looks for the largest kind of table whose whole range is now
 * free around [start,end), so that the walk stays small when only leaves can go.
 */
static void trim_tables(struct aspace *as, uint64_t start, uint64_t end)
{
	struct area *next = area_find(as, start);
	struct area *prev = next ? area_prev(next) : area_of(rb_last(&as->areas));
	uint64_t low = prev ? prev->end : 0, high = next ? next->start : USER_VA_END;

	for (unsigned level = PT_LEVELS - 1; level > 0; level--) {
		uint64_t span = BIT(PT_SHIFT(level));
		uint64_t from = ALIGN_DOWN(start, span), to = ALIGN_UP(end, span);

		if (from < low)
			from += span;
		if (to > high)
			to -= span;
		if (from >= to)
			continue;
		SPIN_GUARD(&as->table_lock);
		pgtable_trim(&as->mmu, vaddr(from), vaddr(to));
		tables_count(as);
		return;
	}
}

int change_prepare_cut(struct aspace *as, uint64_t start, uint64_t end, struct area **spare)
{
	struct area *a = area_find(as, start);

	*spare = NULL;
	if (!a || a->start >= start || a->end <= end)
		return 0;
	if (as->area_count >= VM_AREAS_MAX)
		return -ENOMEM;
	*spare = area_alloc(as);
	return *spare ? 0 : -ENOMEM;
}

void change_cut(struct aspace *as, uint64_t start, uint64_t end, struct area *spare, struct area **dead)
{
	struct area *a = area_find(as, start), *next;

	if (!a || a->start >= end) {
		ASSERT(!spare);
		return;
	}
	/* Entries first: while they are there, truncation must find them through the areas. */
	bool tables = zap_range(as, start, end);

	for (; a && a->start < end; a = next) {
		next = area_next(a);
		if (a->start < start) {
			if (a->end > end) {
				area_split(as, a, end, spare);
				spare = NULL;
			}
			area_resize(as, a, a->start, start);
		} else if (a->end > end) {
			area_resize(as, a, end, a->end);
		} else {
			area_remove(as, a);
			area_bury(dead, a);
		}
	}
	ASSERT(!spare);
	if (tables)
		trim_tables(as, start, end);
}

int range_check(uint64_t addr, uint64_t *len, uint64_t *end)
{
	uint64_t rounded;

	if (!IS_ALIGNED(addr, PAGE_SIZE) || __builtin_add_overflow(*len, PAGE_MASK, &rounded))
		return -EINVAL;
	rounded &= ~PAGE_MASK;
	if (addr > USER_VA_END || rounded > USER_VA_END - addr)
		return -ENOMEM;
	*len = rounded;
	*end = addr + rounded;
	return 0;
}

int aspace_unmap(struct aspace *as, uint64_t addr, uint64_t len)
{
	struct area *dead = NULL, *spare;
	uint64_t end;

	if (range_check(addr, &len, &end) || len == 0)
		return -EINVAL;
	rwlock_write_lock(&as->lock);
	int err = change_prepare_cut(as, addr, end, &spare);

	if (!err)
		change_cut(as, addr, end, spare, &dead);
	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	return err;
}

/* ---- limits ---- */

static uint64_t ram_bytes(void)
{
	static uint64_t cached; /* never changes once the allocator is up */

	if (!READ_ONCE(cached)) {
		struct page_stats stats;

		page_stats_get(&stats);
		WRITE_ONCE(cached, stats.total * PAGE_SIZE);
	}
	return cached;
}

int change_check_limits(const struct aspace *as, unsigned flags, uint64_t bytes, uint64_t replaced)
{
	uint64_t total;

	if (as->area_count >= VM_AREAS_MAX)
		return -ENOMEM;
	if (__builtin_add_overflow(as->mapped_bytes - replaced, bytes, &total) || total > as->limit_bytes)
		return -ENOMEM;
	if (!area_is_data(flags))
		return 0;
	if (as->data_bytes + bytes > as->limit_data_bytes)
		return -ENOMEM;
	/* What could never be written even with nothing else in the machine is refused at once (proc(5),
	 * overcommit_memory 0). */
	if (!(flags & AREA_NORESERVE) && bytes > ram_bytes())
		return -ENOMEM;
	return 0;
}

uint64_t change_overlap(const struct aspace *as, uint64_t start, uint64_t end)
{
	uint64_t bytes = 0;

	for (struct area *a = area_find(as, start); a && a->start < end; a = area_next(a))
		bytes += MIN(a->end, end) - MAX(a->start, start);
	return bytes;
}

/* ---- making ---- */

uint64_t change_place(const struct aspace *as, uint64_t hint, uint64_t len)
{
	uint64_t at = MAX(ALIGN_UP(hint, (uint64_t)PAGE_SIZE), VM_MMAP_MIN);

	if (hint && hint < USER_VA_END && len <= USER_VA_END - at && area_range_free(as, at, len))
		return at;
	at = area_place(as, len, VM_MMAP_MIN, as->mmap_top);
	/* The room between mmap_top and the end is meant for the stack; better there than nowhere. */
	return at ? at : area_place(as, len, VM_MMAP_MIN, USER_VA_END);
}

/* MAP_32BIT, for code that reaches it with 31-bit addresses: Linux takes the second GiB, which leaves programs the
 * first. */
static uint64_t place_low(const struct aspace *as, uint64_t hint, uint64_t len)
{
	uint64_t at = ALIGN_UP(hint, (uint64_t)PAGE_SIZE);

	if (at >= GIB && at < 2 * GIB && len <= 2 * GIB - at && area_range_free(as, at, len))
		return at;
	return area_place(as, len, GIB, 2 * GIB);
}

static unsigned request_flags(const struct map_request *r)
{
	unsigned flags = r->flags;

	if (flags & AREA_VVAR)
		return flags;
	if (!(flags & AREA_SHARED) || !r->file || (flags & AREA_WRITE))
		flags |= AREA_MAY_WRITE;
	return flags;
}

static int request_check(const struct map_request *r, uint64_t *len)
{
	uint64_t last;

	if (r->len == 0 || !IS_ALIGNED(r->offset, PAGE_SIZE) || (r->fixed && !IS_ALIGNED(r->addr, PAGE_SIZE)))
		return -EINVAL;
	if ((r->flags & AREA_SHARED) && !r->object)
		return -EINVAL;
	if (r->len > USER_VA_END)
		return -ENOMEM;
	*len = ALIGN_UP(r->len, (uint64_t)PAGE_SIZE);
	if (__builtin_add_overflow(r->offset, *len, &last))
		return -EOVERFLOW;
	if (!r->fixed)
		return 0;
	if (r->addr > USER_VA_END || *len > USER_VA_END - r->addr)
		return -ENOMEM;
	return r->addr < VM_MMAP_MIN ? -EPERM : 0;
}

/* Decides where, and gets ready what the change needs. */
static int map_prepare(struct aspace *as, const struct map_request *r, uint64_t len, uint64_t *at, struct area **area,
		       struct area **spare)
{
	uint64_t replaced = 0;
	int err;

	*spare = NULL;
	*at = r->addr;
	if (!r->fixed) {
		*at = r->low ? place_low(as, r->addr, len) : change_place(as, r->addr, len);
		if (!*at)
			return -ENOMEM;
	} else {
		replaced = change_overlap(as, *at, *at + len);
		if (replaced && r->noreplace)
			return -EEXIST;
	}
	err = change_check_limits(as, request_flags(r), len, replaced);
	if (err)
		return err;
	if (replaced) {
		err = change_prepare_cut(as, *at, *at + len, spare);
		if (err)
			return err;
	}
	*area = area_alloc(as);
	if (*area)
		return 0;
	area_free_list(*spare);
	return -ENOMEM;
}

int change_map(struct aspace *as, const struct map_request *r, uint64_t len, uint64_t *out, struct area **dead)
{
	struct area *a, *spare;
	uint64_t at;
	int err = map_prepare(as, r, len, &at, &a, &spare);

	if (err)
		return err;
	if (r->fixed)
		change_cut(as, at, at + len, spare, dead);
	a->start = at;
	a->end = at + len;
	a->flags = request_flags(r);
	a->offset = r->object || r->file ? r->offset : 0;
	a->object = r->object;
	if (a->object)
		vm_object_get(a->object);
	a->file = r->file;
	if (a->file)
		vm_file_ops->get(a->file);
	area_insert(as, a);
	area_merge(as, a, dead);
	*out = at;
	return 0;
}

int aspace_map(struct aspace *as, const struct map_request *r, uint64_t *out)
{
	struct area *dead = NULL;
	uint64_t len, at;
	int err = request_check(r, &len);

	if (err)
		return err;
	rwlock_write_lock(&as->lock);
	err = change_map(as, r, len, &at, &dead);
	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	if (err)
		return err;
	if (r->populate || (r->flags & AREA_LOCKED)) {
		enum fault_result ignored = fault_populate(as, at, at + len);

		(void)ignored; /* man 2 mmap: a failure to populate does not make mmap fail */
	}
	*out = at;
	return 0;
}

/* ---- the heap ---- */

static bool brk_grow(struct aspace *as, uint64_t from, uint64_t to, struct area **dead)
{
	struct map_request r = {
		.addr = from,
		.len = to - from,
		.flags = AREA_READ | AREA_WRITE | AREA_HEAP,
		.fixed = true,
		.noreplace = true,
	};
	uint64_t at;

	/* The guard distance to a stack above is kept here too, which a fixed mapping would not do by itself. */
	return from >= VM_MMAP_MIN && to <= USER_VA_END && area_range_free(as, from, to - from) &&
		change_map(as, &r, to - from, &at, dead) == 0;
}

uint64_t aspace_brk(struct aspace *as, uint64_t brk)
{
	struct area *dead = NULL, *spare;

	rwlock_write_lock(&as->lock);
	uint64_t old = as->brk_end;

	if (brk >= as->brk_start && brk < USER_VA_END) {
		uint64_t from = ALIGN_UP(old, (uint64_t)PAGE_SIZE), to = ALIGN_UP(brk, (uint64_t)PAGE_SIZE);
		bool done = from == to;

		if (to > from) {
			done = brk_grow(as, from, to, &dead);
		} else if (to < from && change_prepare_cut(as, to, from, &spare) == 0) {
			change_cut(as, to, from, spare, &dead);
			done = true;
		}
		if (done)
			as->brk_end = brk;
	}

	uint64_t now = as->brk_end;

	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	return now;
}
