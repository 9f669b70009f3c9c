/*
 * Page tables for the reader: what is mapped where, with which rights, and whether any page is writable and executable.
 *
 * A dump joins neighbours of one size and one set of rights into a range. It finds the next leaf by walking from the
 * root each time, so it can stop anywhere and go on later (between two pieces the program's lock is dropped and the
 * piece printed), and skips empty tables a whole span at a time.
 *
 * The W^X check runs in each boot, so it is made to be short (some 10,000 instructions): it looks at eight entries at
 * once and only takes apart what is neither empty nor harmless as a whole, and a table that several neighbouring
 * entries share (KASAN's shadow) is looked at once.
 *
 * Locking: the caller's (pgtable.h). What changes meanwhile is seen as it was or as it will be.
 */
#include <arch/cpu.h>
#include <arch/mmu.h>
#include "core/monitor.h"
#include "core/panic.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "sync/spinlock.h"

#define PIECE 16 /* ranges looked up under the lock at a time */
#define GROUP 8
#define KERNEL_HALF 0xffff800000000000

static const struct region {
	uint64_t start, last;
	const char *name;
} regions[] = {
	{DIRECT_MAP_BASE, DIRECT_MAP_BASE + DIRECT_MAP_SIZE - 1, "direct map"},
	{KSTACK_BASE, KSTACK_END - 1, "kernel stacks"},
	{KRANGE_BASE, KRANGE_END - 1, "kernel ranges"},
	{KERNEL_BASE, UINT64_MAX, "kernel image"},
};

const char *pgtable_region(uint64_t va, uint64_t *start, uint64_t *last)
{
	for (size_t i = 0; i < ARRAY_SIZE(regions); i++) {
		if (va < regions[i].start || va > regions[i].last)
			continue;
		*start = regions[i].start;
		*last = regions[i].last;
		return regions[i].name;
	}
	return NULL;
}

unsigned pgtable_walk(paddr_t root, vaddr_t va, pte_t entries[PT_LEVELS])
{
	const pte_t *table = paddr_to_ptr(root);
	unsigned n = 0;
	for (unsigned level = PT_LEVELS; level-- > 0;) {
		pte_t e = table[PT_INDEX(va.v, level)];
		entries[n++] = e;
		if (!pte_present(e) || pte_is_leaf(e, level))
			break;
		table = paddr_to_ptr(pte_paddr(e));
	}
	return n;
}

/* The first leaf at or above *at, which moves to its start (or stays, inside it). False: none up to `last`. */
static bool next_leaf(paddr_t root, uint64_t *at, uint64_t last, pte_t *leaf, unsigned *level)
{
	for (;;) {
		pte_t entries[PT_LEVELS];
		*level = PT_LEVELS - pgtable_walk(root, vaddr(*at), entries);
		*leaf = entries[PT_LEVELS - 1 - *level];
		if (pte_present(*leaf))
			return true;
		uint64_t next = (*at | ((1ull << PT_SHIFT(*level)) - 1)) + 1;
		if (next == 0 || next > last)
			return false;
		*at = next;
	}
}

unsigned pgtable_ranges(paddr_t root, uint64_t *at, uint64_t last, struct pgtable_range *out, unsigned max, bool *done)
{
	struct pgtable_range *r = NULL;
	unsigned n = 0, level;
	pte_t leaf;

	*done = false;
	while (next_leaf(root, at, last, &leaf, &level)) {
		uint64_t mask = (1ull << PT_SHIFT(level)) - 1;
		uint64_t pa = (pte_paddr(leaf).v & ~mask) | (*at & mask);
		unsigned prot = pte_prot(leaf);
		if (r && r->last + 1 == *at && r->prot == prot && r->level == level) {
			r->contiguous &= r->pa.v + (*at - r->start) == pa;
		} else {
			if (n == max)
				return n;
			r = &out[n++];
			*r = (struct pgtable_range){.start = *at,
						    .pa = paddr(pa),
						    .prot = prot,
						    .level = level,
						    .contiguous = true};
		}
		r->last = *at | mask;
		*at = r->last + 1;
		if (*at == 0 || *at > last)
			break;
	}
	*done = true;
	return n;
}

/* --- W^X --- */

static uint64_t wx_below(const pte_t *table, unsigned first, unsigned level)
{
	uint64_t found = 0;
	pte_t before = pte_none();
	for (unsigned g = first; g < PT_ENTRIES; g += GROUP) {
		const pte_t *e = table + g;
		pte_t any = {e[0].v | e[1].v | e[2].v | e[3].v | e[4].v | e[5].v | e[6].v | e[7].v};
		if (!pte_writable(any)) /* empty, or read-only pages; entries for tables are always writable */
			continue;
		pte_t all = {e[0].v & e[1].v & e[2].v & e[3].v & e[4].v & e[5].v & e[6].v & e[7].v};
		if (!pte_executable(all)) /* pages of which none may be executed; a table always may */
			continue;
		for (const pte_t *end = e + GROUP; e < end; e++) {
			if (!pte_present(*e))
				continue;
			if (pte_is_leaf(*e, level)) {
				if (unlikely(pte_writable(*e) && pte_executable(*e)))
					found += 1ull << (PT_SHIFT(level) - PAGE_SHIFT);
			} else if (e->v != before.v) {
				before = *e;
				found += wx_below(paddr_to_ptr(pte_paddr(*e)), 0, level - 1);
			}
		}
	}
	return found;
}

