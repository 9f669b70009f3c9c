/*
 * Page faults.
 *
 * A fault is decided without the table lock: the area says what the page should be, a look at the entry says what it
 * is.  What is needed, a fresh page or the object's, is got ready; then, under table_lock, the new entry is stored only
 * if the old one is still what the decision was based on.  If not, somebody else was here: what was made ready is given
 * back and the program simply runs into the fault again, or not. The tables themselves may be read without table_lock
 * because they are freed only by writers of as->lock.
 *
 * What is done, by the area and the entry found:
 *
 *   private, anonymous   read, empty           the shared page of zeroes, read-only
 *                        write, empty or zero  a fresh zeroed page
 *   private, any         write, anon           ours alone (one reference): made writable; else copied
 *   private, object      write, empty/object   copied from the object's page at once, without mapping that first
 *   shared               write                 the object's page, marked dirty
 *   any with object      read, empty           the object's page, and around it those of the 16 in the same 64 KiB that
 *   are in memory
 *
 * An anon page is shared only by fork.  Its count of references is the count of entries that hold it, and those are
 * gained only under the table_lock of an entry that already has one.  So one reference, seen under our own table_lock,
 * means that nobody else has the page or can get it.
 *
 * A page that must be read from a device is not waited for under as->lock: the fault lets go of it, brings the page
 * into the object, and begins again.
 *
 * Read faults map pages that happen to be next to the wanted one, since starting a program touches nearly all of a few
 * dense runs of its file; a fault costs several times what sixteen look-ups in one radix node and one table do.
 */
#include "vm/fault.h"

#include <arch/trap.h>
#include <asm/errno.h>
#include "lib/string.h"
#include "vm/gather.h"
#include "vm/internal.h"

#define AROUND_PAGES 16
#define AROUND_BYTES (AROUND_PAGES * (uint64_t)PAGE_SIZE)

struct fault {
	struct aspace *as;
	struct area *area;
	uint64_t va; /* of the page */
	unsigned how;
	pte_t *entry;		 /* NULL: no table yet */
	pte_t old;		 /* what was there when the decision was made */
	struct vm_object *fetch; /* set: let go of the locks, bring fetch's page fetch_index in, try again */
	uint64_t fetch_index;
};

struct page *vm_user_page(unsigned flags)
{
	struct page *p = page_alloc(0, ALLOC_USER | flags);

	if (unlikely(!p) && oom_dying())
		p = page_alloc(0, ALLOC_RESERVE | flags);
	return p;
}

/* table_lock held: the entry's place, made if there was no table. */
static bool entry_place(struct fault *f)
{
	if (unlikely(!f->entry)) {
		f->entry = pgtable_ensure(f->as->mmu.root, vaddr(f->va));
		tables_count(f->as);
	}
	return f->entry;
}

/*
 * Stores the new entry, which takes over the caller's reference to p (NULL: the page of zeroes), if all is still as it
 * was: the entry, and for an object's page its belonging to the object.
 */
static enum fault_result entry_install(struct fault *f, pte_t new, struct page *p)
{
	struct aspace *as = f->as;
	bool anon = entry_is_anon(new), dirties = p && !anon && f->how & FAULT_WRITE;
	enum fault_result result = FAULT_OK;
	struct page *drop = p;

	{
		SPIN_GUARD(&as->table_lock);
		if (unlikely(!entry_place(f))) {
			result = FAULT_OOM;
		} else if (likely(f->entry->v == f->old.v && (anon || !p || READ_ONCE(p->owner) == f->area->object))) {
			/* Under the lock: a vm_object_sync() that has cleaned the page since will find this mapping. */
			if (dirties)
				vm_page_mark_dirty(p);
			drop = NULL;
			if (entry_empty(f->old)) {
				entry_write(f->entry, new);
				resident_add(as, anon, p && !anon);
			} else if (entry_is_zero(f->old)) {
				entry_replace(as, f->entry, f->va, new);
				resident_add(as, anon, p && !anon);
			} else {
				/* The object's page gives way to a private one, or may be written to from now on. */
				drop = entry_page(f->old);
				if (drop == p)
					entry_write(f->entry, new);
				else
					entry_replace(as, f->entry, f->va, new);
				resident_add(as, anon, (p && !anon) - 1);
			}
		}
	}
	if (drop)
		page_put(drop);
	return result;
}

