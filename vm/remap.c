/*
 * mremap: mappings that grow, shrink and move.
 *
 * Moving carries page-table entries over, not bytes.  The destination's tables are made before anything changes, so the
 * move itself cannot
 * fail.  Both areas exist while entries move, and for an object's area map_lock is held over each portion, so that
 * truncation finds every entry in one place or the other (rmap.c).
 */
#include <asm/errno.h>
#include <linux/mman.h>
#include "core/panic.h"
#include "vm/change.h"
#include "vm/fault.h"
#include "vm/gather.h"
#include "vm/internal.h"

struct remap {
	uint64_t addr, old_len, new_len, new_addr;
	bool may_move, fixed;
};

/* ---- moving entries ---- */

/* Makes the tables that the entries of [from,from+len) will need at `to`. */
static int move_prepare(struct aspace *as, uint64_t from, uint64_t to, uint64_t len)
{
	vaddr_t va = vaddr(from);
	uint64_t end = from + len;

	while (va.v < end) {
		unsigned count, first = 0, last;
		SPIN_GUARD(&as->table_lock);
		const pte_t *e = pgtable_run(as->mmu.root, &va, vaddr(end), &count);

		if (!e)
			return 0;
		while (first < count && entry_empty(e[first]))
			first++;
		for (last = count; last > first && entry_empty(e[last - 1]); last--)
			;
		if (first < last) { /* at most one table's worth, so two tables at most hold it */
			uint64_t at = to + (va.v - from);

			bool ok = pgtable_ensure(as->mmu.root, vaddr(at + first * (uint64_t)PAGE_SIZE)) &&
				pgtable_ensure(as->mmu.root, vaddr(at + (last - 1) * (uint64_t)PAGE_SIZE));

			tables_count(as);
			if (!ok)
				return -ENOMEM;
		}
		va.v += count * (uint64_t)PAGE_SIZE;
	}
	return 0;
}

/* One run of entries. False when there are no more. */
static bool move_run(struct aspace *as, vaddr_t *va, uint64_t end, uint64_t distance)
{
	struct gather g; /* only for the flushing */
	unsigned count;

	gather_init(&g, as);
	SPIN_GUARD(&as->table_lock);
	pte_t *e = pgtable_run(as->mmu.root, va, vaddr(end), &count);

	if (!e)
		return false;
	for (unsigned i = 0; i < count; i++) {
		uint64_t at = va->v + i * (uint64_t)PAGE_SIZE;
		pte_t old = entry_read(&e[i]);

		if (entry_empty(old))
			continue;
		entry_write(pgtable_find(as->mmu.root, vaddr(at + distance)), old);
		entry_write(&e[i], pte_none());
		if (pte_present(old))
			gather_flush(&g, at);
	}
	gather_finish(&g);
	va->v += count * (uint64_t)PAGE_SIZE;
	return true;
}

static void move_entries(const struct area *a, uint64_t from, uint64_t to, uint64_t len)
{
	vaddr_t va = vaddr(from);
	bool more = true;

	while (more && va.v < from + len) {
		if (a->object) {
			SPIN_GUARD(&a->object->map_lock);
			more = move_run(a->as, &va, from + len, to - from);
		} else {
			more = move_run(a->as, &va, from + len, to - from);
		}
	}
}

/* ---- the three ways ---- */

static int unmap_locked(struct aspace *as, uint64_t start, uint64_t end, struct area **dead)
{
	struct area *spare;
	int err = change_prepare_cut(as, start, end, &spare);

	if (!err)
		change_cut(as, start, end, spare, dead);
	return err;
}

static struct area *area_at(struct aspace *as, uint64_t addr)
{
	struct area *a = area_find(as, addr);

	return a && a->start <= addr ? a : NULL;
}

static int move(struct aspace *as, struct remap *r, struct area **dead)
{
	struct area *a = area_at(as, r->addr), *copy, *spare;
	uint64_t replaced = 0, old_end = r->addr + r->old_len;
	int err;

	if (r->fixed)
		replaced = change_overlap(as, r->new_addr, r->new_addr + r->new_len);
	else
		r->new_addr = change_place(as, 0, r->new_len);
	if (!r->new_addr)
		return -ENOMEM;
	err = change_check_limits(as, a->flags, r->new_len - r->old_len, replaced);
	if (!err && replaced) {
		/* From here on the destination is gone, also if the move fails, as on Linux. */
		err = unmap_locked(as, r->new_addr, r->new_addr + r->new_len, dead);
		a = area_at(as, r->addr); /* may have been split */
	}
	if (!err)
		err = move_prepare(as, r->addr, r->new_addr, r->old_len);
	if (err)
		return err;
	copy = area_alloc(as);
	if (!copy)
		return -ENOMEM;
	err = change_prepare_cut(as, r->addr, old_end, &spare);
	if (err) {
		area_bury(dead, copy);
		return err;
	}

	copy->start = r->new_addr;
	copy->end = r->new_addr + r->new_len;
	copy->flags = a->flags;
	copy->has_anon = a->has_anon;
	copy->offset = a->object || a->file ? a->offset + (r->addr - a->start) : 0;
	copy->object = a->object;
	if (copy->object)
		vm_object_get(copy->object);
	copy->file = a->file;
	if (copy->file)
		vm_file_ops->get(copy->file);
	area_insert(as, copy);
	move_entries(copy, r->addr, r->new_addr, r->old_len);
	change_cut(as, r->addr, old_end, spare, dead);
	area_merge(as, copy, dead);
	return 0;
}

