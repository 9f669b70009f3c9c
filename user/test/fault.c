/* What a program's own mistakes bring it: SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP with their siginfo (man 2
 * sigaction), EFAULT. */
#include "user/test/test.h"

#include <poll.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <time.h>
#include <ucontext.h>

static sigjmp_buf back;
static siginfo_t info;
static greg_t trap_number, error_code, fault_ip;

static void caught(int signo, siginfo_t *i, void *context)
{
	const ucontext_t *u = context;

	info = *i;
	trap_number = u->uc_mcontext.gregs[REG_TRAPNO];
	error_code = u->uc_mcontext.gregs[REG_ERR];
	fault_ip = u->uc_mcontext.gregs[REG_RIP];
	siglongjmp(back, signo);
}

static void catch_all(void)
{
	static const int list[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
	struct sigaction act = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO};

	for (size_t i = 0; i < sizeof(list) / sizeof(list[0]); i++)
		CHECK_EQ(sigaction(list[i], &act, NULL), 0);
}

/* Run a statement; signo is what it raised, or 0. */
#define TRY(statement)                              \
	({                                          \
		int try_signo = sigsetjmp(back, 1); \
		if (try_signo == 0) {               \
			statement;                  \
		}                                   \
		try_signo;                          \
	})

static void *pages(size_t n, int prot)
{
	void *p = mmap(NULL, n * 4096, prot, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		FAIL("mmap: %s", strerror(errno));
	return p;
}

TEST(unmapped)
{
	volatile char *nothing = pages(1, PROT_READ);

	catch_all();
	CHECK_EQ(munmap((void *)nothing, 4096), 0);
	CHECK_EQ(TRY((void)nothing[5]), SIGSEGV);
	CHECK_EQ(info.si_code, SEGV_MAPERR);
	CHECK(info.si_addr == &nothing[5]);
	CHECK_EQ(info.si_signo, SIGSEGV);
	CHECK_EQ(trap_number, 14);
	CHECK_EQ(error_code, 4);
	CHECK_EQ(TRY(nothing[7] = 1), SIGSEGV);
	CHECK_EQ(error_code, 6);
	CHECK(info.si_addr == &nothing[7]);
	volatile char *null = (char *)(uintptr_t)(getpid() & 0); /* NULL the compiler does not see */
	CHECK_EQ(TRY(null[0] = 1), SIGSEGV);
	CHECK(info.si_addr == NULL);
}

TEST(protected)
{
	volatile char *page = pages(1, PROT_READ);

	catch_all();
	CHECK_EQ(TRY((void)page[0]), 0);
	CHECK_EQ(TRY(page[0] = 1), SIGSEGV);
	CHECK_EQ(info.si_code, SEGV_ACCERR);
	CHECK(info.si_addr == page);
	CHECK_EQ(error_code & 6, 6);
	CHECK_EQ(mprotect((void *)page, 4096, PROT_NONE), 0);
	CHECK_EQ(TRY((void)page[9]), SIGSEGV);
	CHECK_EQ(info.si_code, SEGV_ACCERR);
	CHECK(info.si_addr == page + 9);
}

TEST(kernel_addresses)
{
	volatile char *half = (char *)0xffffffff80100000;
	volatile char *direct = (char *)0xffff888000000000;
	volatile char *hole = (char *)0x0000800000000000;

	catch_all();
	CHECK_EQ(TRY((void)half[0]), SIGSEGV);
	CHECK_EQ(info.si_code, SEGV_MAPERR);
	CHECK_EQ(TRY(half[0] = 1), SIGSEGV);
	CHECK_EQ(TRY((void)direct[0]), SIGSEGV);
	CHECK_EQ(TRY((void)hole[0]), SIGSEGV);
	CHECK_EQ(info.si_code, SI_KERNEL);
	CHECK(info.si_addr == NULL);
	CHECK_EQ(trap_number, 13);
	CHECK_EQ(TRY(((void (*)(void))(uintptr_t)half)()), SIGSEGV);
}

TEST(no_execute)
{
	unsigned char *page = pages(1, PROT_READ | PROT_WRITE);

	catch_all();
	page[0] = 0xc3;
	CHECK_EQ(TRY(((void (*)(void))(uintptr_t)page)()), SIGSEGV);
	CHECK_EQ(info.si_code, SEGV_ACCERR);
	CHECK(info.si_addr == page);
	CHECK_EQ(mprotect(page, 4096, PROT_READ | PROT_EXEC), 0);
	CHECK_EQ(TRY(((void (*)(void))(uintptr_t)page)()), 0);
}

TEST(beyond_the_end_of_a_file)
{
	int fd = memfd_create("x", 0);

	catch_all();
	CHECK_EQ(ftruncate(fd, 100), 0);
	volatile char *map = mmap(NULL, 3 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK_EQ(TRY((void)map[99]), 0);
	CHECK_EQ(TRY((void)map[4095]), 0); /* the rest of the last page reads as zeros */
	CHECK_EQ(map[4095], 0);
	CHECK_EQ(TRY((void)map[4096]), SIGBUS);
	CHECK_EQ(info.si_code, BUS_ADRERR);
	CHECK(info.si_addr == map + 4096);
	CHECK_EQ(ftruncate(fd, 2 * 4096), 0);
	CHECK_EQ(TRY((void)map[4096]), 0);
	CHECK_EQ(ftruncate(fd, 0), 0);
	CHECK_EQ(TRY(map[0] = 1), SIGBUS);
}

TEST(arithmetic)
{
	volatile int zero = 0, one = 1;

	catch_all();
	CHECK_EQ(TRY(one = one / zero), SIGFPE);
	CHECK_EQ(info.si_code, FPE_INTDIV);
	CHECK(info.si_addr == (void *)fault_ip);
	CHECK_EQ(trap_number, 0);
}

TEST(x87_arithmetic)
{
	unsigned short control = 0x37f & ~4;

	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("fninit\n\tfldcw %0\n\tfldz\n\tfld1\n\tfdivp\n\tfwait\n\tfninit"
				      :
				      : "m"(control))),
		 SIGFPE);
	CHECK_EQ(info.si_code, FPE_FLTDIV);
	CHECK_EQ(trap_number, 16);
	__asm__ volatile("fninit");
}

