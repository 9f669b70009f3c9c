/*
 * Unmapping.
 *
 * A page may be reused only when no processor can reach it through a stale translation.  So entries are emptied first,
 * translations flushed next, and pages put last; a gather collects pages and addresses on the stack to make one flush
 * serve many pages.  All this happens under the address space's table_lock, in portions of one table (2 MiB), between
 * which others may run.
 *
 * Which processors have to forget is mm/tlb.c's; entry_replace and gather_finish are the only places in vm/ that ask.
 *
 * Nobody has to forget a translation that only allows less than the entry does now: who uses it faults, and the fault
 * finds all well and forgets it there (fault.c).
 *
 * The hardware sets an entry's accessed and dirty bits by itself, on any processor that runs the program, until its
 * translation is flushed: entries that may be in use are emptied by an exchange, so that nothing is lost.
 */
#include "vm/gather.h"

/*
 * Empty in between. Otherwise one thread could already write to the new page, tell another of it, and that one, with
 * the old translation, would not find what was written.
 */
void entry_replace(struct aspace *as, pte_t *e, uint64_t va, pte_t new)
{
	entry_write(e, pte_none());
	tlb_flush(&as->mmu, &va, 1);
	entry_write(e, new);
}

void gather_finish(struct gather *g)
{
	if (g->flushes)
		tlb_flush(&g->as->mmu, g->va, g->flush_all ? TLB_FLUSH_ALL : g->flushes);
	if (g->anon || g->file)
		resident_add(g->as, -g->anon, -g->file);
	for (unsigned i = 0; i < g->pages; i++)
		page_put(g->page[i]);
	gather_init(g, g->as);
}

void gather_take(struct gather *g, pte_t *e, uint64_t va)
{
	pte_t old = entry_take(e);

	if (pte_present(old))
		gather_flush(g, va);
	if (entry_is_zero(old))
		return;
	if (entry_is_anon(old))
		g->anon++;
	else
		g->file++;
	g->page[g->pages++] = entry_page(old);
	if (g->pages == GATHER_PAGES)
		gather_finish(g);
}

bool zap_range(struct aspace *as, uint64_t start, uint64_t end)
{
	vaddr_t va = vaddr(start);
	bool any = false;

	while (va.v < end) {
		struct gather g;
		unsigned count;

		gather_init(&g, as);
		SPIN_GUARD(&as->table_lock);
		pte_t *e = pgtable_run(as->mmu.root, &va, vaddr(end), &count);

		if (!e)
			break;
		any = true;
		for (unsigned i = 0; i < count; i++)
			if (!entry_empty(e[i]))
				gather_take(&g, &e[i], va.v + i * (uint64_t)PAGE_SIZE);
		gather_finish(&g);
		va.v += count * (uint64_t)PAGE_SIZE;
	}
	return any;
}

void zap_object_pages(struct aspace *as, uint64_t start, uint64_t end)
{
	vaddr_t va = vaddr(start);

	while (va.v < end) {
		struct gather g;
		unsigned count;

		gather_init(&g, as);
		SPIN_GUARD(&as->table_lock);
		pte_t *e = pgtable_run(as->mmu.root, &va, vaddr(end), &count);

		if (!e)
			break;
		for (unsigned i = 0; i < count; i++)
			if (!entry_empty(e[i]) && !entry_is_anon(e[i]))
				gather_take(&g, &e[i], va.v + i * (uint64_t)PAGE_SIZE);
		gather_finish(&g);
		va.v += count * (uint64_t)PAGE_SIZE;
	}
}

/* Empties one entry (not an empty one) that no processor uses any more. table_lock held. */
static void drop_dead(pte_t *e, int64_t *anon, int64_t *file)
{
	pte_t old = entry_read(e);

	entry_write(e, pte_none());
	if (entry_is_zero(old))
		return;
	if (entry_is_anon(old))
		(*anon)++;
	else
		(*file)++;
	page_put(entry_page(old));
}

void zap_dead(struct aspace *as)
{
	int64_t anon = 0, file = 0;
	struct area *a;

	/* By areas, not by tables: those of a small program are nearly empty. */
	RB_FOR_EACH(a, &as->areas, node) {
		vaddr_t va = vaddr(a->start);
		unsigned count;

		while (va.v < a->end) {
			/* Truncation may still come by through an object's tree, so the lock is needed. */
			SPIN_GUARD(&as->table_lock);
			pte_t *e = pgtable_run(as->mmu.root, &va, vaddr(a->end), &count);

			if (!e)
				break;
			for (unsigned i = 0; i < count; i++)
				if (!entry_empty(entry_read(&e[i])))
					drop_dead(&e[i], &anon, &file);
			va.v += count * (uint64_t)PAGE_SIZE;
		}
	}
	SPIN_GUARD(&as->table_lock);
	resident_add(as, -anon, -file);
}
