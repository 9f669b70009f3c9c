/*
 * Each processor exception that a program can raise, and the signal it becomes: number, si_code, si_addr, and the trap
 * number and error code of the handler's context (man 2 sigaction; SDM 3A 6.15 for what each pushes).  fault.c has the
 * page faults; what a program cannot raise in 64-bit mode (bounds and INTO) is raised from a 32-bit code segment.
 */
#include "user/test/test.h"

#include <cpuid.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>

enum vector { DE = 0, DB = 1, BP = 3, OF = 4, BR = 5, UD = 6, SS = 12, GP = 13, PF = 14, MF = 16, AC = 17, XM = 19 };

static sigjmp_buf back;
static siginfo_t info;
static greg_t trap_number, error_code, fault_ip, fault_cr2;

static void caught(int signo, siginfo_t *i, void *context)
{
	const ucontext_t *u = context;

	/* AC stays set in here, and the C library does not care for alignment. */
	__asm__ volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" : : : "memory", "cc");
	info = *i;
	trap_number = u->uc_mcontext.gregs[REG_TRAPNO];
	error_code = u->uc_mcontext.gregs[REG_ERR];
	fault_ip = u->uc_mcontext.gregs[REG_RIP];
	fault_cr2 = u->uc_mcontext.gregs[REG_CR2];
	siglongjmp(back, signo);
}

/* On a stack of its own: one of the faults is a stack that cannot be used. */
static void catch_all(void)
{
	static const int list[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	static char stack[65536] __attribute__((aligned(16)));
	struct sigaction act = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_ONSTACK};
	stack_t alternate = {.ss_sp = stack, .ss_size = sizeof(stack)};

	CHECK_EQ(sigaltstack(&alternate, NULL), 0);
	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		CHECK_EQ(sigaction(list[i], &act, NULL), 0);
}

#define TRY(statement)                              \
	({                                          \
		int try_signo = sigsetjmp(back, 1); \
		if (try_signo == 0) {               \
			statement;                  \
		}                                   \
		try_signo;                          \
	})

#define CHECK_TRAP(signo, code, number, error)  \
	do {                                    \
		CHECK_EQ(info.si_signo, signo); \
		CHECK_EQ(info.si_code, code);   \
		CHECK_EQ(trap_number, number);  \
		CHECK_EQ(error_code, error);    \
	} while (0)

/*
 * QEMU's emulated CPU is not the manual's everywhere (as of 7.2): it never checks alignment, never traps on SIMD
 * results, knows no INT1, takes a stack address that is not canonical for a general protection fault, and counts an IDT
 * entry as 16 bytes in error codes.
 */
static bool on_tcg(void)
{
	unsigned eax, ebx, ecx, edx;

	__cpuid(0x40000000, eax, ebx, ecx, edx);
	return ebx == 0x54474354; /* "TCGT…" */
}

/* An instruction with a label in front: its address, wherever the compiler puts it. */
#define AT(label)                                                \
	({                                                       \
		void *at_;                                       \
		__asm__("lea " label "(%%rip), %0" : "=r"(at_)); \
		at_;                                             \
	})

TEST(divide_error)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("de_zero: divl %0" : : "r"(0), "a"(1), "d"(0))), SIGFPE);
	CHECK_TRAP(SIGFPE, FPE_INTDIV, DE, 0);
	CHECK(info.si_addr == AT("de_zero"));
	CHECK(fault_ip == (greg_t)(uintptr_t)AT("de_zero"));
	/* A quotient that does not fit is the same to the CPU. */
	CHECK_EQ(TRY(__asm__ volatile("idivl %0" : : "r"(-1), "a"(INT_MIN), "d"(-1))), SIGFPE);
	CHECK_TRAP(SIGFPE, FPE_INTDIV, DE, 0);
}

TEST(invalid_opcode)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("ud_two: ud2")), SIGILL);
	CHECK_TRAP(SIGILL, ILL_ILLOPN, UD, 0);
	CHECK(info.si_addr == AT("ud_two"));
	CHECK_EQ(TRY(__asm__ volatile(".byte 0x06")), SIGILL); /* PUSH ES, not in 64-bit mode */
	CHECK_TRAP(SIGILL, ILL_ILLOPN, UD, 0);
	CHECK_EQ(TRY(__asm__ volatile("lock; nop")), SIGILL);
}

TEST(general_protection)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("hlt")), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, GP, 0);
	CHECK(info.si_addr == NULL);
	/* A vector that is not for programs: the error code names the IDT entry. */
	CHECK_EQ(TRY(__asm__ volatile("int $0x0e")), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, GP, 0x0e * (on_tcg() ? 16 : 8) + 2);
	/* A selector beyond the table is named itself, without its privilege bits. */
	CHECK_EQ(TRY(__asm__ volatile("mov %0, %%es" : : "r"(0xfffb))), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, GP, 0xfff8);
	/* An address no page table could hold. */
	volatile char *nowhere = (char *)0x8000000000000000ul;
	CHECK_EQ(TRY((void)nowhere[0]), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, GP, 0);
	CHECK(info.si_addr == NULL);
	/* Movement of 16 bytes that are not aligned. */
	char bytes[32] __attribute__((aligned(16)));
	CHECK_EQ(TRY(__asm__ volatile("movaps (%0), %%xmm0" : : "r"(bytes + 1) : "memory")), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, GP, 0);
}

