/*
 * What programs see of their memory, without programs: faults and accesses from outside stand in for theirs.
 */
#include <arch/trap.h>
#include <asm/errno.h>
#include <linux/mman.h>
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/uio.h"
#include "vm/gather.h"

#define RW (AREA_READ | AREA_WRITE)
#define AT 0x40000000ull

static uint64_t map(struct aspace *as, uint64_t addr, unsigned pages, unsigned flags, struct vm_object *o)
{
	struct map_request r = {.addr = addr,
				.len = pages * (uint64_t)PAGE_SIZE,
				.flags = flags,
				.fixed = addr,
				.object = o};
	uint64_t at = 0;

	KTEST_EQ(aspace_map(as, &r, &at), 0);
	return at;
}

static void store(struct aspace *as, uint64_t addr, uint64_t value)
{
	KTEST_EQ(aspace_access(as, addr, &value, sizeof(value), true), sizeof(value));
}

static uint64_t load(struct aspace *as, uint64_t addr)
{
	uint64_t value = 0xdead;

	KTEST_EQ(aspace_access(as, addr, &value, sizeof(value), false), sizeof(value));
	return value;
}

static pte_t entry(struct aspace *as, uint64_t addr)
{
	const pte_t *e = pgtable_find(as->mmu.root, vaddr(addr));

	return e ? *e : pte_none();
}

static void put(struct vm_object *o, uint64_t pos, uint64_t value)
{
	struct uio u;

	uio_init_kernel(&u, &value, sizeof(value));
	KTEST_EQ(vm_object_write(o, pos, &u), sizeof(value));
}

static uint64_t get(struct vm_object *o, uint64_t pos)
{
	uint64_t value = 0xdead;
	struct uio u;

	uio_init_kernel(&u, &value, sizeof(value));
	KTEST_EQ(vm_object_read(o, pos, &u), sizeof(value));
	return value;
}

KTEST(vm, anonymous_zero_then_private)
{
	struct aspace *as;

	KTEST_EQ(aspace_create(&as), 0);
	map(as, AT, 4, RW, NULL);
	KTEST_EQ(load(as, AT), 0);
	KTEST_TRUE(entry_is_zero(entry(as, AT)));
	KTEST_EQ(as->resident_anon, 0);
	store(as, AT, 7);
	KTEST_TRUE(entry_is_anon(entry(as, AT)) && pte_writable(entry(as, AT)));
	KTEST_EQ(as->resident_anon, 1);
	KTEST_EQ(load(as, AT), 7);
	KTEST_EQ(load(as, AT + 8), 0);
	KTEST_EQ(aspace_fault(as, vaddr(AT), TRAP_ACCESS_EXEC), FAULT_SEGV_ACCERR);
	KTEST_EQ(aspace_fault(as, vaddr(AT - 1), 0), FAULT_SEGV_MAPERR);
	KTEST_EQ(aspace_advise(as, AT, PAGE_SIZE, MADV_DONTNEED), 0);
	KTEST_EQ(as->resident_anon, 0);
	KTEST_EQ(load(as, AT), 0);
	aspace_put(as);
}

KTEST(vm, fork_copies_on_write)
{
	struct aspace *parent, *child;

	KTEST_EQ(aspace_create(&parent), 0);
	map(parent, AT, 600, RW, NULL);
	map(parent, AT + 700 * PAGE_SIZE, 1, RW | AREA_MAY_WRITE, NULL);
	for (unsigned i = 0; i < 600; i += 7)
		store(parent, AT + i * PAGE_SIZE, i);
	store(parent, AT + 700 * PAGE_SIZE, 1);
	KTEST_EQ(aspace_advise(parent, AT + 700 * PAGE_SIZE, PAGE_SIZE, MADV_WIPEONFORK), 0);
	KTEST_EQ(aspace_copy(parent, &child), 0);
	KTEST_TRUE(!area_tree_check(child));
	KTEST_EQ(child->mapped_bytes, parent->mapped_bytes);
	KTEST_EQ(child->resident_anon, parent->resident_anon - 1);
	KTEST_TRUE(!pte_writable(entry(parent, AT)));
	KTEST_EQ(load(child, AT + 700 * PAGE_SIZE), 0);

	paddr_t shared = pte_paddr(entry(parent, AT));

	KTEST_EQ(pte_paddr(entry(child, AT)).v, shared.v);
	store(child, AT, 1000);
	KTEST_TRUE(pte_paddr(entry(child, AT)).v != shared.v);
	KTEST_EQ(load(parent, AT), 0);
	/* The parent is alone with the page now: it gets its own back without a copy. */
	store(parent, AT, 2000);
	KTEST_EQ(pte_paddr(entry(parent, AT)).v, shared.v);
	KTEST_EQ(load(child, AT), 1000);
	store(parent, AT + 7 * PAGE_SIZE, 3000);
	for (unsigned i = 7; i < 600; i += 7)
		KTEST_EQ(load(child, AT + i * PAGE_SIZE), i);
	aspace_put(parent);
	for (unsigned i = 7; i < 600; i += 7)
		KTEST_EQ(load(child, AT + i * PAGE_SIZE), i);
	aspace_put(child);
}

