/* Signals: sending, handlers, masks, restarting, waiting, stopping (man 7 signal). */
#include "user/test/signals.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/time.h>

TEST(handler_runs)
{
	install(SIGUSR1, count, 0);
	CHECK_EQ(raise(SIGUSR1), 0);
	CHECK_EQ(got, 1);
	CHECK_EQ(kill(getpid(), SIGUSR1), 0);
	CHECK_EQ(got, 2);
}

TEST(sigaction_returns_the_old)
{
	struct sigaction act = {.sa_handler = count, .sa_flags = SA_RESTART}, old;

	sigaddset(&act.sa_mask, SIGHUP);
	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	CHECK_EQ(sigaction(SIGUSR1, NULL, &old), 0);
	CHECK(old.sa_handler == count);
	CHECK(old.sa_flags & SA_RESTART);
	CHECK_EQ(sigismember(&old.sa_mask, SIGHUP), 1);
	CHECK_EQ(sigismember(&old.sa_mask, SIGINT), 0);
}

TEST(bad_arguments)
{
	struct sigaction act = {.sa_handler = count};

	CHECK_ERR(sigaction(SIGKILL, &act, NULL), EINVAL);
	CHECK_ERR(sigaction(SIGSTOP, &act, NULL), EINVAL);
	CHECK_ERR(sigaction(65, &act, NULL), EINVAL);
	CHECK_ERR(kill(getpid(), 65), EINVAL);
	CHECK_ERR(kill(0x3ffffff, SIGTERM), ESRCH);
	CHECK_EQ(kill(getpid(), 0), 0);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, 7, &act, NULL, 8), EINVAL);
	CHECK_ERR(syscall(SYS_rt_sigprocmask, SIG_BLOCK, NULL, NULL, 4), EINVAL);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), getpid() + 1, SIGTERM), ESRCH);
	CHECK_ERR(syscall(SYS_tgkill, getpid(), 0, SIGTERM), EINVAL);
}

TEST(kill_and_stop_cannot_be_blocked)
{
	sigset_t all, now;

	sigfillset(&all);
	CHECK_EQ(sigprocmask(SIG_SETMASK, &all, NULL), 0);
	CHECK_EQ(sigprocmask(SIG_SETMASK, NULL, &now), 0);
	CHECK_EQ(sigismember(&now, SIGTERM), 1);
	CHECK_EQ(sigismember(&now, SIGKILL), 0);
	CHECK_EQ(sigismember(&now, SIGSTOP), 0);
}

