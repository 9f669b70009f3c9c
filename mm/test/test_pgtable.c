/*
 * Page tables of a root nobody runs on, kernel mappings, stacks and ranges.
 */
#include <asm/errno.h>

#include "core/ktest.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/page_internal.h"
#include "mm/pgtable.h"
#include "mm/tlb.h"

KTEST(mm, pgtable_ensure_find_run_destroy)
{
	static const uint64_t va[] = {0x1000, 0x400000, 0x555555554000, 0x7fff00000000, 0x7ffffffff000 - PAGE_SIZE};
	paddr_t root;
	KTEST_EQ(pgtable_create(&root), 0);
	KTEST_EQ(pgtable_page_count(root), 1);
	for (unsigned i = 0; i < ARRAY_SIZE(va); i++) {
		KTEST_TRUE(pgtable_find(root, vaddr(va[i])) == NULL);
		pte_t *e = pgtable_ensure(root, vaddr(va[i]));
		KTEST_TRUE(e && !pte_present(*e));
		*e = pte_leaf(paddr(0x200000 + i * PAGE_SIZE), MMU_READ | MMU_USER, 0);
		KTEST_TRUE(pgtable_find(root, vaddr(va[i])) == e);
	}
	/* 1 and 2 share all but the last table; 3 is alone; 4 and 5 share the first */
	KTEST_EQ(pgtable_page_count(root), 1 + 2 + 2 + 3 + 3 + 2);

	paddr_t pa;
	unsigned prot, n = 0, count;
	KTEST_TRUE(pgtable_translate(root, vaddr(0x400123), &pa, &prot));
	KTEST_EQ(pa.v, 0x201123);
	KTEST_TRUE(prot & MMU_USER && !(prot & MMU_WRITE));
	KTEST_TRUE(!pgtable_translate(root, vaddr(0x401000), &pa, &prot));

	/* a walk over everything meets exactly these, in order, and clears them */
	vaddr_t at = vaddr(0);
	for (pte_t *e; (e = pgtable_run(root, &at, vaddr(USER_VA_END), &count));) {
		for (unsigned i = 0; i < count; i++)
			if (pte_present(e[i])) {
				KTEST_TRUE(n < ARRAY_SIZE(va));
				KTEST_EQ(at.v + i * PAGE_SIZE, va[n]);
				e[i] = pte_none();
				n++;
			}
		at.v += count * PAGE_SIZE;
	}
	KTEST_EQ(n, ARRAY_SIZE(va));
	pgtable_destroy(root);
}

KTEST(mm, pgtable_run_stops_at_end)
{
	paddr_t root;
	unsigned count;
	KTEST_EQ(pgtable_create(&root), 0);
	KTEST_TRUE(pgtable_ensure(root, vaddr(0x40000000)) && pgtable_ensure(root, vaddr(0x40200000)));
	vaddr_t at = vaddr(0x1000);
	KTEST_TRUE(pgtable_run(root, &at, vaddr(0x40000000), &count) == NULL);
	at = vaddr(0x1000);
	KTEST_TRUE(pgtable_run(root, &at, vaddr(0x40003000), &count) == pgtable_find(root, vaddr(0x40000000)));
	KTEST_EQ(at.v, 0x40000000);
	KTEST_EQ(count, 3);
	at = vaddr(0x401ff000);
	KTEST_TRUE(pgtable_run(root, &at, vaddr(0x50000000), &count) != NULL);
	KTEST_EQ(count, 1);
	at = vaddr(0x40400000);
	KTEST_TRUE(pgtable_run(root, &at, vaddr(USER_VA_END), &count) == NULL);
	pgtable_destroy(root);
}

