/*
 * The page-fault report (core/fault_report.h).
 *
 * It runs in a panic: it takes no lock and allocates nothing.  Page tables are read through the direct map; a program's
 * areas are walked as they are, which is safe as long as nobody changes them: the other CPUs stand still, and on this
 * one only a fault in the middle of a change could have left the tree torn.  Then the report ends in a second panic, of
 * one line, after its first lines are out.
 */
#include "core/fault_report.h"

#include <arch/cpu.h>
#include <arch/mmu.h>
#include <arch/trap.h>
#include "core/panic.h"
#include "core/symbols.h"
#include "lib/printf.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "proc/process.h"
#include "vm/nearest.h"

#define LINE 160
#define KERNEL_HALF 0xffff800000000000
#define NEIGHBOURS_MAX 100000 /* ranges looked at before the search for a neighbour is given up */

static const struct trap_frame *frame;
static const struct trap_info *fault;

typedef void line_out(const char *line);

static unsigned long long ull(uint64_t v)
{
	return v;
}

/* "name+0x12", or the bare number. */
static const char *place(uint64_t addr, char *buf, size_t len)
{
	uintptr_t offset;
	const char *name = symbol_lookup(addr, &offset);

	if (name)
		snprintf(buf, len, "%s+%#llx", name, ull(offset));
	else
		snprintf(buf, len, "%#llx", ull(addr));
	return buf;
}

static void report_who(const struct trap_frame *f, const struct trap_info *info, line_out *out)
{
	char line[LINE], where[80];
	struct thread *t = thread_current();
	struct task *task = t ? task_from_thread(t) : NULL;
	const char *what = info->access & TRAP_ACCESS_EXEC ? "execute"
		: info->access & TRAP_ACCESS_WRITE	   ? "write to"
							   : "read from";

	snprintf(line, sizeof(line), "  wanted:  to %s %#llx", what, ull(info->addr.v));
	out(line);
	if (task)
		snprintf(line, sizeof(line), "  who:     %s, thread %d of program %d, on cpu %u in %s mode, at %s",
			 t->name, task->tid, task->process->pid, this_cpu()->id, trap_from_user(f) ? "user" : "kernel",
			 place(trap_ip(f).v, where, sizeof(where)));
	else
		snprintf(line, sizeof(line), "  who:     kernel thread %s on cpu %u%s, at %s", t ? t->name : "(boot)",
			 this_cpu()->id, this_cpu()->irq_depth ? " in an interrupt" : "",
			 place(trap_ip(f).v, where, sizeof(where)));
	out(line);
}

static void report_why(const struct trap_frame *f, const struct trap_info *info, line_out *out)
{
	static const char *const spans[PT_LEVELS] = {"4 KiB", "2 MiB", "1 GiB", "512 GiB"};
	pte_t entries[PT_LEVELS];
	unsigned n = pgtable_walk(mmu_active_root(), info->addr, entries);
	unsigned level = PT_LEVELS - n, prot = pte_prot(entries[n - 1]);
	char line[LINE], text[8];
	const char *why;

	if (!(prot & MMU_READ)) {
		snprintf(line, sizeof(line), "  why:     nothing is mapped there: the level-%u entry, for %s, is empty",
			 level, spans[level]);
		out(line);
		return;
	}
	if (!(info->access & TRAP_ACCESS_PRESENT))
		why = "it was not mapped then, but is now";
	else if (!trap_from_user(f) && (prot & MMU_USER))
		why = info->access & TRAP_ACCESS_EXEC
			? "the kernel must not execute a program's page (SMEP)"
			: "the kernel may touch a program's page only in the usercopy functions (SMAP)";
	else if (trap_from_user(f) && !(prot & MMU_USER))
		why = "the page is the kernel's";
	else if ((info->access & TRAP_ACCESS_EXEC) && !(prot & MMU_EXEC))
		why = "the page is not executable";
	else if ((info->access & TRAP_ACCESS_WRITE) && !(prot & MMU_WRITE))
		why = "the page is read-only";
	else
		why = "the entry allows it now: it changed meanwhile, or is damaged";
	snprintf(line, sizeof(line), "  why:     %s; mapped as %s, %s, to %#llx", why, pgtable_prot_text(prot, text),
		 spans[level], ull(pte_paddr(entries[n - 1]).v));
	out(line);
}

/* --- what is nearest --- */

static void nearest_areas(const struct aspace *as, uint64_t addr, line_out *out)
{
	struct area_near near[2];
	char line[LINE], text[128];
	unsigned n = aspace_nearest_unlocked(as, addr, near);

	for (unsigned i = 0; i < n; i++) {
		snprintf(line, sizeof(line), "  nearest: %s", area_near_text(&near[i], text, sizeof(text)));
		out(line);
	}
	if (n == 0)
		out("  nearest: the program has nothing mapped");
}

