/* What futexes do beyond waiting and waking: counts of moved waiters, restarts, and futex_waitv (man 2 futex). */
#include "user/test/test.h"

#include "user/test/futex.h"

enum { SYS_WAITV = 449 };

static volatile int signals;

static void on_signal(int signo)
{
	(void)signo;
	signals++;
}

TEST(wake_op_arithmetic)
{
	volatile uint32_t w[2] = {0};

	w[1] = 12;
	CHECK_EQ(futex(w, WAKE_OP, 1, (void *)1, &w[1], 1u << 28 | 5 << 12), 0); /* add */
	CHECK_EQ(w[1], 17);
	CHECK_EQ(futex(w, WAKE_OP, 1, (void *)1, &w[1], 1u << 28 | 0xfff << 12), 0); /* add -1 */
	CHECK_EQ(w[1], 16);
	CHECK_EQ(futex(w, WAKE_OP, 1, (void *)1, &w[1], 2u << 28 | 3 << 12), 0); /* or */
	CHECK_EQ(w[1], 19);
	CHECK_EQ(futex(w, WAKE_OP, 1, (void *)1, &w[1], 3u << 28 | 2 << 12), 0); /* and not */
	CHECK_EQ(w[1], 17);
	CHECK_EQ(futex(w, WAKE_OP, 1, (void *)1, &w[1], 4u << 28 | 1 << 12), 0); /* exclusive or */
	CHECK_EQ(w[1], 16);
	CHECK_EQ(futex(w, WAKE_OP, 1, (void *)1, &w[1], 10u << 28 | 3 << 12), 0); /* or 1 << 3 */
	CHECK_EQ(w[1], 24);
}

/* --- requeue, order --- */

