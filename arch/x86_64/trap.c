/*
 * What an exception means.
 *
 * entry.S hands over the frame, the vector and the CPU's error code; here they become a struct trap_info, which says in
 * portable words what happened and which signal a program would get for it, and portable code (kernel_trap) decides.
 * The signals and codes are those programs see on Linux (man 2 sigaction, "si_code"), with the numbers of its headers.
 *
 * The exception table lists the kernel instructions that are expected to fault (user copies, FP state loads) with the
 * address to go on at.  It is searched linearly: it has a few dozen entries, is fixed at link time, and is only asked
 * once a fault could not be resolved.
 *
 * Locking: none; a trap concerns its own CPU.
 */
#include <asm/signal.h>
#include <asm-generic/siginfo.h>

#include "arch/x86_64/internal.h"
#include "arch/x86_64/irqchip.h"
#include "lib/string.h"

enum {
	VECTOR_DEBUG = 1,
	VECTOR_NMI = 2,
	VECTOR_DOUBLE_FAULT = 8,
	VECTOR_PAGE_FAULT = 14,
	VECTOR_X87 = 16,
	VECTOR_MACHINE_CHECK = 18,
	VECTOR_SIMD = 19,
	EXCEPTIONS = 32,
	FIRST_INTERRUPT = 32,
};

/* The rest of a page fault's error code: a reserved bit was set in an entry. */
#define PF_RESERVED (1 << 3)
#define PF_ACCESS (TRAP_ACCESS_PRESENT | TRAP_ACCESS_WRITE | TRAP_ACCESS_USER | TRAP_ACCESS_EXEC)

enum addr_rule { ADDR_NONE, ADDR_IP };

