/*
 * Everything at once on processes: they and their threads are born, stopped, replaced and killed while others look at
 * them, map, fork, send signals and change their parameters.  Who was killed is gone, and who was born has what it
 * must.
 */
#define TEST_REENTER(argc, argv) reenter(argc, argv)
static void reenter(int argc, char **argv);

#include "user/test/test.h"

#include <dirent.h>
#include <poll.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "user/test/storm.h"

/* --- processes ---------------------------------------------------------------------------------------------------- */

static int child_life(void)
{
	switch (dice(5)) {
	case 0:
		return 3;
	case 1:
		execl("/proc/self/exe", "storm", "--exit", "5", (char *)NULL);
		return 99;
	case 2:
		for (;;)
			pause();
	case 3:
		for (;;)
			syscall(SYS_getppid);
	}
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return 3;
}

/* One child from its birth to its end, whatever happens to it on the way. */
static void raise_child(void)
{
	static const int signals[] = {SIGSTOP, SIGCONT, SIGTERM, SIGSTOP, SIGCONT, 0};
	int status;
	pid_t pid = test_fork();

	if (pid == 0) {
		dice_seed((uint32_t)getpid());
		if (dice(2))
			setpgid(0, 0);
		_exit(child_life());
	}
	MAY_FAIL(setpgid(pid, dice(2) ? pid : 0), EACCES, EPERM, ESRCH);
	for (unsigned i = dice(6); i > 0; i--) {
		CHECK_EQ(kill(pid, signals[dice(6)]), 0);
		if (dice(3) == 0)
			sched_yield();
		pid_t got = waitpid(pid, &status, WNOHANG | WUNTRACED | WCONTINUED);
		CHECK(got == 0 || got == pid);
		if (got == pid && !WIFSTOPPED(status) && !WIFCONTINUED(status))
			goto gone;
	}
	CHECK_EQ(kill(pid, SIGKILL), 0);
	do {
		CHECK_EQ(waitpid(pid, &status, WUNTRACED | WCONTINUED), pid);
	} while (WIFSTOPPED(status) || WIFCONTINUED(status));
gone:
	if (!(WIFSIGNALED(status) && (WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGTERM)) &&
	    !(WIFEXITED(status) && (WEXITSTATUS(status) == 3 || WEXITSTATUS(status) == 5)))
		FAIL("a child ended with status %#x", (unsigned)status);
	CHECK_ERR(kill(pid, 0), ESRCH);
}

static void *parent_thread(void *arg)
{
	dice_seed((uint32_t)(long)arg);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;)
		raise_child();
	return NULL;
}

/* Reads what /proc says of all that live, for as long as it lasts. */
static void *watcher_thread(void *arg)
{
	static const char *const files[] = {"stat", "status", "maps", "cmdline", "limits", "wchan", "fd", "task"};
	char path[300], text[4096];
	struct dirent *e;

	dice_seed((uint32_t)(long)arg);
	while (!shared->stop) {
		DIR *d = opendir("/proc");
		CHECK(d != NULL);
		while ((e = readdir(d))) {
			if (e->d_name[0] < '0' || e->d_name[0] > '9')
				continue;
			snprintf(path, sizeof(path), "/proc/%s/%s", e->d_name, files[dice(8)]);
			(void)test_read_file(path, text, sizeof(text));
			snprintf(path, sizeof(path), "/proc/%s/exe", e->d_name);
			(void)!readlink(path, text, sizeof(text));
		}
		closedir(d);
	}
	return NULL;
}

TEST(lives_of_processes)
{
	pthread_t t[3], watcher;

	shared_make();
	go(&watcher, watcher_thread, 7);
	for (int i = 0; i < 3; i++)
		go(&t[i], parent_thread, 1 + i);
	for (int i = 0; i < 3; i++)
		pthread_join(t[i], NULL);
	shared->stop = 1;
	pthread_join(watcher, NULL);
	CHECK_ERR(waitpid(-1, NULL, 0), ECHILD);
}

/* Processes that make one another: a stop of their group has to reach also who is being made at that moment. */
static void breed(void)
{
	for (;;) {
		__atomic_fetch_add(&shared->count, 1, __ATOMIC_RELAXED);
		pid_t pid = fork();
		if (pid < 0)
			_exit(1);
		if (pid == 0) {
			for (int i = 0; i < 20; i++) {
				__atomic_fetch_add(&shared->count, 1, __ATOMIC_RELAXED);
				sched_yield();
			}
			_exit(0);
		}
		waitpid(pid, NULL, 0);
	}
}

TEST(a_stop_reaches_the_newborn)
{
	shared_make();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	for (int round = 0; round < 6; round++) {
		int status, tries = 0;
		pid_t pid = test_fork();

		if (pid == 0) {
			setpgid(0, 0);
			shared->pid = 1;
			for (int i = 0; i < 2; i++)
				if (test_fork() == 0)
					breed();
			breed();
		}
		while (!shared->pid)
			sched_yield();
		test_sleep_ms(10 + round);
		CHECK_EQ(kill(-pid, SIGSTOP), 0);
		CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
		CHECK(WIFSTOPPED(status));
		long before;
		do {
			before = shared->count;
			test_sleep_ms(20);
		} while (shared->count != before && ++tries < 200);
		CHECK(tries < 200);
		CHECK_EQ(kill(-pid, SIGKILL), 0);
		CHECK_KILLED(pid, SIGKILL);
		while (wait(NULL) > 0)
			;
		CHECK_ERR(kill(-pid, 0), ESRCH);
		shared->pid = 0;
	}
}

