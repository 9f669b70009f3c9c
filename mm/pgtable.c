/*
 * Page tables: theory.
 *
 * One radix tree a root, four levels of 512 entries (arch/mmu.h); the lower half of a root belongs to a program, the
 * upper half is the kernel's and is the same in every root.  It stays the same because all root entries of the kernel
 * half that will ever be used exist before the first pgtable_create() copies them (pgtable_share_kernel_range): later
 * kernel mappings only change tables BELOW those entries, which all roots share, so no root ever has to be brought up
 * to date.
 *
 * A user table is one page.  Its struct page carries
 *     index      a bit for each group of eight entries that may be in use (not kept for level 0)
 *     private    in the root: how many pages the whole tree takes
 * The bits let teardown and range walks skip empty stretches: a process uses three of 256 root entries, and scanning
 * three levels of 512 entries for each would cost more than the rest of exit.  A set bit is a hint, a clear one a
 * promise.
 *
 * A table that is freed is all zero: leaves were cleared by the caller, and the entries for lower tables are cleared as
 * those are
 * freed.  So freed tables are kept, a few per CPU, as ready zeroed ones, and roots with their kernel half filled in:
 * fork and exec then neither clear nor copy.  Debug builds check that they are zero.
 *
 * Locking: the caller's, one lock a root (pgtable.h).  The kernel half has kernel_lock.  The caches are per CPU, with
 * interrupts off.
 *
 * Failure: -ENOMEM or NULL, with whatever tables were made on the way left in place; they are empty and go with the
 * root.
 *
 * Rejected: a count of used entries per table (each fault would have to touch the count; the areas already say what is
 * in use); a recursive self-map (the direct map reaches every table, and of other address spaces too).
 */
#include "mm/pgtable.h"

#include <asm/errno.h>

#include <arch/cpu.h>
#include "core/panic.h"
#include "lib/string.h"
#include "mm/boot_alloc.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/tlb.h"
#include "sync/spinlock.h"

#define GROUP_SHIFT 3 /* entries per bit of page.index: 8 */
#define CACHE_TABLES 24
#define CACHE_ROOTS 8

bool pgtable_from_boot = true;

static struct spinlock kernel_lock = SPINLOCK_INIT(LOCK_KMAP, "kernel page tables");

/* Zeroed tables and ready roots of one CPU, chained through link.next; interrupts off. */
struct table_cache {
	struct page *tables, *roots;
	uint16_t table_count, root_count;
} aligned_to(CACHE_LINE);

static struct table_cache table_caches[CPUS_MAX];

static pte_t *table_of(pte_t e)
{
	return paddr_to_ptr(pte_paddr(e));
}

static struct page *cache_pop(struct page **chain, uint16_t *count)
{
	struct page *p = *chain;
	if (p) {
		*chain = LIST_ENTRY(p->link.next, struct page, link);
		(*count)--;
	}
	return p;
}

static void cache_push(struct page **chain, uint16_t *count, struct page *p)
{
	p->link.next = *chain ? &(*chain)->link : NULL;
	*chain = p;
	(*count)++;
}

static struct page *user_table_alloc(void)
{
	irqflags_t f = irq_save();
	struct table_cache *c = &table_caches[this_cpu()->id];
	struct page *p = cache_pop(&c->tables, &c->table_count);
	irq_restore(f);
	if (likely(p)) {
		p->index = 0;
		return p;
	}
	return page_alloc_uncounted(0, ALLOC_ZERO);
}

static void user_table_free(struct page *p)
{
	if (CONFIG_DEBUG) {
		const uint64_t *e = page_to_ptr(p);
		for (unsigned i = 0; i < PT_ENTRIES; i++)
			BUG_ON(e[i]);
	}
	irqflags_t f = irq_save();
	struct table_cache *c = &table_caches[this_cpu()->id];
	if (likely(c->table_count < CACHE_TABLES)) {
		cache_push(&c->tables, &c->table_count, p);
		p = NULL;
	}
	irq_restore(f);
	if (unlikely(p))
		page_put(p);
}

void pgtable_cache_drain(void)
{
	for (;;) {
		irqflags_t f = irq_save();
		struct table_cache *c = &table_caches[this_cpu()->id];
		struct page *p = cache_pop(&c->tables, &c->table_count);
		if (!p)
			p = cache_pop(&c->roots, &c->root_count);
		irq_restore(f);
		if (!p)
			return;
		page_put(p);
	}
}