KTEST(mm, pgtable_trim_frees_what_lies_inside)
{
	paddr_t root;
	struct mmu_context context;
	KTEST_EQ(pgtable_create(&root), 0);
	mmu_context_init(&context, root);
	for (uint64_t va = 0x40000000; va < 0x40000000 + 8 * 0x200000; va += 0x200000)
		KTEST_TRUE(pgtable_ensure(root, vaddr(va)) != NULL);
	KTEST_EQ(pgtable_page_count(root), 1 + 2 + 8);
	pgtable_trim(&context, vaddr(0x40000000 + 0x1000),
		     vaddr(0x40000000 + 4 * 0x200000 - 0x1000)); /* the edges stay */
	KTEST_EQ(pgtable_page_count(root), 1 + 2 + 6);
	KTEST_TRUE(pgtable_find(root, vaddr(0x40000000)) && !pgtable_find(root, vaddr(0x40200000)));
	pgtable_trim(&context, vaddr(0), vaddr(0x8000000000)); /* the whole first root entry */
	KTEST_EQ(pgtable_page_count(root), 1);
	KTEST_TRUE(pgtable_ensure(root, vaddr(0x40200000)) != NULL);
	pgtable_destroy(root);
}

/* Reused tables and roots must be as new, and share the kernel's half. */
KTEST(mm, pgtable_reuse_is_clean)
{
	for (unsigned i = 0; i < 40; i++) {
		paddr_t root;
		KTEST_EQ(pgtable_create(&root), 0);
		const uint64_t *e = paddr_to_ptr(root), *k = paddr_to_ptr(mmu_kernel_root());
		for (unsigned j = 0; j < PT_ENTRIES; j++)
			KTEST_EQ(e[j], j < PT_USER_ROOT_ENTRIES ? 0 : k[j]);
		pte_t *p = pgtable_ensure(root, vaddr(0x1000ull * (1 + i * 977)));
		KTEST_TRUE(p && !pte_present(*p));
		pgtable_destroy(root);
	}
}

KTEST(mm, pgtable_out_of_memory_is_clean)
{
	uint64_t fails = 0;
	for (uint64_t n = 1; n <= 2; n++) {
		paddr_t root;
		mm_caches_drain();
		alloc_fail_at(n);
		if (pgtable_create(&root)) {
			alloc_fail_at(0);
			fails++;
			continue;
		}
		fails += pgtable_ensure(root, vaddr(0x1000)) == NULL;
		alloc_fail_at(0);
		pgtable_destroy(root);
	}
	KTEST_EQ(fails, 2);
}

KTEST(mm, kernel_map_refuses_overlap)
{
	uint8_t *p = kmap_alloc(3 * PAGE_SIZE);
	KTEST_TRUE(p != NULL);
	KTEST_EQ(pgtable_map_kernel(vaddr_of(p + PAGE_SIZE), paddr(0), PAGE_SIZE, MMU_READ), -EEXIST);
	kmap_free(p);
}

/* Addresses in the kernel's half that nothing uses. */
static const uint64_t unused_va = ALIGN_DOWN(KRANGE_END, GIB) - 2 * GIB;

/* Whether `va` is mapped to `pa`, to be read only, by a page of just this level. */
static bool leaf_is(uint64_t va, uint64_t pa, unsigned level)
{
	pte_t entries[PT_LEVELS];
	paddr_t got;
	unsigned prot, found = PT_LEVELS - pgtable_walk(mmu_kernel_root(), vaddr(va), entries);
	bool mapped = pgtable_translate(mmu_kernel_root(), vaddr(va), &got, &prot);
	return found == level && mapped && got.v == pa && !(prot & (MMU_WRITE | MMU_USER)) &&
		!pgtable_find(mmu_kernel_root(), vaddr(va)) == (level > 0);
}

static void leaves_remove(uint64_t at, uint64_t end)
{
	pte_t entries[PT_LEVELS];
	while (at < end) {
		unsigned n = pgtable_walk(mmu_kernel_root(), vaddr(at), entries), level = PT_LEVELS - n;
		pte_t *table = paddr_to_ptr(pte_paddr(entries[n - 2]));
		table[PT_INDEX(at, level)] = pte_none();
		mmu_flush_page_local(vaddr(at));
		at += 1ull << PT_SHIFT(level);
	}
}

