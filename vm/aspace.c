/*
 * Address spaces: theory.
 *
 * Purpose.  An address space is what a program sees: areas, each a range of addresses with one protection and one
 * source of pages, and the page tables that hold what has been brought in so far.  Areas are the truth, tables are a
 * cache of it that faults fill (fault.c) and changes empty (gather.c).  Only private pages live in the tables alone:
 * for those the entry is the owner.
 *
 * Areas are kept in one augmented tree (area.c).  Neighbours that could be one are merged, so programs that grow a
 * region piece by piece (brk, thread stacks, loaders) have few.  Every change is made in two steps: what may fail
 * (limits, permissions, memory for areas and tables) comes first and leaves no trace; the rest cannot fail.
 *
 * Locking.  as->lock: faults, and all who only look, hold it for reading; whoever changes areas for writing.
 * as->table_lock guards entries and the counts of resident pages.  Tables are made under table_lock by anybody, freed
 * under table_lock and the write lock.  So:
 *
 *	an entry is read             under either; to act on it, under table_lock
 *	an entry is emptied          under table_lock; truncation does it without as->lock (rmap.c), also madvise as a
 *	reader an area's flags, a split     under the write lock, so a fault sees one area or the other and never half a
 *	change areas of an object           their range also under object->map_lock
 *
 * References to files and objects are dropped after as->lock is released: a file's last put may need locks that rank
 * below it.
 *
 * Lifetime.  Counted; threads of a process, and whoever looks in from outside, hold references.  The last one takes
 * pages, areas and tables apart with no lock needed but table_lock, since truncation can still come by until the areas
 * have left their objects' trees.
 *
 * Failure.  -ENOMEM leaves everything as it was.  A fault that finds no memory says FAULT_OOM and has changed nothing;
 * what then happens is in oom.c.
 *
 * Rejected: a list of areas beside the tree (successors by the tree cost two or three steps, the list two pointers in
 * every area); a lock per area (fork, placement and merging need several at once); page tables as the only record of
 * areas (files and limits have no place there); a structure per private page that names its sharers (the reference
 * count says all that copy-on-write needs).
 */
#include "vm/aspace.h"

#include <arch/mmu.h>
#include <asm/errno.h>
#include "core/panic.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/thread.h"
#include "vm/gather.h"
#include "vm/internal.h"

uint64_t vm_anon_pages, vm_pagetable_pages;
struct page *vm_zero_page;
const struct vm_file_ops *vm_file_ops;

void vm_init(void)
{
	area_cache_init();
	object_cache_init();
	vm_zero_page = page_alloc(0, ALLOC_ZERO);
	if (!vm_zero_page)
		boot_stop("vm: no memory for the page of zeroes");
}

int aspace_create(struct aspace **out)
{
	struct aspace *as = kzalloc(sizeof(*as));

	if (!as)
		return -ENOMEM;

	paddr_t root;
	int err = pgtable_create(&root);

	if (err) {
		kfree(as);
		return err;
	}
	mmu_context_init(&as->mmu, root);
	refcount_init(&as->refs, 1);
	rwlock_init(&as->lock, LOCK_ASPACE, "aspace");
	rb_init(&as->areas);
	spin_init(&as->table_lock, LOCK_PAGETABLE, "page table");
	tables_count(as);
	as->mmap_top = USER_VA_END;
	as->limit_bytes = UINT64_MAX;
	as->limit_data_bytes = UINT64_MAX;
	as->limit_stack_bytes = UINT64_MAX;
	*out = as;
	return 0;
}

void aspace_put(struct aspace *as)
{
	struct area *a, *dead = NULL;

	if (!refcount_put(&as->refs))
		return;
	ASSERT(!thread_current() || thread_current()->mmu != &as->mmu); /* or a switch would load it again */
	/* Kernel threads, or the exiting thread itself, may still be running on these tables. */
	mmu_context_retire(&as->mmu);
	zap_dead(as);
	while ((a = area_pop_any(as)) != NULL)
		area_bury(&dead, a);
	/* Truncation may have read entries until the last area left its object's tree; now nobody can reach
	 * the tables. */
	pgtable_destroy(as->mmu.root);
	__atomic_fetch_sub(&vm_pagetable_pages, as->tables_counted, __ATOMIC_RELAXED);
	area_free_list(dead);
	oom_aspace_gone(as->oom_victim);
	kfree(as);
}

/* ---- looking in ---- */

static void view_name(const struct area *a, struct area_view *v)
{
	const char *name = "";

	if (a->flags & AREA_HEAP) {
		name = "[heap]";
	} else if (a->flags & AREA_STACK) {
		name = "[stack]";
	} else if (a->flags & (AREA_VDSO | AREA_VVAR)) {
		name = a->flags & AREA_VDSO ? "[vdso]" : "[vvar]";
		v->offset = 0; /* where they are in their object is nobody's business */
	} else if (a->object && !a->file) {
		name = "/dev/zero (deleted)"; /* shared anonymous memory, as man 5 proc shows it */
	}
	strlcpy(v->name, name, sizeof(v->name));
}

bool aspace_area_view(struct aspace *as, uint64_t addr, struct area_view *out)
{
	void *file = NULL;

	rwlock_read_lock(&as->lock);
	struct area *a = area_find(as, addr);

	if (a) {
		*out = (struct area_view){.start = a->start, .end = a->end, .offset = a->offset, .flags = a->flags};
		view_name(a, out);
		file = a->file;
		if (file)
			vm_file_ops->get(file);
	}
	rwlock_read_unlock(&as->lock);
	if (file) {
		/* Without as->lock: rendering a path may take a file system's locks. */
		vm_file_ops->describe(file, out->name, sizeof(out->name), &out->dev, &out->ino);
		vm_file_ops->put(file);
	}
	return a != NULL;
}

void aspace_usage(struct aspace *as, uint64_t start, uint64_t end, struct area_usage *out)
{
	vaddr_t va = vaddr(start);

	*out = (struct area_usage){0};
	rwlock_read_lock(&as->lock);
	while (va.v < end) {
		unsigned count;
		SPIN_GUARD(&as->table_lock);
		const pte_t *e = pgtable_run(as->mmu.root, &va, vaddr(end), &count);

		if (!e)
			break;
		for (unsigned i = 0; i < count; i++) {
			pte_t entry = entry_read(&e[i]);

			if (entry_empty(entry) || entry_is_zero(entry))
				continue;

			bool anon = entry_is_anon(entry);

			out->resident++;
			out->anon += anon;
			/* An object's page has one reference more than mappings. */
			out->shared += refcount_read(&entry_page(entry)->refs) > (anon ? 1 : 2);
			out->referenced += pte_accessed(entry);
		}
		va.v += count * (uint64_t)PAGE_SIZE;
	}
	rwlock_read_unlock(&as->lock);
}
