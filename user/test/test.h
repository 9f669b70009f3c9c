/*
 * What every program of user/test/ is made of: TEST(name) { … } bodies, each run in a child of its own, in its own
 * process group, with a time limit.  The output is one line a test, the same on every system where all is well:
 *
 *     ok NAME | FAIL NAME: why | skip NAME: why
 *
 * The exit status is the number of failures (at most 100).  Arguments pick tests by name.  The environment's
 * TEST_SECONDS is another time limit, for when many programs share the machine.
 */
#pragma once
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define TEST_SECONDS 40 /* unless the environment says otherwise */
#define TEST_SKIPPED 77

struct test {
	const char *name;
	void (*run)(void);
};

#define TESTS_MAX 128
static struct test test_list[TESTS_MAX];
static int test_count;
static const char *test_name = "?";
static char **test_argv;

#define TEST(n)                                                        \
	static void test_##n(void);                                    \
	__attribute__((constructor)) static void test_add_##n(void)    \
	{                                                              \
		if (test_count == TESTS_MAX)                           \
			abort();                                       \
		test_list[test_count++] = (struct test){#n, test_##n}; \
	}                                                              \
	static void test_##n(void)

/* Only errors of this program's own child processes end up here too: they share the pipe to the reader. */
#define FAIL(...)                                                                                                  \
	do {                                                                                                       \
		char fail_text[512];                                                                               \
		int fail_len = snprintf(fail_text, sizeof(fail_text), "FAIL %s: line %d: ", test_name, __LINE__);  \
		fail_len += snprintf(fail_text + fail_len, sizeof(fail_text) - (size_t)fail_len - 1, __VA_ARGS__); \
		if (fail_len > (int)sizeof(fail_text) - 2)                                                         \
			fail_len = (int)sizeof(fail_text) - 2;                                                     \
		fail_text[fail_len] = '\n';                                                                        \
		ssize_t fail_put = write(test_output, fail_text, (size_t)fail_len + 1);                            \
		(void)fail_put;                                                                                    \
		_exit(1);                                                                                          \
	} while (0)

#define SKIP(why)                                                      \
	do {                                                           \
		dprintf(test_output, "skip %s: %s\n", test_name, why); \
		_exit(TEST_SKIPPED);                                   \
	} while (0)

#define CHECK(condition)                                                               \
	do {                                                                           \
		errno = 0;                                                             \
		if (!(condition))                                                      \
			FAIL("%s (errno %d, %s)", #condition, errno, strerror(errno)); \
	} while (0)

#define CHECK_EQ(expression, wanted)                                                                       \
	do {                                                                                               \
		errno = 0;                                                                                 \
		long long eq_got = (long long)(expression);                                                \
		int eq_errno = errno;                                                                      \
		long long eq_wanted = (long long)(wanted);                                                 \
		if (eq_got != eq_wanted)                                                                   \
			FAIL("%s is %lld, not %lld (errno %d)", #expression, eq_got, eq_wanted, eq_errno); \
	} while (0)

/* A call that has to fail with this error. */
#define CHECK_ERR(expression, wanted)                                                                               \
	do {                                                                                                        \
		errno = 0;                                                                                          \
		long long err_got = (long long)(expression);                                                        \
		int err_errno = errno;                                                                              \
		if (err_got != -1 || err_errno != (wanted))                                                         \
			FAIL("%s gives %lld, errno %d (%s); wanted errno %d (%s)", #expression, err_got, err_errno, \
			     strerror(err_errno), (wanted), #wanted);                                               \
	} while (0)

static int test_output = 1;

/* Wait for a child that has to exit with this status. */
#define CHECK_EXIT(pid, wanted)                                                                        \
	do {                                                                                           \
		int exit_status = -1;                                                                  \
		CHECK_EQ(waitpid((pid), &exit_status, 0), (pid));                                      \
		if (!WIFEXITED(exit_status) || WEXITSTATUS(exit_status) != (wanted))                   \
			FAIL("child has status %#x, wanted exit %d", (unsigned)exit_status, (wanted)); \
	} while (0)

#define CHECK_KILLED(pid, wanted)                                                                                 \
	do {                                                                                                      \
		int kill_status = -1;                                                                             \
		CHECK_EQ(waitpid((pid), &kill_status, 0), (pid));                                                 \
		if (!WIFSIGNALED(kill_status) || WTERMSIG(kill_status) != (wanted))                               \
			FAIL("child has status %#x, wanted death by signal %d", (unsigned)kill_status, (wanted)); \
	} while (0)

/* fork() whose failure fails the test. */
__attribute__((unused)) static pid_t test_fork(void)
{
	pid_t pid = fork();

	if (pid < 0)
		FAIL("fork: %s", strerror(errno));
	return pid;
}

__attribute__((unused)) static void test_needs_root(void)
{
	if (geteuid() != 0)
		SKIP("needs root");
}

/* A user nobody else is, also not a second run of the same test at the same time. */
__attribute__((unused)) static uid_t test_lone_user(void)
{
	return 1000000u + (uid_t)getpid();
}

static char test_home[64];

/* A fresh folder of the test's own becomes the working directory; the runner removes it. */
__attribute__((unused)) static void test_scratch(void)
{
	if (chdir(test_home) != 0)
		FAIL("chdir %s: %s", test_home, strerror(errno));
}

__attribute__((unused)) static void test_write_file(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd < 0 || write(fd, data, len) != (ssize_t)len || close(fd) != 0)
		FAIL("writing %s: %s", path, strerror(errno));
}

/* The whole of a small file as a string; its length, or -1. */
__attribute__((unused)) static ssize_t test_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY);
	ssize_t all = 0, n;

	if (fd < 0)
		return -1;
	while ((n = read(fd, text + all, size - 1 - (size_t)all)) > 0)
		all += n;
	text[all] = '\0';
	close(fd);
	return n < 0 ? -1 : all;
}

static time_t test_began; /* by the monotonic clock */

/*
 * For loops in which processors wait for one another, which costs time slices of the host where it has fewer of them:
 * whether to go on after so many rounds.  `least` there are always, then for three seconds.
 */
__attribute__((unused)) static bool test_more(int done, int least)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return done < least || now.tv_sec - test_began <= 3;
}