KTEST(vm, protect_keeps_pages)
{
	uint64_t value = 5;
	struct aspace *as;

	KTEST_EQ(aspace_create(&as), 0);
	map(as, AT, 3, RW, NULL);
	store(as, AT + PAGE_SIZE, 42);
	KTEST_EQ(aspace_protect(as, AT + PAGE_SIZE, PAGE_SIZE, 0), 0);
	KTEST_EQ(as->area_count, 3);
	KTEST_TRUE(!pte_present(entry(as, AT + PAGE_SIZE)) && !entry_empty(entry(as, AT + PAGE_SIZE)));
	KTEST_EQ(aspace_access(as, AT + PAGE_SIZE, &value, 8, false), -EFAULT);
	KTEST_EQ(aspace_access_forced(as, AT + PAGE_SIZE, &value, 8, false), 8);
	KTEST_EQ(value, 42);
	KTEST_EQ(aspace_protect(as, AT + PAGE_SIZE, PAGE_SIZE, AREA_READ), 0);
	KTEST_EQ(load(as, AT + PAGE_SIZE), 42);
	KTEST_EQ(aspace_access(as, AT + PAGE_SIZE, &value, 8, true), -EFAULT);
	value = 43;
	KTEST_EQ(aspace_access_forced(as, AT + PAGE_SIZE, &value, 8, true), 8);
	KTEST_TRUE(!pte_writable(entry(as, AT + PAGE_SIZE)));
	KTEST_EQ(aspace_protect(as, AT + PAGE_SIZE, PAGE_SIZE, RW), 0);
	KTEST_TRUE(pte_writable(entry(as, AT + PAGE_SIZE)));
	KTEST_EQ(load(as, AT + PAGE_SIZE), 43);
	KTEST_EQ(as->area_count, 1);
	KTEST_EQ(as->resident_anon, 1);
	aspace_put(as);
}