TEST(stack_fault)
{
	catch_all();
	/* The same address through the stack's segment. */
	int signo = TRY(__asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tpush %%rax\n\tmov %%rbx, %%rsp"
					 :
					 : "r"(0x8000000000000000ul)
					 : "rbx", "memory"));
	if (signo == SIGSEGV && on_tcg())
		return;
	CHECK_EQ(signo, SIGBUS);
	CHECK_TRAP(SIGBUS, SI_KERNEL, SS, 0);
	CHECK(info.si_addr == NULL);
}

TEST(breakpoints)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("int3\n\tbp_after:")), SIGTRAP);
	CHECK_TRAP(SIGTRAP, SI_KERNEL, BP, 0);
	CHECK(info.si_addr == NULL);
	CHECK(fault_ip == (greg_t)(uintptr_t)AT("bp_after")); /* behind it: execution would go on */
	CHECK_EQ(TRY(__asm__ volatile(".byte 0xcd, 0x03")), SIGTRAP);
	CHECK_TRAP(SIGTRAP, SI_KERNEL, BP, 0);
}

TEST(debug_exceptions)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tdb_stepped: nop"
				      :
				      :
				      : "memory", "cc")),
		 SIGTRAP);
	CHECK_TRAP(SIGTRAP, TRAP_TRACE, DB, 0);
	CHECK(info.si_addr == AT("db_stepped"));
	int signo = TRY(__asm__ volatile(".byte 0xf1")); /* INT1 */
	if (signo == SIGILL && on_tcg())
		return;
	CHECK_EQ(signo, SIGTRAP);
	CHECK_EQ(info.si_signo, SIGTRAP);
	CHECK_EQ(info.si_code, TRAP_BRKPT);
	CHECK_EQ(trap_number, DB);
	CHECK(info.si_addr == (void *)fault_ip); /* which is behind it, or on it where a hypervisor emulates INT1 */
}

TEST(overflow)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("int $4")), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, OF, 0);
	CHECK(info.si_addr == NULL);
}

/*
 * There and back: far jumps both ways, since a return address would have 32 bits only. RDI: where to, RSI: a low stack,
 * RDX: what EBX points to.
 */
__asm__(".text\nenter32:\n\t"
	"push %rbx\n\tpush %rbp\n\tpush %r12\n\tpush %r13\n\tpush %r14\n\tpush %r15\n\t"
	"mov %rsp, saved_stack(%rip)\n\tmov %rsi, %rsp\n\tmov %rdx, %rbx\n\tmov $5, %eax\n\tljmp *(%rdi)\n"
	"leave32:\n\tmov saved_stack(%rip), %rsp\n\t"
	"pop %r15\n\tpop %r14\n\tpop %r13\n\tpop %r12\n\tpop %rbp\n\tpop %rbx\n\tret\n");
__attribute__((used)) static uint64_t saved_stack;
struct far_pointer {
	uint32_t offset;
	uint16_t selector;
} __attribute__((packed));
void enter32(const struct far_pointer *to, void *stack, void *ebx);

