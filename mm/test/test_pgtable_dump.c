/*
 * The dump of page tables: ranges are joined where they may be and nowhere else; a page that is writable and executable
 * is found.
 */
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/pgtable.h"

#define FRAME(n) paddr(0x200000 + (n)*PAGE_SIZE)

static void map(paddr_t root, uint64_t va, paddr_t pa, unsigned prot)
{
	pte_t *e = pgtable_ensure(root, vaddr(va));
	KTEST_TRUE(e != NULL);
	*e = pte_leaf(pa, prot | MMU_USER, 0);
}

KTEST(mm, pgtable_ranges_are_joined)
{
	struct pgtable_range r[4];
	uint64_t at = 0;
	paddr_t root;
	bool done;

	KTEST_EQ(pgtable_create(&root), 0);
	KTEST_EQ(pgtable_ranges(root, &at, USER_VA_END - 1, r, 4, &done), 0);
	KTEST_TRUE(done);
	/* across the end of a table, one after the other in memory; then out of order; then other rights; then
	 * a hole */
	map(root, 0x5fe000, FRAME(0), MMU_READ);
	map(root, 0x5ff000, FRAME(1), MMU_READ);
	map(root, 0x600000, FRAME(2), MMU_READ);
	map(root, 0x700000, FRAME(9), MMU_READ | MMU_WRITE);
	map(root, 0x701000, FRAME(8), MMU_READ | MMU_WRITE);
	map(root, 0x702000, FRAME(7), MMU_READ);
	map(root, USER_VA_END - PAGE_SIZE, FRAME(0), MMU_READ | MMU_EXEC);

	at = 0;
	KTEST_EQ(pgtable_ranges(root, &at, USER_VA_END - 1, r, 4, &done), 4);
	KTEST_TRUE(done);
	KTEST_TRUE(r[0].start == 0x5fe000 && r[0].last == 0x600fff && r[0].contiguous && r[0].pa.v == FRAME(0).v);
	KTEST_TRUE(r[0].prot == (MMU_READ | MMU_USER | (mmu_has_nx() ? 0u : MMU_EXEC)) && r[0].level == 0);
	KTEST_TRUE(r[1].start == 0x700000 && r[1].last == 0x701fff && !r[1].contiguous && r[1].prot & MMU_WRITE);
	KTEST_TRUE(r[2].start == 0x702000 && r[2].last == 0x702fff && !(r[2].prot & MMU_WRITE));
	KTEST_TRUE(r[3].last == USER_VA_END - 1 && r[3].prot & MMU_EXEC);

	/* in pieces: nothing is lost, and [at, last] is kept to */
	at = 0x5ff000;
	KTEST_EQ(pgtable_ranges(root, &at, 0x701fff, r, 1, &done), 1);
	KTEST_TRUE(!done && r[0].start == 0x5ff000 && r[0].last == 0x600fff);
	KTEST_EQ(pgtable_ranges(root, &at, 0x701fff, r, 1, &done), 1);
	KTEST_TRUE(done && r[0].start == 0x700000 && r[0].last == 0x701fff);

	pte_t entries[PT_LEVELS];
	KTEST_EQ(pgtable_walk(root, vaddr(0x5fe123), entries), PT_LEVELS);
	KTEST_TRUE(pte_present(entries[3]) && pte_paddr(entries[3]).v == FRAME(0).v);
	KTEST_EQ(pgtable_walk(root, vaddr(0x7000000000), entries), 2);
	KTEST_TRUE(!pte_present(entries[1]));
	static const uint64_t mapped[] =
		{0x5fe000, 0x5ff000, 0x600000, 0x700000, 0x701000, 0x702000, USER_VA_END - PAGE_SIZE};
	for (size_t i = 0; i < ARRAY_SIZE(mapped); i++)
		*pgtable_find(root, vaddr(mapped[i])) = pte_none();
	pgtable_destroy(root);
}

KTEST(mm, pgtable_ranges_of_the_kernel_end_at_the_top)
{
	struct pgtable_range r[8];
	uint64_t start, last;

	KTEST_TRUE(str_equal(pgtable_region((uint64_t)pgtable_check_wx, &start, &last), "kernel image"));
	KTEST_EQ(last, UINT64_MAX);
	bool done;
	unsigned n = pgtable_ranges(mmu_kernel_root(), &start, last, r, 8, &done);
	KTEST_TRUE(n >= 3 && done);
	KTEST_TRUE(r[0].prot & MMU_EXEC && !(r[0].prot & MMU_WRITE));
	/* with a page at the very top */
	const uint64_t top = UINT64_MAX - PAGE_SIZE + 1;
	struct page *p = page_alloc(0, 0);
	KTEST_TRUE(p != NULL);
	KTEST_EQ(pgtable_map_kernel(vaddr(top), page_to_paddr(p), PAGE_SIZE, MMU_READ), 0);
	start = top - 2 * PAGE_SIZE;
	unsigned found = pgtable_ranges(mmu_kernel_root(), &start, last, r, 8, &done);
	*pgtable_find(mmu_kernel_root(), vaddr(top)) = pte_none();
	mmu_flush_page_local(vaddr(top));
	page_put(p);
	KTEST_TRUE(found == 1 && done && r[0].start == top && r[0].last == UINT64_MAX);
	KTEST_TRUE(pgtable_region(0xffffe00000000000, &start, &last) == NULL);
	KTEST_TRUE(pgtable_region(0x1000, &start, &last) == NULL);
}

KTEST(mm, pgtable_check_finds_what_is_writable_and_executable)
{
	uint8_t *p = kmap_alloc(3 * PAGE_SIZE); /* the range's last page stays free, behind it */
	KTEST_TRUE(p != NULL);
	if (mmu_has_nx()) {
		pte_t *e = pgtable_find(mmu_kernel_root(), vaddr_of(p + PAGE_SIZE)), was = *e;
		KTEST_EQ(pgtable_check_wx(), 0);
		*e = pte_leaf(pte_paddr(was), MMU_READ | MMU_WRITE | MMU_EXEC, 0);
		uint64_t found = pgtable_check_wx();
		*e = was;
		mmu_flush_page_local(vaddr_of(p + PAGE_SIZE));
		KTEST_EQ(found, 1);
	}
	kmap_free(p);
}