/* Each piece of a range gets the largest page that fits. */
KTEST(mm, kernel_map_uses_large_pages)
{
	const uint64_t va = unused_va, pa = 0x4000000000, len = GIB + 2 * MIB + PAGE_SIZE;
	const unsigned most = mmu_max_leaf_level();
	paddr_t got;
	unsigned prot;

	KTEST_EQ(pgtable_map_kernel(vaddr(va), paddr(pa), len, MMU_READ), 0);
	int over = pgtable_map_kernel(vaddr(va + 5 * PAGE_SIZE), paddr(pa), PAGE_SIZE, MMU_READ);
	bool right = leaf_is(va + 0x123, pa + 0x123, most) && leaf_is(va + GIB - 1, pa + GIB - 1, most) &&
		leaf_is(va + GIB, pa + GIB, 1) && leaf_is(va + GIB + 2 * MIB, pa + GIB + 2 * MIB, 0);
	bool ends = !pgtable_translate(mmu_kernel_root(), vaddr(va + len), &got, &prot);
	leaves_remove(va, va + len);
	KTEST_EQ(over, -EEXIST);
	KTEST_TRUE(right && ends);
	KTEST_TRUE(!pgtable_translate(mmu_kernel_root(), vaddr(va), &got, &prot));
}

/* … and that can stand where it would: both addresses count. */
KTEST(mm, kernel_map_aligns_large_pages)
{
	const uint64_t pa[] = {0x4000000000 + 2 * MIB, 0x4000000000 + PAGE_SIZE}, len = 4 * MIB;
	for (unsigned i = 0; i < 2; i++) {
		/* a place for each: tables made for small pages stay, and would be in the way of large ones */
		const uint64_t va = unused_va - (i + 2) * GIB;
		KTEST_EQ(pgtable_map_kernel(vaddr(va), paddr(pa[i]), len, MMU_READ), 0);
		bool right = leaf_is(va, pa[i], !i) && leaf_is(va + len - 1, pa[i] + len - 1, !i);
		leaves_remove(va, va + len);
		KTEST_TRUE(right);
	}
}

/* Taken away means taken away at once, also for what the CPU remembers. */
KTEST(mm, kernel_unmap_is_seen_at_once)
{
	struct page *a = page_alloc(0, 0), *b = page_alloc(0, 0);
	uint64_t *at = (uint64_t *)(unused_va - GIB);
	KTEST_TRUE(a && b);
	*(uint64_t *)page_to_ptr(a) = 1;
	*(uint64_t *)page_to_ptr(b) = 2;
	KTEST_EQ(pgtable_map_kernel(vaddr_of(at), page_to_paddr(a), PAGE_SIZE, MMU_READ), 0);
	uint64_t first = READ_ONCE(*at);
	pgtable_unmap_kernel(vaddr_of(at), PAGE_SIZE);
	int err = pgtable_map_kernel(vaddr_of(at), page_to_paddr(b), PAGE_SIZE, MMU_READ);
	uint64_t second = err ? 0 : READ_ONCE(*at);
	pgtable_unmap_kernel(vaddr_of(at), PAGE_SIZE);
	page_put(a);
	page_put(b);
	KTEST_EQ(err, 0);
	KTEST_EQ(first, 1);
	KTEST_EQ(second, 2);
}

KTEST(mm, direct_map_covers_ram_and_is_not_executable)
{
	for (uint64_t frame = page_first_frame; frame < page_first_frame + page_frame_count; frame += 4097) {
		paddr_t pa = paddr(frame << PAGE_SHIFT), got;
		unsigned prot;
		if (!paddr_is_ram(pa))
			continue;
		KTEST_TRUE(pgtable_translate(mmu_kernel_root(), vaddr_of(paddr_to_ptr(pa)), &got, &prot));
		KTEST_EQ(got.v, pa.v);
		KTEST_TRUE(!(prot & MMU_USER) && (!(prot & MMU_EXEC) || !mmu_has_nx()));
	}
}