/* A private page in place of whatever is there: a copy of src, or zeroes. */
static enum fault_result fault_private(struct fault *f, const struct page *src)
{
	struct page *p = vm_user_page(src ? 0 : ALLOC_ZERO);

	if (unlikely(!p))
		return FAULT_OOM;
	if (src)
		memcpy(page_to_ptr(p), page_to_ptr(src), PAGE_SIZE);
	if (!f->area->has_anon)
		WRITE_ONCE(f->area->has_anon, true);
	return entry_install(f, entry_make(f->area->flags, p, true, true), p);
}

/* A write to an anon page that is mapped read-only. */
static enum fault_result fault_copy_on_write(struct fault *f)
{
	struct page *old = entry_page(f->old), *fresh = NULL;

	/* This first look may be at a page that has just gone; it only decides whether to get memory ready. */
	if (refcount_read(&old->refs) != 1) {
		fresh = vm_user_page(0);
		if (unlikely(!fresh))
			return FAULT_OOM;
	}
	{
		SPIN_GUARD(&f->as->table_lock);
		if (f->entry->v == f->old.v) {
			if (atomic_load_acquire(&old->refs.n) == 1) {
				/* More is allowed than before: nobody has to be told. */
				entry_write(f->entry, entry_make(f->area->flags, old, true, true));
				old = fresh;
			} else if (fresh) {
				/* Under the lock, since only our entry keeps the old page from going. A microsecond. */
				memcpy(page_to_ptr(fresh), page_to_ptr(old), PAGE_SIZE);
				entry_replace(f->as, f->entry, f->va, entry_make(f->area->flags, fresh, true, true));
			} else {
				old = NULL;
			}
		} else {
			old = fresh;
		}
	}
	if (old)
		page_put(old);
	return FAULT_OK;
}

static enum fault_result fault_from_error(int err)
{
	switch (err) {
	case -ENXIO:
		return FAULT_BUS_ADRERR;
	case -ENOMEM:
		return FAULT_OOM;
	default:
		return FAULT_BUS_IO;
	}
}

/* The object's page with a reference; or, when it must be read first, f->fetch is set and *out NULL. */
static enum fault_result object_page(struct fault *f, uint64_t index, struct page **out)
{
	struct vm_object *o = f->area->object;

	*out = vm_object_lookup(o, index);
	if (*out)
		return FAULT_OK;
	if (vm_object_has_backing(o)) {
		f->fetch = o;
		f->fetch_index = index;
		return FAULT_OK;
	}

	int err = vm_object_page_within(o, index, out);

	if (err)
		*out = NULL;
	return err ? fault_from_error(err) : FAULT_OK;
}

/*
 * Maps the object's page `index` at f->va for reading, and its neighbours that are in memory. *found: whether it was
 * there itself. The object's lock is held within table_lock, so no owner needs to be checked.
 */
static enum fault_result map_around(struct fault *f, uint64_t index, bool *found)
{
	struct area *a = f->area;
	struct vm_object *o = a->object;
	bool writable = (a->flags & AREA_SHARED) && !area_tracks_dirty(a);
	uint64_t from = MAX(a->start, ALIGN_DOWN(f->va, AROUND_BYTES));
	uint64_t to = MIN(a->end, ALIGN_DOWN(f->va, AROUND_BYTES) + AROUND_BYTES);
	uint64_t i = index - ((f->va - from) >> PAGE_SHIFT), last = index + ((to - f->va) >> PAGE_SHIFT);
	int64_t mapped = 0;

	SPIN_GUARD(&f->as->table_lock);
	if (unlikely(!entry_place(f)))
		return FAULT_OOM;