TEST(illegal_instruction)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("ud2")), SIGILL);
	CHECK_EQ(info.si_code, ILL_ILLOPN);
	CHECK(info.si_addr == (void *)fault_ip);
	CHECK_EQ(trap_number, 6);
}

TEST(privileged_instructions)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("hlt")), SIGSEGV);
	CHECK_EQ(info.si_code, SI_KERNEL);
	CHECK_EQ(TRY(__asm__ volatile("cli")), SIGSEGV);
	CHECK_EQ(TRY(__asm__ volatile("outb %%al, $0x80" : : "a"(0))), SIGSEGV);
	CHECK_EQ(TRY(__asm__ volatile("mov %%cr0, %%rax" : : : "rax")), SIGSEGV);
	CHECK_EQ(TRY(__asm__ volatile("rdmsr" : : "c"(0x10) : "rax", "rdx")), SIGSEGV);
	CHECK_EQ(TRY(__asm__ volatile("int $0x81")), SIGSEGV);
}

TEST(breakpoint_and_step)
{
	catch_all();
	CHECK_EQ(TRY(__asm__ volatile("int3")), SIGTRAP);
	CHECK_EQ(info.si_code, SI_KERNEL);
	CHECK_EQ(trap_number, 3);
	CHECK_EQ(TRY(__asm__ volatile("pushfq\n\torq $0x100, (%%rsp)\n\tpopfq\n\tnop\n\tnop"
				      :
				      :
				      : "memory", "cc")),
		 SIGTRAP);
	CHECK_EQ(info.si_code, TRAP_TRACE);
	CHECK_EQ(trap_number, 1);
}

TEST(blocked_fault_kills)
{
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	pid_t pid = test_fork();
	if (pid == 0) {
		sigset_t all;
		catch_all();
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		*(volatile char *)(uintptr_t)(getpid() & 0) = 1;
		_exit(0);
	}
	CHECK_KILLED(pid, SIGSEGV);
	pid = test_fork();
	if (pid == 0) {
		signal(SIGSEGV, SIG_IGN);
		*(volatile char *)(uintptr_t)(getpid() & 0) = 1;
		_exit(0);
	}
	CHECK_KILLED(pid, SIGSEGV);
}