KTEST(vm, object_shared_and_private)
{
	struct aspace *as, *child;
	struct vm_object *o;

	KTEST_EQ(vm_object_create(40 * PAGE_SIZE, &o), 0);
	KTEST_EQ(aspace_create(&as), 0);
	for (unsigned i = 0; i < 20; i++)
		put(o, i * PAGE_SIZE, 100 + i);
	map(as, AT, 41, RW | AREA_SHARED, o);
	map(as, AT + 64 * PAGE_SIZE, 41, RW, o);
	/* Fault-around: the aligned window of 16, not more. */
	KTEST_EQ(load(as, AT + 3 * PAGE_SIZE), 103);
	KTEST_EQ(as->resident_file, 16);
	KTEST_TRUE(entry_empty(entry(as, AT + 16 * PAGE_SIZE)));
	KTEST_EQ(load(as, AT + 19 * PAGE_SIZE), 119);
	KTEST_EQ(as->resident_file, 20);
	/* Shared stores reach the object, private ones don't; a private store before any load copies. */
	store(as, AT + PAGE_SIZE, 1);
	KTEST_EQ(get(o, PAGE_SIZE), 1);
	store(as, AT + 64 * PAGE_SIZE, 2);
	KTEST_EQ(load(as, AT + 64 * PAGE_SIZE), 2);
	KTEST_EQ(load(as, AT + 64 * PAGE_SIZE + 8), 0);
	KTEST_EQ(get(o, 0), 100);
	KTEST_EQ(as->resident_anon, 1);
	/* A private load, then a private store. */
	KTEST_EQ(load(as, AT + 66 * PAGE_SIZE), 102);
	store(as, AT + 66 * PAGE_SIZE, 3);
	KTEST_EQ(load(as, AT + 2 * PAGE_SIZE), 102);
	/* A hole becomes a page; past the end is SIGBUS. */
	store(as, AT + 30 * PAGE_SIZE, 4);
	KTEST_EQ(get(o, 30 * PAGE_SIZE), 4);
	KTEST_EQ(aspace_fault(as, vaddr(AT + 40 * PAGE_SIZE), 0), FAULT_BUS_ADRERR);
	KTEST_EQ(aspace_fault(as, vaddr(AT + 104 * PAGE_SIZE), TRAP_ACCESS_WRITE), FAULT_BUS_ADRERR);
	/* fork: private copies are shared copy-on-write, the rest is found again. */
	KTEST_EQ(aspace_copy(as, &child), 0);
	KTEST_EQ(child->resident_anon, 2);
	KTEST_EQ(child->resident_file, 0);
	KTEST_EQ(load(child, AT + 66 * PAGE_SIZE), 3);
	store(child, AT + 5 * PAGE_SIZE, 5);
	KTEST_EQ(load(as, AT + 5 * PAGE_SIZE), 5);
	/* Truncation reaches both; private copies stay. */
	vm_object_truncate(o, PAGE_SIZE + 8);
	KTEST_TRUE(entry_empty(entry(as, AT + 5 * PAGE_SIZE)) && entry_empty(entry(child, AT + 5 * PAGE_SIZE)));
	KTEST_EQ(aspace_fault(child, vaddr(AT + 5 * PAGE_SIZE), 0), FAULT_BUS_ADRERR);
	KTEST_EQ(load(as, AT + PAGE_SIZE), 1);
	KTEST_EQ(load(as, AT + 66 * PAGE_SIZE), 3);
	KTEST_EQ(o->page_count, 2);
	aspace_put(child);
	aspace_put(as);
	vm_object_put(o);
}

/* The tree of mappings must lead truncation to every one, wherever areas were cut, moved or merged. */
KTEST(vm, truncate_finds_all_mappings)
{
	struct aspace *as[8];
	struct vm_object *o;
	uint64_t moved;

	KTEST_EQ(vm_object_create(64 * PAGE_SIZE, &o), 0);
	for (unsigned i = 0; i < 64; i++)
		put(o, i * PAGE_SIZE, i);
	for (unsigned i = 0; i < ARRAY_SIZE(as); i++) {
		struct map_request r = {.addr = AT,
					.len = (64 - i) * PAGE_SIZE,
					.flags = AREA_READ,
					.fixed = true,
					.object = o,
					.offset = i * PAGE_SIZE};

		KTEST_EQ(aspace_create(&as[i]), 0);
		KTEST_EQ(aspace_map(as[i], &r, &moved), 0);
		KTEST_EQ(aspace_unmap(as[i], AT + (2 * i) * PAGE_SIZE, PAGE_SIZE), 0);
		KTEST_EQ(aspace_protect(as[i], AT + 30 * PAGE_SIZE, 3 * PAGE_SIZE, 0), 0);
		KTEST_EQ(aspace_protect(as[i], AT + 30 * PAGE_SIZE, 3 * PAGE_SIZE, AREA_READ), 0);
		for (unsigned page = 0; page < 64 - i; page++)
			if (page != 2 * i)
				KTEST_EQ(load(as[i], AT + page * PAGE_SIZE), page + i);
		KTEST_EQ(aspace_remap(as[i], AT + 40 * PAGE_SIZE, 8 * PAGE_SIZE, 8 * PAGE_SIZE,
				      MREMAP_MAYMOVE | MREMAP_FIXED, AT + 100 * PAGE_SIZE, &moved),
			 0);
		KTEST_EQ(load(as[i], AT + 103 * PAGE_SIZE), 43 + i);
		KTEST_EQ(as[i]->resident_file, 64 - i - 1);
	}
	vm_object_drop(o, 43, 45);
	for (unsigned i = 0; i < ARRAY_SIZE(as); i++)
		KTEST_EQ(as[i]->resident_file, 64 - i - 3);
	vm_object_truncate(o, 20 * PAGE_SIZE);
	for (unsigned i = 0; i < ARRAY_SIZE(as); i++)
		KTEST_EQ(as[i]->resident_file, 20 - i - (3 * i < 20)); /* the hole at 2i shows page 3i */
	vm_object_truncate(o, 0);
	for (unsigned i = 0; i < ARRAY_SIZE(as); i++) {
		KTEST_EQ(as[i]->resident_file, 0);
		KTEST_TRUE(!area_tree_check(as[i]));
		aspace_put(as[i]);
	}
	KTEST_TRUE(rb_empty(&o->maps));
	KTEST_EQ(refcount_read(&o->refs), 1);
	vm_object_put(o);
}