/* --- exec while others are in system calls ------------------------------------------------------------------------ */

static int quiet_pipe[2];

static void *nothing(void *arg)
{
	return arg;
}

static void *busy_thread(void *arg)
{
	struct pollfd p = {.fd = quiet_pipe[0], .events = POLLIN};
	static int word;
	char c;

	dice_seed((uint32_t)(long)arg);
	for (;;) {
		switch ((long)arg) {
		case 0:
			(void)!read(quiet_pipe[0], &c, 1);
			break;
		case 1:
			poll(&p, 1, -1);
			break;
		case 2:
			syscall(SYS_futex, &word, 128 /* WAIT | PRIVATE */, 0, NULL, NULL, 0);
			break;
		case 3:
			close(open("/proc/self/stat", O_RDONLY));
			break;
		case 4: {
			void *m = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			if (m != MAP_FAILED) {
				memset(m, 1, 65536);
				munmap(m, 65536);
			}
			break;
		}
		case 5: {
			pid_t pid = fork();
			if (pid == 0)
				_exit(0);
			if (pid > 0)
				waitpid(pid, NULL, 0);
			break;
		}
		case 6: {
			pthread_t t;
			if (pthread_create(&t, NULL, nothing, NULL) == 0)
				pthread_join(t, NULL);
			break;
		}
		}
	}
	return NULL;
}

static void *exec_thread(void *arg)
{
	char pid[16];

	sprintf(pid, "%d", getpid());
	for (long i = 0; i < (long)arg; i++)
		sched_yield();
	/* not /proc/self: that is the leader's, who may have ended */
	execl("/proc/thread-self/exe", "storm", "--alone", pid, (char *)NULL);
	/* two threads did it: one of them has lost, and must not come here */
	FAIL("exec: %s", strerror(errno));
}

TEST(exec_by_one_of_many_threads)
{
	CHECK_EQ(pipe(quiet_pipe), 0);
	for (int round = 0; round < 14; round++) {
		int status;
		pid_t pid = test_fork();

		if (pid == 0) {
			pthread_t t;
			for (long i = 0; i < 7; i++)
				go(&t, busy_thread, i);
			go(&t, exec_thread, round * 3);
			if (round % 3 == 0)
				go(&t, exec_thread, round * 3);
			if (round % 4 == 1)
				pthread_exit(NULL); /* the leader goes first */
			for (;;)
				pause();
		}
		if (round % 5 == 4) {
			test_sleep_ms(round / 2);
			CHECK_EQ(kill(pid, SIGKILL), 0);
			CHECK_EQ(waitpid(pid, &status, 0), pid);
			CHECK((WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) ||
			      (WIFEXITED(status) && WEXITSTATUS(status) == 42));
		} else {
			CHECK_EXIT(pid, 42);
		}
	}
}

/* The program that exec starts: alone, under the number its process always had. */
static void alone(const char *pid)
{
	char text[4096];
	bool one = test_read_file("/proc/self/status", text, sizeof(text)) > 0 && strstr(text, "\nThreads:\t1\n");

	_exit(one && getpid() == atoi(pid) && syscall(SYS_gettid) == getpid() ? 42 : 43);
}

static void reenter(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "--exit") == 0)
		_exit(atoi(argv[2]));
	if (argc == 3 && strcmp(argv[1], "--alone") == 0)
		alone(argv[2]);
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

#define PATTERN_BYTES (64 * 4096)
static unsigned char *pattern;

static void pattern_check(void)
{
	for (int i = 0; i < PATTERN_BYTES; i += 4096)
		if (pattern[i] != (unsigned char)(i / 4096))
			FAIL("page %d holds %u", i / 4096, pattern[i]);
}

static void *mapping_thread(void *arg)
{
	dice_seed((uint32_t)(long)arg);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		size_t len = 4096 * (1 + dice(40));
		unsigned char *m = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		CHECK(m != MAP_FAILED);
		for (size_t i = 0; i < len; i += 4096)
			CHECK_EQ(m[i], 0);
		memset(m, (int)(long)arg, len);
		if (dice(2))
			CHECK_EQ(mprotect(m, 4096, PROT_READ), 0);
		if (dice(2))
			CHECK_EQ(madvise(m + len / 8192 * 4096, len - len / 8192 * 4096, MADV_DONTNEED), 0);
		if (len >= 8192)
			CHECK_EQ(m[0], (long)arg);
		CHECK_EQ(munmap(m, len), 0);
	}
	return NULL;
}

static void *forking_thread(void *arg)
{
	dice_seed((uint32_t)(long)arg);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		pid_t pid = test_fork();
		if (pid == 0) {
			pattern_check();
			pattern[dice(PATTERN_BYTES)]++; /* in our copy */
			_exit(7);
		}
		CHECK_EXIT(pid, 7);
		pattern_check();
	}
	return NULL;
}

