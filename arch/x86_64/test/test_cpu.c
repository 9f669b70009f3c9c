/* Traps, page permissions, context switch and FP areas. */
#include <arch/context.h>
#include <arch/mmu.h>
#include <arch/usercopy.h>
#include <asm/processor-flags.h>

#include "arch/x86_64/internal.h"
#include "core/ktest.h"
#include "lib/string.h"

KTEST(arch, breakpoint_resumes)
{
	uint64_t before = 0x1234, after;

	__asm__ volatile("mov %1, %%rbx; int3; mov %%rbx, %0" : "=r"(after) : "r"(before) : "rbx", "memory");
	KTEST_EQ(after, before);
}

KTEST(arch, fixup_unknown_address)
{
	struct trap_frame f = {.rip = (uint64_t)trap_fixup};

	KTEST_TRUE(!trap_fixup(&f));
	KTEST_EQ(f.rip, (uint64_t)trap_fixup);
}

/* Leaves that can be written and executed, in the kernel's half of the tables. */
static unsigned writable_and_executable(paddr_t table, unsigned level)
{
	const uint64_t *entries = direct_map(table.v);
	unsigned bad = 0;

	for (unsigned i = level == PT_LEVELS - 1 ? PT_USER_ROOT_ENTRIES : 0; i < PT_ENTRIES; i++) {
		pte_t e = {entries[i]};

		if (!pte_present(e))
			continue;
		if (!pte_is_leaf(e, level))
			bad += writable_and_executable(pte_paddr(e), level - 1);
		else if ((pte_prot(e) & (MMU_WRITE | MMU_EXEC)) == (MMU_WRITE | MMU_EXEC))
			bad++;
	}
	return bad;
}

KTEST(arch, nothing_writable_and_executable)
{
	if (!mmu_has_nx())
		ktest_skip("this CPU has no NX");
	KTEST_EQ(writable_and_executable(mmu_kernel_root(), PT_LEVELS - 1), 0);
}

KTEST(arch, no_identity_map)
{
	const uint64_t *root = direct_map(mmu_kernel_root().v);

	for (unsigned i = 0; i < PT_USER_ROOT_ENTRIES; i++)
		KTEST_EQ(root[i], 0);
}

KTEST(arch, pte_round_trip)
{
	static const unsigned prots[] = {MMU_READ, MMU_READ | MMU_WRITE, MMU_READ | MMU_USER,
					 MMU_READ | MMU_WRITE | MMU_USER, MMU_READ | MMU_WRITE | MMU_DEVICE};
	for (unsigned level = 0; level < 3; level++) {
		for (size_t i = 0; i < ARRAY_SIZE(prots); i++) {
			pte_t e = pte_leaf(paddr(0x1240000000), prots[i], level);

			KTEST_TRUE(pte_present(e) && pte_is_leaf(e, level));
			KTEST_EQ(pte_paddr(e).v, 0x1240000000);
			KTEST_EQ(pte_prot(e), prots[i] | (mmu_has_nx() ? 0 : MMU_EXEC));
		}
	}
	KTEST_TRUE(!pte_present(pte_leaf(paddr(0), 0, 0)));
	KTEST_TRUE(!pte_is_leaf(pte_table(paddr(0x1000), true), 1));
}

/* What makes the bits in the tables count, as far as the CPU has it; tests/boot/panic.py shows what they do. */
KTEST(arch, page_protection_is_switched_on)
{
	uint64_t cr0, cr4 = read_cr4();

	__asm__("mov %%cr0, %0" : "=r"(cr0));
	KTEST_TRUE(cr0 & X86_CR0_WP);
	KTEST_TRUE(cr4 & X86_CR4_PGE);
	KTEST_EQ(!!(cr4 & X86_CR4_SMEP), cpu_features.smep);
	KTEST_EQ(!!(cr4 & X86_CR4_SMAP), cpu_features.smap);
	KTEST_EQ(!!(rdmsr(MSR_EFER) & EFER_NXE), cpu_features.nx);
	struct cpuid_regs leaf7 = cpuid(7, 0);
	KTEST_EQ(!!(leaf7.ebx & BIT(7)), cpu_features.smep);
	KTEST_EQ(!!(leaf7.ebx & BIT(20)), cpu_features.smap);
}

