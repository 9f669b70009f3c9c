/*
 * The threads of one CPU that want to run.  Private to sched/; the order among them is runqueue.c's, switching is
 * sched.c's.
 */
#pragma once

#include "core/panic.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"
#include "sched/thread.h"
#include "sync/spinlock.h"

#define RT_PRIORITIES 100 /* 1..99 are used */
#define WEIGHT_NICE_0 1024u
#define SLICE_NS (4 * NSEC_PER_MSEC)
#define SLICE_RR_NS (100 * NSEC_PER_MSEC)
#define SAMPLE_NS (10 * NSEC_PER_MSEC)	   /* tick while one thread runs alone: only splits its time */
#define WAKE_GRANULARITY_NS NSEC_PER_MSEC  /* virtual time a woken thread must be behind to interrupt the running one */
#define WAKE_CREDIT_NS (2 * NSEC_PER_MSEC) /* how far behind the others a sleeper may come back */

struct run_queue {
	struct spinlock lock; /* LOCK_RUNQUEUE: all below */
	uint32_t cpu;
	uint32_t runnable;	/* running or queued, without idle */
	uint32_t blocked;	/* switched away from in THREAD_BLOCKED: they count for the load average */
	struct thread *current; /* the thread that has the CPU */
	struct thread *idle;
	struct thread *previous; /* switched away from last, until the thread switched to has looked; own CPU only */
	uint64_t tick_ns;	 /* when the scheduler wants the timer; UINT64_MAX: not */

	struct thread *fair_first; /* least vruntime of all queued; NOT in the tree */
	struct rb_root fair;	   /* the others, by vruntime */
	uint64_t min_vruntime;	   /* never falls: about where the running ones are */

	uint64_t rt_present[2];	       /* bit per priority with a queued thread */
	struct list rt[RT_PRIORITIES]; /* FIFO; initialised when its bit is first set */

	uint64_t user_ns, system_ns, idle_ns, switches;

	uint64_t executor_kicks; /* bit per CPU whose executor is to be woken at the next switch; atomic, no lock */
} aligned_to(CACHE_LINE);

static inline bool thread_is_rt(const struct thread *t)
{
	return t->rt_priority != 0;
}

/* All that follow with rq->lock held. */

/* runqueue.c: the rarer ways of the functions below */
void rq_tree_insert(struct run_queue *rq, struct thread *t);
struct thread *rq_tree_take_first(struct run_queue *rq);
void rq_rt_enqueue(struct run_queue *rq, struct thread *t, bool at_head);
void rq_rt_remove(struct run_queue *rq, struct thread *t);
bool rq_special_preempts(const struct run_queue *rq, const struct thread *t);

/* Takes t, which is queued, out of the middle. */
void rq_dequeue(struct run_queue *rq, struct thread *t);
/* Whether the running thread has had its turn and somebody waits. */
bool rq_slice_is_over(const struct run_queue *rq, uint64_t now);
/* Weight from policy and nice; after either changed. */
void thread_set_weight(struct thread *t);

static always_inline bool rq_before(const struct thread *a, const struct thread *b)
{
	return a->vruntime_ns < b->vruntime_ns;
}

static always_inline void rq_fair_enqueue(struct run_queue *rq, struct thread *t)
{
	struct thread *first = rq->fair_first;
	if (!first || rq_before(t, first)) {
		rq->fair_first = t;
		t = first;
	}
	if (t)
		rq_tree_insert(rq, t);
}

/* fair_first was taken: the next one takes its place. */
static always_inline void rq_fair_advance(struct run_queue *rq)
{
	rq->fair_first = rb_empty(&rq->fair) ? NULL : rq_tree_take_first(rq);
}

static always_inline bool rq_rt_any(const struct run_queue *rq)
{
	return rq->rt_present[0] | rq->rt_present[1];
}

static inline unsigned rq_rt_highest(const struct run_queue *rq)
{
	return rq->rt_present[1] ? 127u - (unsigned)__builtin_clzll(rq->rt_present[1])
				 : 63u - (unsigned)__builtin_clzll(rq->rt_present[0]);
}

static always_inline void rq_enqueue(struct run_queue *rq, struct thread *t, bool at_head)
{
	ASSERT(!t->queued && t != rq->idle);
	t->queued = true;
	if (unlikely(thread_is_rt(t)))
		rq_rt_enqueue(rq, t, at_head);
	else
		rq_fair_enqueue(rq, t);
}

/* Takes the thread to run next off the queue; the idle thread if there is none. */
static always_inline struct thread *rq_pick(struct run_queue *rq)
{
	struct thread *t;
	if (unlikely(rq_rt_any(rq))) {
		t = LIST_FIRST(&rq->rt[rq_rt_highest(rq)], struct thread, rt_node);
		rq_rt_remove(rq, t);
	} else {
		t = rq->fair_first;
		if (!t)
			return rq->idle;
		rq_fair_advance(rq);
	}
	t->queued = false;
	return t;
}

/* Charges the running thread for its time up to now. */
static always_inline void rq_account(struct run_queue *rq, struct thread *t, uint64_t now)
{
	uint64_t delta = now - t->switched_in_ns;
	t->switched_in_ns = now;
	t->exec_ns += delta;
	if (t == rq->idle) {
		rq->idle_ns += delta;
		return;
	}
	if (t->in_user) {
		t->user_ns += delta;
		rq->user_ns += delta;
	} else {
		t->system_ns += delta;
		rq->system_ns += delta;
	}
	if (unlikely(thread_is_rt(t)))
		return;
	t->vruntime_ns += likely(t->weight == WEIGHT_NICE_0) ? delta : delta * WEIGHT_NICE_0 / t->weight;
	uint64_t least = t->vruntime_ns;
	if (rq->fair_first && rq->fair_first->vruntime_ns < least)
		least = rq->fair_first->vruntime_ns;
	rq->min_vruntime = MAX(rq->min_vruntime, least);
}

/* Sets the vruntime of one that comes back from sleep, or starts. */
static always_inline void rq_place(struct run_queue *rq, struct thread *t, bool is_new)
{
	uint64_t base = rq->min_vruntime;
	if (is_new) /* behind those that wait: a fork does not gain time, and the parent usually goes on first */
		t->vruntime_ns = base + WAKE_GRANULARITY_NS;
	else if (base > WAKE_CREDIT_NS && t->vruntime_ns < base - WAKE_CREDIT_NS)
		t->vruntime_ns = base - WAKE_CREDIT_NS;
}

/* Whether t, just queued, should have the CPU at once. */
static always_inline bool rq_should_preempt(const struct run_queue *rq, const struct thread *t)
{
	const struct thread *cur = rq->current;
	if (cur == rq->idle)
		return true;
	if (unlikely(t->policy | cur->policy))
		return rq_special_preempts(rq, t);
	return t->vruntime_ns + WAKE_GRANULARITY_NS < cur->vruntime_ns;
}
