/*
 * The page-fault report, without a fault: who, why and what is nearest must be right for each kind of address.
 */
#include <arch/context.h>
#include <arch/trap.h>
#include "core/fault_report.h"
#include "core/ktest.h"
#include "lib/string.h"
#include "mm/kmap.h"
#include "sched/thread.h"
#include "vm/aspace.h"
#include "vm/nearest.h"

static char text[2048];

static void collect(const char *line)
{
	size_t len = strlen(text);
	strlcpy(text + len, line, sizeof(text) - len);
	len = strlen(text);
	strlcpy(text + len, "\n", sizeof(text) - len);
}

/* The report on an access of the kernel's to addr. */
static void report(uint64_t addr, unsigned access)
{
	struct trap_frame f;
	struct trap_info info = {.kind = TRAP_PAGE_FAULT, .addr = vaddr(addr), .access = access};

	context_user_frame_init(&f, vaddr((uint64_t)report), vaddr(0));
	f.cs = 0;
	text[0] = '\0';
	fault_report(&f, &info, collect);
}

static void expect(const char *part, const char *file, int line)
{
	if (!strstr(text, part))
		ktest_fail(file, line, "\"%s\" is not in: %.150s", part, text);
}
#define EXPECT(part) expect(part, __FILE__, __LINE__)

KTEST(core, fault_report_in_the_kernels_half)
{
	char *p = kmap_alloc(PAGE_SIZE), *q = kmap_alloc(PAGE_SIZE), *stack = kstack_alloc();

	KTEST_TRUE(p && q && stack);
	report(8, 0);
	EXPECT("read from 0x8");
	EXPECT("kernel thread fault_report_in on cpu 0");
	EXPECT("at report+0");
	EXPECT("nothing is mapped there");
	EXPECT("NULL");
	report((uint64_t)MIN(p, q) + PAGE_SIZE + 3, TRAP_ACCESS_WRITE);
	EXPECT("write to 0xffff");
	EXPECT("region kernel ranges");
	EXPECT("0x4 bytes above the end of");
	EXPECT(" bytes below 0xffff");
	report((uint64_t)report, TRAP_ACCESS_WRITE | TRAP_ACCESS_PRESENT);
	EXPECT("the page is read-only");
	EXPECT("the kernel's code, report+0");
	report((uint64_t)p, TRAP_ACCESS_EXEC | TRAP_ACCESS_PRESENT);
	EXPECT("not executable");
	report((uint64_t)stack - 8, TRAP_ACCESS_WRITE);
	EXPECT("below the stack of no thread alive");
	report((uint64_t)thread_current()->stack - 8, TRAP_ACCESS_WRITE);
	EXPECT("below the stack of fault_report_in");
	report(DIRECT_MAP_BASE + DIRECT_MAP_SIZE - 1, 0);
	EXPECT("which is no RAM");
	report(0xffffe00000000000, 0);
	EXPECT("in no region");
	kmap_free(p);
	kmap_free(q);
	kstack_free(stack);
}

KTEST(core, fault_report_in_a_programs_half)
{
	struct thread *t = thread_current();
	struct aspace *as;
	uint64_t at;

	report(0x400000, 0);
	EXPECT("no programs' half");
	KTEST_EQ(aspace_create(&as), 0);
	t->aspace = as;
	report(0x400000, 0);
	t->aspace = NULL;
	EXPECT("nothing mapped");
	struct map_request r = {.addr = 0x400000, .len = 2 * PAGE_SIZE, .flags = AREA_READ, .fixed = true};
	KTEST_EQ(aspace_map(as, &r, &at), 0);
	r = (struct map_request){.addr = 0x500000, .len = PAGE_SIZE, .flags = AREA_READ | AREA_WRITE, .fixed = true};
	KTEST_EQ(aspace_map(as, &r, &at), 0);
	t->aspace = as;
	report(0x402010, TRAP_ACCESS_WRITE);
	EXPECT("0x11 bytes above 0x400000-0x402000 r--");
	EXPECT("0xfdff0 bytes below 0x500000-0x501000 rw-");
	report(0x401fff, TRAP_ACCESS_WRITE | TRAP_ACCESS_PRESENT);
	t->aspace = NULL;
	EXPECT("inside 0x400000-0x402000 r--");
	KTEST_TRUE(!strstr(text, "0x500000"));

	struct area_near near[2];
	KTEST_EQ(aspace_nearest(as, 0x1000, near), 1);
	KTEST_TRUE(near[0].addr_below && near[0].distance == 0x3ff000);
	KTEST_EQ(aspace_nearest(as, 0x501000, near), 1);
	KTEST_TRUE(!near[0].addr_below && near[0].distance == 1 && !near[0].inside);
	aspace_put(as);
}