TEST(blocked_stays_pending)
{
	sigset_t pending;

	install(SIGUSR1, count, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(got, 0);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK_EQ(sigismember(&pending, SIGUSR1), 1);
	CHECK_EQ(sigismember(&pending, SIGUSR2), 0);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK_EQ(got, 1); /* standard signals do not queue */
}

TEST(ignoring_drops_pending)
{
	install(SIGUSR1, count, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	signal(SIGUSR1, SIG_IGN);
	install(SIGUSR1, count, 0);
	block(SIG_UNBLOCK, SIGUSR1);
	CHECK_EQ(got, 0);
}

TEST(realtime_signals_queue_in_order)
{
	union sigval value;
	int rt = SIGRTMIN + 3;
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, rt);
	sigaddset(&set, rt + 1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	value.sival_int = 100;
	CHECK_EQ(sigqueue(getpid(), rt + 1, value), 0);
	for (int i = 0; i < 5; i++) {
		value.sival_int = i;
		CHECK_EQ(sigqueue(getpid(), rt, value), 0);
	}
	/* The lowest number first, each in the order sent. */
	for (int i = 0; i < 5; i++) {
		CHECK_EQ(sigwaitinfo(&set, &info), rt);
		CHECK_EQ(info.si_value.sival_int, i);
		CHECK_EQ(info.si_code, SI_QUEUE);
		CHECK_EQ(info.si_pid, getpid());
	}
	CHECK_EQ(sigwaitinfo(&set, &info), rt + 1);
	CHECK_EQ(info.si_value.sival_int, 100);
}

TEST(queue_limit)
{
	struct rlimit limit = {5, 5};
	union sigval value = {0};
	int sent = 0;

	if (geteuid() == 0)
		CHECK_EQ(setuid(test_lone_user()), 0); /* the limit counts per user */
	CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
	block(SIG_BLOCK, SIGRTMIN + 3);
	while (sent < 20 && sigqueue(getpid(), SIGRTMIN + 3, value) == 0)
		sent++;
	int err = errno;
	CHECK_EQ(err, EAGAIN);
	CHECK(sent <= 5);
}

/* Refused means not sent. */
TEST(queue_limit_of_none)
{
	struct rlimit limit = {0, 0};
	union sigval value = {0};
	sigset_t pending;

	if (geteuid() == 0)
		CHECK_EQ(setuid(test_lone_user()), 0);
	CHECK_EQ(setrlimit(RLIMIT_SIGPENDING, &limit), 0);
	block(SIG_BLOCK, SIGRTMIN + 3);
	block(SIG_BLOCK, SIGUSR2);
	CHECK_ERR(sigqueue(getpid(), SIGRTMIN + 3, value), EAGAIN);
	CHECK_EQ(sigqueue(getpid(), SIGUSR2, value), 0);
	CHECK_EQ(sigpending(&pending), 0);
	CHECK_EQ(sigismember(&pending, SIGRTMIN + 3), 0);
	CHECK_EQ(sigismember(&pending, SIGUSR2), 1);
}

/* The signal of a fault cannot wait, also if the same one waits already. */
TEST(fault_with_its_signal_pending)
{
	static const int faults[] = {SIGSEGV, SIGILL};
	volatile int *volatile nowhere = (volatile int *)8;

	for (int i = 0; i < 2; i++) {
		pid_t pid = test_fork();
		if (pid == 0) {
			setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
			block(SIG_BLOCK, faults[i]);
			raise(faults[i]);
			if (i == 0)
				*nowhere = 1;
			else
				__asm__ volatile("ud2");
			_exit(0);
		}
		CHECK_KILLED(pid, faults[i]);
	}
}

TEST(info_of_kill)
{
	install_info(SIGUSR1, record, 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(last_info.si_signo, SIGUSR1);
	CHECK_EQ(last_info.si_code, SI_USER);
	CHECK_EQ(last_info.si_pid, getpid());
	CHECK_EQ(last_info.si_uid, getuid());
	syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
	CHECK_EQ(last_info.si_code, SI_TKILL);
	CHECK_EQ(got, 2);
}

TEST(info_of_child)
{
	install_info(SIGCHLD, record, 0);
	block(SIG_BLOCK, SIGCHLD);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(17);
	sigset_t none;
	sigemptyset(&none);
	while (!got)
		sigsuspend(&none);
	CHECK_EQ(last_info.si_signo, SIGCHLD);
	CHECK_EQ(last_info.si_code, CLD_EXITED);
	CHECK_EQ(last_info.si_pid, pid);
	CHECK_EQ(last_info.si_status, 17);
	CHECK_EXIT(pid, 17);
}

TEST(child_stop_signals_unless_nocldstop)
{
	int status;

	install_info(SIGCHLD, record, 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		for (;;)
			pause();
	}
	kill(pid, SIGSTOP);
	while (waitpid(pid, &status, WUNTRACED) < 0)
		;
	while (!got)
		test_sleep_ms(1);
	CHECK_EQ(last_info.si_code, CLD_STOPPED);
	CHECK_EQ(last_info.si_status, SIGSTOP);
	install_info(SIGCHLD, record, SA_NOCLDSTOP);
	got = 0;
	kill(pid, SIGCONT);
	while (waitpid(pid, &status, WCONTINUED) < 0)
		;
	CHECK_EQ(got, 0);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0)
		;
	CHECK_EQ(got, 1);
	CHECK_EQ(last_info.si_code, CLD_KILLED);
}

TEST(nocldwait_reaps)
{
	install(SIGCHLD, count, SA_NOCLDWAIT);
	pid_t pid = test_fork();
	if (pid == 0)
		_exit(0);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	CHECK_ERR(waitpid(pid, NULL, 0), ECHILD);
	CHECK_EQ(got, 1);
}

static void nest(int signo)
{
	depth++;
	if (depth > deepest)
		deepest = depth;
	if (got++ < 3)
		raise(signo);
	depth--;
}

TEST(own_signal_is_masked_in_its_handler)
{
	install(SIGUSR1, nest, 0);
	raise(SIGUSR1);
	CHECK_EQ(got, 4);
	CHECK_EQ(deepest, 1);
	got = deepest = 0;
	install(SIGUSR1, nest, SA_NODEFER);
	raise(SIGUSR1);
	CHECK_EQ(got, 4);
	CHECK_EQ(deepest, 4);
}

static void raise_other(int signo)
{
	(void)signo;
	raise(SIGUSR2);
	depth = got; /* how many of the other have come so far */
}

TEST(sa_mask_holds_others_back)
{
	struct sigaction act = {.sa_handler = raise_other};

	install(SIGUSR2, count, 0);
	sigaddset(&act.sa_mask, SIGUSR2);
	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	raise(SIGUSR1);
	CHECK_EQ(depth, 0);
	CHECK_EQ(got, 1);
}

TEST(resethand)
{
	install(SIGUSR1, count, SA_RESETHAND);
	raise(SIGUSR1);
	CHECK_EQ(got, 1);
	struct sigaction now;
	CHECK_EQ(sigaction(SIGUSR1, NULL, &now), 0);
	CHECK(now.sa_handler == SIG_DFL);
}

TEST(default_actions)
{
	static const int deadly[] = {SIGHUP,  SIGINT,	 SIGPIPE, SIGALRM, SIGTERM, SIGUSR1, SIGUSR2, SIGIO,
				     SIGPROF, SIGVTALRM, SIGQUIT, SIGILL,  SIGABRT, SIGFPE,  SIGSEGV, SIGBUS,
				     SIGSYS,  SIGTRAP,	 SIGXCPU, SIGXFSZ, SIGPWR,  40};
	static const int harmless[] = {SIGCHLD, SIGURG, SIGWINCH, SIGCONT};
	struct rlimit no_core = {0, 0};

	setrlimit(RLIMIT_CORE, &no_core);
	for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
		pid_t pid = test_fork();
		if (pid == 0) {
			signal(deadly[i], SIG_DFL); /* nohup, for one, leaves SIGHUP ignored */
			kill(getpid(), deadly[i]);
			_exit(0);
		}
		CHECK_KILLED(pid, deadly[i]);
	}
	for (size_t i = 0; i < sizeof(harmless) / sizeof(harmless[0]); i++) {
		pid_t pid = test_fork();
		if (pid == 0) {
			kill(getpid(), harmless[i]);
			_exit(8);
		}
		CHECK_EXIT(pid, 8);
	}
}

TEST(read_is_interrupted_or_restarted)
{
	int p[2];
	char c = 0;
	pid_t me = getpid();
	volatile int *interrupted = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(interrupted != MAP_FAILED);
	CHECK_EQ(pipe(p), 0);
	for (int restart = 0; restart < 2; restart++) {
		got = 0;
		install(SIGUSR1, count, restart ? SA_RESTART : 0);
		pid_t pid = test_fork();
		if (pid == 0) {
			test_wait_state(me, 'S');
			kill(me, SIGUSR1);
			if (restart)
				test_sleep_ms(50);
			while (!*interrupted) /* who is woken late finds the byte, and returns it */
				test_sleep_ms(1);
			CHECK_EQ(write(p[1], "x", 1), 1);
			_exit(0);
		}
		if (restart) {
			CHECK_EQ(read(p[0], &c, 1), 1);
		} else {
			CHECK_ERR(read(p[0], &c, 1), EINTR);
			*interrupted = 1;
			CHECK_EQ(read(p[0], &c, 1), 1);
		}
		CHECK_EQ(got, 1);
		CHECK_EXIT(pid, 0);
	}
}

TEST(wait_is_restarted)
{
	pid_t me = getpid();

	install(SIGUSR1, count, SA_RESTART);
	pid_t pid = test_fork();
	if (pid == 0) {
		test_wait_state(me, 'S');
		kill(me, SIGUSR1);
		test_sleep_ms(30);
		_exit(5);
	}
	CHECK_EXIT(pid, 5);
	CHECK_EQ(got, 1);
}

TEST(sleeping_calls_are_never_restarted)
{
	pid_t me = getpid();
	struct timespec left = {0};

	install(SIGUSR1, count, SA_RESTART);
	for (int which = 0; which < 4; which++) {
		pid_t pid = test_fork();
		if (pid == 0) {
			test_wait_state(me, 'S');
			kill(me, SIGUSR1);
			_exit(0);
		}
		int r = 0;
		errno = 0;
		if (which == 0)
			r = nanosleep(&(struct timespec){30, 0}, &left);
		else if (which == 1)
			r = pause();
		else if (which == 2)
			r = poll(NULL, 0, 30000);
		else
			r = select(0, NULL, NULL, NULL, &(struct timeval){30, 0});
		if (r != -1 || errno != EINTR)
			FAIL("call %d returned %d, errno %d", which, r, errno);
		if (which == 0)
			CHECK(left.tv_sec > 20 && left.tv_sec <= 30);
		CHECK_EXIT(pid, 0);
	}
}

TEST(stop_does_not_interrupt_a_read)
{
	int p[2], status;
	char c;

	CHECK_EQ(pipe(p), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		close(p[1]);
		_exit(read(p[0], &c, 1) == 1 && c == 'y' ? 0 : 1);
	}
	test_wait_state(pid, 'S');
	kill(pid, SIGSTOP);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(test_state(pid), 'T');
	kill(pid, SIGCONT);
	CHECK_EQ(write(p[1], "y", 1), 1);
	CHECK_EXIT(pid, 0);
}

TEST(continue_cancels_stop)
{
	int status;
	pid_t pid = test_fork();

	if (pid == 0) {
		block(SIG_BLOCK, SIGTSTP);
		raise(SIGTSTP);
		raise(SIGCONT); /* takes the pending stop away */
		block(SIG_UNBLOCK, SIGTSTP);
		_exit(6);
	}
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 6);
}

