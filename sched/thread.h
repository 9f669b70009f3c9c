/*
 * Threads: what the scheduler runs, kernel and user alike.  Theory in thread.c and sched.c.
 *
 * A user thread is a struct thread embedded in proc/'s struct; the scheduler knows of programs only the page-table root
 * to load.
 */
#pragma once

#include <arch/context.h>
#include <arch/cpu.h>
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"
#include "sched/pi.h"
#include "sync/lockdep.h"
#include "sync/refcount.h"

struct sched_group;

enum thread_state {
	THREAD_RUNNABLE, /* running or on a run queue */
	THREAD_SLEEPING, /* ended by wake-up or signal */
	THREAD_BLOCKED,	 /* ended by wake-up only */
	THREAD_STOPPED,	 /* job control; SIGCONT and SIGKILL end it */
	THREAD_DEAD,	 /* never runs again; switched away from for good */
};

struct thread {
	struct arch_thread arch; /* must be first */
	uint32_t state;		 /* enum thread_state; R: run queue lock of its CPU */
	uint32_t cpu;		 /* whose queue it is on or was last on; R */
	bool queued;		 /* on a run queue (the running thread is not); R */
	/* its registers are on some CPU: set before a switch to it, cleared after one away from it */
	bool on_cpu;
	bool in_user;	     /* what the last sample caught it in, for splitting its time; R */
	bool user;	     /* returns to user mode; I */
	bool idles;	     /* its present sleep is the CPU's idling: sched_sleep_idling(); its own */
	int8_t nice;	     /* -20..19, as set; R */
	uint8_t policy;	     /* SCHED_*, as set; R */
	uint8_t rt_priority; /* 1..99 for FIFO/RR, as set; R */
	bool reset_on_fork;  /* R */
	/* what it counts as now: its own parameters, or the boost (sched_set_boost) if that is more urgent */
	uint8_t eff_policy;	     /* R */
	uint8_t eff_rt;		     /* 1..99, 0: not real-time; R */
	bool special;		     /* eff_policy is real-time or DEADLINE; R */
	uint32_t weight;	     /* by nice value or policy; R */
	uint32_t share;		     /* what it counts among fair threads: its weight, unless its group says else; R */
	struct rb_node run_node;     /* on the fair tree or the deadline tree; R */
	struct list_node rt_node;    /* R */
	uint64_t vruntime_ns;	     /* virtual time: see runqueue.c; this and the next eight R */
	uint64_t vdeadline_ns;	     /* when its present request should be served: what it is ordered by */
	uint64_t vserved_ns;	     /* the vruntime at which it has been served */
	uint64_t least_vruntime_ns;  /* of its subtree */
	uint64_t vslice_ns;	     /* a whole request, virtual */
	uint64_t vrate;		     /* virtual time per real time, 20 fraction bits */
	uint64_t rate_of;	     /* what share and vrate were derived from, 0: from weight; see group.c */
	struct sched_group *group;   /* counted; R */
	int64_t lag_ns;		     /* asleep: the credit it left with; negative: a debt, see rq_lag() */
	uint32_t slice_ns;	     /* a whole request */
	uint64_t woke_ns;	     /* when it woke another thread since it last slept, 0: did not; its CPU's */
	uint8_t pings;		     /* how often in a row it woke one and slept at once; see wake.c; its CPU's */
	uint64_t slice_end_ns;	     /* running: when its turn is over; R */
	uint64_t switched_in_ns;     /* running: its time is accounted up to here; queued: since when it waits; R */
	uint64_t exec_ns;	     /* total CPU time; R */
	uint64_t user_ns, system_ns; /* the same, split; R. thread_cpu_times() adds the present run */
	uint64_t run_delay_ns;	     /* runnable, but without a CPU; R */
	uint64_t migrations;	     /* R */
	struct sched_dl {
		uint64_t runtime_ns, deadline_ns, period_ns; /* as set; 0: not SCHED_DEADLINE */
		uint64_t due_ns;			     /* absolute deadline of the present period */
		uint64_t refill_ns; /* exhausted: when the next period starts; 0: not exhausted */
		int64_t budget_ns;  /* left of runtime_ns in this period */
	} dl;			    /* R */
	struct sched_boost {
		uint32_t rank; /* of the sched_key, plus 1; 0: none */
		uint64_t deadline_ns;
	} boost;			/* R */
	uint64_t switches, preemptions; /* voluntary, involuntary */
	uint64_t affinity;		/* bit per CPU; R; read without as a hint */
	struct mmu_context *mmu; /* NULL: kernel thread, any page tables will do; changed only by itself (exec, exit) */
	struct aspace *aspace;	 /* whose root that is; owned by proc/ */
	void *stack;		 /* lowest address; owned */
	void (*entry)(void *arg); /* where it starts; I */
	void *entry_arg;	  /* I */
	struct refcount refs;
	struct list_node all_node; /* on the list of all threads; thread list lock */
	/* what it sleeps on, for ps and the monitor; static string; stale while it is RUNNABLE */
	const char *wait_reason;
	/* Last reference gone, stack freed: free the container; NULL: kfree(t). Must not sleep: interrupts may be off.
	 * I */
	void (*release)(struct thread *t);
	char name[16];
	struct pi_thread pi; /* what it waits for, and who boosts it: sched/pi.h */
	struct lockdep_stack locks;
};

/* A kernel thread, runnable at once. Named like printf. -ENOMEM. Thread context. Not joined: it is released when it
 * returns. */
int thread_create(void (*fn)(void *arg), void *arg, const char *name) must_check;
/*
 * For proc/: prepares an embedded thread (zeroed by the caller) that will start in entry(arg) with interrupts on, not
 * yet runnable. Owner is one reference. fork children inherit scheduling parameters from `like`. -ENOMEM.
 */
int thread_init(struct thread *t, const struct thread *like, void (*entry)(void *arg), void *arg) must_check;
/* Makes it runnable for the first time. */
void thread_start(struct thread *t);
/* Undoes thread_init of a thread that was never started. */
void thread_fini(struct thread *t);
/* Ends the current thread. Drops the scheduler's reference after the last switch. */
noreturn void thread_exit(void);

static inline void thread_get(struct thread *t)
{
	refcount_get(&t->refs);
}
void thread_put(struct thread *t);
void thread_set_name(struct thread *t, const char *name);
/* Calls fn for each thread under the list lock (a spinlock; in a panic without): fn must not sleep. */
void thread_for_each(void (*fn)(struct thread *t, void *arg), void *arg);
/* CPU time so far including the present run. Any context. */
uint64_t thread_exec_ns(const struct thread *t);
/* The same split into user and system time. */
void thread_cpu_times(const struct thread *t, uint64_t *user_ns, uint64_t *system_ns);

/*
 * Sets / clears bits of arch.work; setting makes the thread notice soon even if it runs on another CPU. WORK_SIGNAL and
 * WORK_KILL also end a sleep in THREAD_SLEEPING: no extra sched_wake is needed (it does no harm). A stop is ended by
 * sched_wake(t, WAKE_STOPPED). Any context.
 */
void thread_set_work(struct thread *t, uint32_t bits);
static inline void thread_clear_work(struct thread *t, uint32_t bits)
{
	__atomic_fetch_and(&t->arch.work, ~bits, __ATOMIC_ACQ_REL);
}
static inline bool thread_has_work(const struct thread *t, uint32_t bits)
{
	return __atomic_load_n(&t->arch.work, __ATOMIC_ACQUIRE) & bits;
}