	SPIN_GUARD(&o->lock);
	struct page *p = radix_lookup(&o->pages, index);

	*found = p && (atomic_load_acquire(&p->flags) & PAGE_UPTODATE);
	if (!*found)
		return FAULT_OK;
	pte_t first = entry_make(a->flags, p, false, writable);
	uint64_t first_pa = page_to_paddr(p).v;

	/* All in one leaf table: a table's range is a multiple of the window's. */
	for (; (p = radix_next(&o->pages, &i)) != NULL && i < last; i++) {
		pte_t *e = f->entry + (int64_t)(i - index);

		if (!entry_empty(*e) || !(atomic_load_acquire(&p->flags) & PAGE_UPTODATE))
			continue;
		page_get(p);
		entry_write(e, (pte_t){first.v - first_pa + page_to_paddr(p).v});
		mapped++;
	}
	resident_add(f->as, 0, mapped);
	return FAULT_OK;
}

static enum fault_result fault_read_object(struct fault *f, uint64_t index)
{
	for (;;) {
		bool found = false;
		struct page *p;
		enum fault_result r = map_around(f, index, &found);

		if (r != FAULT_OK || found)
			return r;
		r = object_page(f, index, &p);
		if (r != FAULT_OK || f->fetch)
			return r;
		page_put(p); /* now it is in the object, unless truncation comes in between again */
	}
}

static enum fault_result fault_object(struct fault *f)
{
	uint64_t index = area_page_index(f->area, f->va);
	enum fault_result r;
	struct page *p;

	if (index >= vm_object_page_limit(f->area->object))
		return FAULT_BUS_ADRERR;
	if (!(f->how & FAULT_WRITE))
		return fault_read_object(f, index);
	r = object_page(f, index, &p);
	if (r != FAULT_OK || f->fetch)
		return r;
	if (!(f->area->flags & AREA_SHARED)) {
		r = fault_private(f, p);
		page_put(p);
		return r;
	}
	return entry_install(f, entry_make(f->area->flags, p, false, true), p);
}

/* as->lock held for reading, f->area allows the access. */
static enum fault_result fault_in_area(struct fault *f)
{
	bool write = f->how & FAULT_WRITE;

	f->entry = pgtable_find(f->as->mmu.root, vaddr(f->va));
	f->old = f->entry ? entry_read(f->entry) : pte_none();
	if (!entry_empty(f->old)) {
		/*
		 * There, and good enough: another thread was faster, or this processor remembered a narrower right. To
		 * a forced access a private copy is good enough even where the program itself may not touch it.
		 */
		bool ours = entry_is_anon(f->old) && (f->how & FAULT_FORCE) &&
			refcount_read(&entry_page(f->old)->refs) == 1;

		if (!write || pte_writable(f->old) || ours) {
			if (!(f->how & FAULT_FORCE))
				mmu_flush_page_local(vaddr(f->va));
			return FAULT_OK;
		}
		if (entry_is_anon(f->old))
			return fault_copy_on_write(f);
	}
	if (f->area->object)
		return fault_object(f);
	if (write)
		return fault_private(f, NULL);
	return entry_install(f, entry_make(f->area->flags, vm_zero_page, false, false), NULL);
}

/*
 * The stack reaches down to where it is used, as far as its limit and a guard distance to its neighbour allow. Anything
 * else is what any other address without an area is.
 */
static enum fault_result stack_grow(struct aspace *as, uint64_t va)
{
	enum fault_result result = FAULT_SEGV_MAPERR;

	rwlock_write_lock(&as->lock);
	struct area *a = area_find(as, va);

	if (a && a->start <= va) {
		result = FAULT_OK; /* another thread did it meanwhile */
	} else if (a && (a->flags & AREA_GROWSDOWN) && va >= VM_MMAP_MIN && a->end - va <= as->limit_stack_bytes) {
		struct area *prev = area_prev(a);
		uint64_t more = a->start - va;
		bool crowded = prev && (prev->flags & AREA_PROT) && !(prev->flags & AREA_GROWSDOWN) &&
			va - prev->end < VM_STACK_GUARD_BYTES;

		if (!crowded && as->mapped_bytes + more <= as->limit_bytes) {
			area_resize(as, a, va, a->end);
			result = FAULT_OK;
		}
	}
	rwlock_write_unlock(&as->lock);
	return result;
}

