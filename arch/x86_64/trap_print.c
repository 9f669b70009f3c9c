/*
 * Traps in words: registers, error codes, backtraces.  All of it runs in panics: no lock, no allocation, and no pointer
 * followed that was not checked.
 */
#include "arch/x86_64/internal.h"
#include "lib/printf.h"

void trap_frame_print(const struct trap_frame *f, void (*out)(const char *line))
{
	char line[128];

	snprintf(line, sizeof(line), "rip %04llx:%016llx  rsp %04llx:%016llx  rflags %08llx", (unsigned long long)f->cs,
		 (unsigned long long)f->rip, (unsigned long long)f->ss, (unsigned long long)f->rsp,
		 (unsigned long long)f->rflags);
	out(line);
#define LINE3(n1, v1, n2, v2, n3, v3)                                                                                  \
	do {                                                                                                           \
		snprintf(line, sizeof(line), "%-3s %016llx  %-3s %016llx  %-3s %016llx", n1, (unsigned long long)(v1), \
			 n2, (unsigned long long)(v2), n3, (unsigned long long)(v3));                                  \
		out(line);                                                                                             \
	} while (0)
	LINE3("rax", f->rax, "rbx", f->rbx, "rcx", f->rcx);
	LINE3("rdx", f->rdx, "rsi", f->rsi, "rdi", f->rdi);
	LINE3("rbp", f->rbp, "r8", f->r8, "r9", f->r9);
	LINE3("r10", f->r10, "r11", f->r11, "r12", f->r12);
	LINE3("r13", f->r13, "r14", f->r14, "r15", f->r15);
	LINE3("cr0", read_cr0(), "cr2", read_cr2(), "cr3", read_cr3());
	LINE3("cr4", read_cr4(), "fs", rdmsr(MSR_FS_BASE), "gs", rdmsr(MSR_KERNEL_GS_BASE));
#undef LINE3
}

static const char *page_fault_text(const struct trap_info *info, char *buf, size_t len)
{
	const char *verb = info->access & TRAP_ACCESS_EXEC ? "instruction fetch from"
		: info->access & TRAP_ACCESS_WRITE	   ? "write to"
							   : "read of";
	const char *page = info->access & TRAP_ACCESS_PRESENT ? "a protected page" : "a not-present page";

	snprintf(buf, len, "%s %s in %s mode", verb, page, info->access & TRAP_ACCESS_USER ? "user" : "kernel");
	return buf;
}

const char *trap_error_text(const struct trap_info *info, char *buf, size_t len)
{
	static const char *const tables[] = {"GDT", "IDT", "LDT", "IDT"};
	unsigned long long e = info->error_code;

	switch (info->vector) {
	case 14:
		return page_fault_text(info, buf, len);
	case 10:
	case 11:
	case 12:
	case 13: /* a selector error code, SDM 3A 6.13 */
		if (!e)
			return "no selector involved";
		snprintf(buf, len, "%s entry %llu%s", tables[e >> 1 & 3], e >> 3, e & 1 ? ", external event" : "");
		return buf;
	case 18:
		return machine_check_text();
	case 21:
		snprintf(buf, len, "control protection code %llu", e);
		return buf;
	default:
		if (!e)
			return "no error code";
		snprintf(buf, len, "error code %llx", e);
		return buf;
	}
}

unsigned trap_backtrace(uint64_t fp, uint64_t lo, uint64_t hi, uint64_t *addrs, unsigned max)
{
	unsigned n = 0;

	if (!fp)
		fp = (uint64_t)__builtin_frame_address(0);
	/* Frames must lie inside the stack and ascend, so a damaged chain ends instead of looping. hi - 16 cannot wrap:
	 * stacks are larger. */
	while (n < max && fp >= lo && fp <= hi - 16 && IS_ALIGNED(fp, 8)) {
		const uint64_t *frame = (const uint64_t *)fp;

		if (!frame[1])
			break;
		addrs[n++] = frame[1];
		if (frame[0] <= fp)
			break;
		fp = frame[0];
	}
	return n;
}