KTEST(mm, kstack_has_a_guard)
{
	enum { N = 40 }; /* more than are cached */
	static char *stack[N];
	paddr_t pa;
	unsigned prot;
	for (unsigned i = 0; i < N; i++) {
		stack[i] = kstack_alloc();
		KTEST_TRUE(stack[i] != NULL);
		memset(stack[i], (int)i, KSTACK_SIZE);
		KTEST_TRUE(!kstack_is_guard(vaddr_of(stack[i])) &&
			   !kstack_is_guard(vaddr_of(stack[i] + KSTACK_SIZE - 1)));
		KTEST_TRUE(kstack_is_guard(vaddr_of(stack[i] - 1)) && kstack_is_guard(vaddr_of(stack[i] - PAGE_SIZE)));
		KTEST_TRUE(!pgtable_translate(mmu_kernel_root(), vaddr_of(stack[i] - 1), &pa, &prot));
		KTEST_TRUE(pgtable_translate(mmu_kernel_root(), vaddr_of(stack[i]), &pa, &prot) && prot & MMU_WRITE);
	}
	for (unsigned i = 0; i < N; i++)
		KTEST_EQ(stack[i][KSTACK_SIZE / 2], (char)i);
	for (unsigned i = 0; i < N; i++)
		kstack_free(stack[i]);
	KTEST_TRUE(!kstack_is_guard(vaddr(KRANGE_BASE)) && !kstack_is_guard(vaddr(DIRECT_MAP_BASE)));
	mm_caches_drain();
}

KTEST(mm, kmap_ranges_come_back)
{
	enum { N = 24 };
	uint8_t *p[N];
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < N; i++) {
			p[i] = kmap_alloc((i + 1) * 3000);
			KTEST_TRUE(p[i] != NULL);
			KTEST_EQ(p[i][(i + 1) * 3000 - 1], 0);
			memset(p[i], (int)i, (i + 1) * 3000);
		}
		for (unsigned i = 0; i < N; i++)
			KTEST_TRUE(p[i][0] == i && p[i][(i + 1) * 3000 - 1] == i);
		for (unsigned i = 0; i < N; i++)
			kmap_free(p[(i * 7 + round) % N]);
	}
	/* all merged again: one large range fits where they were */
	uint8_t *first = p[0], *q = kmap_alloc(256 * KIB);
	KTEST_TRUE(q == first || q < first);
	kmap_free(q);
	kmap_free(NULL);
	KTEST_TRUE(kmap_alloc(0) == NULL && kmap_alloc(SIZE_MAX) == NULL && kmap_alloc(KMAP_SIZE) == NULL);
}

/* Memory runs out half-way: what there was goes back, the pages and the addresses. */
KTEST(mm, kmap_alloc_gives_back_what_it_had)
{
	enum { LEFT = 40, WANTED = 200 };
	struct page *chain = NULL, *p;
	void *before = kmap_alloc(WANTED * PAGE_SIZE), *partly; /* makes the page tables */
	kmap_free(before);
	mm_caches_drain();
	while ((p = page_alloc(0, 0))) {
		p->owner = chain;
		chain = p;
	}
	for (unsigned i = 0; chain && i < LEFT; i++) {
		p = chain;
		chain = p->owner;
		page_put(p);
	}
	uint64_t free = page_free_count();
	partly = kmap_alloc(WANTED * PAGE_SIZE);
	uint64_t free_then = page_free_count();
	while (chain) {
		p = chain;
		chain = p->owner;
		page_put(p);
	}
	KTEST_TRUE(before && !partly);
	KTEST_EQ(free_then, free);
	void *again = kmap_alloc(WANTED * PAGE_SIZE);
	kmap_free(again);
	KTEST_TRUE(again == before);
}

KTEST(mm, kmap_alloc_survives_failures)
{
	for (uint64_t n = 1; n < 4; n++) {
		alloc_fail_at(n);
		void *p = kmap_alloc(5 * PAGE_SIZE);
		alloc_fail_at(0);
		if (n <= 2)
			KTEST_TRUE(p == NULL);
		kmap_free(p);
	}
}
