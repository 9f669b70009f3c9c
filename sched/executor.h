/*
 * The executors, one per CPU, which poll the asynchronous tasks (sched/async.h).  Theory in executor.c.
 */
#pragma once

#include "lib/types.h"

/* Boot order step: the boot CPU's executor. Tasks spawned before wait for it. */
void executor_init(void);
/*
 * A further CPU's, in two steps. Prepare: on any CPU, thread context, once, before that CPU is started: whatever can
 * fail, with -ENOMEM. Start: on the CPU itself, when it has its run queue and idle thread and before anything spawns
 * tasks there; cannot fail, interrupts may be off. The thread is bound to the CPU. There is no way back: CPUs stay.
 */
int executor_cpu_prepare(uint32_t cpu) must_check;
void executor_cpu_start(void);

struct executor_stats {
	uint64_t polls;	 /* polls and cancellations */
	uint64_t sleeps; /* times it found nothing ready and went to sleep */
	uint64_t bursts; /* times it had so much to do that it went on as an ordinary thread */
	uint32_t tasks;	 /* spawned and not done */
};
void executor_stats_get(unsigned cpu, struct executor_stats *out);
/* Whether the caller is that CPU's executor thread, that is, runs inside a task's poll. */
bool executor_is_current(void);

/*
 * For tests, in the test image only: called at the places on the executor's way to sleep between which a wake-up could
 * get lost. A real interrupt hits these few instructions once in a million.
 */
enum executor_place { EXECUTOR_FOUND_NOTHING, EXECUTOR_STATE_SET, EXECUTOR_MAY_SLEEP };
extern void (*executor_test_hook)(enum executor_place place);
