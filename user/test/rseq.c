/*
 * Restartable sequences (man 2 rseq), and the membarrier(2) that restarts them.  Without a C library's own
 * registration: glibc, which registers each thread (ld.so, "Tunables"), is told not to.
 */
#include "user/test/test.h"

#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <ucontext.h>

#define SIGNATURE 0x53053053
#define UNREGISTER 1

struct area {
	uint32_t cpu_id_start, cpu_id;
	uint64_t rseq_cs;
	uint32_t flags, node_id, mm_cid, pad;
} __attribute__((aligned(32)));

struct section {
	uint32_t version, flags;
	uint64_t start, length, abort;
} __attribute__((aligned(32)));

static __thread volatile struct area mine = {.cpu_id = -1u};

extern const unsigned __rseq_size __attribute__((weak)); /* glibc's; 0 if it has not registered */

__attribute__((constructor)) static void without_the_library(int argc, char **argv)
{
	(void)argc;
	if (!&__rseq_size || !__rseq_size || getenv("GLIBC_TUNABLES"))
		return;
	setenv("GLIBC_TUNABLES", "glibc.pthread.rseq=0", 1);
	execv((const char *)getauxval(AT_EXECFN), argv);
}

static long rseq(volatile void *area, unsigned len, int flags, unsigned sig)
{
	return syscall(SYS_rseq, area, len, flags, sig);
}

static void needs_rseq(void)
{
	CHECK(rseq(NULL, 0, 4, 0) == -1);
	if (errno == ENOSYS)
		SKIP("no rseq here");
	if (rseq(&mine, sizeof(mine), 0, SIGNATURE) != 0)
		FAIL("registration: %s", strerror(errno));
}

/* Spins for so many rounds in a critical section. False: it was aborted. */
__attribute__((noinline)) static bool spin(volatile struct area *a, unsigned long rounds)
{
	int done;

	__asm__ volatile(".pushsection .data.rseq, \"aw\"\n\t"
			 ".balign 32\n"
			 "3:\t.long 0, 0\n\t"
			 ".quad 1f, 2f - 1f, 4f\n\t"
			 ".popsection\n\t"
			 "leaq 3b(%%rip), %%rax\n\t"
			 "movq %%rax, %[cs]\n"
			 "1:\tdecq %[rounds]\n\t"
			 "jnz 1b\n"
			 "2:\tmovl $1, %[done]\n\t"
			 "jmp 5f\n\t"
			 ".byte 0x0f, 0xb9, 0x3d\n\t" /* UD1: the signature is its operand */
			 ".long 0x53053053\n"
			 "4:\tmovl $0, %[done]\n"
			 "5:\n"
			 : [done] "=&r"(done), [rounds] "+&r"(rounds), [cs] "=m"(a->rseq_cs)
			 :
			 : "rax", "memory", "cc");
	return done;
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	CHECK_EQ(sched_setaffinity(0, sizeof(set), &set), 0);
}

static int a_cpu(void)
{
	int cpu = sched_getcpu();

	CHECK(cpu >= 0);
	return cpu;
}

