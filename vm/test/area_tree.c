/*
 * The tree of areas against a plain array: a window of 96 pages, each with what should be mapped there, and thousands
 * of random changes. After each one the areas must say exactly what the array says, in the fewest pieces, and the tree
 * must be in order.
 */
#include <arch/trap.h>
#include <asm/errno.h>
#include "core/ktest.h"
#include "lib/string.h"
#include "vm/area.h"

#define WINDOW 96
#define BASE VM_MMAP_MIN
#define ADDR(page) (BASE + (uint64_t)(page)*PAGE_SIZE)

struct model_page {
	bool mapped, object;
	unsigned prot;
	uint64_t offset; /* page number in the object */
};

static struct model_page model[WINDOW];
static uint64_t random_state;
static unsigned changes;

static unsigned random_below(unsigned n)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return (unsigned)((random_state >> 16) % n);
}

static bool continues(const struct model_page *l, const struct model_page *r)
{
	return r->mapped == l->mapped && r->object == l->object && r->prot == l->prot &&
		(!l->object || r->offset == l->offset + 1);
}

static void compare(struct aspace *as)
{
	const char *wrong = area_tree_check(as);
	struct area *a = area_first(as);
	unsigned end;

	if (wrong)
		ktest_fail(__FILE__, __LINE__, "tree: %s", wrong);
	for (unsigned start = 0; start < WINDOW; start = end) {
		const struct model_page *m = &model[start];

		for (end = start + 1; end < WINDOW && continues(&model[end - 1], &model[end]); end++)
			;
		if (!m->mapped)
			continue;
		KTEST_TRUE(a);
		if (a->start != ADDR(start) || a->end != ADDR(end))
			ktest_fail(__FILE__, __LINE__, "after %u changes: area %llx-%llx, expected %llx-%llx", changes,
				   (long long)a->start, (long long)a->end, (long long)ADDR(start),
				   (long long)ADDR(end));
		KTEST_EQ(a->flags & AREA_PROT, m->prot);
		KTEST_EQ(a->object != NULL, m->object);
		KTEST_EQ(a->offset >> PAGE_SHIFT, m->object ? m->offset : 0);
		a = area_next(a);
	}
	KTEST_TRUE(!a);
}

static void model_set(unsigned start, unsigned len, struct model_page what)
{
	for (unsigned i = 0; i < len; i++) {
		model[start + i] = what;
		model[start + i].offset = what.object ? what.offset + i : 0;
	}
}

static unsigned model_used(unsigned start, unsigned len)
{
	unsigned n = 0;

	for (unsigned i = start; i < start + len; i++)
		n += model[i].mapped;
	return n;
}

/* The highest free run, as placement should find it; WINDOW if there is none. */
static unsigned model_place(unsigned len)
{
	for (unsigned at = WINDOW - len + 1; at-- > 0;)
		if (!model_used(at, len))
			return at;
	return WINDOW;
}

static void random_map(struct aspace *as, struct vm_object *o)
{
	unsigned start = random_below(WINDOW), len = 1 + random_below(MIN(12u, WINDOW - start));
	struct model_page what = {.mapped = true, .object = random_below(3) == 0, .prot = random_below(4)};
	struct map_request r = {.len = len * PAGE_SIZE, .flags = what.prot, .fixed = random_below(3) != 0};
	uint64_t at = 0;

	if (what.object) {
		/* Often at an offset that continues a neighbour. */
		what.offset = random_below(4) ? start : random_below(100);
		r.object = o;
		r.offset = what.offset * PAGE_SIZE;
	}
	if (r.fixed) {
		r.addr = ADDR(start);
		r.noreplace = random_below(2);
	} else {
		start = model_place(len);
	}

	int err = aspace_map(as, &r, &at);

	if (r.noreplace && model_used(start, len)) {
		KTEST_EQ(err, -EEXIST);
	} else if (start == WINDOW) {
		KTEST_EQ(err, 0);
		KTEST_TRUE(at >= ADDR(WINDOW));
		KTEST_EQ(aspace_unmap(as, at, r.len), 0);
	} else {
		KTEST_EQ(err, 0);
		KTEST_EQ(at, ADDR(start));
		model_set(start, len, what);
	}
}

static void random_change(struct aspace *as, struct vm_object *o)
{
	unsigned start = random_below(WINDOW), len = 1 + random_below(MIN(20u, WINDOW - start)), prot = random_below(4);

	switch (random_below(4)) {
	case 0:
	case 1:
		random_map(as, o);
		break;
	case 2:
		KTEST_EQ(aspace_unmap(as, ADDR(start), len * PAGE_SIZE), 0);
		model_set(start, len, (struct model_page){0});
		break;
	case 3:
		len = 1 + random_below(MIN(5u, WINDOW - start));
		if (model_used(start, len) < len) {
			KTEST_EQ(aspace_protect(as, ADDR(start), len * PAGE_SIZE, prot), -ENOMEM);
			break;
		}
		KTEST_EQ(aspace_protect(as, ADDR(start), len * PAGE_SIZE, prot), 0);
		for (unsigned i = start; i < start + len; i++)
			model[i].prot = prot;
		break;
	}
}

