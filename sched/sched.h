/*
 * Choosing who runs.  Theory in sched.c.
 */
#pragma once

#include "lib/types.h"
#include "sched/thread.h"

/* Boot order step: the boot stack becomes CPU 0's idle thread. */
void sched_init(void);
/* Turns the caller (the boot thread) into the idle loop; never returns. */
noreturn void sched_idle_loop(void);

/*
 * Gives up the CPU. The caller has set its state (and is on some wait queue); RUNNABLE means "let others go first".
 * Thread context, no spinlock held. Returns when running again.
 */
void sched_switch(void);
/* sched_yield(2). */
void sched_yield(void);
/* If WORK_RESCHED is set, switches. For exit work and interrupt return; interrupts off on entry and return. */
void sched_preempt(void);

/* Makes t runnable if it is in one of the states (bit per enum thread_state). True if it was. Any context. */
bool sched_wake(struct thread *t, uint32_t state_mask);
#define WAKE_NORMAL (BIT(THREAD_SLEEPING) | BIT(THREAD_BLOCKED))
#define WAKE_SIGNAL BIT(THREAD_SLEEPING)
#define WAKE_STOPPED BIT(THREAD_STOPPED)

/* Sends IRQ_RESCHEDULE to another CPU; set by whoever starts further CPUs. */
extern void (*sched_kick_cpu)(uint32_t cpu);

/* -EINVAL for a bad policy/priority pair. Any context. */
int sched_set_policy(struct thread *t, int policy, int rt_priority) must_check;
void sched_set_nice(struct thread *t, int nice);
int sched_set_affinity(struct thread *t, uint64_t mask) must_check;

/* How long t may run while others of its class wait: 0 = as long as it likes (sched_rr_get_interval(2)). */
uint64_t sched_slice_ns(const struct thread *t);

struct sched_stats {
	uint64_t user_ns, system_ns, idle_ns;
	uint64_t irq_ns; /* 0: interrupt handlers' time counts for the thread they interrupted */
	uint64_t switches, threads_created;
	uint32_t running; /* runnable now on this CPU */
	uint32_t threads; /* alive now, everywhere; so threads_created */
};
void sched_stats_get(unsigned cpu, struct sched_stats *out);
/* 1, 5, 15 minute load averages as fixed point with 11 fraction bits (man 5 proc_loadavg, sysinfo uses 16). */
void sched_load_average(uint64_t out[3]);

/*
 * From the timer interrupt: what it interrupted. Looking at the clock at each entry from and exit to user mode would be
 * too dear; the time since the last sample or switch goes to what the sample found.
 */
void sched_account(bool in_user);
