/* fork, vfork, clone, clone3, exit_group, wait4, waitid: man 2 of each. */
#include "user/test/test.h"

#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

static int shared_value = 1;

TEST(fork_copies_memory)
{
	char *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(page != MAP_FAILED);
	page[0] = 'a';
	pid_t pid = test_fork();
	if (pid == 0) {
		page[0] = 'b';
		shared_value = 2;
		_exit(page[0] == 'b' && shared_value == 2 ? 0 : 1);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(page[0], 'a');
	CHECK_EQ(shared_value, 1);
}

TEST(fork_shares_file_offset)
{
	int fd = memfd_create("x", 0);
	char c;

	CHECK(fd >= 0);
	CHECK_EQ(write(fd, "abc", 3), 3);
	CHECK_EQ(lseek(fd, 0, SEEK_SET), 0);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(read(fd, &c, 1) == 1 && c == 'a' ? 0 : 1);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(c, 'b');
}

TEST(fork_ids)
{
	pid_t me = getpid();
	pid_t pid = test_fork();

	if (pid == 0)
		_exit(getppid() == me && getpid() != me && gettid() == getpid() ? 0 : 1);
	CHECK_EXIT(pid, 0);
}

TEST(many_children)
{
	enum { N = 100 };
	pid_t pids[N];

	for (int i = 0; i < N; i++) {
		pids[i] = test_fork();
		if (pids[i] == 0)
			_exit(i);
	}
	for (int i = 0; i < N; i++)
		CHECK_EXIT(pids[i], i);
	CHECK_ERR(wait(NULL), ECHILD);
}

TEST(wait_any)
{
	int seen = 0, status;

	for (int i = 1; i <= 3; i++)
		if (test_fork() == 0)
			_exit(i);
	for (int i = 0; i < 3; i++) {
		CHECK(waitpid(-1, &status, 0) > 0);
		seen |= 1 << WEXITSTATUS(status);
	}
	CHECK_EQ(seen, 2 | 4 | 8);
	CHECK_ERR(waitpid(-1, &status, 0), ECHILD);
}

TEST(wait_nohang)
{
	int gate[2], status;
	char c;

	CHECK_EQ(pipe(gate), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		close(gate[1]);
		_exit((int)read(gate[0], &c, 1));
	}
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	close(gate[1]);
	CHECK_EXIT(pid, 0);
}

TEST(wait_errors)
{
	int status;

	CHECK_ERR(waitpid(getppid(), &status, 0), ECHILD);
	CHECK_ERR(waitpid(1, &status, 0), ECHILD);
	CHECK_ERR(wait4(-1, &status, 0x1000, NULL), EINVAL);
	CHECK_ERR(waitid(P_ALL, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitid((idtype_t)77, 0, NULL, WEXITED), EINVAL);
	CHECK_ERR(waitid(P_PGID, (id_t)-1, NULL, WEXITED), EINVAL);
	CHECK_ERR(waitid(P_ALL, (id_t)-1, NULL, WEXITED), ECHILD); /* the number says nothing there */
}

TEST(wait4_rusage)
{
	struct rusage usage;
	int status;

	memset(&usage, 0xff, sizeof(usage));
	pid_t pid = test_fork();
	if (pid == 0) {
		for (volatile int i = 0; i < 1000; i++)
			;
		_exit(3);
	}
	CHECK_EQ(wait4(pid, &status, 0, &usage), pid);
	CHECK_EQ(WEXITSTATUS(status), 3);
	CHECK(usage.ru_utime.tv_sec >= 0 && usage.ru_utime.tv_sec < 100);
}

TEST(waitid_fields)
{
	siginfo_t info;

	memset(&info, 0xff, sizeof(info));
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(42);
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT), 0);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_signo, SIGCHLD);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_status, 42);
	CHECK_EQ(info.si_uid, getuid());
	/* WNOWAIT left it there. */
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	CHECK_EQ(info.si_status, 42);
	CHECK_ERR(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);

	pid = test_fork();
	if (pid == 0) {
		kill(getpid(), SIGKILL);
		_exit(0);
	}
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED), 0);
	CHECK_EQ(info.si_code, CLD_KILLED);
	CHECK_EQ(info.si_status, SIGKILL);
}

