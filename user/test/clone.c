/* clone(2), clone3(2): flags that contradict each other, ids, tkill and tgkill, set_tid (man 2 clone, tkill). */
#include "user/test/test.h"

#include <sched.h>
#include <sys/mman.h>

#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif
#ifndef CLONE_INTO_CGROUP
#define CLONE_INTO_CGROUP 0x200000000ull
#endif
#define SYS_CLONE3 435
#define THREAD_FLAGS (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM)

/* Named differently from the C library's, which may or may not have it. */
struct args3 {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
		cgroup;
};

static long clone3_size(struct args3 *a, size_t size)
{
	long pid = syscall(SYS_CLONE3, a, size);

	if (pid == 0)
		_exit(7);
	return pid;
}

static long clone3_flags(uint64_t flags, uint64_t signal)
{
	struct args3 a = {.flags = flags, .exit_signal = signal};

	return clone3_size(&a, sizeof(a));
}

static long clone_flags(unsigned long flags)
{
	long pid = syscall(SYS_clone, flags, 0, 0, 0, 0);

	if (pid == 0)
		_exit(7);
	return pid;
}

TEST(contradicting_flags)
{
	CHECK_ERR(clone_flags(CLONE_SIGHAND | SIGCHLD), EINVAL);
	CHECK_ERR(clone_flags(CLONE_THREAD | CLONE_VM), EINVAL);
	CHECK_ERR(clone_flags(CLONE_THREAD | CLONE_SIGHAND), EINVAL);
	CHECK_ERR(clone_flags(CLONE_NEWNS | CLONE_FS), EINVAL);
	CHECK_ERR(clone_flags(CLONE_NEWUSER | CLONE_FS), EINVAL);
	CHECK_ERR(clone_flags(THREAD_FLAGS | CLONE_NEWPID), EINVAL);
	CHECK_ERR(clone_flags(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD), EINVAL);
	CHECK_ERR(clone_flags(CLONE_PIDFD | CLONE_DETACHED | SIGCHLD), EINVAL);
	CHECK_ERR(clone3_flags(CLONE_SIGHAND | CLONE_VM | CLONE_CLEAR_SIGHAND, 0), EINVAL);
	CHECK_ERR(clone3_flags(CLONE_DETACHED, SIGCHLD), EINVAL);
	CHECK_ERR(clone3_flags(SIGCHLD, 0), EINVAL); /* no signal among the flags */
	CHECK_ERR(clone3_flags(1ull << 40, SIGCHLD), EINVAL);
	CHECK_ERR(clone3_flags(CLONE_PARENT, SIGCHLD), EINVAL);
	CHECK_ERR(clone3_flags(THREAD_FLAGS, SIGCHLD), EINVAL);
	CHECK_ERR(clone3_flags(0, 65), EINVAL);
	CHECK_ERR(clone3_flags(0, 1ull << 32), EINVAL);
	CHECK_ERR(clone3_flags(CLONE_INTO_CGROUP, SIGCHLD), EBADF); /* 0 is a terminal, a pipe … */
}

/* Loaded at the first switch to the child: a base no program may have must not come so far. */
TEST(impossible_tls)
{
	struct args3 a = {.flags = CLONE_SETTLS, .exit_signal = SIGCHLD, .tls = 1ull << 63};

	CHECK_ERR(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, 1ull << 63), EPERM);
	CHECK_ERR(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, 0xffffffff80000000), EPERM);
	CHECK_ERR(clone3_size(&a, sizeof(a)), EPERM);
}

TEST(namespaces_are_not_for_everybody)
{
	test_needs_root();
	uid_t user = test_lone_user();
	CHECK_EQ(setresuid(user, user, user), 0);
	CHECK_ERR(clone_flags(CLONE_NEWUTS | SIGCHLD), EPERM);
	CHECK_ERR(clone_flags(CLONE_NEWNS | SIGCHLD), EPERM);
	CHECK_ERR(unshare(CLONE_NEWNET), EPERM);
	CHECK_ERR(unshare(CLONE_NEWPID), EPERM);
	CHECK_ERR(unshare(0x01000000 /* CLONE_CHILD_SETTID */), EINVAL);
	struct args3 a = {.exit_signal = SIGCHLD, .set_tid_size = 1};
	pid_t wanted = 20000;
	a.set_tid = (uintptr_t)&wanted;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EPERM);
}

TEST(sizes_of_the_struct)
{
	struct {
		struct args3 a;
		uint64_t more[500];
	} big = {.a.exit_signal = SIGCHLD};

	CHECK_ERR(clone3_size(&big.a, 0), EINVAL);
	CHECK_ERR(clone3_size(&big.a, 63), EINVAL);
	CHECK_ERR(clone3_size(&big.a, 4097), E2BIG);
	CHECK_ERR(clone3_size((void *)16, 64), EFAULT);
	static const size_t fine[] = {64, 72, 80, 88, 96, 1000};
	for (unsigned i = 0; i < sizeof(fine) / sizeof(*fine); i++) {
		long pid = clone3_size(&big.a, fine[i]);
		CHECK(pid > 0);
		CHECK_EXIT((pid_t)pid, 7);
	}
	big.more[10] = 1;
	CHECK_ERR(clone3_size(&big.a, 1000), E2BIG);
	big.more[10] = 0;
	big.a.flags = CLONE_INTO_CGROUP;
	CHECK_ERR(clone3_size(&big.a, 80), EINVAL); /* from before that field */
	big.a.cgroup = 1ull << 31;
	CHECK_ERR(clone3_size(&big.a, 88), EINVAL);
}