TEST(requeue_counts)
{
	volatile uint32_t *words = shared_words();
	pid_t pids[4];

	for (int i = 0; i < 4; i++) {
		pids[i] = test_fork();
		if (pids[i] == 0)
			_exit(futex(words, WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
		test_wait_state(pids[i], 'S');
	}
	CHECK_EQ(futex(words, REQUEUE, 0, (void *)0, &words[1], 0), 0);
	CHECK_EQ(futex(words, REQUEUE, 1, (void *)2, &words[1], 0), 3);
	CHECK_EXIT(pids[0], 0);
	CHECK_EQ(futex(words, CMP_REQUEUE, 0, (void *)5, &words[1], 0), 1);
	CHECK_EQ(futex(&words[1], WAKE, 0, NULL, NULL, 0), 1); /* 0 counts as 1 */
	CHECK_EXIT(pids[1], 0);
	CHECK_EQ(futex(&words[1], WAKE, 9, NULL, NULL, 0), 2);
	CHECK_EXIT(pids[2], 0);
	CHECK_EXIT(pids[3], 0);
}

/* --- restarting with the time that is left --- */

/* Until it is in that state. False: its time was up before, on a slow machine. */
static bool comes_to(pid_t pid, char state)
{
	char now;

	while ((now = test_state(pid)) != state && now != 'Z')
		test_sleep_ms(1);
	return now == state;
}

TEST(wait_goes_on_after_stop)
{
	volatile uint32_t *words = shared_words();
	pid_t pid = test_fork();

	if (pid == 0) {
		struct timespec second = {1, 0}, before, after;
		clock_gettime(CLOCK_MONOTONIC, &before);
		long n = futex(words, WAIT, 0, &second, NULL, 0);
		int err = errno;
		clock_gettime(CLOCK_MONOTONIC, &after);
		long ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
		_exit(n == -1 && err == ETIMEDOUT && ms >= 990 && ms < 20000 ? 0 : 1);
	}
	for (int i = 0; i < 3 && comes_to(pid, 'S'); i++) {
		CHECK_EQ(kill(pid, SIGSTOP), 0);
		(void)comes_to(pid, 'T');
		CHECK_EQ(kill(pid, SIGCONT), 0);
	}
	CHECK_EXIT(pid, 0);
	pid = test_fork();
	if (pid == 0)
		_exit(futex(words, WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	test_wait_state(pid, 'S');
	CHECK_EQ(kill(pid, SIGSTOP), 0);
	test_wait_state(pid, 'T');
	CHECK_EQ(kill(pid, SIGCONT), 0);
	test_wait_state(pid, 'S');
	CHECK_EQ(futex(words, WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EXIT(pid, 0);
}

TEST(wait_without_time_restarts_after_handler)
{
	volatile uint32_t *words = shared_words();
	pid_t pid = test_fork();

	if (pid == 0) {
		struct sigaction act = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
		sigaction(SIGUSR1, &act, NULL);
		words[1] = 1;
		_exit(futex(words, WAIT, 0, NULL, NULL, 0) == 0 && signals == 1 ? 0 : 1);
	}
	wait_for(&words[1], 1);
	test_wait_state(pid, 'S');
	CHECK_EQ(kill(pid, SIGUSR1), 0);
	test_sleep_ms(20);
	test_wait_state(pid, 'S');
	CHECK_EQ(futex(words, WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EXIT(pid, 0);
}

/* --- futex_waitv --- */

struct waitv {
	uint64_t value, address;
	uint32_t flags, reserved;
};

static long waitv(struct waitv *v, unsigned n, unsigned flags, const struct timespec *at, int clock)
{
	return syscall(SYS_WAITV, v, n, flags, at, clock);
}

TEST(waitv_arguments)
{
	volatile uint32_t words[2] = {0};
	struct waitv v[129];
	struct timespec past = {0, 1}, bad = {0, -1};

	for (int i = 0; i < 129; i++)
		v[i] = (struct waitv){0, (uintptr_t)&words[i & 1], 2 | PRIVATE, 0};
	CHECK_ERR(waitv(v, 0, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitv(v, 129, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitv(NULL, 1, 0, NULL, 0), EINVAL);
	CHECK_ERR(waitv((void *)16, 1, 0, NULL, 0), EFAULT);
	CHECK_ERR(waitv(v, 1, 1, NULL, 0), EINVAL);
	CHECK_ERR(waitv(v, 1, 0, &past, CLOCK_BOOTTIME), EINVAL);
	CHECK_ERR(waitv(v, 1, 0, &bad, CLOCK_MONOTONIC), EINVAL);
	CHECK_ERR(waitv(v, 1, 0, (void *)16, CLOCK_MONOTONIC), EFAULT);
	CHECK_ERR(waitv(v, 128, 0, &past, CLOCK_MONOTONIC), ETIMEDOUT);
	CHECK_ERR(waitv(v, 2, 0, &past, CLOCK_REALTIME), ETIMEDOUT);
	struct timespec soon = from_now(CLOCK_MONOTONIC, 20);
	CHECK_ERR(waitv(v, 2, 0, &soon, CLOCK_MONOTONIC), ETIMEDOUT);
	v[1].value = 1;
	CHECK_ERR(waitv(v, 2, 0, NULL, 0), EAGAIN);
	v[1].value = 0, v[1].flags = PRIVATE;
	CHECK_ERR(waitv(v, 2, 0, NULL, 0), EINVAL);
	v[1].flags = 2 | 0x1000;
	CHECK_ERR(waitv(v, 2, 0, NULL, 0), EINVAL);
	v[1].flags = 2, v[1].reserved = 1;
	CHECK_ERR(waitv(v, 2, 0, NULL, 0), EINVAL);
	v[1].reserved = 0, v[1].address = 2;
	CHECK_ERR(waitv(v, 2, 0, NULL, 0), EINVAL);
	v[1].address = 16;
	CHECK_ERR(waitv(v, 2, 0, NULL, 0), EFAULT);
}

TEST(waitv_says_which)
{
	volatile uint32_t *words = shared_words();

	for (unsigned i = 0; i < 5; i++) {
		pid_t pid = test_fork();
		if (pid == 0) {
			struct waitv v[5];
			for (int k = 0; k < 5; k++)
				v[k] = (struct waitv){words[k], (uintptr_t)&words[k], 2, 0};
			_exit((int)waitv(v, 5, 0, NULL, 0));
		}
		test_wait_state(pid, 'S');
		words[i]++;
		CHECK_EQ(futex(&words[i], WAKE, 9, NULL, NULL, 0), 1);
		CHECK_EXIT(pid, (int)i);
		for (int k = 0; k < 5; k++) /* nobody is left behind */
			CHECK_EQ(futex(&words[k], WAKE, 9, NULL, NULL, 0), 0);
	}
}

TEST(waitv_interrupted)
{
	volatile uint32_t word = 0;
	struct waitv v = {0, (uintptr_t)&word, 2 | PRIVATE, 0};
	struct sigaction act = {.sa_handler = on_signal};
	pid_t me = getpid();

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	pid_t pid = test_fork();
	if (pid == 0) {
		test_wait_state(me, 'S');
		kill(me, SIGUSR1);
		_exit(0);
	}
	CHECK_ERR(waitv(&v, 1, 0, NULL, 0), EINTR);
	CHECK_EXIT(pid, 0);
}