static void range_line(const char *how, uint64_t distance, const struct pgtable_range *r, line_out *out)
{
	char line[LINE], text[8];

	snprintf(line, sizeof(line), "  nearest: %#llx bytes %s %#llx-%#llx %s", ull(distance), how, ull(r->start),
		 ull(r->last), pgtable_prot_text(r->prot, text));
	out(line);
}

/* The mapped ranges around addr, inside its region. */
static void nearest_ranges(uint64_t addr, uint64_t start, uint64_t last, line_out *out)
{
	struct pgtable_range r, below = {0};
	uint64_t at = start;
	bool done = false, found = false;

	for (unsigned i = 0; !done && i < NEIGHBOURS_MAX; i++) {
		if (pgtable_ranges(mmu_active_root(), &at, last, &r, 1, &done) == 0)
			break;
		if (r.start > addr) {
			if (found)
				range_line("above the end of", addr - below.last, &below, out);
			range_line("below", r.start - addr, &r, out);
			return;
		}
		if (addr <= r.last)
			return; /* it is mapped: what it lies in was said */
		below = r;
		found = true;
	}
	if (found)
		range_line("above the end of", addr - below.last, &below, out);
}

struct search {
	uint64_t addr;
	const struct thread *found;
};

/* The thread in whose slot (the stack and the hole below it) the address lies. */
static void in_slot(struct thread *t, void *arg)
{
	struct search *s = arg;
	uint64_t stack = (uint64_t)t->stack;

	if (stack && s->addr >= stack - KSTACK_SIZE && s->addr < stack + KSTACK_SIZE)
		s->found = t;
}

extern const char __text_start[], __text_end[], __rodata_start[], __rodata_end[], __data_start[], __data_end[],
	__bss_start[], __bss_end[];

static void nearest_in_image(uint64_t addr, line_out *out)
{
	const struct {
		const char *name, *start, *end;
	} parts[] = {{"code", __text_start, __text_end},
		     {"constants", __rodata_start, __rodata_end},
		     {"data", __data_start, __data_end},
		     {"zeroed data", __bss_start, __bss_end}};
	char line[LINE], where[80];

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (addr < (uint64_t)parts[i].start || addr >= (uint64_t)parts[i].end)
			continue;
		snprintf(line, sizeof(line), "  nearest: in the kernel's %s, %s", parts[i].name,
			 place(addr, where, sizeof(where)));
		out(line);
	}
}

static void nearest_in_kernel(uint64_t addr, line_out *out)
{
	char line[LINE];
	uint64_t start, last;
	const char *region = pgtable_region(addr, &start, &last);
	struct search s = {.addr = addr};

	if (!region) {
		out("  nearest: the address is in no region of the kernel's");
		return;
	}
	snprintf(line, sizeof(line), "  nearest: region %s %#llx-%#llx", region, ull(start), ull(last));
	out(line);
	if (addr >= DIRECT_MAP_BASE && addr - DIRECT_MAP_BASE < DIRECT_MAP_SIZE) {
		paddr_t pa = paddr(addr - DIRECT_MAP_BASE);
		snprintf(line, sizeof(line), "  nearest: physical address %#llx, which is %s; RAM ends at %#llx",
			 ull(pa.v), paddr_is_ram(pa) ? "RAM" : "no RAM",
			 ull((page_first_frame + page_frame_count) << PAGE_SHIFT));
		out(line);
	} else if (addr >= KSTACK_BASE && addr < KSTACK_END) {
		thread_for_each(in_slot, &s);
		snprintf(line, sizeof(line), "  nearest: %s of %s",
			 kstack_is_guard(vaddr(addr)) ? "below the stack" : "on the stack",
			 s.found ? s.found->name : "no thread alive");
		out(line);
	} else if (addr >= KERNEL_BASE) {
		nearest_in_image(addr, out);
	}
	nearest_ranges(addr, start, last, out);
}

void fault_report(const struct trap_frame *f, const struct trap_info *info, void (*out)(const char *line))
{
	uint64_t addr = info->addr.v;
	struct thread *t = thread_current();

	report_who(f, info, out);
	report_why(f, info, out);
	if (addr < PAGE_SIZE)
		out("  nearest: NULL: a member or element of nothing");
	else if (addr >= KERNEL_HALF)
		nearest_in_kernel(addr, out);
	else if (t && t->aspace)
		nearest_areas(t->aspace, addr, out);
	else
		out("  nearest: a kernel thread has no programs' half");
}

static void details(void (*out)(const char *line))
{
	fault_report(frame, fault, out);
}

void fault_report_prepare(const struct trap_frame *f, const struct trap_info *info)
{
	frame = f;
	fault = info;
	panic_details = details;
}
