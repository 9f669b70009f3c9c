/*
 * What tests of tasks have in common.
 */
#pragma once

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "sched/async.h"
#include "sched/sched.h"
#include "sync/atomic.h"

#define A_LONG_TIME (5 * NSEC_PER_SEC) /* only what is lost takes as long */

static inline bool comes_true(const uint32_t *word, uint32_t value)
{
	uint64_t end = time_ns() + A_LONG_TIME;
	while (atomic_load_acquire(word) != value && time_ns() < end)
		sched_yield();
	return atomic_load_acquire(word) == value;
}

/* For the rest of the test: with the tasks it spawns on one CPU, so that interrupts off keeps those from running. */
static inline void stay_here(void)
{
	irqflags_t f = irq_save();
	int err = sched_set_affinity(thread_current(), BIT(this_cpu()->id));
	irq_restore(f);
	KTEST_EQ(err, 0);
}

static inline void pause_ns(uint64_t ns)
{
	int err = sleep_until_ns(time_ns() + ns, false);
	(void)err; /* nothing interrupts it */
}

/* The end of a task, unless it never comes. */
static inline int result_of(struct async_task *t)
{
	uint64_t end = time_ns() + A_LONG_TIME;
	while (!async_done(t) && time_ns() < end)
		sched_yield();
	KTEST_TRUE(async_done(t));
	return async_wait(t);
}
