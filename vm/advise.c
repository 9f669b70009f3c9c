/*
 * madvise, msync, mincore: what programs say and ask about ranges.
 */
#include <asm/errno.h>
#include <linux/mman.h>
#include "vm/change.h"
#include "vm/fault.h"
#include "vm/gather.h"
#include "vm/internal.h"

/*
 * Calls fn for the part of each area in [start,end); a hole is passed over and makes the result -ENOMEM, as man 2
 * madvise has it. An error of fn ends the walk. as->lock held.
 */
static int for_each_part(struct aspace *as, uint64_t start, uint64_t end,
			 int (*fn)(struct area *a, uint64_t from, uint64_t to, void *ctx), void *ctx)
{
	uint64_t at = start;
	int result = 0;

	for (struct area *a = area_find(as, start); a && a->start < end; a = area_next(a)) {
		if (a->start > at)
			result = -ENOMEM;

		int err = fn(a, MAX(a->start, start), MIN(a->end, end), ctx);

		if (err)
			return err;
		at = a->end;
	}
	return at < end ? -ENOMEM : result;
}

/* ---- madvise ---- */

static int part_nothing(struct area *a, uint64_t from, uint64_t to, void *ctx)
{
	(void)a;
	(void)from;
	(void)to;
	(void)ctx;
	return 0;
}

static int part_discard(struct area *a, uint64_t from, uint64_t to, void *ctx)
{
	int advice = *(int *)ctx;

	if (a->flags & AREA_LOCKED)
		return -EINVAL;
	if (advice == MADV_FREE && a->object)
		return -EINVAL; /* only for private anonymous memory */
	zap_range(a->as, from, to);
	return 0;
}

/* Entries only, which table_lock guards: faults may go on meanwhile. */
static int advise_read(struct aspace *as, uint64_t start, uint64_t end, int advice)
{
	bool discard = advice == MADV_DONTNEED || advice == MADV_FREE;

	rwlock_read_lock(&as->lock);
	int err = for_each_part(as, start, end, discard ? part_discard : part_nothing, &advice);

	rwlock_read_unlock(&as->lock);
	return err;
}

static int may_wipe(const struct area *a, unsigned flags)
{
	return (flags & AREA_WIPEONFORK) && (a->object || (a->flags & AREA_SHARED)) ? -EINVAL : 0;
}

static int advise_flags(struct aspace *as, uint64_t start, uint64_t end, unsigned clear, unsigned set)
{
	struct area *dead = NULL;

	rwlock_write_lock(&as->lock);
	int err = change_flags(as, start, end, clear, set, may_wipe, &dead);

	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	return err;
}

static int fault_errno(enum fault_result r)
{
	switch (r) {
	case FAULT_OK:
		return 0;
	case FAULT_SEGV_MAPERR:
		return -ENOMEM;
	case FAULT_SEGV_ACCERR:
		return -EINVAL;
	case FAULT_BUS_ADRERR:
	case FAULT_BUS_IO:
		return -EFAULT;
	case FAULT_OOM:
		return -ENOMEM;
	}
	return -EFAULT;
}

static int advise_populate(struct aspace *as, uint64_t start, uint64_t end, unsigned how)
{
	int err = 0;

	for (uint64_t va = start; va < end && !err; va += PAGE_SIZE)
		err = oom_dying() ? -EINTR : fault_errno(fault_page(as, va, how));
	return err;
}

int aspace_advise(struct aspace *as, uint64_t addr, uint64_t len, int advice)
{
	uint64_t end;
	int err = range_check(addr, &len, &end);

	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_WILLNEED:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_DONTNEED:
	case MADV_FREE:
		return err || len == 0 ? err : advise_read(as, addr, end, advice);
	case MADV_DONTFORK:
		return err || len == 0 ? err : advise_flags(as, addr, end, 0, AREA_DONTFORK);
	case MADV_DOFORK:
		return err || len == 0 ? err : advise_flags(as, addr, end, AREA_DONTFORK, 0);
	case MADV_WIPEONFORK:
		return err || len == 0 ? err : advise_flags(as, addr, end, 0, AREA_WIPEONFORK);
	case MADV_KEEPONFORK:
		return err || len == 0 ? err : advise_flags(as, addr, end, AREA_WIPEONFORK, 0);
	case MADV_POPULATE_READ:
		return err ? err : advise_populate(as, addr, end, 0);
	case MADV_POPULATE_WRITE:
		return err ? err : advise_populate(as, addr, end, FAULT_WRITE);
	default:
		return -EINVAL;
	}
}