KTEST(vm, remap_moves_pages)
{
	struct aspace *as;
	uint64_t at = 0;
	paddr_t page;

	KTEST_EQ(aspace_create(&as), 0);
	map(as, AT, 1000, RW, NULL);
	for (unsigned i = 0; i < 1000; i += 99)
		store(as, AT + i * PAGE_SIZE, i + 1);
	page = pte_paddr(entry(as, AT + 99 * PAGE_SIZE));
	/* Grows where it is, if it can; moves if it may. */
	KTEST_EQ(aspace_remap(as, AT, 1000 * PAGE_SIZE, 1001 * PAGE_SIZE, 0, 0, &at), 0);
	KTEST_EQ(at, AT);
	map(as, AT + 1001 * PAGE_SIZE, 1, AREA_READ, NULL);
	KTEST_EQ(aspace_remap(as, AT, 1001 * PAGE_SIZE, 1002 * PAGE_SIZE, 0, 0, &at), -ENOMEM);
	KTEST_EQ(aspace_remap(as, AT, 1001 * PAGE_SIZE, 1100 * PAGE_SIZE, MREMAP_MAYMOVE, 0, &at), 0);
	KTEST_TRUE(at != AT);
	KTEST_EQ(pte_paddr(entry(as, at + 99 * PAGE_SIZE)).v, page.v);
	for (unsigned i = 0; i < 1000; i += 99)
		KTEST_EQ(load(as, at + i * PAGE_SIZE), i + 1);
	KTEST_EQ(aspace_fault(as, vaddr(AT), 0), FAULT_SEGV_MAPERR);
	KTEST_EQ(as->resident_anon, 11);
	/* A piece out of the middle, onto an address that shifts its place in the tables. */
	KTEST_EQ(aspace_remap(as, at + 90 * PAGE_SIZE, 20 * PAGE_SIZE, 10 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
			      AT + 3 * PAGE_SIZE, &at),
		 0);
	KTEST_EQ(load(as, AT + 12 * PAGE_SIZE), 100);
	KTEST_EQ(as->mapped_bytes, (1100 - 20 + 10 + 1) * PAGE_SIZE);
	KTEST_TRUE(!area_tree_check(as));
	aspace_put(as);
}

KTEST(vm, mincore_and_lock)
{
	struct aspace *as;
	uint8_t vec[8];

	KTEST_EQ(aspace_create(&as), 0);
	map(as, AT, 8, RW, NULL);
	store(as, AT + 2 * PAGE_SIZE, 1);
	KTEST_EQ(aspace_mincore(as, AT, 8, vec), 0);
	KTEST_TRUE(!vec[1] && vec[2] && !vec[3]);
	KTEST_EQ(aspace_mincore(as, AT, 9, vec), -ENOMEM);
	KTEST_EQ(aspace_lock_range(as, AT + 4 * PAGE_SIZE + 1, 1, true), 0);
	KTEST_EQ(as->locked_bytes, PAGE_SIZE);
	KTEST_EQ(as->resident_anon, 2);
	KTEST_EQ(aspace_advise(as, AT, 8 * PAGE_SIZE, MADV_DONTNEED), -EINVAL);
	KTEST_EQ(aspace_lock_range(as, AT, 8 * PAGE_SIZE, false), 0);
	KTEST_EQ(as->area_count, 1);
	KTEST_EQ(aspace_lock_all(as, true), 0);
	KTEST_EQ(as->resident_anon, 8);
	aspace_put(as);
}

