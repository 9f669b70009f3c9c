/*
 * fork: a second address space with the same content.
 *
 * Private pages are shared by both and write-protected in both; whoever writes first gets a copy (fault.c).  Only areas
 * that may have such pages are walked, and only their anon entries are copied: whatever else an area shows can be
 * brought in again from its object, mostly in runs, and a program that goes on to exec never wants it.
 *
 * Until it is returned the copy is reachable by nobody: its areas join their objects' trees last, when its tables are
 * complete.  So its own locks are not taken.  If memory runs out half-way the parent keeps write-protected pages that
 * it alone holds; its next write to each finds one reference and takes it back.
 */
#include <asm/errno.h>
#include "lib/string.h"
#include "vm/gather.h"
#include "vm/internal.h"
#include "vm/rmap.h"

/* Shares the anon pages of one run of entries. table_lock of `from` held. Returns how many, or -ENOMEM (those done
 * stay). */
static int copy_run(struct aspace *from, struct aspace *to, pte_t *e, uint64_t va, unsigned count, int64_t *copied)
{
	struct gather g; /* only for the flushing */
	pte_t *dest = NULL;
	int err = 0;

	gather_init(&g, from);
	for (unsigned i = 0; i < count; i++) {
		pte_t entry = entry_read(&e[i]);
		uint64_t at = va + i * (uint64_t)PAGE_SIZE;

		if (!entry_is_anon(entry))
			continue;
		if (!dest) { /* the run is within one table, and so is its copy */
			dest = pgtable_ensure(to->mmu.root, vaddr(at));
			if (!dest) {
				err = -ENOMEM;
				break;
			}
			dest -= i;
		}
		if (pte_writable(entry)) {
			entry = pte_wrprotect(entry);
			entry_write(&e[i], entry);
			gather_flush(&g, at);
		}
		page_get(entry_page(entry));
		entry_write(&dest[i], entry);
		(*copied)++;
	}
	gather_finish(&g);
	return err;
}

static int copy_entries(struct aspace *from, struct aspace *to, uint64_t start, uint64_t end)
{
	vaddr_t va = vaddr(start);
	int64_t copied = 0;
	int err = 0;

	while (va.v < end && !err) {
		unsigned count;
		SPIN_GUARD(&from->table_lock);
		pte_t *e = pgtable_run(from->mmu.root, &va, vaddr(end), &count);

		if (!e)
			break;
		err = copy_run(from, to, e, va.v, count, &copied);
		va.v += count * (uint64_t)PAGE_SIZE;
	}
	resident_add(to, copied, 0);
	return err;
}

static struct area *copy_area(struct aspace *to, const struct area *a)
{
	struct area *copy = area_alloc(to);

	if (!copy)
		return NULL;
	copy->start = a->start;
	copy->end = a->end;
	copy->flags = a->flags & ~AREA_LOCKED; /* man 2 mlock: not inherited */
	copy->offset = a->offset;
	copy->object = a->object;
	if (copy->object)
		vm_object_get(copy->object);
	copy->file = a->file;
	if (copy->file)
		vm_file_ops->get(copy->file);
	return copy;
}

static int copy_areas(struct aspace *from, struct aspace *to)
{
	struct area *a, *last = NULL;

	RB_FOR_EACH(a, &from->areas, node) {
		if (a->flags & AREA_DONTFORK)
			continue;

		struct area *copy = copy_area(to, a);

		if (!copy)
			return -ENOMEM;
		area_append(to, last, copy);
		last = copy;
		if (!a->has_anon || (a->flags & AREA_WIPEONFORK))
			continue;
		copy->has_anon = true;

		int err = copy_entries(from, to, a->start, a->end);

		if (err)
			return err;
	}
	tables_count(to);
	RB_FOR_EACH(a, &to->areas, node)
		rmap_add(a);
	return 0;
}

static void copy_layout(const struct aspace *from, struct aspace *to)
{
	to->brk_start = from->brk_start;
	to->brk_end = from->brk_end;
	to->mmap_top = from->mmap_top;
	to->membarrier = from->membarrier;
	to->limit_bytes = from->limit_bytes;
	to->limit_data_bytes = from->limit_data_bytes;
	to->limit_stack_bytes = from->limit_stack_bytes;
	to->code_start = from->code_start;
	to->code_end = from->code_end;
	to->data_start = from->data_start;
	to->data_end = from->data_end;
	to->stack_start = from->stack_start;
	to->arg_start = from->arg_start;
	to->arg_end = from->arg_end;
	to->env_start = from->env_start;
	to->env_end = from->env_end;
	memcpy(to->auxv, from->auxv, sizeof(to->auxv));
}

int aspace_copy(struct aspace *from, struct aspace **out)
{
	struct aspace *to;
	int err = aspace_create(&to);

	if (err)
		return err;
	/* For writing: entries lose their write permission, which no fault may have decided upon. */
	rwlock_write_lock(&from->lock);
	copy_layout(from, to);
	err = copy_areas(from, to);
	rwlock_write_unlock(&from->lock);
	if (err) {
		aspace_put(to);
		return err;
	}
	*out = to;
	return 0;
}