TEST(mappings_and_forks_of_many_threads)
{
	pthread_t m[2], f[2];

	pattern = mmap(NULL, PATTERN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(pattern != MAP_FAILED);
	for (int i = 0; i < PATTERN_BYTES; i += 4096)
		pattern[i] = (unsigned char)(i / 4096);
	for (long i = 0; i < 2; i++) {
		go(&m[i], mapping_thread, 1 + i);
		go(&f[i], forking_thread, 5 + i);
	}
	for (int i = 0; i < 2; i++) {
		pthread_join(m[i], NULL);
		pthread_join(f[i], NULL);
	}
	pattern_check();
}

/* --- signals ------------------------------------------------------------------------------------------------------ */

static volatile long handled;

static void count_signal(int sig)
{
	(void)sig;
	__atomic_fetch_add(&handled, 1, __ATOMIC_RELAXED);
}

static void *short_thread(void *arg)
{
	/* floating point that a handler, or another thread's, would spoil */
	volatile double x = 1.0;

	for (int i = 0; i < (int)(long)arg; i++)
		x = x * 1.5 / 1.5;
	CHECK(x > 0.999 && x < 1.001);
	return NULL;
}

static void *breeding_thread(void *arg)
{
	while (!shared->stop) {
		pthread_t t;
		go(&t, short_thread, (long)arg);
		pthread_join(t, NULL);
	}
	return NULL;
}

/* Each real-time signal to a process is taken exactly once, whichever of its threads are just beginning or ending. */
TEST(signals_to_a_process_of_short_threads)
{
	struct sigaction a = {.sa_handler = count_signal, .sa_flags = SA_RESTART};
	pthread_t t[2];
	long sent = 0;

	shared_make();
	CHECK_EQ(sigaction(SIGRTMIN + 3, &a, NULL), 0);
	for (long i = 0; i < 2; i++)
		go(&t[i], breeding_thread, 3 + 400 * i);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		sent += sigqueue(getpid(), SIGRTMIN + 3, (union sigval){0}) == 0; /* else EAGAIN: too many are queued */
		while (sent - handled > 200)
			sched_yield();
	}
	shared->stop = 1;
	for (int i = 0; i < 2; i++)
		pthread_join(t[i], NULL);
	for (int i = 0; i < 10000 && handled < sent; i++)
		test_sleep_ms(1);
	CHECK(sent > 0);
	CHECK_EQ(handled, sent);
}

/* A timer that goes off all the time must not outlive its process. */
TEST(ends_with_an_interval_timer)
{
	struct itimerval v = {{0, 50}, {0, 50}};

	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		pid_t pid = test_fork();
		if (pid == 0) {
			signal(SIGALRM, dice(2) ? SIG_IGN : count_signal);
			setitimer(ITIMER_REAL, &v, NULL);
			for (unsigned i = dice(4); i > 0; i--)
				sched_yield();
			_exit(0);
		}
		CHECK_EXIT(pid, 0);
	}
}

/* --- scheduling parameters of who is just born, moves, or dies ---------------------------------------------------- */

static void *meddler(void *arg)
{
	dice_seed((uint32_t)(long)arg);
	while (!shared->stop) {
		pid_t pid = shared->pid;
		struct sched_param rt = {.sched_priority = 1 + (int)dice(5)}, none = {0};
		cpu_set_t cpus;

		if (pid <= 0)
			continue;
		CPU_ZERO(&cpus);
		CPU_SET(dice(2), &cpus);
		switch (dice(5)) {
		case 0:
			(void)!sched_setaffinity(pid, sizeof(cpus), &cpus);
			break;
		case 1:
			CPU_SET(0, &cpus);
			CPU_SET(1, &cpus);
			(void)!sched_setaffinity(pid, sizeof(cpus), &cpus);
			break;
		case 2:
			(void)!syscall(SYS_sched_setscheduler, pid, SCHED_RR, &rt);
			break;
		case 3:
			(void)!syscall(SYS_sched_setscheduler, pid, SCHED_OTHER, &none);
			break;
		case 4:
			(void)!setpriority(PRIO_PROCESS, (id_t)pid, (int)dice(20));
			break;
		}
	}
	return NULL;
}

TEST(parameters_changed_by_others)
{
	pthread_t t;
	int made[2];

	shared_make();
	go(&t, meddler, 3);
	for (long long end = now_ms() + RUN_MS; now_ms() < end;) {
		char c;
		CHECK_EQ(pipe(made), 0);
		pid_t pid = test_fork();
		if (pid == 0) {
			shared->pid = getpid();
			for (int i = 0; i < 30; i++)
				sched_yield();
			CHECK_EQ(write(made[1], "y", 1), 1);
			_exit(9);
		}
		CHECK_EQ(read(made[0], &c, 1), 1);
		CHECK_EXIT(pid, 9);
		close(made[0]);
		close(made[1]);
	}
	shared->stop = 1;
	pthread_join(t, NULL);
}
