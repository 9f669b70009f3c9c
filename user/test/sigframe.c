/* A handler's surroundings: its stack, the saved context, floating-point state, and frames that are wrong (man 2
 * sigaltstack, sigreturn). */
#include "user/test/signals.h"

#include <setjmp.h>
#include <sys/resource.h>
#include <ucontext.h>

static char alt_stack[65536] __attribute__((aligned(16)));
static volatile uintptr_t handler_sp;
static volatile int on_stack_flags;

static void where_am_i(int signo)
{
	stack_t now;

	(void)signo;
	handler_sp = (uintptr_t)&now;
	sigaltstack(NULL, &now);
	on_stack_flags = now.ss_flags;
	stack_t other = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};
	errno = 0;
	depth = sigaltstack(&other, NULL) == -1 ? errno : 0;
	got++;
}

static bool on_alt_stack(void)
{
	return handler_sp >= (uintptr_t)alt_stack && handler_sp < (uintptr_t)alt_stack + sizeof(alt_stack);
}

TEST(alternate_stack)
{
	stack_t stack = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)}, now;

	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK_EQ(now.ss_flags, SS_DISABLE);
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	install(SIGUSR1, where_am_i, 0);
	raise(SIGUSR1);
	CHECK(!on_alt_stack());
	CHECK_EQ(on_stack_flags, 0);
	install(SIGUSR1, where_am_i, SA_ONSTACK);
	raise(SIGUSR1);
	CHECK(on_alt_stack());
	CHECK_EQ(on_stack_flags, SS_ONSTACK);
	CHECK_EQ(depth, EPERM);
	CHECK_EQ(sigaltstack(NULL, &now), 0);
	CHECK(now.ss_sp == alt_stack && now.ss_size == sizeof(alt_stack) && now.ss_flags == 0);
	stack.ss_size = 100;
	CHECK_ERR(sigaltstack(&stack, NULL), ENOMEM);
	stack = (stack_t){.ss_sp = alt_stack, .ss_size = sizeof(alt_stack), .ss_flags = 0x55};
	CHECK_ERR(sigaltstack(&stack, NULL), EINVAL);
	stack = (stack_t){.ss_flags = SS_DISABLE};
	CHECK_EQ(sigaltstack(&stack, NULL), 0);
}

static sigjmp_buf back;

static void jump(int signo)
{
	siglongjmp(back, signo);
}

static int burrow(volatile char *above)
{
	volatile char page[8192];

	page[0] = above ? above[0] : 1;
	if (page[0] == 2)
		return 0; /* never: so that the compiler sees an end */
	return burrow(page) + page[1];
}

TEST(stack_overflow_is_caught_on_the_alternate_stack)
{
	stack_t stack = {.ss_sp = alt_stack, .ss_size = sizeof(alt_stack)};

	CHECK_EQ(sigaltstack(&stack, NULL), 0);
	install(SIGSEGV, jump, SA_ONSTACK);
	int signo = sigsetjmp(back, 1);
	if (signo == 0) {
		burrow(NULL);
		FAIL("the stack has no end");
	}
	CHECK_EQ(signo, SIGSEGV);
}