/* Sleep that no signal shortens. */
__attribute__((unused)) static void test_sleep_ms(int ms)
{
	struct timespec left = {ms / 1000, ms % 1000 * 1000000L};

	while (nanosleep(&left, &left) != 0 && errno == EINTR)
		;
}

/* The state letter of /proc/PID/stat, or 0. */
__attribute__((unused)) static char test_state(pid_t pid)
{
	char path[40], text[512];

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	if (test_read_file(path, text, sizeof(text)) <= 0)
		return 0;
	char *end = strrchr(text, ')');
	return end ? end[2] : 0;
}

/* Wait until another process is asleep, so that what follows meets it there. */
__attribute__((unused)) static void test_wait_state(pid_t pid, char state)
{
	for (int i = 0; i < 5000 && test_state(pid) != state; i++)
		test_sleep_ms(1);
	if (test_state(pid) != state)
		FAIL("process never came into state %c but is %c", state, test_state(pid));
}

static void test_remove_tree(const char *path)
{
	pid_t pid = fork();

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		dup2(null, 2);
		execlp("rm", "rm", "-rf", path, (char *)NULL);
		_exit(127);
	}
	waitpid(pid, NULL, 0);
}

static bool test_run_one(const struct test *t)
{
	int status = -1;

	test_name = t->name;
	strcpy(test_home, "/tmp/ashlar-XXXXXX");
	if (!mkdtemp(test_home)) {
		printf("FAIL %s: mkdtemp: %s\n", t->name, strerror(errno));
		return false;
	}
	fflush(stdout);
	pid_t pid = fork();
	if (pid == 0) {
		setpgid(0, 0);
		const char *seconds = getenv("TEST_SECONDS");
		alarm(seconds ? (unsigned)atoi(seconds) : TEST_SECONDS);
		struct timespec now;
		clock_gettime(CLOCK_MONOTONIC, &now);
		test_began = now.tv_sec;
		t->run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		printf("FAIL %s: cannot run it: %s\n", t->name, strerror(errno));
		return false;
	}
	kill(-pid, SIGKILL);
	test_remove_tree(test_home);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		printf("ok %s\n", t->name);
	else if (WIFSIGNALED(status))
		printf("FAIL %s: %s (signal %d)\n", t->name, WTERMSIG(status) == SIGALRM ? "time is up" : "killed",
		       WTERMSIG(status));
	else if (WEXITSTATUS(status) != TEST_SKIPPED && WEXITSTATUS(status) != 1)
		printf("FAIL %s: ended with status %d\n", t->name, WEXITSTATUS(status));
	fflush(stdout);
	return WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == TEST_SKIPPED);
}

/* A program that is started again by its own tests puts TEST_REENTER(argc, argv) into this. */
#ifndef TEST_REENTER
#define TEST_REENTER(argc, argv) ((void)0)
#endif

int main(int argc, char **argv)
{
	int failed = 0;

	test_argv = argv;
	TEST_REENTER(argc, argv);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 0; i < test_count; i++) {
		bool wanted = argc < 2;
		for (int a = 1; a < argc; a++)
			wanted |= strcmp(argv[a], test_list[i].name) == 0;
		if (wanted && !test_run_one(&test_list[i]))
			failed++;
	}
	return failed > 100 ? 100 : failed;
}
