/* Exceptions in words, and those that the kernel survives. */
#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/layout.h>
#include <arch/trap.h>

#include "arch/x86_64/internal.h"
#include "core/ktest.h"
#include "core/log.h"
#include "lib/string.h"

KTEST(trap, each_vector_has_its_own_name)
{
	for (unsigned v = 0; v < 32; v++) {
		KTEST_TRUE(trap_name(v) && strlen(trap_name(v)) > 4);
		for (unsigned w = 0; w < v; w++)
			KTEST_TRUE(!str_equal(trap_name(v), trap_name(w)));
	}
	KTEST_TRUE(str_equal(trap_name(0), "divide error"));
	KTEST_TRUE(str_equal(trap_name(6), "invalid opcode"));
	KTEST_TRUE(str_equal(trap_name(8), "double fault"));
	KTEST_TRUE(str_equal(trap_name(13), "general protection"));
	KTEST_TRUE(str_equal(trap_name(14), "page fault"));
	KTEST_TRUE(str_equal(trap_name(18), "machine check"));
	KTEST_TRUE(str_equal(trap_name(21), "control protection"));
}

static bool decodes(unsigned vector, uint64_t error, unsigned access, const char *wanted)
{
	struct trap_info info = {.vector = vector, .error_code = error, .access = access};
	char buf[128];

	return str_equal(trap_error_text(&info, buf, sizeof(buf)), wanted);
}

KTEST(trap, error_codes_are_decoded)
{
	KTEST_TRUE(decodes(13, 0, 0, "no selector involved"));
	KTEST_TRUE(decodes(13, 0x72, 0, "IDT entry 14"));
	KTEST_TRUE(decodes(13, 0xfff8, 0, "GDT entry 8191"));
	KTEST_TRUE(decodes(11, 0x15, 0, "LDT entry 2, external event"));
	KTEST_TRUE(decodes(14, 2, TRAP_ACCESS_WRITE, "write to a not-present page in kernel mode"));
	KTEST_TRUE(decodes(14, 5, TRAP_ACCESS_PRESENT | TRAP_ACCESS_USER, "read of a protected page in user mode"));
	KTEST_TRUE(decodes(14, 0x10, TRAP_ACCESS_EXEC, "instruction fetch from a not-present page in kernel mode"));
	KTEST_TRUE(decodes(17, 0, 0, "no error code"));
	KTEST_TRUE(decodes(30, 0x1f, 0, "error code 1f"));
}

/* The text of the newest record that begins so, from `seq` on. */
static bool logged(uint64_t seq, const char *start)
{
	struct log_record r;

	for (; log_read(&seq, &r); seq++)
		if (r.len >= strlen(start) && memcmp(r.text, start, strlen(start)) == 0)
			return true;
	return false;
}

KTEST(trap, int3_is_reported_and_resumes_behind_it)
{
	uint64_t seq = log_next_seq(), flags_before, flags_after;
	int step = 0;

	__asm__ volatile("pushfq; pop %1; incl %0; int3; incl %0; pushfq; pop %2"
			 : "+r"(step), "=&r"(flags_before), "=r"(flags_after)
			 :
			 : "cc", "memory");
	KTEST_EQ(step, 2);
	KTEST_EQ(flags_before & 0x200, flags_after & 0x200);
	KTEST_TRUE(logged(seq, "trap: breakpoint in the kernel at "));
}

/*
 * An NMI may come where the stack pointer cannot be used: at the first instruction of a system call it is still the
 * program's.  INT 2 goes through the same gate.
 */
KTEST(trap, nmi_has_a_stack_of_its_own)
{
	irqflags_t f = irq_save();
	unsigned cpu = this_cpu()->id;
	uint64_t before = irqchip_nmi_count(cpu);

	__asm__ volatile("mov %%rsp, %%rbx; mov %0, %%rsp; int $2; mov %%rbx, %%rsp"
			 :
			 : "r"(KMAP_BASE - 64) /* where nothing is mapped */
			 : "rbx", "memory");
	uint64_t after = irqchip_nmi_count(cpu);
	irq_restore(f);
	KTEST_EQ(after, before + 1);
}

/* A machine check without a bank to blame, as INT 18 gives it, is not one the CPU calls restartable: it would be fatal.
 * So only the decision is asked here; tests/boot/exceptions.py raises real ones. */
KTEST(trap, machine_check_without_cause_is_fatal)
{
	if (!cpu_features.machine_check)
		ktest_skip("this CPU has no machine checks");
	irqflags_t f = irq_save();
	unsigned cpu = this_cpu()->id;
	uint64_t before = irqchip_machine_check_count(cpu);
	bool can_go_on = machine_check_can_go_on();
	uint64_t after = irqchip_machine_check_count(cpu);
	irq_restore(f);
	KTEST_TRUE(!can_go_on);
	KTEST_TRUE(str_equal(machine_check_text(), "no bank says why"));
	KTEST_EQ(after, before + 1);
}
