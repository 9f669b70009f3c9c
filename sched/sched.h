/*
 * Choosing who runs.  Theory in sched.c.
 */
#pragma once

#include "lib/types.h"
#include "sched/thread.h"

/* Boot order step: the boot stack becomes CPU 0's idle thread. */
void sched_init(void);
/*
 * For each further CPU, before it starts: its run queue, its timer queue and its idle thread with a stack, whose end
 * (where the CPU should put its stack pointer) is sched_cpu_stack_top(). Thread context of a running CPU. -ENOMEM: the
 * CPU must be left out. What was made stays if the CPU then does not come up, and is used if it is tried again.
 */
int sched_cpu_prepare(unsigned cpu) must_check;
void *sched_cpu_stack_top(unsigned cpu);
/*
 * On the new CPU, on that stack, interrupts off, this_cpu() valid and its alarm (arch/time.h) usable: adopts the idle
 * thread; from here on threads are placed on this CPU. sched_idle_loop() comes next, without turning back.
 */
void sched_cpu_start(void);
/* Bit per CPU that sched_init() or sched_cpu_start() brought in. */
uint64_t sched_cpus(void);
/* Turns the caller (the boot thread, or a further CPU after sched_cpu_start()) into the idle loop; never returns. */
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

/* Or'ed into sched_wake's mask: the waker is about to sleep, so the woken thread may as well wait for this CPU. */
#define WAKE_SYNC BIT(31)
/*
 * … or: the waker holds a spinlock that the woken thread is going to want. With interrupts off until it has released
 * the lock and called sched_send_kicks(), which is what interrupts the CPUs that are to run what was woken.
 */
#define WAKE_KICK_LATER BIT(30)
void sched_send_kicks(void);

/* Sends IRQ_RESCHEDULE to another CPU; set by whoever starts further CPUs before the first of them runs. */
extern void (*sched_kick_cpu)(uint32_t cpu);
/* From the handler of IRQ_RESCHEDULE: another CPU wants this one's alarm earlier. Interrupts off. */
void sched_kicked(void);

/*
 * All parameters of a thread, as sched_setattr(2) has them. NORMAL and BATCH: nice, and slice_ns (its request: how long
 * it runs at a time; shorter comes sooner after a wake-up; 0: the usual). FIFO, RR: rt_priority. DEADLINE: all of
 * runtime_ns <= deadline_ns <= period_ns (period_ns 0: the deadline). Fields that do not belong to the policy are
 * ignored but for rt_priority, which must be 0 then.
 */
struct sched_params {
	uint8_t policy, rt_priority;
	int8_t nice;
	bool reset_on_fork; /* a child of it starts as NORMAL, nice 0 at best */
	uint64_t slice_ns;
	uint64_t runtime_ns, deadline_ns, period_ns;
};
/*
 * Any context. -EINVAL: they contradict each other; -EBUSY: DEADLINE would take more than 95 % of the CPUs; -EPERM:
 * DEADLINE for a thread whose affinity leaves CPUs out.
 */
int sched_set_params(struct thread *t, const struct sched_params *p) must_check;
/* As set, not as boosted; slice_ns is what is in force. Any context. */
void sched_get_params(struct thread *t, struct sched_params *out);

/*
 * Priority inheritance.  A key says how urgent a thread is, over all classes: DEADLINE before real-time before fair by
 * nice.  Whoever makes one thread wait for another (a mutex, a PI futex) gives the holder the most urgent waiter's key
 * as its boost, and takes it back (SCHED_KEY_NONE) or replaces it when that changes; the holder then counts as the more
 * urgent of its own parameters and the boost. A boost is one value: whoever holds several such locks must be given the
 * best over all of them. The caller serialises sets for one thread, and walks chains itself (sched_key(t) of a waiter
 * contains the waiter's own boost).
 */
struct sched_key {
	uint32_t rank; /* 0 DEADLINE; 1..99 priority 99..1; 100..139 nice -20..19; 140 SCHED_IDLE; UINT32_MAX none */
	uint64_t deadline_ns; /* compared if both ranks are 0; else 0 */
};
#define SCHED_KEY_NONE ((struct sched_key){.rank = UINT32_MAX})
static inline bool sched_key_before(struct sched_key a, struct sched_key b)
{
	return a.rank < b.rank || (a.rank == b.rank && a.deadline_ns < b.deadline_ns);
}
/* How urgent t is now, boost included. Any context; takes the run queue's lock. */
struct sched_key sched_key(struct thread *t);
/* Any context; takes the run queue's lock, so a wait queue's or futex's may be held. */
void sched_set_boost(struct thread *t, struct sched_key key);

/* -EINVAL for a bad policy/priority pair. Any context. */
int sched_set_policy(struct thread *t, int policy, int rt_priority) must_check;
void sched_set_nice(struct thread *t, int nice);
/*
 * A thread that runs where it may not any more is moved at once: the caller itself before this returns (if it may
 * sleep: interrupts on), another by a kick. -EINVAL: no CPU of the mask is there. -EBUSY: DEADLINE threads go
 * everywhere.
 */
int sched_set_affinity(struct thread *t, uint64_t mask) must_check;
/* The mask as set, cut to the CPUs that are there. */
uint64_t sched_get_affinity(const struct thread *t);

/* How long t may run while others of its class wait: 0 = as long as it likes (sched_rr_get_interval(2)). */
uint64_t sched_slice_ns(const struct thread *t);

/* What happened on one CPU since it started. */
struct sched_counters {
	uint64_t switches;
	uint64_t wakeups, wakeups_remote; /* threads made runnable here; of these by another CPU */
	uint64_t migrations;		  /* threads that came from another CPU, in whatever way; of these … */
	uint64_t steals, pushes;	  /* … taken while idle; given by the balancer of a busier one */
	uint64_t balance_runs;
	uint64_t kicks;	       /* interrupts that other CPUs sent for the scheduler's sake */
	uint64_t run_delay_ns; /* sum over threads of the time between being runnable and running */
};

struct sched_stats {
	uint64_t user_ns, system_ns, idle_ns;
	uint64_t irq_ns; /* 0: interrupt handlers' time counts for the thread they interrupted */
	uint64_t switches, threads_created;
	uint32_t running; /* runnable now on this CPU */
	uint32_t threads; /* alive now, everywhere; so threads_created */
	struct sched_counters counters;
};
void sched_stats_get(unsigned cpu, struct sched_stats *out);
/* A thread's: how long it waited for a CPU while runnable, how often it came to run, how often on another CPU. */
struct sched_thread_stats {
	uint64_t run_delay_ns, switches, migrations;
};
void sched_thread_stats_get(struct thread *t, struct sched_thread_stats *out);
/*
 * The real-time throttle (/proc/sys/kernel/sched_rt_{runtime,period}_us): so much of each period, while fair threads
 * wait. runtime_us -1: no limit. -EINVAL: period 0, runtime longer than the period or below -1.
 */
int sched_rt_limit_set(int64_t runtime_us, int64_t period_us) must_check;
void sched_rt_limit_get(int64_t *runtime_us, int64_t *period_us);
/* 1, 5, 15 minute load averages as fixed point with 11 fraction bits (man 5 proc_loadavg, sysinfo uses 16). */
void sched_load_average(uint64_t out[3]);

/*
 * From the timer interrupt: what it interrupted. Looking at the clock at each entry from and exit to user mode would be
 * too dear; the time since the last sample or switch goes to what the sample found.
 */
void sched_account(bool in_user);