TEST(no_stack_for_the_handler_kills)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	pid_t pid = test_fork();
	if (pid == 0) {
		install(SIGUSR1, count, 0);
		pid_t me = getpid();
		__asm__ volatile("xor %%esp, %%esp\n\tsyscall\n\tud2"
				 :
				 : "a"(SYS_kill), "D"(me), "S"(SIGUSR1)
				 : "rcx", "r11", "memory");
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void clobber_fp(int signo)
{
	volatile double x = 1.0;

	(void)signo;
	for (int i = 1; i < 50; i++)
		x = x * 1.5 + 1.0 / x;
	__asm__ volatile("fninit\n\tpcmpeqd %%xmm7, %%xmm7\n\tpcmpeqd %%xmm15, %%xmm15" : : : "xmm7", "xmm15");
	unsigned csr = 0x1f80 | 0x6000;
	__asm__ volatile("ldmxcsr %0" : : "m"(csr));
	got++;
}

TEST(handler_leaves_fp_state_alone)
{
	uint64_t in[2] = {0x1122334455667788, 0x99aabbccddeeff00}, out7[2], out15[2];
	unsigned csr_before, csr_after;
	unsigned short control_before = 0x27f, control_after;
	long pid = getpid(), result;

	install(SIGUSR1, clobber_fp, 0);
	__asm__ volatile("stmxcsr %0\n\tfldcw %1" : "=m"(csr_before) : "m"(control_before));
	__asm__ volatile("movdqu %[in], %%xmm7\n\tmovdqu %[in], %%xmm15\n\tsyscall\n\tmovdqu %%xmm7, %[o7]\n\tmovdqu "
			 "%%xmm15, %[o15]"
			 : [o7] "=m"(out7), [o15] "=m"(out15), "=a"(result)
			 : [in] "m"(in), "a"((long)SYS_kill), "D"(pid), "S"((long)SIGUSR1)
			 : "rcx", "r11", "memory", "xmm7", "xmm15");
	__asm__ volatile("stmxcsr %0\n\tfnstcw %1" : "=m"(csr_after), "=m"(control_after));
	CHECK_EQ(result, 0);
	CHECK_EQ(got, 1);
	CHECK_EQ(memcmp(in, out7, 16), 0);
	CHECK_EQ(memcmp(in, out15, 16), 0);
	CHECK_EQ(csr_before, csr_after);
	CHECK_EQ(control_after, 0x27f);
}

static void set_rounding(unsigned mode)
{
	unsigned csr = 0x1f80 | mode << 13;

	__asm__ volatile("ldmxcsr %0" : : "m"(csr));
}

static unsigned rounding(void)
{
	unsigned csr;

	__asm__ volatile("stmxcsr %0" : "=m"(csr));
	return csr >> 13 & 3;
}

TEST(fp_state_over_fork_and_switches)
{
	double sum[4];
	int p[4][2];

	for (int i = 0; i < 4; i++) {
		CHECK_EQ(pipe(p[i]), 0);
		set_rounding((unsigned)i);
		if (test_fork() == 0) {
			volatile double x = 0, third = 1.0;
			for (int k = 0; k < 200000; k++) {
				x += third / (3.0 + i);
				if (k % 20000 == 0)
					syscall(SYS_sched_yield);
			}
			double answer = rounding() == (unsigned)i ? x : -1;
			CHECK_EQ(write(p[i][1], &answer, sizeof(answer)), sizeof(answer));
			_exit(0);
		}
	}
	set_rounding(0);
	for (int i = 0; i < 4; i++) {
		CHECK_EQ(read(p[i][0], &sum[i], sizeof(sum[i])), sizeof(sum[i]));
		CHECK(sum[i] > 0);
		CHECK(__builtin_fabs(sum[i] - 200000.0 / (3.0 + i)) < 0.001);
	}
	while (wait(NULL) > 0)
		;
}

static void change_context(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)signo;
	(void)info;
	u->uc_mcontext.gregs[REG_RAX] = 777;
	sigaddset(&u->uc_sigmask, SIGUSR2);
	got++;
}

TEST(handler_may_change_the_context)
{
	long result;
	sigset_t now;

	install_info(SIGUSR1, change_context, 0);
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"((long)SYS_kill), "D"((long)getpid()), "S"((long)SIGUSR1)
			 : "rcx", "r11", "memory");
	CHECK_EQ(result, 777);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	CHECK_EQ(sigismember(&now, SIGUSR2), 1);
}

/* A return address that is no address: SYSRET must not be used for it (the CPU would fault in the kernel). */
static void return_nowhere(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)signo;
	(void)info;
	u->uc_mcontext.gregs[REG_RIP] = (greg_t)0x8000000000000000;
}

TEST(return_to_non_canonical_address)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	pid_t pid = test_fork();
	if (pid == 0) {
		install_info(SIGUSR1, return_nowhere, 0);
		raise(SIGUSR1);
		_exit(0);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void return_with_flags(int signo, siginfo_t *info, void *context)
{
	ucontext_t *u = context;

	(void)signo;
	(void)info;
	/* I/O privilege, virtual-8086, nested task: not for a user to set */
	u->uc_mcontext.gregs[REG_EFL] |= 0x3000 | 0x20000 | 0x4000;
	u->uc_mcontext.gregs[REG_EFL] &= ~0x200L; /* nor to go on with interrupts off */
	u->uc_mcontext.gregs[REG_CSGSFS] = 0;
	got++;
}

TEST(privileged_flags_are_not_taken)
{
	struct rlimit no_core = {0, 0};
	int status;

	setrlimit(RLIMIT_CORE, &no_core);
	pid_t pid = test_fork();
	if (pid == 0) {
		unsigned long flags;
		install_info(SIGUSR1, return_with_flags, 0);
		raise(SIGUSR1);
		__asm__ volatile("pushfq\n\tpopq %0" : "=r"(flags));
		_exit((flags & 0x200) && !(flags & 0x3000) ? 0 : 1);
	}
	/* Linux takes the bad selectors for a fault; going on with good flags is as right. */
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
}

TEST(bad_signal_frame_kills)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	pid_t pid = test_fork();
	if (pid == 0) {
		__asm__ volatile("mov $16, %%rsp\n\tsyscall\n\tud2"
				 :
				 : "a"((long)SYS_rt_sigreturn)
				 : "rcx", "r11", "memory");
	}
	CHECK_KILLED(pid, SIGSEGV);
}