uint64_t pgtable_check_wx(void)
{
	return wx_below(paddr_to_ptr(mmu_kernel_root()), PT_USER_ROOT_ENTRIES, PT_LEVELS - 1);
}

/* --- printing --- */

const char *pgtable_prot_text(unsigned prot, char buf[8])
{
	buf[0] = prot & MMU_READ ? 'r' : '-';
	buf[1] = prot & MMU_WRITE ? 'w' : '-';
	buf[2] = prot & MMU_EXEC ? 'x' : '-';
	buf[3] = prot & MMU_USER ? 'u' : '-';
	buf[4] = prot & MMU_DEVICE ? 'd' : '-';
	buf[5] = '\0';
	return buf;
}

static void print_size(struct monitor_out *out, uint64_t bytes)
{
	static const char units[] = "KMGT";
	unsigned unit = 0;
	bytes /= KIB;
	while (unit < 3 && bytes >= KIB && bytes % KIB == 0) {
		bytes /= KIB;
		unit++;
	}
	monitor_print(out, " %7llu %ciB", (unsigned long long)bytes, units[unit]);
}

static void print_range(struct monitor_out *out, const struct pgtable_range *r)
{
	static const char *const sizes[] = {"4K", "2M", "1G"};
	char prot[8];

	monitor_print(out, "  %016llx-%016llx", (unsigned long long)r->start, (unsigned long long)r->last);
	print_size(out, r->last - r->start + 1);
	monitor_print(out, " %s %s", sizes[r->level], pgtable_prot_text(r->prot, prot));
	if (r->contiguous)
		monitor_print(out, " -> %#llx\n", (unsigned long long)r->pa.v);
	else
		monitor_print(out, " scattered\n");
}

/* Under the lock a piece is fetched, without it printed. A range cut by the end of a piece goes on in the next line. */
static void print_ranges(struct monitor_out *out, paddr_t root, struct spinlock *lock, uint64_t at, uint64_t last)
{
	struct pgtable_range r[PIECE];
	bool done = false;
	while (!done && !out->interrupted) {
		irqflags_t f = {0};
		if (lock)
			f = spin_lock(lock);
		unsigned n = pgtable_ranges(root, &at, last, r, PIECE, &done);
		if (lock)
			spin_unlock(lock, f);
		for (unsigned i = 0; i < n; i++)
			print_range(out, &r[i]);
	}
}

void pgtable_print_kernel(struct monitor_out *out)
{
	paddr_t root = mmu_kernel_root();
	monitor_print(out, "kernel half, root table at %#llx; page size, rights (Read Write eXecute User Device)\n",
		      (unsigned long long)root.v);
	for (size_t i = 0; i < ARRAY_SIZE(regions) && !out->interrupted; i++) {
		monitor_print(out, "%s %016llx-%016llx\n", regions[i].name, (unsigned long long)regions[i].start,
			      (unsigned long long)regions[i].last);
		print_ranges(out, root, NULL, regions[i].start, regions[i].last);
	}
	uint64_t found = pgtable_check_wx();
	if (!mmu_has_nx())
		monitor_print(out, "this CPU cannot forbid execution\n");
	else
		monitor_print(out, "pages that are writable and executable: %llu\n", (unsigned long long)found);
}

void pgtable_print_user(struct monitor_out *out, paddr_t root, struct spinlock *lock)
{
	monitor_print(out, "root table at %#llx\n", (unsigned long long)root.v);
	print_ranges(out, root, lock, 0, USER_VA_END - 1);
}

void pgtable_print_walk(struct monitor_out *out, paddr_t root, vaddr_t va)
{
	static const char *const spans[PT_LEVELS] = {"4 KiB", "2 MiB", "1 GiB", "512 GiB"};
	pte_t entries[PT_LEVELS];
	uint64_t start, last;
	char prot[8];
	unsigned n = pgtable_walk(root, va, entries);
	const char *region = va.v >= KERNEL_HALF ? pgtable_region(va.v, &start, &last) : "a program's half";

	monitor_print(out, "%#llx: %s\n", (unsigned long long)va.v, region ? region : "no region");
	for (unsigned i = 0; i < n; i++) {
		unsigned level = PT_LEVELS - 1 - i;
		monitor_print(out, "  level %u [%3llu] %016llx  %s: ", level, (unsigned long long)PT_INDEX(va.v, level),
			      (unsigned long long)entries[i].v, spans[level]);
		if (!pte_present(entries[i]))
			monitor_print(out, "not present\n");
		else if (!pte_is_leaf(entries[i], level))
			monitor_print(out, "table at %#llx\n", (unsigned long long)pte_paddr(entries[i]).v);
		else
			monitor_print(out, "page at %#llx %s\n",
				      (unsigned long long)(pte_paddr(entries[i]).v & ~((1ull << PT_SHIFT(level)) - 1)),
				      pgtable_prot_text(pte_prot(entries[i]), prot));
	}
}