/* The end of the range lies inside an area. */
KTEST(vm, sync_part_of_an_area)
{
	struct vm_object *o;
	struct aspace *as;

	KTEST_EQ(vm_object_create(8 * PAGE_SIZE, &o), 0);
	KTEST_EQ(aspace_create(&as), 0);
	map(as, AT, 8, RW | AREA_SHARED, o);
	KTEST_EQ(aspace_sync(as, AT + PAGE_SIZE, 2 * PAGE_SIZE, MS_SYNC), 0);
	KTEST_EQ(aspace_sync(as, AT + 7 * PAGE_SIZE, 2 * PAGE_SIZE, MS_SYNC), -ENOMEM);
	KTEST_EQ(aspace_sync(as, AT, PAGE_SIZE, MS_SYNC | MS_ASYNC), -EINVAL);
	aspace_put(as);
	vm_object_put(o);
}

/* ---- the n-th allocation fails ---- */

static int scenario(void)
{
	struct aspace *as = NULL, *child = NULL;
	struct vm_object *o = NULL;
	uint64_t at, value = 9;
	int err = vm_object_create(8 * PAGE_SIZE, &o);

	if (!err)
		err = aspace_create(&as);
	if (!err) {
		struct map_request anon = {.addr = AT, .len = 8 * PAGE_SIZE, .flags = RW, .fixed = true};

		err = aspace_map(as, &anon, &at);
	}
	if (!err) {
		struct map_request shared = {.len = 8 * PAGE_SIZE, .flags = RW | AREA_SHARED, .object = o};

		err = aspace_map(as, &shared, &at);
	}
	for (unsigned i = 0; !err && i < 8; i += 3) {
		int64_t n = aspace_access(as, AT + i * PAGE_SIZE, &value, sizeof(value), true);

		err = n < 0 ? (int)n : 0;
		if (!err)
			n = aspace_access(as, at + i * PAGE_SIZE, &value, sizeof(value), true);
		err = n < 0 ? (int)n : err;
	}
	if (!err)
		err = aspace_unmap(as, AT + PAGE_SIZE, PAGE_SIZE);
	if (!err)
		err = aspace_protect(as, AT + 4 * PAGE_SIZE, PAGE_SIZE, AREA_READ);
	if (!err)
		err = aspace_remap(as, AT + 2 * PAGE_SIZE, 2 * PAGE_SIZE, 2 * PAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
				   AT + GIB, &at);
	if (!err)
		err = aspace_copy(as, &child);
	if (!err && aspace_fault(child, vaddr(AT), TRAP_ACCESS_WRITE) == FAULT_OOM)
		err = -ENOMEM;
	if (as && area_tree_check(as))
		ktest_fail(__FILE__, __LINE__, "after %d: %s", err, area_tree_check(as));
	if (child)
		aspace_put(child);
	if (as)
		aspace_put(as);
	if (o)
		vm_object_put(o);
	return err;
}

KTEST(vm, every_allocation_may_fail)
{
	uint64_t anon = vm_anon_pages, tables = vm_pagetable_pages, shmem = vm_object_pages_shmem;
	unsigned failed = 0;

	for (uint64_t n = 1;; n++) {
		alloc_fail_at(n);
		int err = scenario();
		bool fired = alloc_fail_countdown == 0;

		alloc_fail_at(0);
		KTEST_EQ(vm_anon_pages, anon);
		KTEST_EQ(vm_pagetable_pages, tables);
		KTEST_EQ(vm_object_pages_shmem, shmem);
		if (!fired) {
			KTEST_EQ(err, 0);
			break;
		}
		KTEST_EQ(err, -ENOMEM);
		failed++;
	}
	KTEST_TRUE(failed > 20);
}
