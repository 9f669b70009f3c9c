/* Moving waiters to a PI futex, as condition variables do (man 2 futex, FUTEX_CMP_REQUEUE_PI). */
#include "user/test/test.h"

#include <sched.h>

#include "user/test/futex.h"

static volatile uint32_t lock, got, tids[8];

static volatile uint32_t cond_word;

static void *wait_on_cond(void *arg)
{
	long me = (long)arg;

	tids[me] = (uint32_t)gettid();
	if (futex(&cond_word, WAIT_REQUEUE_PI | PRIVATE, 0, NULL, &lock, 0) != 0)
		return (void *)(long)errno;
	__atomic_fetch_add(&got, 1, __ATOMIC_SEQ_CST);
	if ((lock & TID) != (uint32_t)gettid())
		return (void *)1000;
	return (void *)futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0);
}

static void cond_waiters(pthread_t *t, long n)
{
	for (long i = 0; i < n; i++) {
		start(&t[i], wait_on_cond, (void *)i);
		while (!tids[i])
			sched_yield();
		wait_asleep((pid_t)tids[i]);
	}
}

TEST(requeue_pi_to_a_held_lock)
{
	pthread_t t[4];

	cond_waiters(t, 4);
	CHECK_EQ(futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_ERR(futex(&cond_word, WAKE | PRIVATE, 1, NULL, NULL, 0), EINVAL);
	CHECK_ERR(futex(&cond_word, REQUEUE | PRIVATE, 0, (void *)1, &got, 0), EINVAL);
	CHECK_ERR(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)INT_MAX, &got, 0), EINVAL);
	CHECK_ERR(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)INT_MAX, &lock, 5), EAGAIN);
	CHECK_EQ(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)INT_MAX, &lock, 0), 4);
	CHECK_EQ(got, 0);
	CHECK_EQ(lock, WAITERS | (uint32_t)gettid());
	CHECK_EQ(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	for (int i = 0; i < 4; i++)
		join_fine(t[i]);
	CHECK_EQ(got, 4);
	CHECK_EQ(lock, 0);
}

TEST(requeue_pi_to_a_free_lock)
{
	pthread_t t[3];

	cond_waiters(t, 3);
	CHECK_EQ(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)0, &lock, 0), 1);
	join_fine(t[0]);
	CHECK_EQ(got, 1);
	CHECK_EQ(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)1, &lock, 0), 2);
	join_fine(t[1]);
	join_fine(t[2]);
	CHECK_EQ(lock, 0);
	CHECK_EQ(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)1, &lock, 0), 0);
}

TEST(requeue_pi_needs_its_own_waiters)
{
	volatile uint32_t *words = shared_words();
	pid_t pid = test_fork();

	if (pid == 0)
		_exit(futex(words, WAIT, 0, NULL, NULL, 0) == 0 ? 0 : 1);
	test_wait_state(pid, 'S');
	CHECK_ERR(futex(words, CMP_REQUEUE_PI, 1, (void *)1, &words[1], 0), EINVAL);
	CHECK_EQ(futex(words, WAKE, 1, NULL, NULL, 0), 1);
	CHECK_EXIT(pid, 0);
}

TEST(requeue_pi_times_out)
{
	volatile uint32_t word = 0, target = 0;
	struct timespec at = from_now(CLOCK_MONOTONIC, 20);

	CHECK_ERR(futex(&word, WAIT_REQUEUE_PI | PRIVATE, 0, &at, &target, 0), ETIMEDOUT);
	at = from_now(CLOCK_REALTIME, 20);
	CHECK_ERR(futex(&word, WAIT_REQUEUE_PI | PRIVATE | REALTIME, 0, &at, &target, 0), ETIMEDOUT);
	CHECK_EQ(target, 0);
}

static void *wait_on_cond_briefly(void *arg)
{
	struct timespec at = from_now(CLOCK_MONOTONIC, 2000);

	(void)arg;
	tids[0] = (uint32_t)gettid();
	return futex(&cond_word, WAIT_REQUEUE_PI | PRIVATE, 0, &at, &lock, 0) == 0 ? NULL : (void *)(long)errno;
}

TEST(requeue_pi_times_out_on_the_lock)
{
	pthread_t t;
	void *result;

	CHECK_EQ(futex(&lock, LOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	start(&t, wait_on_cond_briefly, NULL);
	while (!tids[0])
		sched_yield();
	wait_asleep((pid_t)tids[0]);
	CHECK_EQ(futex(&cond_word, CMP_REQUEUE_PI | PRIVATE, 1, (void *)1, &lock, 0), 1);
	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ((long)result, ETIMEDOUT);
	CHECK_EQ(futex(&lock, UNLOCK_PI | PRIVATE, 0, NULL, NULL, 0), 0);
	CHECK_EQ(lock, 0);
}