int pgtable_create(paddr_t *root)
{
	if (alloc_fail_now())
		return -ENOMEM;
	irqflags_t f = irq_save();
	struct table_cache *c = &table_caches[this_cpu()->id];
	struct page *p = cache_pop(&c->roots, &c->root_count);
	irq_restore(f);
	if (!p) {
		p = user_table_alloc();
		if (!p)
			return -ENOMEM;
		pte_t *to = page_to_ptr(p), *from = paddr_to_ptr(mmu_kernel_root());
		memcpy(to + PT_USER_ROOT_ENTRIES, from + PT_USER_ROOT_ENTRIES,
		       (PT_ENTRIES - PT_USER_ROOT_ENTRIES) * sizeof(pte_t));
	}
	p->index = 0;
	p->private = 1;
	*root = page_to_paddr(p);
	return 0;
}

/* Frees all tables below `table`, an entry of which maps PT_SHIFT(level) bytes, and clears their entries. Returns how
 * many pages went. */
static uint64_t free_below(pte_t *table, struct page *p, unsigned level)
{
	uint64_t freed = 0;
	for (uint64_t groups = p->index; groups; groups &= groups - 1) {
		pte_t *e = table + ((unsigned)__builtin_ctzll(groups) << GROUP_SHIFT);
		for (pte_t *end = e + (1 << GROUP_SHIFT); e < end; e++) {
			if (!pte_present(*e))
				continue;
			struct page *child = paddr_to_page(pte_paddr(*e));
			if (level > 1)
				freed += free_below(table_of(*e), child, level - 1);
			*e = pte_none();
			user_table_free(child);
			freed++;
		}
	}
	return freed;
}

void pgtable_destroy(paddr_t root)
{
	if (CONFIG_DEBUG)
		BUG_ON(root.v == mmu_active_root().v || root.v == mmu_kernel_root().v);
	struct page *p = paddr_to_page(root);
	pte_t *table = page_to_ptr(p);
	p->private -= free_below(table, p, PT_LEVELS - 1);
	BUG_ON(p->private != 1);

	irqflags_t f = irq_save();
	struct table_cache *c = &table_caches[this_cpu()->id];
	if (c->root_count < CACHE_ROOTS) {
		cache_push(&c->roots, &c->root_count, p);
		p = NULL;
	}
	irq_restore(f);
	if (p)
		page_put(p);
}

pte_t *pgtable_find(paddr_t root, vaddr_t va)
{
	pte_t *table = paddr_to_ptr(root);
	for (unsigned level = PT_LEVELS - 1; level; level--) {
		pte_t e = table[PT_INDEX(va.v, level)];
		if (!pte_present(e) || pte_is_leaf(e, level))
			return NULL;
		table = table_of(e);
	}
	return &table[PT_INDEX(va.v, 0)];
}

static noinline pte_t *ensure_slow(paddr_t root, vaddr_t va)
{
	pte_t *table = paddr_to_ptr(root);
	for (unsigned level = PT_LEVELS - 1; level; level--) {
		pte_t *e = &table[PT_INDEX(va.v, level)];
		if (!pte_present(*e)) {
			struct page *p = user_table_alloc();
			if (!p)
				return NULL;
			ptr_to_page(table)->index |= BIT(PT_INDEX(va.v, level) >> GROUP_SHIFT);
			paddr_to_page(root)->private ++;
			/* Empty before it can be found: faults and mincore look without the lock, and processors do. */
			__atomic_store_n(&e->v, pte_table(page_to_paddr(p), true).v, __ATOMIC_RELEASE);
		} else if (pte_is_leaf(*e, level)) {
			return NULL;
		}
		table = table_of(*e);
	}
	return &table[PT_INDEX(va.v, 0)];
}

pte_t *pgtable_ensure(paddr_t root, vaddr_t va)
{
	ASSERT(va.v < USER_VA_END);
	pte_t *e = pgtable_find(root, va);
	if (likely(e))
		return e;
	if (alloc_fail_now())
		return NULL;
	return ensure_slow(root, va);
}