TEST(stack_rules)
{
	struct args3 a = {.exit_signal = SIGCHLD, .stack_size = 4096};

	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	a.stack = 4096, a.stack_size = 0;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	a.stack = -8192ull, a.stack_size = 4096;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	a.stack = 4096, a.stack_size = -1ull;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
}

TEST(set_tid)
{
	pid_t wanted[3] = {getpid(), 1, 1};
	struct args3 a = {.exit_signal = SIGCHLD, .set_tid_size = 1};

	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	a.set_tid = (uintptr_t)wanted, a.set_tid_size = 0;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	a.set_tid_size = 33;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	test_needs_root();
	a.set_tid_size = 1;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EEXIST);
	wanted[0] = 0;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	wanted[0] = -5;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EINVAL);
	a.set_tid = 16;
	CHECK_ERR(clone3_size(&a, sizeof(a)), EFAULT);
	a.set_tid = (uintptr_t)wanted;
	/* by our own number: another copy of this test may run beside us */
	for (wanted[0] = 29000 + getpid() % 3000; kill(wanted[0], 0) == 0; wanted[0]++)
		;
	for (int i = 0; i < 3; i++) { /* and again, as soon as it is free */
		char path[32];
		struct stat st;
		snprintf(path, sizeof(path), "/proc/%d", wanted[0]);
		CHECK_ERR(stat(path, &st), ENOENT);
		CHECK_EQ(clone3_size(&a, sizeof(a)), wanted[0]);
		CHECK_EQ(stat(path, &st), 0);
		CHECK_EXIT(wanted[0], 7);
	}
}

TEST(ids_are_written)
{
	volatile pid_t *words = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct args3 a = {.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
			  .exit_signal = SIGCHLD,
			  .parent_tid = (uintptr_t)&words[0],
			  .child_tid = (uintptr_t)&words[1]};

	CHECK(words != MAP_FAILED);
	long pid = syscall(SYS_CLONE3, &a, sizeof(a));
	if (pid == 0)
		_exit(words[0] == getpid() && words[1] == getpid() ? 0 : 1);
	CHECK(pid > 0);
	CHECK_EQ(words[0], pid);
	CHECK_EXIT((pid_t)pid, 0);
	CHECK_EQ(words[1], pid);
	a.parent_tid = a.child_tid = 16; /* nobody minds */
	pid = clone3_size(&a, sizeof(a));
	CHECK(pid > 0);
	CHECK_EXIT((pid_t)pid, 7);
}

TEST(exit_signals)
{
	long pid = clone_flags(0); /* none */

	CHECK(pid > 0);
	CHECK_ERR(waitpid((pid_t)pid, NULL, 0), ECHILD);
	int status;
	CHECK_EQ(waitpid((pid_t)pid, &status, __WCLONE), pid);
	pid = clone_flags(100); /* not a signal */
	CHECK(pid > 0);
	CHECK_EQ(waitpid((pid_t)pid, &status, __WALL), pid);
	CHECK_EQ(WEXITSTATUS(status), 7);
}

static volatile int handled;

static void on_signal(int signo)
{
	(void)signo;
	handled = (int)syscall(SYS_gettid); /* musl keeps its own note, which this thread shares */
}

static char stack[65536] __attribute__((aligned(16)));
static volatile int release, thread_tid;

static int thread_body(void *arg)
{
	(void)arg;
	while (!release)
		sched_yield();
	syscall(SYS_exit, 0);
	return 0;
}

TEST(kill_one_thread)
{
	struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
	long (*call)(long, ...) = syscall;

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	pid_t tid = clone(thread_body, stack + sizeof(stack), THREAD_FLAGS, NULL);
	CHECK(tid > 0);
	CHECK_EQ(call(SYS_tgkill, getpid(), tid, SIGUSR1), 0);
	while (handled != tid)
		sched_yield();
	CHECK_EQ(call(SYS_tkill, getpid(), SIGUSR1), 0);
	CHECK_EQ(handled, getpid());
	CHECK_ERR(call(SYS_tgkill, 0, tid, 0), EINVAL);
	CHECK_ERR(call(SYS_tgkill, -1, tid, 0), EINVAL);
	CHECK_ERR(call(SYS_tgkill, getpid(), 0, 0), EINVAL);
	CHECK_ERR(call(SYS_tkill, 0, 0), EINVAL);
	CHECK_ERR(call(SYS_tkill, -3, 0), EINVAL);
	CHECK_ERR(call(SYS_tgkill, getppid(), tid, 0), ESRCH);
	CHECK_ERR(call(SYS_tgkill, tid, tid, 0), ESRCH);
	CHECK_ERR(call(SYS_tkill, 0x3ffffff0, 0), ESRCH);
	CHECK_ERR(call(SYS_tkill, 0x3ffffff0, 1000), ESRCH);
	CHECK_ERR(call(SYS_tgkill, getpid(), tid, 65), EINVAL);
	CHECK_ERR(call(SYS_tgkill, getpid(), tid, -1), EINVAL);
	release = 1;
	while (call(SYS_tgkill, getpid(), tid, 0) == 0)
		sched_yield();
	CHECK_ERR(call(SYS_tgkill, getpid(), tid, 0), ESRCH);
}

TEST(set_tid_address)
{
	int word = 5;

	CHECK_EQ(syscall(SYS_set_tid_address, &word), getpid());
	CHECK_EQ(syscall(SYS_set_tid_address, 16), getpid());
	pid_t pid = test_fork();
	if (pid == 0) {
		syscall(SYS_set_tid_address, 16); /* a bad address ends nothing */
		_exit(3);
	}
	CHECK_EXIT(pid, 3);
}
