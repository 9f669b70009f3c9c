/* PI futexes, and robust lists with them (man 2 futex). */
#include "user/test/test.h"

#include <sched.h>

#include "user/test/futex.h"

TEST(free_lock)
{
	volatile uint32_t word = 0;

	CHECK_EQ(futex(&word, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(word, gettid());
	CHECK_ERR(futex(&word, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK_ERR(futex(&word, TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK_EQ(futex(&word, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(word, 0);
	CHECK_ERR(futex(&word, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EPERM);
	CHECK_EQ(futex(&word, TRYLOCK_PI, 0, NULL, NULL, 0), 0);
	CHECK_EQ(word, gettid());
	CHECK_EQ(futex(&word, UNLOCK_PI, 0, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&word, LOCK_PI2 | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(futex(&word, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	word = OWNER_DIED; /* a robust lock whose owner died, without waiters */
	CHECK_EQ(futex(&word, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(word, OWNER_DIED | (uint32_t)gettid());
}

TEST(bad_words)
{
	volatile uint32_t words[2] = {0};
	volatile uint32_t *odd = (volatile uint32_t *)((char *)words + 2);
	void *readonly = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK_ERR(futex(odd, LOCK_PI, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(odd, TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex((volatile uint32_t *)16, LOCK_PI, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex((volatile uint32_t *)16, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex((volatile uint32_t *)16, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex((volatile uint32_t *)16, WAKE, 1, NULL, NULL, 0), EFAULT);
	CHECK_EQ(futex((volatile uint32_t *)16, WAKE | PRIVATE, 1, NULL, NULL, 0), 0);
	CHECK_ERR(futex((volatile uint32_t *)-4096l, WAKE | PRIVATE, 1, NULL, NULL, 0), EFAULT);
	CHECK_ERR(futex(readonly, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), EFAULT);
	words[0] = 0x3ffffff0; /* no such thread */
	CHECK_ERR(futex(words, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), ESRCH);
	words[0] = 0x3ffffff0;
	CHECK_ERR(futex(words, TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), ESRCH);
	CHECK_ERR(futex(words, LOCK_PI | REALTIME, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(words, WAIT | REALTIME, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(words, 2, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(words, 14, 0, NULL, NULL, 0), ENOSYS);
	CHECK_ERR(futex(words, WAKE_OP, 1, (void *)1, &words[1], 7u << 28), ENOSYS);
	CHECK_ERR(futex(words, WAKE_OP, 1, (void *)1, &words[1], 7u << 24), ENOSYS);
	CHECK_ERR(futex(words, REQUEUE, (unsigned)-1, (void *)1, &words[1], 0), EINVAL);
	CHECK_ERR(futex(words, REQUEUE, 1, (void *)-1, &words[1], 0), EINVAL);
	CHECK_ERR(futex(words, CMP_REQUEUE_PI, 2, (void *)1, &words[1], 0), EINVAL);
	CHECK_ERR(futex(words, CMP_REQUEUE_PI, 1, (void *)1, words, 0), EINVAL);
	CHECK_ERR(futex(words, WAIT_REQUEUE_PI, 0, NULL, words, 0), EINVAL);
	CHECK_ERR(futex(&words[1], WAIT_REQUEUE_PI, 1, NULL, words, 0), EAGAIN);
}

static volatile uint32_t lock, started, got, tids[8];

static void *lock_once(void *arg)
{
	long me = (long)arg;

	tids[me] = (uint32_t)gettid();
	if (futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)(long)errno;
	__atomic_fetch_add(&got, 1, __ATOMIC_SEQ_CST);
	if ((lock & TID) != (uint32_t)gettid())
		return (void *)1000;
	if (futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)(long)errno;
	return NULL;
}

TEST(handed_on)
{
	pthread_t t[4];

	CHECK_EQ(futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (long i = 0; i < 4; i++) {
		start(&t[i], lock_once, (void *)i);
		while (!tids[i])
			sched_yield();
		wait_asleep((pid_t)tids[i]);
	}
	CHECK_EQ(lock, WAITERS | (uint32_t)gettid());
	CHECK_ERR(futex(&lock, WAKE | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&lock, REQUEUE | PRIVATE, 1, (void *)1, &got, 0), EINVAL);
	CHECK_EQ(got, 0);
	CHECK_EQ(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 4; i++)
		join_fine(t[i]);
	CHECK_EQ(got, 4);
	CHECK_EQ(lock, 0);
}

TEST(contradicting_word)
{
	pthread_t t;

	CHECK_EQ(futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	start(&t, lock_once, NULL);
	while (!tids[0])
		sched_yield();
	wait_asleep((pid_t)tids[0]);
	uint32_t good = lock;
	lock = WAITERS | 1; /* init does not own it */
	CHECK_ERR(futex(&lock, TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EPERM);
	lock = good;
	CHECK_EQ(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	join_fine(t);
}

static volatile uint32_t release;

static void *hold(void *arg)
{
	(void)arg;
	if (futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)1;
	started = 1;
	while (!release)
		test_sleep_ms(1);
	return (void *)futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
}

TEST(times_out)
{
	pthread_t t;

	start(&t, hold, NULL);
	wait_for(&started, 1);
	struct timespec at = from_now(CLOCK_REALTIME, 20), bad = {0, 1000000000}, past = {1, 0};
	CHECK_ERR(futex(&lock, LOCK_PI | PRIVATE, 0, &at, NULL, 0), ETIMEDOUT);
	CHECK_ERR(futex(&lock, LOCK_PI | PRIVATE, 0, &past, NULL, 0), ETIMEDOUT);
	at = from_now(CLOCK_MONOTONIC, 20);
	CHECK_ERR(futex(&lock, LOCK_PI2 | PRIVATE, 0, &at, NULL, 0), ETIMEDOUT);
	at = from_now(CLOCK_REALTIME, 20);
	CHECK_ERR(futex(&lock, LOCK_PI2 | PRIVATE | REALTIME, 0, &at, NULL, 0), ETIMEDOUT);
	CHECK_ERR(futex(&lock, LOCK_PI | PRIVATE, 0, &bad, NULL, 0), EINVAL);
	CHECK_ERR(futex(&lock, TRYLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EAGAIN);
	CHECK_ERR(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), EPERM);
	CHECK_EQ(lock & WAITERS, WAITERS);
	release = 1;
	join_fine(t);
	CHECK_EQ(lock, 0);
}

static volatile uint32_t lock_b, deadlocks;

static void *lock_crosswise(void *arg)
{
	(void)arg;
	if (futex(&lock_b, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)1;
	started = (uint32_t)gettid();
	if (futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)2;
	futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
	return (void *)futex(&lock_b, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
}

TEST(circle_is_found)
{
	pthread_t t;

	CHECK_EQ(futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	start(&t, lock_crosswise, NULL);
	while (!started)
		sched_yield();
	wait_asleep((pid_t)started);
	CHECK_ERR(futex(&lock_b, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), EDEADLK);
	CHECK_EQ(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	join_fine(t);
}

static volatile int signals;

static void on_signal(int signo)
{
	(void)signo;
	signals++;
}

static void *lock_and_count(void *arg)
{
	tids[0] = (uint32_t)gettid();
	if (futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)(long)errno;
	futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
	return arg;
}

TEST(lock_survives_signals)
{
	pthread_t t;
	struct sigaction act = {.sa_handler = on_signal}; /* without SA_RESTART */

	CHECK_EQ(sigaction(SIGUSR1, &act, NULL), 0);
	CHECK_EQ(futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	start(&t, lock_and_count, NULL);
	while (!tids[0])
		sched_yield();
	for (int i = 1; i <= 3; i++) {
		wait_asleep((pid_t)tids[0]);
		CHECK_EQ(pthread_kill(t, SIGUSR1), 0);
		while (signals < i)
			test_sleep_ms(1);
	}
	CHECK_EQ(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	join_fine(t);
}

static void *die_owning(void *arg)
{
	if (futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)1;
	started = 1;
	while (!release)
		test_sleep_ms(1);
	return arg;
}

static volatile uint32_t wake_order[4], woken_count;

static void *inherit(void *arg)
{
	tids[(long)arg] = (uint32_t)gettid();
	if (futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		return (void *)(long)errno;
	uint32_t now = lock;
	wake_order[woken_count++] = (uint32_t)(long)arg;
	if ((now & TID) != (uint32_t)gettid() || ((now & OWNER_DIED) != 0) != (woken_count == 1))
		return (void *)(long)now;
	futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
	return NULL;
}

TEST(owner_ends)
{
	pthread_t owner, t[3];

	start(&owner, die_owning, NULL);
	wait_for(&started, 1);
	for (long i = 0; i < 3; i++) {
		start(&t[i], inherit, (void *)i);
		while (!tids[i])
			sched_yield();
		wait_asleep((pid_t)tids[i]);
	}
	release = 1;
	join_fine(owner);
	for (int i = 0; i < 3; i++)
		join_fine(t[i]);
	CHECK_EQ(lock, 0);
	for (uint32_t i = 0; i < 3; i++)
		CHECK_EQ(wake_order[i], i);
}

TEST(owner_process_is_killed)
{
	volatile uint32_t *words = shared_words();
	pid_t pid = test_fork();

	if (pid == 0) {
		CHECK_EQ(futex(words, LOCK_PI, 0, NULL, NULL, 0), 0);
		words[1] = 1;
		pause();
	}
	wait_for(&words[1], 1);
	pid_t waiter = test_fork();
	if (waiter == 0) {
		CHECK_EQ(futex(words, LOCK_PI, 0, NULL, NULL, 0), 0);
		CHECK_EQ(words[0] & TID, getpid());
		CHECK_EQ(words[0] & OWNER_DIED, OWNER_DIED);
		CHECK_EQ(futex(words, UNLOCK_PI, 0, NULL, NULL, 0), 0);
		_exit(0);
	}
	test_wait_state(waiter, 'S');
	CHECK_EQ(kill(pid, SIGKILL), 0);
	CHECK_KILLED(pid, SIGKILL);
	CHECK_EXIT(waiter, 0);
	CHECK_EQ(words[0], 0);
}

TEST(owner_execs)
{
	volatile uint32_t *words = shared_words();
	pid_t pid = test_fork();

	if (pid == 0) {
		CHECK_EQ(futex(words, LOCK_PI, 0, NULL, NULL, 0), 0);
		words[1] = 1;
		while (!words[2])
			test_sleep_ms(1);
		execlp("sleep", "sleep", "30", (char *)NULL);
		_exit(127);
	}
	wait_for(&words[1], 1);
	pid_t waiter = test_fork();
	if (waiter == 0) {
		CHECK_EQ(futex(words, LOCK_PI, 0, NULL, NULL, 0), 0);
		CHECK_EQ(words[0] & TID, getpid());
		_exit(0);
	}
	test_wait_state(waiter, 'S');
	words[2] = 1;
	CHECK_EXIT(waiter, 0);
	kill(pid, SIGKILL);
	CHECK_KILLED(pid, SIGKILL);
}

/* A robust list whose entry and pending operation are PI locks. */
struct robust_node {
	struct robust_node *next;
	volatile uint32_t lock;
};
struct robust_head {
	struct robust_node *next;
	long offset;
	struct robust_node *pending;
};

TEST(robust_pi)
{
	volatile uint32_t *words = shared_words();
	struct robust_node *node = (struct robust_node *)(words + 16), *pending = (struct robust_node *)(words + 32);
	pid_t pid = test_fork();

	if (pid == 0) {
		static struct robust_head head;
		head.offset = offsetof(struct robust_node, lock);
		head.next = (struct robust_node *)((char *)node + 1);
		node->next = (struct robust_node *)&head;
		head.pending = (struct robust_node *)((char *)pending + 1);
		CHECK_EQ(futex(&node->lock, LOCK_PI, 0, NULL, NULL, 0), 0);
		pending->lock = (uint32_t)gettid();
		CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
		words[1] = 1;
		while (!words[2])
			test_sleep_ms(1);
		_exit(0);
	}
	wait_for(&words[1], 1);
	pid_t waiter = test_fork();
	if (waiter == 0) {
		CHECK_EQ(futex(&node->lock, LOCK_PI, 0, NULL, NULL, 0), 0);
		CHECK_EQ(node->lock & TID, getpid());
		CHECK_EQ(node->lock & OWNER_DIED, OWNER_DIED);
		CHECK_EQ(futex(&node->lock, UNLOCK_PI, 0, NULL, NULL, 0), 0);
		_exit(0);
	}
	test_wait_state(waiter, 'S');
	words[2] = 1;
	CHECK_EXIT(pid, 0);
	CHECK_EXIT(waiter, 0);
	CHECK_EQ(node->lock, 0);
	CHECK_EQ(pending->lock, OWNER_DIED);
}

TEST(get_robust_list)
{
	static struct robust_head head;
	void *seen = NULL;
	size_t len = 0;

	head.next = (struct robust_node *)&head;
	CHECK_EQ(syscall(SYS_set_robust_list, &head, sizeof(head)), 0);
	CHECK_EQ(syscall(SYS_get_robust_list, 0, &seen, &len), 0);
	CHECK_EQ((long)seen, (long)&head);
	CHECK_EQ(len, sizeof(head));
	CHECK_ERR(syscall(SYS_get_robust_list, 0x3ffffff0, &seen, &len), ESRCH);
	CHECK_ERR(syscall(SYS_get_robust_list, -1, &seen, &len), ESRCH);
	CHECK_ERR(syscall(SYS_get_robust_list, 0, NULL, &len), EFAULT);
	CHECK_ERR(syscall(SYS_set_robust_list, &head, sizeof(head) + 8), EINVAL);
	pid_t pid = test_fork();
	if (pid == 0) { /* not inherited */
		CHECK_EQ(syscall(SYS_get_robust_list, 0, &seen, &len), 0);
		_exit(seen == &head);
	}
	CHECK_EXIT(pid, 0);
}

/* --- all at once --- */

#define STRESS_THREADS 8
#define STRESS_ROUNDS 200
static volatile uint32_t stress_lock[2];
static volatile long stress_count[2];

static void pi_lock(volatile uint32_t *l)
{
	uint32_t free_word = 0;

	if (!__atomic_compare_exchange_n(l, &free_word, (uint32_t)gettid(), false, __ATOMIC_SEQ_CST,
					 __ATOMIC_SEQ_CST) &&
	    futex(l, LOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		FAIL("lock: %s", strerror(errno));
}

static void pi_unlock(volatile uint32_t *l)
{
	uint32_t mine = (uint32_t)gettid();

	if (!__atomic_compare_exchange_n(l, &mine, 0, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST) &&
	    futex(l, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0) != 0)
		FAIL("unlock: %s", strerror(errno));
}

static void *stress(void *arg)
{
	unsigned random = (unsigned)(long)arg * 7919 + 1;

	for (int i = 0; i < STRESS_ROUNDS; i++) {
		random = random * 1664525 + 1013904223;
		bool both = random >> 28 & 1;
		struct timespec at;
		pi_lock(&stress_lock[0]);
		stress_count[0]++;
		if (both) {
			pi_lock(&stress_lock[1]);
			stress_count[1]++;
			pi_unlock(&stress_lock[1]);
		}
		if (random >> 29 == 3)
			sched_yield();
		pi_unlock(&stress_lock[0]);
		if (random >> 27 == 5) { /* give up now and then */
			clock_gettime(CLOCK_MONOTONIC, &at);
			at.tv_nsec += at.tv_nsec < 999000000 ? 100000 : 0;
			if (futex(&stress_lock[1], LOCK_PI2 | PRIVATE, 0, &at, NULL, 0) == 0)
				pi_unlock(&stress_lock[1]);
			else if (errno != ETIMEDOUT)
				FAIL("timed lock: %s", strerror(errno));
		}
		if (!both)
			__atomic_fetch_add(&stress_count[1], 1, __ATOMIC_SEQ_CST);
	}
	return NULL;
}

TEST(stress)
{
	pthread_t t[STRESS_THREADS];

	for (long i = 0; i < STRESS_THREADS; i++)
		start(&t[i], stress, (void *)i);
	for (int i = 0; i < STRESS_THREADS; i++)
		join_fine(t[i]);
	CHECK_EQ(stress_count[0], STRESS_THREADS * STRESS_ROUNDS);
	CHECK_EQ(stress_lock[0] | stress_lock[1], 0);
}