/* The first present entry of `table` from index i on, by the group bits; PT_ENTRIES if there is none. */
static unsigned next_present(const pte_t *table, uint64_t groups, unsigned i)
{
	while (i < PT_ENTRIES) {
		uint64_t rest = groups & (~0ull << (i >> GROUP_SHIFT));
		if (!rest)
			return PT_ENTRIES;
		unsigned group = (unsigned)__builtin_ctzll(rest);
		i = MAX(i, group << GROUP_SHIFT);
		for (unsigned end = (group + 1) << GROUP_SHIFT; i < end; i++)
			if (pte_present(table[i]))
				return i;
	}
	return PT_ENTRIES;
}

pte_t *pgtable_run(paddr_t root, vaddr_t *va, vaddr_t end, unsigned *count)
{
	uint64_t at = va->v;
	ASSERT(end.v <= USER_VA_END);
	while (at < end.v) {
		pte_t *table = paddr_to_ptr(root);
		unsigned level;
		for (level = PT_LEVELS - 1; level; level--) {
			pte_t e = table[PT_INDEX(at, level)];
			if (pte_present(e) && !pte_is_leaf(e, level)) {
				table = table_of(e);
				continue;
			}
			unsigned i = next_present(table, ptr_to_page(table)->index, (unsigned)PT_INDEX(at, level) + 1);
			/* from the start of the table's span, so that running off it lands at the next table */
			at = (at & ~((1ull << PT_SHIFT(level + 1)) - 1)) + ((uint64_t)i << PT_SHIFT(level));
			break;
		}
		if (level)
			continue;
		unsigned first = (unsigned)PT_INDEX(at, 0);
		*va = vaddr(at);
		*count = (unsigned)MIN((uint64_t)(PT_ENTRIES - first), (end.v - at + PAGE_SIZE - 1) >> PAGE_SHIFT);
		return &table[first];
	}
	return NULL;
}

/* Takes out the tables below `table` (which maps from base) whose whole span lies in [start, end), onto a chain. */
static uint64_t trim_below(pte_t *table, unsigned level, uint64_t base, uint64_t start, uint64_t end,
			   struct page **chain)
{
	uint64_t span = 1ull << PT_SHIFT(level), freed = 0;
	struct page *p = ptr_to_page(table);
	unsigned i = start > base ? (unsigned)((start - base) >> PT_SHIFT(level)) : 0;
	while ((i = next_present(table, p->index, i)) < PT_ENTRIES) {
		uint64_t from = base + (uint64_t)i * span, to = from + span;
		if (from >= end)
			break;
		struct page *child = paddr_to_page(pte_paddr(table[i]));
		if (level > 1)
			freed += trim_below(table_of(table[i]), level - 1, from, start, end, chain);
		if (from >= start && to <= end) {
			table[i] = pte_none();
			child->owner = *chain;
			*chain = child;
			freed++;
		}
		i++;
	}
	return freed;
}

void pgtable_trim(struct mmu_context *context, vaddr_t start, vaddr_t end)
{
	if (start.v >= end.v)
		return;
	struct page *chain = NULL;
	paddr_t root = context->root;
	uint64_t freed = trim_below(paddr_to_ptr(root), PT_LEVELS - 1, 0, start.v, end.v, &chain);
	paddr_to_page(root)->private -= freed;
	/* CPUs may remember upper-level entries; any INVLPG makes them forget them all (SDM 3A 4.10.4.1). */
	if (freed)
		tlb_flush(context, &start.v, 1);
	while (chain) {
		struct page *p = chain;
		chain = p->owner;
		p->owner = NULL;
		user_table_free(p);
	}
}

uint64_t pgtable_page_count(paddr_t root)
{
	return paddr_to_page(root)->private;
}

/* ---- the kernel's half ---- */

static pte_t *kernel_table_alloc(paddr_t *pa)
{
	if (unlikely(pgtable_from_boot)) {
		*pa = boot_alloc(PAGE_SIZE, PAGE_SIZE, true);
	} else {
		struct page *p = page_alloc_uncounted(0, ALLOC_ZERO);
		*pa = p ? page_to_paddr(p) : paddr(0);
	}
	return pa->v ? paddr_to_ptr(*pa) : NULL;
}

/* The table that `e`, an entry at `level`, points to; made if there is none. NULL: no memory, or a leaf in the way
 * (then *exists). */
