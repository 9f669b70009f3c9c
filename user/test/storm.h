/*
 * What the storm_*.c share.  Each of their tests runs for a while with as much going on as it can, and then knows
 * something that must hold whatever the order was.
 */
#pragma once

#include <pthread.h>
#include <sys/mman.h>

#define RUN_MS 600

struct shared {
	volatile long count, other, stop;
	volatile int pid, waiting;
};
static struct shared *shared;

static inline void shared_make(void)
{
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(shared != MAP_FAILED);
}

static inline long long now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ll + t.tv_nsec / 1000000;
}

static __thread uint32_t dice_state;

static inline void dice_seed(uint32_t n)
{
	dice_state = n * 2654435761u + 12345;
}

static inline unsigned dice(unsigned sides)
{
	dice_state ^= dice_state << 13;
	dice_state ^= dice_state >> 17;
	dice_state ^= dice_state << 5;
	return dice_state % sides;
}

static inline void go(pthread_t *t, void *(*body)(void *), long arg)
{
	int err = pthread_create(t, NULL, body, (void *)arg);

	if (err)
		FAIL("pthread_create: %s", strerror(err));
}

/* A call that may be too late, or too early, but must not fail in another way. */
#define MAY_FAIL(expression, ...)                                                       \
	do {                                                                            \
		static const int may[] = {__VA_ARGS__};                                 \
		errno = 0;                                                              \
		bool may_ok = (expression) != -1;                                       \
		for (unsigned may_i = 0; may_i < sizeof(may) / sizeof(may[0]); may_i++) \
			may_ok |= errno == may[may_i];                                  \
		if (!may_ok)                                                            \
			FAIL("%s: errno %d, %s", #expression, errno, strerror(errno));  \
	} while (0)
