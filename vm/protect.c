/*
 * Changing areas in place: mprotect, and the flags of madvise and mlock.
 *
 * A range of areas gets other flags by splitting the first and the last where the range cuts them, setting the flags,
 * and merging what can be merged again.  The two splits are the only part that may fail and are prepared first.
 */
#include <asm/errno.h>
#include "vm/change.h"
#include "vm/fault.h"
#include "vm/gather.h"

/*
 * The entry with the area's new protection. A private page that nobody else holds becomes writable at once, and a page
 * of an object whose writes need not be seen; all others on their next write fault.
 */
static pte_t entry_protect(const struct area *a, pte_t e)
{
	bool writable;

	if (entry_is_zero(e))
		return entry_make(a->flags, vm_zero_page, false, false);
	if (entry_is_anon(e))
		writable = atomic_load_acquire(&entry_page(e)->refs.n) == 1;
	else
		writable = (a->flags & AREA_SHARED) && (!area_tracks_dirty(a) || pte_writable(e));
	return entry_make(a->flags, entry_page(e), entry_is_anon(e), writable);
}

/* Whether a processor that remembers `old` may do what `new` does not allow. */
static bool takes_rights(pte_t old, pte_t new)
{
	return !pte_present(new) || (pte_writable(old) && !pte_writable(new)) ||
		(pte_executable(old) && !pte_executable(new));
}

static void protect_entries(struct area *a)
{
	struct aspace *as = a->as;
	vaddr_t va = vaddr(a->start);
	struct gather g; /* only for the flushing */
	unsigned widened = 0;

	while (va.v < a->end) {
		unsigned count;

		gather_init(&g, as);
		SPIN_GUARD(&as->table_lock);
		pte_t *e = pgtable_run(as->mmu.root, &va, vaddr(a->end), &count);

		if (!e)
			break;
		for (unsigned i = 0; i < count; i++) {
			pte_t old = entry_read(&e[i]), new;
			uint64_t at = va.v + i * (uint64_t)PAGE_SIZE;

			if (entry_empty(old))
				continue;
			new = entry_protect(a, old);
			entry_write(&e[i], new);
			if (!pte_present(old))
				continue;
			if (takes_rights(old, new))
				gather_flush(&g, at);
			else if (widened++ < GATHER_FLUSHES)
				mmu_flush_page_local(
					vaddr(at)); /* spares this CPU a fault; the others may have theirs */
		}
		if (widened > GATHER_FLUSHES)
			mmu_flush_all_local();
		gather_finish(&g);
		va.v += count * (uint64_t)PAGE_SIZE;
	}
}

static void set_flags(struct area *a, unsigned clear, unsigned set)
{
	unsigned old = a->flags, new = (old & ~clear) | set;

	if (new == old)
		return;
	area_account(a->as, old, -(int64_t)area_bytes(a));
	a->flags = new;
	area_account(a->as, new, (int64_t)area_bytes(a));
	if ((old ^ new) & AREA_PROT)
		protect_entries(a);
}

/* Whether [start,end) is covered and all its areas may change. */
static int check_range(struct aspace *as, uint64_t start, uint64_t end, unsigned clear, unsigned set,
		       int (*filter)(const struct area *a, unsigned flags))
{
	uint64_t at = start, data_more = 0;

	for (struct area *a = area_find(as, start); at < end; a = area_next(a)) {
		if (!a || a->start > at)
			return -ENOMEM;

		unsigned flags = (a->flags & ~clear) | set;
		int err = filter ? filter(a, flags) : 0;

		if (err)
			return err;
		if (area_is_data(flags) && !area_is_data(a->flags))
			data_more += MIN(a->end, end) - at;
		at = a->end;
	}
	return data_more && as->data_bytes + data_more > as->limit_data_bytes ? -ENOMEM : 0;
}

static int prepare_split(struct aspace *as, uint64_t at, struct area **spare)
{
	struct area *a = area_find(as, at);

	*spare = NULL;
	if (!a || a->start >= at)
		return 0;
	if (as->area_count + 1 >= VM_AREAS_MAX)
		return -ENOMEM;
	*spare = area_alloc(as);
	return *spare ? 0 : -ENOMEM;
}

int change_flags(struct aspace *as, uint64_t start, uint64_t end, unsigned clear, unsigned set,
		 int (*filter)(const struct area *a, unsigned flags), struct area **dead)
{
	struct area *low, *high, *a;
	int err = check_range(as, start, end, clear, set, filter);

	if (err)
		return err;
	err = prepare_split(as, start, &low);
	if (err)
		return err;
	err = prepare_split(as, end, &high);
	if (err) {
		if (low)
			area_bury(dead, low);
		return err;
	}
	/* The upper edge first: the area found for the lower one is then already cut there, if it is the same. */
	if (high)
		area_split(as, area_find(as, end), end, high);
	if (low)
		area_split(as, area_find(as, start), start, low);
	for (a = area_find(as, start); a && a->start < end; a = area_next(a)) {
		set_flags(a, clear, set);
		a = area_merge(as, a, dead);
	}
	return 0;
}

static int may_protect(const struct area *a, unsigned flags)
{
	if ((a->flags & AREA_VVAR) && (flags & (AREA_WRITE | AREA_EXEC)))
		return -EACCES;
	return (flags & AREA_WRITE) && !(a->flags & AREA_MAY_WRITE) ? -EACCES : 0;
}

int aspace_protect(struct aspace *as, uint64_t addr, uint64_t len, unsigned prot)
{
	struct area *dead = NULL;
	uint64_t end;
	int err = range_check(addr, &len, &end);

	if (err)
		return err;
	if (prot & ~(unsigned)AREA_PROT)
		return -EINVAL;
	if (len == 0)
		return 0;
	rwlock_write_lock(&as->lock);
	err = change_flags(as, addr, end, AREA_PROT, prot, may_protect, &dead);
	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	return err;
}

/* ---- mlock ---- */

static int populate_locked(struct aspace *as, uint64_t start, uint64_t end)
{
	return fault_populate(as, start, end) == FAULT_OOM ? -EAGAIN : 0;
}

int aspace_lock_range(struct aspace *as, uint64_t addr, uint64_t len, bool lock)
{
	struct area *dead = NULL;
	uint64_t end, first = ALIGN_DOWN(addr, (uint64_t)PAGE_SIZE);

	/* man 2 mlock: all pages that contain a part of the range. */
	if (__builtin_add_overflow(len, addr - first, &len))
		return -EINVAL;

	int err = range_check(first, &len, &end);

	if (err || len == 0)
		return err;
	rwlock_write_lock(&as->lock);
	err = change_flags(as, first, end, lock ? 0 : AREA_LOCKED, lock ? AREA_LOCKED : 0, NULL, &dead);
	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	return err || !lock ? err : populate_locked(as, first, end);
}

int aspace_lock_all(struct aspace *as, bool lock)
{
	struct area *a, *dead = NULL;
	uint64_t at = 0;
	int err = 0;

	rwlock_write_lock(&as->lock);
	for (a = area_first(as); a; a = area_next(a)) {
		set_flags(a, lock ? 0 : AREA_LOCKED, lock ? AREA_LOCKED : 0);
		a = area_merge(as, a, &dead);
	}
	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	while (lock && !err) {
		uint64_t start, end;

		rwlock_read_lock(&as->lock);
		a = area_find(as, at);
		start = a ? a->start : 0;
		end = a ? a->end : 0;
		rwlock_read_unlock(&as->lock);
		if (!a)
			break;
		err = populate_locked(as, start, end);
		at = end;
	}
	return err;
}
