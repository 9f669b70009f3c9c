/* What the futex programs share. */
#pragma once

#include <pthread.h>
#include <sys/mman.h>

enum {
	WAIT = 0,
	WAKE = 1,
	REQUEUE = 3,
	CMP_REQUEUE = 4,
	WAKE_OP = 5,
	LOCK_PI = 6,
	UNLOCK_PI = 7,
	TRYLOCK_PI = 8,
	WAIT_BITSET = 9,
	WAKE_BITSET = 10,
	WAIT_REQUEUE_PI = 11,
	CMP_REQUEUE_PI = 12,
	LOCK_PI2 = 13,
	PRIVATE = 128,
	REALTIME = 256,
};

#define WAITERS 0x80000000u
#define OWNER_DIED 0x40000000u
#define TID 0x3fffffffu

static inline long futex(volatile uint32_t *word, int op, unsigned value, const void *timeout, volatile uint32_t *word2,
			 unsigned value3)
{
	return syscall(SYS_futex, word, op, value, timeout, word2, value3);
}

static inline volatile uint32_t *shared_words(void)
{
	uint32_t *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	CHECK(p != MAP_FAILED);
	return p;
}

static inline struct timespec from_now(clockid_t clock, long ms)
{
	struct timespec t;

	CHECK_EQ(clock_gettime(clock, &t), 0);
	t.tv_sec += ms / 1000;
	t.tv_nsec += ms % 1000 * 1000000;
	if (t.tv_nsec >= 1000000000)
		t.tv_sec++, t.tv_nsec -= 1000000000;
	return t;
}

static inline void wait_for(volatile uint32_t *word, uint32_t value)
{
	for (int i = 0; i < 20000 && *word != value; i++)
		test_sleep_ms(1);
	CHECK_EQ(*word, value);
}

/* Until the thread sleeps. */
static inline void wait_asleep(pid_t tid)
{
	char path[64], text[512];

	for (int i = 0; i < 5000; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", getpid(), tid);
		if (test_read_file(path, text, sizeof(text)) > 0) {
			char *end = strrchr(text, ')');
			if (end && end[2] == 'S')
				return;
		}
		test_sleep_ms(1);
	}
	FAIL("thread %d never slept", tid);
}

static inline void start(pthread_t *t, void *(*body)(void *), void *arg)
{
	int err = pthread_create(t, NULL, body, arg);

	if (err)
		FAIL("pthread_create: %s", strerror(err));
}

static inline void join_fine(pthread_t t)
{
	void *result;

	CHECK_EQ(pthread_join(t, &result), 0);
	CHECK_EQ((long)result, 0);
}