TEST(waitid_nohang_clears)
{
	siginfo_t info;
	int gate[2];
	char c;

	CHECK_EQ(pipe(gate), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		close(gate[1]);
		_exit((int)read(gate[0], &c, 1));
	}
	memset(&info, 0xff, sizeof(info));
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG), 0);
	CHECK_EQ(info.si_pid, 0);
	CHECK_EQ(info.si_signo, 0);
	close(gate[1]);
	CHECK_EXIT(pid, 0);
}

TEST(wait_stop_continue)
{
	int status;
	siginfo_t info;
	pid_t pid = test_fork();

	if (pid == 0) {
		for (;;)
			pause();
	}
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), SIGSTOP);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
	CHECK_EQ(kill(pid, SIGTSTP), 0);
	CHECK_EQ(waitid(P_PID, (id_t)pid, &info, WSTOPPED), 0);
	CHECK_EQ(info.si_code, CLD_STOPPED);
	CHECK_EQ(info.si_status, SIGTSTP);
	/* A stopped process dies of SIGKILL at once, and of SIGTERM when continued. */
	CHECK_EQ(kill(pid, SIGTERM), 0);
	test_sleep_ms(30);
	CHECK_EQ(test_state(pid), 'T');
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	CHECK_EQ(kill(pid, SIGCONT), 0);
	CHECK_KILLED(pid, SIGTERM);
	pid = test_fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
}

TEST(wait_for_group)
{
	int status;
	pid_t a = test_fork();

	if (a == 0) {
		setpgid(0, 0);
		_exit(5);
	}
	setpgid(a, a);
	pid_t b = test_fork();
	if (b == 0)
		_exit(6);
	CHECK_EQ(waitpid(0, &status, 0), b);
	CHECK_EQ(WEXITSTATUS(status), 6);
	CHECK_EQ(waitpid(-a, &status, 0), a);
	CHECK_EQ(WEXITSTATUS(status), 5);
}

TEST(exit_status_is_one_byte)
{
	pid_t pid = test_fork();

	if (pid == 0)
		syscall(SYS_exit_group, 0x1234);
	CHECK_EXIT(pid, 0x34);
}

TEST(vfork_shares_and_waits)
{
	volatile int value = 1;
	pid_t pid = vfork();

	CHECK(pid >= 0);
	if (pid == 0) {
		value = 2;
		_exit(7);
	}
	CHECK_EQ(value, 2);
	CHECK_EXIT(pid, 7);
}

TEST(vfork_exec)
{
	pid_t pid = vfork();

	CHECK(pid >= 0);
	if (pid == 0) {
		execl("/bin/sh", "sh", "-c", "exit 9", (char *)NULL);
		_exit(127);
	}
	CHECK_EXIT(pid, 9);
}

static int child_stack[16384] __attribute__((aligned(16)));

static int clone_body(void *arg)
{
	*(volatile int *)arg += 1;
	return 11;
}

TEST(clone_vm_and_no_signal)
{
	volatile int value = 1;
	int status;
	pid_t pid = clone(clone_body, child_stack + 16384, CLONE_VM, (void *)&value);

	CHECK(pid > 0);
	/* Without an exit signal it is a "clone child": only __WCLONE or __WALL see it. */
	CHECK_ERR(waitpid(pid, &status, 0), ECHILD);
	CHECK_EQ(waitpid(pid, &status, __WALL), pid);
	CHECK_EQ(WEXITSTATUS(status), 11);
	CHECK_EQ(value, 2);
}

TEST(clone_files)
{
	int fd = open("/dev/null", O_RDONLY);

	CHECK(fd >= 0);
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, NULL, NULL, 0);
	CHECK(pid >= 0);
	if (pid == 0) {
		close(fd);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_ERR(fcntl(fd, F_GETFD), EBADF);
}