/* clang-format off */
static const struct {
	const char *name;
	uint8_t kind, signo, addr;
	int si_code;
} traps[EXCEPTIONS] = {
	[0] = {"divide error", TRAP_FAULT, SIGFPE, ADDR_IP, FPE_INTDIV},
	[1] = {"debug", TRAP_BREAKPOINT, SIGTRAP, ADDR_IP, TRAP_TRACE},
	[2] = {"non-maskable interrupt", TRAP_NMI, 0, ADDR_NONE, 0},
	[3] = {"breakpoint", TRAP_BREAKPOINT, SIGTRAP, ADDR_NONE, SI_KERNEL},
	[4] = {"overflow", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[5] = {"bound range exceeded", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[6] = {"invalid opcode", TRAP_FAULT, SIGILL, ADDR_IP, ILL_ILLOPN},
	[7] = {"device not available", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[8] = {"double fault", TRAP_FATAL, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[9] = {"coprocessor segment overrun", TRAP_FAULT, SIGFPE, ADDR_NONE, SI_KERNEL},
	[10] = {"invalid TSS", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[11] = {"segment not present", TRAP_FAULT, SIGBUS, ADDR_NONE, SI_KERNEL},
	[12] = {"stack segment fault", TRAP_FAULT, SIGBUS, ADDR_NONE, SI_KERNEL},
	[13] = {"general protection", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[14] = {"page fault", TRAP_PAGE_FAULT, SIGSEGV, ADDR_NONE, SEGV_MAPERR},
	[15] = {"reserved exception 15", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[16] = {"x87 floating-point error", TRAP_FAULT, SIGFPE, ADDR_IP, 0},
	[17] = {"alignment check", TRAP_FAULT, SIGBUS, ADDR_NONE, BUS_ADRALN},
	[18] = {"machine check", TRAP_FATAL, SIGBUS, ADDR_NONE, SI_KERNEL},
	[19] = {"SIMD floating-point error", TRAP_FAULT, SIGFPE, ADDR_IP, 0},
	[20] = {"virtualization exception", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[21] = {"control protection", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[22] = {"reserved exception 22", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[23] = {"reserved exception 23", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[24] = {"reserved exception 24", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[25] = {"reserved exception 25", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[26] = {"reserved exception 26", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[27] = {"reserved exception 27", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[28] = {"hypervisor injection", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[29] = {"VMM communication", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[30] = {"security exception", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
	[31] = {"reserved exception 31", TRAP_FAULT, SIGSEGV, ADDR_NONE, SI_KERNEL},
};
/* clang-format on */

/* The most important pending cause of a floating-point exception (SDM 1 8.1.3, 10.2.3: same bit order). */
static int fpe_code(unsigned pending)
{
	if (pending & 0x01)
		return FPE_FLTINV;
	if (pending & 0x04)
		return FPE_FLTDIV;
	if (pending & 0x08)
		return FPE_FLTOVF;
	if (pending & 0x12) /* underflow, denormal operand */
		return FPE_FLTUND;
	if (pending & 0x20)
		return FPE_FLTRES;
	return 0;
}

/* Both read registers of the program that just faulted: they are still loaded, and interrupts are off. */
static int x87_code(void)
{
	uint16_t control, status;

	__asm__ volatile("fnstcw %0" : "=m"(control));
	__asm__ volatile("fnstsw %0" : "=m"(status));
	return fpe_code(status & ~control);
}

static int simd_code(void)
{
	uint32_t mxcsr;

	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
	return fpe_code(mxcsr & ~(mxcsr >> 7));
}

/* DR6 says which kind of debug event it was; the CPU never clears it (SDM 3B 17.2.3). */
static int debug_code(void)
{
	uint64_t dr6;

	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	__asm__ volatile("mov %0, %%dr6" : : "r"(0xffff0ff0ul));
	if (dr6 & BIT(14))
		return TRAP_TRACE;
	return dr6 & 0xf ? TRAP_HWBKPT : TRAP_BRKPT;
}

/* For the signal frame of a handler (uc_mcontext.trapno, err, cr2). */
static void user_trap_note(unsigned vector, uint64_t error_code, uint64_t address)
{
	struct arch_thread *t = this_arch_thread();

	t->trap_vector = vector;
	t->trap_error = error_code;
	t->trap_address = address;
}

/* By far the most frequent exception, so described without the table. */
static void page_fault(struct trap_frame *f, uint64_t error_code)
{
	uint64_t addr = read_cr2();
	struct trap_info info = {
		/* A reserved bit: our page tables are damaged, and nobody can resolve that. */
		.kind = unlikely(error_code & PF_RESERVED) ? TRAP_FATAL : TRAP_PAGE_FAULT,
		.vector = VECTOR_PAGE_FAULT,
		.name = unlikely(error_code & PF_RESERVED) ? "page table corrupt" : "page fault",
		.error_code = error_code,
		.addr = vaddr(addr),
		.access = error_code & PF_ACCESS,
		.signo = SIGSEGV,
		.si_code = error_code & TRAP_ACCESS_PRESENT ? SEGV_ACCERR : SEGV_MAPERR,
		.signal_addr = addr,
	};

	if (trap_from_user(f))
		user_trap_note(VECTOR_PAGE_FAULT, error_code, addr);
	kernel_trap(f, &info);
}

const char *trap_name(unsigned vector)
{
	return vector < EXCEPTIONS ? traps[vector].name : "interrupt";
}

void trap_enter(struct trap_frame *f, unsigned vector, uint64_t error_code)
{
	if (likely(vector == VECTOR_PAGE_FAULT)) {
		page_fault(f, error_code);
		return;
	}

	struct trap_info info = {
		.kind = (enum trap_kind)traps[vector].kind,
		.vector = vector,
		.name = traps[vector].name,
		.error_code = error_code,
		.signo = traps[vector].signo,
		.si_code = traps[vector].si_code,
		.signal_addr = traps[vector].addr == ADDR_IP ? f->rip : 0,
	};

	if (vector == VECTOR_X87)
		info.si_code = x87_code();
	else if (vector == VECTOR_SIMD)
		info.si_code = simd_code();
	else if (vector == VECTOR_DEBUG)
		info.si_code = debug_code();
	else if (vector == VECTOR_DOUBLE_FAULT)
		info.addr = vaddr(read_cr2()); /* by stack overflow: the guard page that was hit */
	else if (vector == VECTOR_NMI)
		nmi_note(f);
	else if (vector == VECTOR_MACHINE_CHECK && machine_check_can_go_on())
		return;

	if (trap_from_user(f))
		user_trap_note(vector, error_code, 0);
	kernel_trap(f, &info);
}

void interrupt_enter(struct trap_frame *f)
{
	unsigned irq = (unsigned)~f->orig_rax;

	if (likely(irqchip_ack(&irq)))
		kernel_interrupt(f, irq);
}

/* entry.S, trap_from_kernel: makes one entry from user mode of the fault's registers and the frame IRETQ would not
 * take. */
struct trap_frame *trap_move_bad_iret(struct trap_frame *f)
{
	char *user_part = (char *)f->rsp;
	struct trap_frame *whole = (struct trap_frame *)(user_part - offsetof(struct trap_frame, rip));

	memmove(whole, f, offsetof(struct trap_frame, rip));
	return whole;
}

/* Both relative to their own place: half the size of addresses, and no relocation. */
struct extable_entry {
	int32_t insn, fixup;
};
extern const struct extable_entry __start_extable[], __stop_extable[];

static const struct extable_entry *extable_find(uint64_t ip)
{
	for (const struct extable_entry *e = __start_extable; e < __stop_extable; e++)
		if ((uint64_t)&e->insn + (uint64_t)(int64_t)e->insn == ip)
			return e;
	return NULL;
}

bool trap_touches_user(const struct trap_frame *f)
{
	return extable_find(f->rip);
}

bool trap_fixup(struct trap_frame *f)
{
	const struct extable_entry *e = extable_find(f->rip);

	if (e)
		f->rip = (uint64_t)&e->fixup + (uint64_t)(int64_t)e->fixup;
	return e;
}