TEST(sigsuspend_swaps_the_mask)
{
	sigset_t none, now;

	install(SIGUSR1, count, 0);
	block(SIG_BLOCK, SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(got, 0);
	sigemptyset(&none);
	CHECK_ERR(sigsuspend(&none), EINTR);
	CHECK_EQ(got, 1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, NULL, &now), 0);
	CHECK_EQ(sigismember(&now, SIGUSR1), 1);
}

TEST(sigtimedwait_times_out_and_takes)
{
	sigset_t set;
	siginfo_t info;
	struct timespec soon = {0, 10000000}, at_once = {0, 0}, bad = {0, 1000000000};

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK_EQ(sigprocmask(SIG_BLOCK, &set, NULL), 0);
	CHECK_ERR(sigtimedwait(&set, &info, &soon), EAGAIN);
	CHECK_ERR(sigtimedwait(&set, &info, &at_once), EAGAIN);
	CHECK_ERR(sigtimedwait(&set, &info, &bad), EINVAL);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(sigtimedwait(&set, &info, &at_once), SIGUSR1);
	CHECK_EQ(info.si_pid, getpid());
	CHECK_EQ(info.si_code, SI_USER);
	CHECK_ERR(sigtimedwait(&set, &info, &at_once), EAGAIN);
}

TEST(alarms)
{
	struct itimerval timer = {.it_value = {0, 20000}, .it_interval = {0, 10000}}, old;
	struct timespec nap = {10, 0};

	install(SIGALRM, count, 0);
	alarm(0);
	CHECK_EQ(alarm(100), 0);
	unsigned left = alarm(0);
	CHECK(left == 100 || left == 99);
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
	while (got < 3)
		nanosleep(&nap, NULL);
	memset(&timer, 0, sizeof(timer));
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, &old), 0);
	CHECK_EQ(old.it_interval.tv_usec, 10000);
	CHECK_ERR(setitimer((__typeof__(ITIMER_REAL))9, &timer, NULL), EINVAL);
	alarm(20);
	pid_t pid = test_fork(); /* a child has no timers of its parent's */
	if (pid == 0)
		_exit(alarm(0) == 0 ? 0 : 1);
	CHECK_EXIT(pid, 0);
}