TEST(registration)
{
	static char room[128] __attribute__((aligned(64)));

	CHECK_ERR(rseq(room, 32, 2, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(room, 32, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(room, 31, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(room + 8, 32, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq((void *)0xffff800000000000, 32, 0, SIGNATURE), EFAULT);
	needs_rseq();
	CHECK_ERR(rseq(&mine, 32, 0, SIGNATURE), EBUSY);
	CHECK_ERR(rseq(&mine, 32, 0, SIGNATURE + 1), EPERM);
	CHECK_ERR(rseq(room, 32, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&mine, 64, 0, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&mine, 32, UNREGISTER, SIGNATURE + 1), EPERM);
	CHECK_ERR(rseq(&mine, 64, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(room, 32, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_ERR(rseq(&mine, 32, UNREGISTER | 2, SIGNATURE), EINVAL);
	CHECK_EQ(rseq(&mine, 32, UNREGISTER, SIGNATURE), 0);
	CHECK_EQ(mine.cpu_id, -1u);
	CHECK_EQ(mine.cpu_id_start, 0);
	CHECK_ERR(rseq(&mine, 32, UNREGISTER, SIGNATURE), EINVAL);
	CHECK_EQ(rseq(&mine, 32, 0, SIGNATURE + 5), 0);
}

TEST(auxiliary_vector)
{
	CHECK(getauxval(27) >= 28);
	CHECK_EQ(getauxval(28) & (getauxval(28) - 1), 0);
	CHECK(getauxval(28) >= 32);
}

TEST(numbers)
{
	cpu_set_t all;

	needs_rseq();
	CHECK_EQ(mine.cpu_id, sched_getcpu());
	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	for (int round = 0; round < 20; round++)
		for (int i = 0; i < 64; i++) {
			if (!CPU_ISSET(i, &all))
				continue;
			pin(i);
			CHECK_EQ(mine.cpu_id, i);
			CHECK_EQ(mine.cpu_id_start, i);
			CHECK_EQ(mine.node_id, 0);
		}
}

TEST(concurrency_id_of_a_lone_thread)
{
	cpu_set_t all;

	needs_rseq();
	CHECK_EQ(sched_getaffinity(0, sizeof(all), &all), 0);
	CHECK((int)mine.mm_cid < CPU_COUNT(&all));
	pid_t pid = test_fork();
	if (pid == 0) {
		sched_yield();
		_exit(mine.mm_cid == 0 ? 7 : 1);
	}
	CHECK_EXIT(pid, 7);
}

static volatile bool stop;

static void spin_for_ever(void)
{
	while (!stop)
		;
}

TEST(preemption_aborts)
{
	int aborted = 0;

	needs_rseq();
	pin(a_cpu());
	pid_t pid = test_fork();
	if (pid == 0) {
		alarm(30);
		spin_for_ever();
	}
	for (int i = 0; i < 100000 && aborted < 3; i++) {
		if (spin(&mine, 30000000))
			continue;
		aborted++;
		CHECK_EQ(mine.rseq_cs, 0);
	}
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
	CHECK_EQ(aborted, 3);
}

/* A short section may be aborted, never torn: a counter per CPU that only sections change, by all threads of a CPU. */
static struct {
	volatile long n;
	char pad[120];
} counters[64];

__attribute__((noinline)) static bool count_here(volatile struct area *a, unsigned cpu)
{
	volatile long *counter = &counters[cpu].n;
	int done;

	__asm__ volatile(".pushsection .data.rseq, \"aw\"\n\t"
			 ".balign 32\n"
			 "3:\t.long 0, 0\n\t"
			 ".quad 1f, 2f - 1f, 4f\n\t"
			 ".popsection\n\t"
			 "leaq 3b(%%rip), %%rax\n\t"
			 "movq %%rax, %[cs]\n"
			 "1:\tcmpl %[cpu], %[now]\n\t"
			 "jne 4f\n\t"
			 "movq (%[counter]), %%rax\n\t"
			 "movl $40, %%ecx\n" /* time for somebody to come in between */
			 "6:\tdecl %%ecx\n\t"
			 "jnz 6b\n\t"
			 "incq %%rax\n\t"
			 "movq %%rax, (%[counter])\n"
			 "2:\tmovl $1, %[done]\n\t"
			 "jmp 5f\n\t"
			 ".byte 0x0f, 0xb9, 0x3d\n\t"
			 ".long 0x53053053\n"
			 "4:\tmovl $0, %[done]\n"
			 "5:\n"
			 : [done] "=&r"(done), [cs] "=m"(a->rseq_cs)
			 : [cpu] "r"(cpu), [now] "m"(a->cpu_id), [counter] "r"(counter)
			 : "rax", "rcx", "memory", "cc");
	return done;
}

#define COUNTS 200000

static void *counting(void *arg)
{
	(void)arg;
	if (rseq(&mine, sizeof(mine), 0, SIGNATURE) != 0)
		FAIL("a thread's own registration: %s", strerror(errno));
	for (int i = 0; i < COUNTS; i++)
		while (!count_here(&mine, mine.cpu_id_start))
			;
	CHECK_EQ(rseq(&mine, sizeof(mine), UNREGISTER, SIGNATURE), 0);
	return NULL;
}

TEST(counters_of_each_cpu)
{
	pthread_t t[4];
	long sum = 0;

	needs_rseq();
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, counting, NULL), 0);
	for (int i = 0; i < 4; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	for (int i = 0; i < 64; i++)
		sum += counters[i].n;
	CHECK_EQ(sum, 4l * COUNTS);
}

static volatile unsigned long handler_ip;
static volatile unsigned long handler_cs;

static void on_alarm(int sig, siginfo_t *info, void *context)
{
	(void)sig, (void)info;
	handler_ip = (unsigned long)((ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
	handler_cs = mine.rseq_cs;
}

TEST(signal_aborts)
{
	struct sigaction act = {.sa_sigaction = on_alarm, .sa_flags = SA_SIGINFO};
	struct itimerval soon = {.it_value = {0, 5000}};
	bool in_section = false;

	needs_rseq();
	CHECK_EQ(sigaction(SIGALRM, &act, NULL), 0);
	for (int i = 0; i < 100 && !in_section; i++) {
		handler_ip = 0, handler_cs = 1;
		CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
		while (!handler_ip)
			spin(&mine, 100000000);
		/* The frame goes on at the abort handler, whose signature stands before it. */
		in_section = *(const uint32_t *)(handler_ip - 4) == SIGNATURE;
	}
	CHECK(in_section);
	CHECK_EQ(handler_cs, 0);
}

static void ignore_it(int sig)
{
	(void)sig;
}

TEST(left_behind)
{
	static struct section elsewhere;

	needs_rseq();
	/* A section of other code: the thread is not in it, and the kernel takes the pointer away. */
	elsewhere.start = (uintptr_t)spin;
	elsewhere.length = 4;
	elsewhere.abort = (uintptr_t)&elsewhere.abort + 12; /* in the pad: only its signature counts */
	static struct {
		uint32_t sig;
		char handler[4];
	} target = {SIGNATURE, {0}};
	elsewhere.abort = (uintptr_t)target.handler;
	mine.rseq_cs = (uintptr_t)&elsewhere;
	signal(SIGUSR1, ignore_it);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(mine.rseq_cs, 0);
}

/* What must not be: each ends the process by SIGSEGV, at the next signal at the latest, handler or not. */
static void broken(uint64_t (*arrange)(struct section *s))
{
	static struct {
		uint32_t sig;
		char handler[4];
	} target = {SIGNATURE, {0}};
	static struct section s;
	pid_t pid = test_fork();

	if (pid == 0) {
		s = (struct section){.start = (uintptr_t)spin, .length = 4, .abort = (uintptr_t)target.handler};
		signal(SIGSEGV, ignore_it);
		signal(SIGUSR1, ignore_it);
		mine.rseq_cs = arrange(&s); /* last: at any switch the kernel looks */
		raise(SIGUSR1);
		_exit(9);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static uint64_t bad_version(struct section *s)
{
	s->version = 1;
	return (uintptr_t)s;
}

static uint64_t bad_signature(struct section *s)
{
	s->abort += 4;
	return (uintptr_t)s;
}

static uint64_t bad_abort(struct section *s)
{
	s->abort = s->start + 2;
	return (uintptr_t)s;
}

static uint64_t bad_length(struct section *s)
{
	s->length = -1ul;
	return (uintptr_t)s;
}

static uint64_t bad_address(struct section *s)
{
	(void)s;
	return 16;
}

static uint64_t bad_kernel_address(struct section *s)
{
	(void)s;
	return 0xffff800000000000;
}

TEST(broken_descriptions)
{
	needs_rseq();
	broken(bad_version);
	broken(bad_signature);
	broken(bad_abort);
	broken(bad_length);
	broken(bad_address);
	broken(bad_kernel_address);
}

TEST(area_unmapped)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		CHECK_EQ(rseq(p, 32, 0, SIGNATURE), 0);
		munmap(p, 4096);
		signal(SIGUSR1, ignore_it);
		raise(SIGUSR1);
		_exit(9);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

static void *registers(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)rseq(&mine, 32, 0, SIGNATURE);
}

TEST(inheritance)
{
	pthread_t t;
	void *result;

	needs_rseq();
	pid_t pid = test_fork();
	if (pid == 0) { /* still registered */
		CHECK_ERR(rseq(&mine, 32, 0, SIGNATURE), EBUSY);
		CHECK_EQ(mine.cpu_id, sched_getcpu());
		_exit(5);
	}
	CHECK_EXIT(pid, 5);
	CHECK_EQ(pthread_create(&t, NULL, registers, NULL), 0); /* not registered */
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ((intptr_t)result, 0);
	pid = test_fork();
	if (pid == 0) {
		execl("/proc/self/exe", "rseq", "auxiliary_vector", "registration", (char *)NULL);
		_exit(1);
	}
	int status;
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	CHECK_EQ(status, 0);
}

/* --- membarrier(2), MEMBARRIER_CMD_PRIVATE_EXPEDITED_RSEQ --- */

static volatile int other_state; /* 1 spins in sections, 2 was aborted, 3 should end */
static volatile int other_cpu;

static void *restarted(void *arg)
{
	(void)arg;
	CHECK_EQ(rseq(&mine, sizeof(mine), 0, SIGNATURE), 0);
	other_cpu = (int)mine.cpu_id;
	other_state = 1;
	while (spin(&mine, 100000000))
		;
	other_state = 2;
	return NULL;
}

TEST(restarted_by_membarrier)
{
	pthread_t t;

	CHECK_EQ(syscall(SYS_membarrier, 1 << 8, 0, 0), 0); /* register */
	CHECK_EQ(pthread_create(&t, NULL, restarted, NULL), 0);
	while (!other_state)
		sched_yield();
	while (other_state == 1) {
		CHECK_EQ(syscall(SYS_membarrier, 1 << 7, 0, 0), 0);
		CHECK_EQ(syscall(SYS_membarrier, 1 << 7, 1, other_cpu), 0);
		sched_yield();
	}
	CHECK_EQ(other_state, 2);
	CHECK_EQ(pthread_join(t, NULL), 0);
}