/* A second view of a shared mapping: old_len 0 (man 2 mremap). */
static int duplicate(struct aspace *as, const struct area *a, struct remap *r, struct area **dead)
{
	struct map_request m = {
		.addr = r->new_addr,
		.len = r->new_len,
		.flags = a->flags & ~AREA_LOCKED,
		.fixed = r->fixed,
		.object = a->object,
		.offset = a->offset + (r->addr - a->start),
		.file = a->file,
	};

	if (!(a->flags & AREA_SHARED) || !r->may_move)
		return -EINVAL;
	return change_map(as, &m, r->new_len, &r->new_addr, dead);
}

/* r->new_addr becomes where the mapping is. */
static int remap_locked(struct aspace *as, struct remap *r, struct area **dead)
{
	struct area *a = area_at(as, r->addr);
	uint64_t more, last;
	int err;

	if (!a)
		return -EFAULT;
	if (__builtin_add_overflow(a->offset + (r->addr - a->start), r->new_len, &last))
		return -EINVAL;
	if (r->old_len == 0)
		return duplicate(as, a, r, dead);
	if (r->new_len < r->old_len) {
		err = unmap_locked(as, r->addr + r->new_len, r->addr + r->old_len, dead);
		if (err)
			return err;
		r->old_len = r->new_len;
	}
	if (r->old_len == r->new_len && !r->fixed) {
		r->new_addr = r->addr;
		return 0;
	}
	if (r->old_len > a->end - r->addr)
		return -EFAULT;
	more = r->new_len - r->old_len;
	if (!r->fixed && a->end == r->addr + r->old_len && more <= USER_VA_END - a->end &&
	    area_range_free(as, a->end, more)) {
		err = change_check_limits(as, a->flags, more, 0);
		if (err)
			return err;
		area_resize(as, a, a->start, a->end + more);
		area_merge(as, a, dead);
		r->new_addr = r->addr;
		return 0;
	}
	return r->may_move ? move(as, r, dead) : -ENOMEM;
}

static int fixed_check(const struct remap *r)
{
	if (!IS_ALIGNED(r->new_addr, PAGE_SIZE) || r->new_addr > USER_VA_END || r->new_len > USER_VA_END - r->new_addr)
		return -EINVAL;
	if (r->new_addr < r->addr + r->old_len && r->addr < r->new_addr + r->new_len)
		return -EINVAL;
	return r->new_addr < VM_MMAP_MIN ? -EPERM : 0;
}

int aspace_remap(struct aspace *as, uint64_t addr, uint64_t old_len, uint64_t new_len, int flags, uint64_t new_addr,
		 uint64_t *out)
{
	struct remap r = {
		.addr = addr,
		.old_len = old_len,
		.new_len = new_len,
		.new_addr = new_addr,
		.may_move = flags & MREMAP_MAYMOVE,
		.fixed = flags & MREMAP_FIXED,
	};
	struct area *dead = NULL;
	uint64_t end;

	/* MREMAP_DONTUNMAP is refused like any flag that is not known: man 2 mremap tells programs to expect that of
	 * old kernels. */
	if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED)) || (r.fixed && !r.may_move))
		return -EINVAL;
	if (new_len == 0 || new_len > USER_VA_END || range_check(addr, &r.old_len, &end))
		return -EINVAL;
	r.new_len = ALIGN_UP(new_len, (uint64_t)PAGE_SIZE);

	int err = r.fixed ? fixed_check(&r) : 0;

	if (err)
		return err;
	rwlock_write_lock(&as->lock);
	err = remap_locked(as, &r, &dead);

	struct area *a = err ? NULL : area_at(as, r.new_addr);
	bool locked = a && (a->flags & AREA_LOCKED);

	rwlock_write_unlock(&as->lock);
	area_free_list(dead);
	if (err)
		return err;
	if (locked) {
		enum fault_result ignored = fault_populate(as, r.new_addr, r.new_addr + r.new_len);

		(void)ignored; /* as with mmap */
	}
	*out = r.new_addr;
	return 0;
}
