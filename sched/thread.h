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
#include "sync/lockdep.h"
#include "sync/refcount.h"

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
	bool in_user;			/* what the last sample caught it in, for splitting its time; R */
	bool user;			/* returns to user mode; I */
	int8_t nice;			/* -20..19; R */
	uint8_t policy;			/* SCHED_*; R */
	uint8_t rt_priority;		/* 1..99 for FIFO/RR; R */
	uint32_t weight;		/* from nice; R */
	uint64_t vruntime_ns;		/* R */
	struct rb_node run_node;	/* R */
	struct list_node rt_node;	/* R */
	uint64_t slice_end_ns;		/* R */
	uint64_t switched_in_ns;	/* running: its time is accounted up to here; R */
	uint64_t exec_ns;		/* total CPU time; R */
	uint64_t user_ns, system_ns;	/* the same, split; R. thread_cpu_times() adds the present run */
	uint64_t switches, preemptions; /* voluntary, involuntary */
	uint64_t affinity;		/* bit per CPU; R */
	struct mmu_context *mmu;  /* NULL: kernel thread, any page tables will do; changed only by itself (exec, exit) */
	struct aspace *aspace;	  /* whose root that is; owned by proc/ */
	void *stack;		  /* lowest address; owned */
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