TEST(clone_fs)
{
	char where[PATH_MAX];
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FS | SIGCHLD, 0, NULL, NULL, 0);

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(chdir("/") != 0);
	CHECK_EXIT(pid, 0);
	CHECK(getcwd(where, sizeof(where)));
	CHECK_EQ(strcmp(where, "/"), 0);
}

TEST(clone_parent_and_child_tid)
{
	pid_t parent_tid = 0, child_tid = 0;
	pid_t pid = (pid_t)syscall(SYS_clone, CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | SIGCHLD, 0, &parent_tid,
				   &child_tid, 0);

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(child_tid == getpid() ? 0 : 1);
	CHECK_EQ(parent_tid, pid);
	CHECK_EQ(child_tid, 0);
	CHECK_EXIT(pid, 0);
}

TEST(clone_bad_flags)
{
	CHECK_ERR(syscall(SYS_clone, CLONE_SIGHAND | SIGCHLD, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone, CLONE_THREAD | CLONE_VM, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(syscall(SYS_clone, CLONE_NEWNS | CLONE_FS | SIGCHLD, 0, NULL, NULL, 0), EINVAL);
}

struct clone3_args {
	uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid, set_tid_size,
		cgroup;
};

#ifndef SYS_clone3
#define SYS_clone3 435
#endif

TEST(clone3_as_fork)
{
	pid_t tid = 0;
	struct clone3_args args = {.flags = CLONE_PARENT_SETTID, .parent_tid = (uintptr_t)&tid, .exit_signal = SIGCHLD};
	pid_t pid = (pid_t)syscall(SYS_clone3, &args, sizeof(args));

	CHECK(pid >= 0);
	if (pid == 0)
		_exit(4);
	CHECK_EQ(tid, pid);
	CHECK_EXIT(pid, 4);
}

TEST(clone3_errors)
{
	struct {
		struct clone3_args known;
		uint64_t beyond;
	} args = {.known = {.exit_signal = SIGCHLD}, .beyond = 1};

	CHECK_ERR(syscall(SYS_clone3, &args, 8), EINVAL);
	CHECK_ERR(syscall(SYS_clone3, &args, sizeof(args)), E2BIG);
	CHECK_ERR(syscall(SYS_clone3, NULL, sizeof(args.known)), EFAULT);
	args.known.exit_signal = 65;
	CHECK_ERR(syscall(SYS_clone3, &args, sizeof(args.known)), EINVAL);
	args.known.exit_signal = SIGCHLD;
	args.known.stack = 4096;
	CHECK_ERR(syscall(SYS_clone3, &args, sizeof(args.known)), EINVAL);
}

TEST(sigchld_ignored_reaps)
{
	signal(SIGCHLD, SIG_IGN);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(0);
	CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
	for (int i = 0; i < 1000 && kill(pid, 0) == 0; i++)
		test_sleep_ms(1); /* its number goes a moment later */
	CHECK_ERR(kill(pid, 0), ESRCH);
}

TEST(zombie_until_waited)
{
	pid_t pid = test_fork();

	if (pid == 0)
		_exit(0);
	test_wait_state(pid, 'Z');
	CHECK_EQ(kill(pid, 0), 0);
	CHECK_EXIT(pid, 0);
	CHECK_ERR(kill(pid, 0), ESRCH);
}

TEST(deep_chain)
{
	/* Each generation forks the next and waits for it. */
	int depth = 0;

	for (; depth < 40; depth++) {
		pid_t pid = test_fork();
		if (pid != 0) {
			int status;
			CHECK_EQ(waitpid(pid, &status, 0), pid);
			if (depth == 0) {
				CHECK_EQ(WEXITSTATUS(status), 40);
				return;
			}
			_exit(WEXITSTATUS(status));
		}
	}
	_exit(depth);
}
