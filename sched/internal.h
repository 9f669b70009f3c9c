/*
 * What the parts of sched/ share and nobody else needs.
 */
#pragma once

#include <arch/cpu.h>
#include "lib/types.h"
#include "sched/thread.h"

/* wake.c: queues a thread that never ran. */
void sched_start_new(struct thread *t);
/* sched.c: the running thread becomes DEAD and is switched away from; does not return. Interrupts off. */
void sched_switch_dead(void);
/* sched.c: first thing a new thread does, interrupts off: what the switch to it left to do. */
void sched_finish_switch(void);
/* sched.c: from the timer interrupt; returns when it wants the next one (UINT64_MAX: never). */
uint64_t sched_tick(uint64_t now);
/* params.c: t ends: its bandwidth is free again. The lock of its queue held. */
void sched_dl_forget_locked(struct thread *t);
/* thread.c: the stack, the list entry and the scheduler's reference of a thread that is switched away from for good.
 * Interrupts off. */
void thread_reap(struct thread *t);
/* thread.c */
void thread_setup_idle(struct thread *t, unsigned cpu);
void thread_counts(uint64_t *created, uint32_t *alive);
/* timer.c: makes sure that the timer interrupt comes at deadline_ns or before, on this CPU. Interrupts off. */
void timer_alarm_by(uint64_t deadline_ns);
/* timer.c: the timer queue of a further CPU, before it starts; a second time does nothing. Thread context. -ENOMEM. */
int timer_cpu_prepare(unsigned cpu) must_check;
/* load.c: brings the load averages up to now; active is asked for only if a period has passed. Any context, no lock
 * held. */
void load_update(uint64_t now);
/* stats.c: threads that run, wait to run, or wait uninterruptibly, on all CPUs. */
uint32_t sched_active_threads(void);
/* sched.c: executor_wake(cpu) will be called at this CPU's next switch, which is asked for. Interrupts off; any lock
 * may be held. */
void sched_kick_executor(uint32_t cpu);
/* For tests, in the test image only: called in the middle of each switch, under the run queue's lock. */
extern void (*sched_test_hook)(void);
/* … and this one before t is moved off a CPU that it may not run on.  Interrupts off, no lock. */
extern void (*sched_evict_hook)(struct thread *t);
/*
 * sched.c: as sched_switch(), for a kernel thread bound to this CPU that never ends (the executor), with its state set
 * to SLEEPING; and while nothing else is runnable here, it is this thread that idles. Returns when it was woken.
 */
void sched_sleep_idling(void);
/* executor.c */
void executor_wake(uint32_t cpu);
/* The CPU that runs t right now, or NULL. t is not followed: it may be gone. What is found is old at once. */
static inline struct cpu *cpu_running(const struct thread *t)
{
	unsigned seen = 0;
	for (unsigned i = 0; i < CPUS_MAX && seen < READ_ONCE(cpus_online); i++) {
		struct cpu *c = cpus[i];
		if (c && READ_ONCE(c->current) == t)
			return c;
		seen += c != NULL;
	}
	return NULL;
}