/* Run a piece of 32-bit code; low memory for it and its stack. */
static void run32(const unsigned char *code, size_t len)
{
	static unsigned char *low; /* stays: the code may not come back */

	if (!low)
		low = mmap((void *)0x20000000, 8192, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	if (low == MAP_FAILED)
		FAIL("mmap: %s", strerror(errno));
	uint32_t base = (uint32_t)(uintptr_t)low, back64 = base + 256;
	memcpy(low, code, len);
	low[len] = 0xea; /* JMP 0x33:back64 */
	memcpy(low + len + 1, &back64, 4);
	memcpy(low + len + 5, "\x33", 2);
	void *leave = AT("leave32");
	memcpy(low + 256, "\x48\xb8", 2); /* MOV RAX, leave32; JMP RAX */
	memcpy(low + 258, &leave, 8);
	memcpy(low + 266, "\xff\xe0", 2);
	struct far_pointer to = {base, 0x23};
	enter32(&to, low + 8192, low + 4096);
}

TEST(bounds_and_into_in_32_bit_code)
{
	static const unsigned char nothing[] = {0x90};
	static const unsigned char into[] = {0xb0, 0x7f, 0x04, 0x7f, 0xce}; /* MOV AL,127; ADD AL,127; INTO */
	/* PUSH 0x2b; POP DS; MOV DWORD [EBX],6; MOV DWORD [EBX+4],9; BOUND EAX,[EBX] */
	static const unsigned char bound[] = {0x6a, 0x2b, 0x1f, 0xc7, 0x03, 6, 0, 0,	0,
					      0xc7, 0x43, 4,	9,    0,    0, 0, 0x62, 0x03};

	catch_all();
	CHECK_EQ(TRY(run32(nothing, sizeof(nothing))), 0);
	CHECK_EQ(TRY(run32(bound, sizeof(bound))), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, BR, 0);
	CHECK(info.si_addr == NULL);
	CHECK_EQ(TRY(run32(into, sizeof(into))), SIGSEGV);
	CHECK_TRAP(SIGSEGV, SI_KERNEL, OF, 0);
}

/* Both EFLAGS.AC and CR0.AM have to be set. */
TEST(alignment_check)
{
	static long words[4];
	volatile long *crooked = (long *)((char *)words + 1);
	int signo;

	catch_all();
	signo = TRY({
		__asm__ volatile("pushfq\n\torq $0x40000, (%%rsp)\n\tpopfq\n\t"
				 "movq (%0), %%rax\n\t"
				 "pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq"
				 :
				 : "r"(crooked)
				 : "rax", "memory", "cc");
	});
	if (signo == 0 && on_tcg())
		return;
	CHECK_EQ(signo, SIGBUS);
	CHECK_TRAP(SIGBUS, BUS_ADRALN, AC, 0);
	CHECK(info.si_addr == NULL);
}

/* Each cause, unmasked alone: the operation, the MXCSR mask bit (7 more than its flag), the code. */
TEST(simd_floating_point)
{
	static const struct {
		float a, b;
		char op;
		unsigned flag;
		int code;
	} cases[] = {
		{0.0f, 0.0f, '/', 0x01, FPE_FLTINV},   {1.0f, 0.0f, '/', 0x04, FPE_FLTDIV},
		{3e38f, 3e38f, '*', 0x08, FPE_FLTOVF}, {1.5e-30f, 1.5e-30f, '*', 0x10, FPE_FLTUND},
		{1.0f, 3.0f, '/', 0x20, FPE_FLTRES},   {1e-40f, 1.0f, '*', 0x02, FPE_FLTUND},
	};

	catch_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned open = 0x1f80 & ~(cases[i].flag << 7), normal = 0x1f80;
		int signo = cases[i].op == '/'
			? TRY(__asm__ volatile("ldmxcsr %0\n\tmovss %1, %%xmm0\n\tdivss %2, %%xmm0"
					       :
					       : "m"(open), "m"(cases[i].a), "m"(cases[i].b)
					       : "xmm0"))
			: TRY(__asm__ volatile("ldmxcsr %0\n\tmovss %1, %%xmm0\n\tmulss %2, %%xmm0"
					       :
					       : "m"(open), "m"(cases[i].a), "m"(cases[i].b)
					       : "xmm0"));
		__asm__ volatile("ldmxcsr %0" : : "m"(normal));
		if (signo == 0 && on_tcg())
			return;
		CHECK_EQ(signo, SIGFPE);
		CHECK_TRAP(SIGFPE, cases[i].code, XM, 0);
		CHECK(info.si_addr == (void *)fault_ip);
	}
}

TEST(x87_floating_point)
{
	static const struct {
		double a, b;
		unsigned flag;
		int code;
	} cases[] = {{0.0, 0.0, 0x01, FPE_FLTINV}, {1.0, 0.0, 0x04, FPE_FLTDIV}, {1.0, 3.0, 0x20, FPE_FLTRES}};

	catch_all();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		unsigned short control = (unsigned short)(0x37f & ~cases[i].flag);

		CHECK_EQ(TRY(__asm__ volatile("fninit\n\tfldcw %0\n\tfldl %1\n\tfldl %2\n\tfdivp\n\tfwait\n\tfninit"
					      :
					      : "m"(control), "m"(cases[i].b), "m"(cases[i].a))),
			 SIGFPE);
		__asm__ volatile("fninit");
		CHECK_TRAP(SIGFPE, cases[i].code, MF, 0);
	}
}

TEST(page_fault_context)
{
	char *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	catch_all();
	CHECK(page != MAP_FAILED);
	CHECK_EQ(TRY(((volatile char *)page)[77] = 1), SIGSEGV);
	CHECK_EQ(info.si_code, SEGV_ACCERR);
	CHECK_EQ(trap_number, PF);
	CHECK_EQ(error_code & ~1, 6);
	CHECK(info.si_addr == page + 77);
	CHECK(fault_cr2 == (greg_t)(uintptr_t)(page + 77));
}

static void skip_two(int signo, siginfo_t *i, void *context)
{
	ucontext_t *u = context;

	(void)signo;
	(void)i;
	u->uc_mcontext.gregs[REG_RIP] += 2; /* UD2 */
	u->uc_mcontext.gregs[REG_RAX]++;
}

/* A handler that repairs what it finds: the program goes on behind the instruction. */
TEST(handler_resumes)
{
	struct sigaction act = {.sa_sigaction = skip_two, .sa_flags = SA_SIGINFO};
	long count = 0;

	CHECK_EQ(sigaction(SIGILL, &act, NULL), 0);
	for (int i = 0; i < 1000; i++)
		__asm__ volatile("ud2" : "+a"(count));
	CHECK_EQ(count, 1000);
}