KTEST(vm, area_tree_random)
{
	struct vm_object *o;
	struct aspace *as;

	random_state = 0x1234567;
	memset(model, 0, sizeof(model));
	KTEST_EQ(vm_object_create(1000 * PAGE_SIZE, &o), 0);
	KTEST_EQ(aspace_create(&as), 0);
	as->mmap_top = ADDR(WINDOW);
	for (changes = 0; changes < 6000; changes++) {
		random_change(as, o);
		compare(as);
	}
	aspace_put(as);
	KTEST_EQ(refcount_read(&o->refs), 1);
	vm_object_put(o);
}

KTEST(vm, area_placement_keeps_stack_guard)
{
	struct map_request stack = {.addr = 0x10000000,
				    .len = 16 * PAGE_SIZE,
				    .fixed = true,
				    .flags = AREA_READ | AREA_WRITE | AREA_GROWSDOWN | AREA_STACK};
	struct map_request any = {.len = PAGE_SIZE, .flags = AREA_READ};
	struct aspace *as;
	uint64_t at;

	KTEST_EQ(aspace_create(&as), 0);
	as->mmap_top = 0x10000000;
	KTEST_EQ(aspace_map(as, &stack, &at), 0);
	KTEST_EQ(aspace_map(as, &any, &at), 0);
	KTEST_EQ(at, 0x10000000 - VM_STACK_GUARD_BYTES - PAGE_SIZE);
	/* Closer than that the stack does not grow; with more room it does, down to the guard distance. */
	KTEST_EQ(aspace_fault(as, vaddr(0x10000000 - 1), TRAP_ACCESS_WRITE), FAULT_SEGV_MAPERR);
	KTEST_EQ(aspace_unmap(as, at, PAGE_SIZE), 0);
	any.addr = at - 8 * PAGE_SIZE;
	any.fixed = true;
	KTEST_EQ(aspace_map(as, &any, &at), 0);
	KTEST_EQ(aspace_fault(as, vaddr(0x10000000 - 1), TRAP_ACCESS_WRITE), FAULT_OK);
	KTEST_EQ(aspace_fault(as, vaddr(0x10000000 - 8 * PAGE_SIZE), TRAP_ACCESS_WRITE), FAULT_OK);
	KTEST_EQ(aspace_fault(as, vaddr(0x10000000 - 8 * PAGE_SIZE - 1), TRAP_ACCESS_WRITE), FAULT_SEGV_MAPERR);
	KTEST_EQ(as->stack_bytes, 24 * PAGE_SIZE);
	as->limit_stack_bytes = 24 * PAGE_SIZE;
	KTEST_EQ(aspace_unmap(as, at, PAGE_SIZE), 0);
	KTEST_EQ(aspace_fault(as, vaddr(0x10000000 - 9 * PAGE_SIZE), TRAP_ACCESS_WRITE), FAULT_SEGV_MAPERR);
	KTEST_TRUE(!area_tree_check(as));
	aspace_put(as);
}

KTEST(vm, area_limits)
{
	struct map_request r = {.len = 8 * PAGE_SIZE, .flags = AREA_READ | AREA_WRITE};
	struct aspace *as;
	uint64_t at = 1;

	KTEST_EQ(aspace_create(&as), 0);
	as->limit_bytes = 7 * PAGE_SIZE;
	KTEST_EQ(aspace_map(as, &r, &at), -ENOMEM);
	as->limit_bytes = 16 * PAGE_SIZE;
	as->limit_data_bytes = 7 * PAGE_SIZE;
	KTEST_EQ(aspace_map(as, &r, &at), -ENOMEM);
	KTEST_EQ(at, 1);
	r.flags = AREA_READ;
	KTEST_EQ(aspace_map(as, &r, &at), 0);
	KTEST_EQ(aspace_protect(as, at, 8 * PAGE_SIZE, AREA_READ | AREA_WRITE), -ENOMEM);
	r.addr = 0x1000;
	r.fixed = true;
	KTEST_EQ(aspace_map(as, &r, &at), -EPERM);
	r.addr = USER_VA_END - PAGE_SIZE;
	KTEST_EQ(aspace_map(as, &r, &at), -ENOMEM);
	r.len = UINT64_MAX;
	KTEST_EQ(aspace_map(as, &r, &at), -ENOMEM);
	KTEST_EQ(aspace_unmap(as, 1, PAGE_SIZE), -EINVAL);
	KTEST_EQ(aspace_unmap(as, PAGE_SIZE, UINT64_MAX), -EINVAL);
	aspace_put(as);
}

KTEST(vm, brk_moves_both_ways)
{
	struct aspace *as;

	KTEST_EQ(aspace_create(&as), 0);
	as->brk_start = as->brk_end = 0x400123;
	KTEST_EQ(aspace_brk(as, 0), 0x400123);
	KTEST_EQ(aspace_brk(as, 0x400200), 0x400200);
	KTEST_EQ(as->mapped_bytes, 0);
	KTEST_EQ(aspace_brk(as, 0x405001), 0x405001);
	KTEST_EQ(as->mapped_bytes, 0x5000);
	KTEST_EQ(aspace_brk(as, 0x409000), 0x409000);
	KTEST_EQ(as->area_count, 1);
	KTEST_EQ(aspace_brk(as, 0x402000), 0x402000);
	KTEST_EQ(as->mapped_bytes, 0x1000);
	KTEST_EQ(aspace_brk(as, 0x400000), 0x402000);
	as->limit_data_bytes = 0x1000;
	KTEST_EQ(aspace_brk(as, 0x404000), 0x402000);
	aspace_put(as);
}