/* ---- msync ---- */

static int part_check_sync(struct area *a, uint64_t from, uint64_t to, void *ctx)
{
	(void)from;
	(void)to;
	return (*(int *)ctx & MS_INVALIDATE) && (a->flags & AREA_LOCKED) ? -EBUSY : 0;
}

/* Writes the first shared part at or after *at back, without as->lock during the I/O. False at the end. */
static bool sync_next(struct aspace *as, uint64_t *at, uint64_t end, int *err)
{
	struct vm_object *o = NULL;
	uint64_t first = 0, last = 0;

	rwlock_read_lock(&as->lock);
	struct area *a = area_find(as, *at);

	if (!a || a->start >= end) {
		rwlock_read_unlock(&as->lock);
		return false;
	}

	uint64_t from = MAX(a->start, *at), to = MIN(a->end, end);

	if (a->object && (a->flags & AREA_SHARED)) {
		o = a->object;
		vm_object_get(o);
		first = area_page_index(a, from);
		last = first + ((to - from) >> PAGE_SHIFT);
	}
	rwlock_read_unlock(&as->lock);
	*at = to;
	if (o) {
		int failed = vm_object_sync(o, first, last);

		if (failed && !*err)
			*err = failed;
		vm_object_put(o);
	}
	return true;
}

int aspace_sync(struct aspace *as, uint64_t addr, uint64_t len, int flags)
{
	uint64_t end, at = addr;
	int err = range_check(addr, &len, &end);

	if ((flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC)) || ((flags & MS_ASYNC) && (flags & MS_SYNC)))
		return -EINVAL;
	if (err || len == 0)
		return err;
	rwlock_read_lock(&as->lock);
	err = for_each_part(as, addr, end, part_check_sync, &flags);
	rwlock_read_unlock(&as->lock);
	if ((err && err != -ENOMEM) || !(flags & MS_SYNC))
		return err;
	while (at < end && sync_next(as, &at, end, &err))
		;
	return err;
}

/* ---- mincore ---- */

struct mincore_walk {
	uint64_t start;
	uint8_t *vec;
};

static int part_mincore(struct area *a, uint64_t from, uint64_t to, void *ctx)
{
	struct mincore_walk *w = ctx;

	for (uint64_t va = from; va < to; va += PAGE_SIZE) {
		/* A reader of as->lock may look at entries; a page that comes or goes meanwhile is as well told either
		 * way. */
		const pte_t *e = pgtable_find(a->as->mmu.root, vaddr(va));
		bool in = e && !entry_empty(entry_read(e));

		if (!in && a->object) {
			struct page *p = vm_object_lookup(a->object, area_page_index(a, va));

			in = p;
			if (p)
				page_put(p);
		}
		w->vec[(va - w->start) >> PAGE_SHIFT] = in;
	}
	return 0;
}

int aspace_mincore(struct aspace *as, uint64_t addr, uint64_t pages, uint8_t *vec)
{
	struct mincore_walk w = {.start = addr, .vec = vec};
	uint64_t len, end;

	if (__builtin_mul_overflow(pages, (uint64_t)PAGE_SIZE, &len))
		return -ENOMEM;

	int err = range_check(addr, &len, &end);

	if (err || len == 0)
		return err;
	rwlock_read_lock(&as->lock);
	err = for_each_part(as, addr, end, part_mincore, &w);
	rwlock_read_unlock(&as->lock);
	return err;
}