/* The longest interval there is, and the shortest: neither keeps the CPU from others. */
TEST(absurd_alarms)
{
	struct itimerval timer = {.it_value = {0, 1}, .it_interval = {18446744073l, 709551}};
	struct timespec nap = {0, 20000000}, from, to;

	signal(SIGALRM, SIG_IGN);
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
	nanosleep(&nap, NULL);
	timer.it_value = timer.it_interval = (struct timeval){0, 1};
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &from);
	do
		clock_gettime(CLOCK_MONOTONIC, &to);
	while (to.tv_sec * 1000 + to.tv_nsec / 1000000 < from.tv_sec * 1000 + from.tv_nsec / 1000000 + 100);
	timer = (struct itimerval){.it_value = {9223372036854775807l, 999999}};
	CHECK_EQ(setitimer(ITIMER_REAL, &timer, NULL), 0);
	nanosleep(&nap, NULL);
	CHECK_EQ(getitimer(ITIMER_REAL, &timer), 0);
	CHECK(timer.it_value.tv_sec > 1000000000);
	CHECK_ERR(setitimer(ITIMER_REAL, &(struct itimerval){.it_value = {0, 1000000}}, NULL), EINVAL);
}

TEST(permission_to_kill)
{
	test_needs_root();
	pid_t victim = test_fork();
	if (victim == 0) {
		for (;;)
			pause();
	}
	pid_t pid = test_fork();
	if (pid == 0) {
		CHECK_EQ(setuid(54321), 0);
		CHECK_ERR(kill(victim, SIGTERM), EPERM);
		CHECK_ERR(kill(victim, 0), EPERM);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
	kill(victim, SIGKILL);
	CHECK_KILLED(victim, SIGKILL);
}

TEST(kill_everybody_spares_the_caller)
{
	/* As another user, -1 reaches that user's processes only. */
	test_needs_root();
	pid_t pid = test_fork();
	if (pid == 0) {
		CHECK_EQ(setuid(test_lone_user()), 0);
		pid_t victim = test_fork();
		if (victim == 0) {
			for (;;)
				pause();
		}
		CHECK_EQ(kill(-1, SIGTERM), 0);
		CHECK_KILLED(victim, SIGTERM);
		CHECK_EQ(kill(-1, SIGTERM), 0);
		_exit(0);
	}
	CHECK_EXIT(pid, 0);
}

TEST(sigpipe)
{
	int p[2];

	CHECK_EQ(pipe(p), 0);
	close(p[0]);
	install(SIGPIPE, count, 0);
	CHECK_ERR(write(p[1], "x", 1), EPIPE);
	CHECK_EQ(got, 1);
	signal(SIGPIPE, SIG_DFL);
	pid_t pid = test_fork();
	if (pid == 0) {
		ssize_t n = write(p[1], "x", 1);
		_exit((int)n);
	}
	CHECK_KILLED(pid, SIGPIPE);
}