static bool area_allows(const struct area *a, unsigned how)
{
	if (how & FAULT_FORCE)
		return !(how & FAULT_WRITE) || (a->flags & AREA_WRITE) || !(a->flags & (AREA_SHARED | AREA_VVAR));
	if (how & FAULT_WRITE)
		return a->flags & AREA_WRITE;
	if (how & FAULT_EXEC)
		return a->flags & AREA_EXEC;
	return a->flags & AREA_PROT;
}

/* Brings the page in that the fault had to wait for, without as->lock; drops the reference that f->fetch holds. */
static enum fault_result fault_fetch(struct fault *f)
{
	struct page *p;
	int err = vm_object_page_within(f->fetch, f->fetch_index, &p);

	if (!err)
		page_put(p);
	vm_object_put(f->fetch);
	return err ? fault_from_error(err) : FAULT_OK;
}

enum fault_result fault_page(struct aspace *as, uint64_t va, unsigned how)
{
	bool major = false;

	for (;;) {
		struct fault f = {.as = as, .va = ALIGN_DOWN(va, (uint64_t)PAGE_SIZE), .how = how};
		enum fault_result r;

		rwlock_read_lock(&as->lock);
		f.area = area_lookup(as, f.va);
		if (unlikely(!f.area)) {
			struct area *above = area_find(as, f.va);
			bool stack = above && (above->flags & AREA_GROWSDOWN);

			rwlock_read_unlock(&as->lock);
			r = stack ? stack_grow(as, f.va) : FAULT_SEGV_MAPERR;
			if (r != FAULT_OK)
				return r;
			continue;
		}
		if (unlikely(!area_allows(f.area, how))) {
			rwlock_read_unlock(&as->lock);
			return FAULT_SEGV_ACCERR;
		}
		r = fault_in_area(&f);
		if (f.fetch)
			vm_object_get(f.fetch);
		rwlock_read_unlock(&as->lock);
		if (!f.fetch) {
			if (r == FAULT_OK)
				__atomic_fetch_add(major ? &as->faults_major : &as->faults_minor, 1, __ATOMIC_RELAXED);
			return r;
		}
		major = true;
		r = fault_fetch(&f);
		if (r != FAULT_OK)
			return r;
	}
}

enum fault_result aspace_fault(struct aspace *as, vaddr_t addr, unsigned access)
{
	unsigned how = 0;

	if (access & TRAP_ACCESS_WRITE)
		how |= FAULT_WRITE;
	if (access & TRAP_ACCESS_EXEC)
		how |= FAULT_EXEC;
	return fault_page(as, addr.v, how);
}

/* Where populating goes on at or after va: the next page a program could touch, and how; end if there is none. */
static uint64_t populate_next(struct aspace *as, uint64_t va, uint64_t end, unsigned *how)
{
	rwlock_read_lock(&as->lock);
	struct area *a = area_find(as, va);

	while (a && a->start < end && !(a->flags & AREA_PROT))
		a = area_next(a);
	if (a && a->start < end) {
		va = MAX(va, a->start);
		*how = (a->flags & (AREA_WRITE | AREA_SHARED)) == AREA_WRITE ? FAULT_WRITE : 0;
	} else {
		va = end;
	}
	rwlock_read_unlock(&as->lock);
	return va;
}

enum fault_result fault_populate(struct aspace *as, uint64_t start, uint64_t end)
{
	unsigned how = 0;

	for (uint64_t va = start; (va = populate_next(as, va, end, &how)) < end; va += PAGE_SIZE) {
		enum fault_result r = fault_page(as, va, how);

		if (r != FAULT_OK)
			return r;
		if (unlikely(oom_dying()))
			break;
	}
	return FAULT_OK;
}