/* Each of these is handed an address that cannot be used. */
TEST(bad_pointers_give_efault)
{
	static const long addresses[] = {8, 0x7ffffffff000, (long)0x8000000000000000ul, (long)0xffffffff80100000ul,
					 -4096};
	int p[2], fd = memfd_create("x", 0), zero = open("/dev/zero", O_RDONLY), dir = open("/", O_RDONLY);

	CHECK_EQ(pipe(p), 0);
	CHECK(fd >= 0 && zero >= 0 && dir >= 0);
	CHECK_EQ(write(p[1], "abc", 3), 3);
	CHECK_EQ(write(fd, "abc", 3), 3);
	char *hole = pages(1, PROT_NONE);
	for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]) + 1; i++) {
		long bad = i < sizeof(addresses) / sizeof(addresses[0]) ? addresses[i] : (long)hole;
		CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
		CHECK_ERR(syscall(SYS_read, fd, bad, 3), EFAULT);
		CHECK_ERR(syscall(SYS_read, zero, bad, 3), EFAULT);
		CHECK_ERR(syscall(SYS_read, p[0], bad, 3), EFAULT);
		CHECK_ERR(syscall(SYS_write, fd, bad, 3), EFAULT);
		CHECK_ERR(syscall(SYS_write, p[1], bad, 3), EFAULT);
		CHECK_ERR(syscall(SYS_pread64, fd, bad, 3, 0), EFAULT);
		CHECK_ERR(syscall(SYS_readv, fd, bad, 1), EFAULT);
		CHECK_ERR(syscall(SYS_open, bad, O_RDONLY), EFAULT);
		CHECK_ERR(syscall(SYS_stat, bad, &p), EFAULT);
		CHECK_ERR(syscall(SYS_stat, "/", bad), EFAULT);
		CHECK_ERR(syscall(SYS_fstat, fd, bad), EFAULT);
		CHECK_ERR(syscall(SYS_getcwd, bad, 100), EFAULT);
		CHECK_ERR(syscall(SYS_pipe, bad), EFAULT);
		CHECK_ERR(syscall(SYS_uname, bad), EFAULT);
		CHECK_ERR(syscall(SYS_poll, bad, 1, 0), EFAULT);
		CHECK_ERR(syscall(SYS_clock_gettime, CLOCK_MONOTONIC, bad), EFAULT);
		CHECK_ERR(syscall(SYS_nanosleep, bad, NULL), EFAULT);
		CHECK_ERR(syscall(SYS_getrlimit, RLIMIT_STACK, bad), EFAULT);
		CHECK_ERR(syscall(SYS_rt_sigaction, SIGUSR1, bad, NULL, 8), EFAULT);
		CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad, NULL, 8), EFAULT);
		CHECK_ERR(syscall(SYS_getdents64, dir, bad, 4096), EFAULT);
		CHECK_ERR(syscall(SYS_mkdir, bad, 0), EFAULT);
		CHECK_ERR(syscall(SYS_rename, "/tmp", bad), EFAULT);
		CHECK_ERR(syscall(SYS_readlink, "/proc/self/exe", bad, 10), EFAULT);
		CHECK_ERR(syscall(SYS_gettimeofday, bad, NULL), EFAULT);
		CHECK_ERR(syscall(SYS_getrusage, RUSAGE_SELF, bad), EFAULT);
		CHECK_ERR(syscall(SYS_sysinfo, bad), EFAULT);
		CHECK_ERR(syscall(SYS_statx, AT_FDCWD, "/", 0, 0x7ff, bad), EFAULT);
		CHECK_ERR(syscall(SYS_ioctl, p[0], 0x541b, bad), EFAULT); /* FIONREAD */
		CHECK_ERR(syscall(SYS_futex, bad & ~3L, 0, 0, NULL, NULL, 0), EFAULT);
		CHECK_ERR(syscall(SYS_getrandom, bad, 16, 0), EFAULT);
		CHECK_ERR(syscall(SYS_select, 1, bad, NULL, NULL, NULL), EFAULT);
	}
}

TEST(partial_copies)
{
	char *two = pages(2, PROT_READ | PROT_WRITE);
	int fd = memfd_create("x", 0), p[2];

	memset(two, 'a', 4096);
	CHECK_EQ(munmap(two + 4096, 4096), 0);
	/* What could be copied counts. */
	CHECK_EQ(write(fd, two + 4090, 100), 6);
	CHECK_EQ(lseek(fd, 0, SEEK_CUR), 6);
	CHECK_EQ(ftruncate(fd, 100), 0);
	CHECK_EQ(pread(fd, two + 4091, 100, 0), 5);
	CHECK_EQ(pipe(p), 0);
	/* The kernel's strings end at the page's end or not at all. */
	strcpy(two + 4096 - 5, "/tmp");
	CHECK_EQ(access(two + 4096 - 5, F_OK), 0);
	memcpy(two + 4096 - 4, "/tmp", 4);
	CHECK_ERR(access(two + 4096 - 4, F_OK), EFAULT);
	memset(two, '/', 4096);
	CHECK_ERR(syscall(SYS_access, two, F_OK), ENAMETOOLONG); /* PATH_MAX is reached first */
}

TEST(huge_lengths)
{
	char small[16];
	int fd = memfd_create("x", 0);
	struct iovec v[2] = {{small, 8}, {small, (size_t)-1}};

	CHECK_EQ(write(fd, "abcdef", 6), 6);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	CHECK_ERR(syscall(SYS_readv, fd, v, 2), EINVAL);
	CHECK_ERR(syscall(SYS_readv, fd, v, -1), EINVAL);
	CHECK_ERR(syscall(SYS_readv, fd, v, 1025), EINVAL);
	CHECK_ERR(pread(fd, small, 1, -1), EINVAL);
	CHECK_ERR(syscall(SYS_read, fd, small, (size_t)-1), EFAULT);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
}