static pte_t *kernel_table_below(pte_t *e, unsigned level, bool *exists)
{
	if (!pte_present(*e)) {
		paddr_t pa;
		pte_t *t = kernel_table_alloc(&pa);
		if (t)
			*e = pte_table(pa, false);
		return t;
	}
	if (pte_is_leaf(*e, level)) {
		*exists = true;
		return NULL;
	}
	return table_of(*e);
}

void pgtable_share_kernel_range(vaddr_t va, uint64_t len_bytes)
{
	pte_t *root = paddr_to_ptr(mmu_kernel_root());
	bool exists = false;
	for (uint64_t i = PT_INDEX(va.v, PT_LEVELS - 1); i <= PT_INDEX(va.v + len_bytes - 1, PT_LEVELS - 1); i++)
		if (!kernel_table_below(&root[i], PT_LEVELS - 1, &exists))
			panic("no memory for the kernel's page tables");
}

int pgtable_map_kernel(vaddr_t va, paddr_t pa, uint64_t len_bytes, unsigned prot)
{
	unsigned max_level = mmu_max_leaf_level();
	SPIN_GUARD(&kernel_lock);
	while (len_bytes) {
		unsigned want = max_level;
		while (want && (!IS_ALIGNED(va.v | pa.v, 1ull << PT_SHIFT(want)) || len_bytes < 1ull << PT_SHIFT(want)))
			want--;
		pte_t *table = paddr_to_ptr(mmu_kernel_root());
		for (unsigned level = PT_LEVELS - 1; level > want; level--) {
			bool exists = false;
			table = kernel_table_below(&table[PT_INDEX(va.v, level)], level, &exists);
			if (!table)
				return exists ? -EEXIST : -ENOMEM;
		}
		/* fill the table as far as it goes with leaves of this size */
		uint64_t span = 1ull << PT_SHIFT(want);
		do {
			pte_t *e = &table[PT_INDEX(va.v, want)];
			if (pte_present(*e))
				return -EEXIST;
			*e = pte_leaf(pa, prot, want);
			va.v += span;
			pa.v += span;
			len_bytes = len_bytes > span ? len_bytes - span : 0;
		} while (len_bytes >= span && PT_INDEX(va.v, want) &&
			 (want == max_level || !IS_ALIGNED(va.v | pa.v, span << 9)));
	}
	return 0;
}

int pgtable_map_kernel_pages(vaddr_t va, struct page *const *pages, unsigned count, unsigned prot)
{
	ASSERT(PT_INDEX(va.v, 0) + count <= PT_ENTRIES);
	SPIN_GUARD(&kernel_lock);
	pte_t *table = paddr_to_ptr(mmu_kernel_root());
	for (unsigned level = PT_LEVELS - 1; level; level--) {
		bool exists = false;
		table = kernel_table_below(&table[PT_INDEX(va.v, level)], level, &exists);
		if (!table)
			return exists ? -EEXIST : -ENOMEM;
	}
	for (unsigned i = 0; i < count; i++) {
		pte_t *e = &table[PT_INDEX(va.v, 0) + i];
		BUG_ON(pte_present(*e));
		*e = pte_leaf(page_to_paddr(pages[i]), prot, 0);
	}
	return 0;
}

void pgtable_clear_kernel(vaddr_t va, uint64_t len_bytes)
{
	SPIN_GUARD(&kernel_lock);
	for (uint64_t at = va.v; at < va.v + len_bytes; at += PAGE_SIZE) {
		pte_t *e = pgtable_find(mmu_kernel_root(), vaddr(at));
		if (e)
			*e = pte_none();
	}
}

void pgtable_unmap_kernel(vaddr_t va, uint64_t len_bytes)
{
	pgtable_clear_kernel(va, len_bytes);
	tlb_flush_kernel(va, len_bytes);
}

bool pgtable_translate(paddr_t root, vaddr_t va, paddr_t *pa, unsigned *prot)
{
	pte_t *table = paddr_to_ptr(root);
	for (unsigned level = PT_LEVELS; level-- > 0;) {
		pte_t e = table[PT_INDEX(va.v, level)];
		if (!pte_present(e))
			return false;
		if (!pte_is_leaf(e, level)) {
			table = table_of(e);
			continue;
		}
		uint64_t mask = (1ull << PT_SHIFT(level)) - 1;
		*pa = paddr((pte_paddr(e).v & ~mask) | (va.v & mask));
		*prot = pte_prot(e);
		return true;
	}
	return false;
}
