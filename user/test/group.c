/* Process groups, sessions, orphans, subreapers (man 2 setpgid, setsid, prctl; man 7 credentials). */
#include "user/test/test.h"

#include <sys/prctl.h>

static void wait_byte(int fd)
{
	char c;

	CHECK_EQ(read(fd, &c, 1), 1);
}

TEST(new_session)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		CHECK_EQ(setsid(), getpid());
		CHECK_EQ(getsid(0), getpid());
		CHECK_EQ(getpgrp(), getpid());
		CHECK_ERR(setsid(), EPERM);
		CHECK_ERR(setpgid(0, 0), EPERM);
		CHECK_ERR(open("/dev/tty", O_RDWR), ENXIO);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
}

TEST(group_leader_cannot_setsid)
{
	CHECK_EQ(getpgrp(), getpid()); /* the runner made us one */
	CHECK_ERR(setsid(), EPERM);
}

TEST(setpgid_of_child)
{
	int gate[2];

	CHECK_EQ(pipe(gate), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		wait_byte(gate[0]);
		_exit(getpgrp() == getpid() ? 0 : 1);
	}
	CHECK_EQ(getpgid(pid), getpgrp());
	CHECK_EQ(setpgid(pid, 0), 0);
	CHECK_EQ(getpgid(pid), pid);
	CHECK_EQ(write(gate[1], "x", 1), 1);
	CHECK_EXIT(pid, 0);
}

TEST(setpgid_errors)
{
	CHECK_ERR(setpgid(0, -1), EINVAL);
	CHECK_ERR(setpgid(getppid(), 0), ESRCH);
	CHECK_ERR(setpgid(0, 0x3ffffff), EPERM);
	CHECK_ERR(getpgid(0x3ffffff), ESRCH);
	CHECK_ERR(getsid(0x3ffffff), ESRCH);
}

TEST(setpgid_after_exec)
{
	int gate[2], ready[2];

	CHECK_EQ(pipe(gate), 0);
	CHECK_EQ(pipe(ready), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		dup2(gate[0], 0);
		dup2(ready[1], 1);
		close(gate[1]);
		execl("/bin/sh", "sh", "-c", "echo r; read x; exit 0", (char *)NULL);
		_exit(127);
	}
	wait_byte(ready[0]);
	CHECK_ERR(setpgid(pid, pid), EACCES);
	CHECK_EQ(write(gate[1], "x\n", 2), 2);
	CHECK_EXIT(pid, 0);
}

TEST(kill_group)
{
	pid_t a = test_fork();

	if (a == 0) {
		setpgid(0, 0);
		for (;;)
			pause();
	}
	setpgid(a, a);
	pid_t b = test_fork();
	if (b == 0) {
		for (;;)
			pause();
	}
	CHECK_EQ(setpgid(b, a), 0);
	CHECK_EQ(kill(-a, SIGTERM), 0);
	CHECK_KILLED(a, SIGTERM);
	CHECK_KILLED(b, SIGTERM);
	CHECK_ERR(kill(-a, 0), ESRCH);
}

TEST(orphan_goes_to_subreaper)
{
	int told[2];
	pid_t grandchild = 0;

	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	CHECK_EQ(pipe(told), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		pid_t old = getpid();
		grandchild = test_fork();
		if (grandchild == 0) {
			for (int i = 0; i < 2000 && getppid() == old; i++)
				test_sleep_ms(1);
			_exit(21);
		}
		CHECK_EQ(write(told[1], &grandchild, sizeof(grandchild)), sizeof(grandchild));
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	CHECK_EQ(read(told[0], &grandchild, sizeof(grandchild)), sizeof(grandchild));
	CHECK_EXIT(grandchild, 21);
}

TEST(parent_death_signal)
{
	int told[2];
	char c;

	CHECK_EQ(pipe(told), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		int ready[2];
		CHECK_EQ(pipe(ready), 0);
		if (test_fork() == 0) {
			close(told[0]);
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			CHECK_EQ(write(ready[1], "x", 1), 1);
			for (;;)
				pause(); /* holds told[1] open until it dies */
		}
		wait_byte(ready[0]);
		_exit(0);
	}
	close(told[1]);
	CHECK_EXIT(pid, 0);
	CHECK_EQ(read(told[0], &c, 1), 0); /* end of file: the grandchild is gone */
}

static volatile sig_atomic_t hups, conts;

static void on_hup(int signo)
{
	if (signo == SIGHUP)
		hups++;
	else
		conts++;
}

TEST(orphaned_stopped_group_gets_hup_and_cont)
{
	int told[2];
	char c = 0;

	CHECK_EQ(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	CHECK_EQ(pipe(told), 0);
	pid_t leader = test_fork();
	if (leader == 0) {
		CHECK(setsid() > 0);
		pid_t pid = test_fork();
		if (pid == 0) {
			setpgid(0, 0);
			signal(SIGHUP, on_hup);
			signal(SIGCONT, on_hup);
			raise(SIGSTOP);
			c = (char)('0' + hups * 2 + conts);
			CHECK_EQ(write(told[1], &c, 1), 1);
			_exit(0);
		}
		setpgid(pid, pid);
		int status;
		CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status));
		_exit(0); /* the last link of that group to its session goes */
	}
	CHECK_EXIT(leader, 0);
	CHECK_EQ(read(told[0], &c, 1), 1);
	CHECK_EQ(c, '3');
	CHECK(wait(NULL) > 0);
}

TEST(orphaned_group_ignores_terminal_stop)
{
	pid_t pid = test_fork();

	if (pid == 0) {
		CHECK(setsid() > 0); /* nobody of this session is above it: orphaned from the start */
		raise(SIGTSTP);
		_exit(3);
	}
	CHECK_EXIT(pid, 3);
}