/* The kernel's pages stay in the TLB when another program's tables come; a program's do not. */
KTEST(arch, kernel_pages_are_global)
{
	KTEST_TRUE(pte_leaf(paddr(0x1000), MMU_READ, 0).v & PTE_G);
	KTEST_TRUE(pte_leaf(paddr(0x40000000), MMU_READ | MMU_WRITE, 2).v & PTE_G);
	KTEST_TRUE(!(pte_leaf(paddr(0x1000), MMU_READ | MMU_USER, 0).v & PTE_G));
}

/* Also the kernel's own writes stop at a read-only page. */
KTEST(arch, kernel_cannot_write_read_only_pages)
{
	uint8_t code = *(const uint8_t *)pte_leaf, data = 1;

	KTEST_EQ(arch_copy_to_user((uint64_t)pte_leaf, &code, 1), 1);
	KTEST_EQ(arch_copy_to_user((uint64_t)&data, &code, 1), 0);
	KTEST_EQ(data, code);
}

/* Two contexts play ball with a fake thread pointer; no scheduler state is touched. Interrupts off: the stacks are
 * nobody's. */
static uint64_t here_sp, there_sp;
static unsigned turns;

static void ball_player(void *arg)
{
	struct thread *me = arg;

	for (;;) {
		turns++;
		context_switch_stacks(&there_sp, here_sp, me);
	}
}

KTEST(arch, context_switch_round_trip)
{
	static uint8_t stack[4096] aligned_to(16);
	struct arch_thread there;
	struct thread *a = (struct thread *)0x1000, *b = (struct thread *)0x2000, *came_from = NULL;
	irqflags_t flags = irq_save();

	turns = 0;
	context_init(&there, stack + sizeof(stack), ball_player, b);
	there_sp = there.sp;
	for (int i = 0; i < 3; i++)
		came_from = context_switch_stacks(&here_sp, there_sp, a);
	irq_restore(flags);
	KTEST_TRUE(came_from == b);
	KTEST_EQ(turns, 3);
	KTEST_TRUE(context_user_frame(&there) == (struct trap_frame *)(stack + sizeof(stack)) - 1);
}

KTEST(arch, fpu_area_fresh)
{
	static uint8_t area[4096] aligned_to(64);
	uint16_t fcw;
	uint32_t mxcsr;

	KTEST_TRUE(fpu_area_bytes() >= 512 && fpu_area_bytes() <= sizeof(area));
	memset(area, 0xff, sizeof(area));
	fpu_area_init(area);
	memcpy(&fcw, area, sizeof(fcw));
	memcpy(&mxcsr, area + 24, sizeof(mxcsr));
	KTEST_EQ(fcw, 0x37f);
	KTEST_EQ(mxcsr, 0x1f80);
	for (size_t i = 512; i < fpu_area_bytes(); i++)
		KTEST_EQ(area[i], 0);
	if (fpu_area_bytes() < sizeof(area))
		KTEST_EQ(area[fpu_area_bytes()], 0xff);
}

KTEST(arch, backtrace_stops_at_damage)
{
	uint64_t stack[8] = {0}, addrs[8];
	uint64_t lo = (uint64_t)stack, hi = lo + sizeof(stack);

	stack[0] = (uint64_t)&stack[4];
	stack[1] = 0x11;
	stack[4] = (uint64_t)&stack[0]; /* backwards: a loop */
	stack[5] = 0x22;
	KTEST_EQ(trap_backtrace(lo, lo, hi, addrs, 8), 2);
	KTEST_EQ(addrs[1], 0x22);
	KTEST_EQ(trap_backtrace(lo, lo, hi, addrs, 1), 1);
	KTEST_EQ(trap_backtrace(8, lo, hi, addrs, 8), 0);
	KTEST_EQ(trap_backtrace(hi - 8, lo, hi, addrs, 8), 0);
	KTEST_EQ(trap_backtrace(lo + 1, lo, hi, addrs, 8), 0);
}
