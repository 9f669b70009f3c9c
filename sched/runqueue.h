/*
 * The threads of one CPU that want to run.  Private to sched/; the order among them is runqueue.c's (fair),
 * realtime.c's and deadline.c's, switching is sched.c's.
 *
 * Nothing here takes a lock or looks at a clock, so tests turn the time themselves.
 */
#pragma once

#include <linux/sched.h>

#include "core/panic.h"
#include "lib/list.h"
#include "lib/rbtree.h"
#include "lib/types.h"
#include "sched/sched.h"
#include "sched/seed.h"
#include "sched/thread.h"
#include "sync/refcount.h"
#include "sync/spinlock.h"

#define RT_PRIORITIES 100 /* 1..99 are used */
#define WEIGHT_NICE_0 1024u
#define VRATE_ONE (1ull << 20)	     /* of nice 0 */
#define SLICE_NS (3 * NSEC_PER_MSEC) /* what a fair thread requests at a time unless told otherwise */
#define SLICE_MIN_NS (100 * NSEC_PER_USEC)
#define SLICE_MAX_NS (100 * NSEC_PER_MSEC)
#define SLICE_WOKEN_NS (750 * NSEC_PER_USEC) /* the first request after a sleep is not longer */
#define SLICE_RR_NS (100 * NSEC_PER_MSEC)
#define SAMPLE_MIN_NS (10 * NSEC_PER_MSEC) /* tick while one thread runs alone: only splits its time … */
#define SAMPLE_MAX_NS NSEC_PER_SEC	   /* … and gets rarer while each finds what the last did */
#define LAG_SLICES 2			   /* how many requests a thread may be ahead or behind after a sleep */
#define REBASE_NS (64 * NSEC_PER_MSEC)

/* The fair threads that wait. Virtual times are compared as signed differences: they may wrap. */
struct fair_queue {
	struct thread *single; /* one of them, outside the tree; any */
	struct rb_root tree;   /* the others, by vdeadline_ns */
	uint64_t base;	       /* what the sum is relative to: somewhere near all of them */
	int64_t sum;	       /* of share · (vruntime_ns - base), over all of them */
	uint64_t load;	       /* sum of shares */
};

/* Threads that share the CPU with others as one: group.c. */
struct sched_group {
	struct refcount refs;
	uint32_t id;	    /* I; the root group's is 0 */
	uint32_t cpu_count; /* I */
	uint32_t weight;    /* of nice; written and read without a lock */
	int8_t nice;
	struct group_cpu {
		uint64_t load; /* weights of its fair threads that are runnable here, unless the CPU is plain */
		uint64_t others, others_ns; /* the same of other CPUs, as of then */
	} aligned_to(CACHE_LINE) cpu[];	    /* by CPU; its lock */
};

struct run_queue {
	struct spinlock lock; /* LOCK_RUNQUEUE: all below, unless said otherwise */
	uint32_t cpu;
	uint32_t runnable; /* running or queued, without idle and exhausted ones; read without the lock as a hint */
	uint32_t blocked;  /* switched away from in THREAD_BLOCKED: they count for the load average */
	struct thread *current; /* the thread that has the CPU */
	struct thread *idle; /* has it when nothing is runnable: the spare one, or an executor that sleeps (sched.c) */
	struct thread *spare_idle; /* the CPU's first flow of control; stays the same */
	struct thread *previous;   /* switched away from last, until the thread switched to has looked; own CPU only */
	struct thread *misplaced;  /* queued here but not allowed here: to be moved after the switch; own CPU only */
	uint64_t tick_ns;	   /* when the scheduler wants the timer; UINT64_MAX: not */
	bool kicked;		   /* an interrupt is on its way, or in `kicks`, that will end in a switch */
	uint8_t urgency;	   /* of `current`: thread_urgency(); read without the lock as a hint */
	bool sampled_user;	   /* what the last tick found */
	uint64_t kicks; /* bit per CPU to be interrupted when this one has let go of its locks; own CPU only */

	uint32_t special; /* queued threads that are real-time or DEADLINE, without exhausted ones */
	struct fair_queue fair;

	/* of all fair threads that are runnable here, or were last; NULL: there are several (group.c) */
	struct sched_group *group;
	uint32_t groups; /* how many there are, if several */
	uint32_t scaled; /* threads that do not count for themselves */

	uint64_t weight; /* of all runnable ones; read without the lock as a hint */
	uint64_t weight_special;
	uint64_t pull; /* group_pull() of late; read without the lock as a hint */

	uint64_t user_ns, system_ns, idle_ns, sample_ns;
	struct sched_counters counters;

	uint64_t rt_present[2];	       /* bit per priority with a queued thread */
	struct list rt[RT_PRIORITIES]; /* FIFO; initialised when its bit is first set */
	bool rt_throttled;	       /* they have had their part of this period */
	uint64_t rt_used_ns, rt_period_end_ns;

	struct thread *dl_first; /* earliest of dl_ready */
	struct rb_root dl_ready; /* by dl_due() */
	struct thread *dl_exhausted_first;
	struct rb_root dl_exhausted; /* by dl.refill_ns: neither queued for the CPU nor asleep */

	uint64_t balance_ns; /* when to compare with other CPUs next; own CPU only */
	uint32_t balance_round;

	uint64_t executor_kicks; /* bit per CPU whose executor is to be woken at the next switch; atomic, no lock */
} aligned_to(CACHE_LINE);

/* What a fair thread that is not running wants, in virtual time, at the rate it has when it counts for itself. */
struct fair_request {
	int64_t lag_ns;		/* how far it is behind the mean */
	uint64_t length_ns;	/* how long it wants to run */
	uint64_t head_start_ns; /* how much earlier than that its deadline is */
};

/* The real-time throttle: so much of each period while fair threads wait. UINT64_MAX: no limit. */
extern uint64_t rt_runtime_ns, rt_period_ns;

/* All that follow with rq->lock held. */

/* runqueue.c: the rarer ways of the functions below */
void fair_tree_insert(struct fair_queue *q, struct thread *t);
struct thread *fair_tree_pick(struct fair_queue *q);
void fair_rebase(struct fair_queue *q, uint64_t base);
/* Takes a queued fair thread out of the middle. */
void fair_remove(struct run_queue *rq, struct thread *t);
int64_t fair_lag_of_credit(const struct run_queue *rq, const struct thread *t);
struct thread *rq_special_pick(struct run_queue *rq);
void rq_special_enqueue(struct run_queue *rq, struct thread *t, bool at_head, uint64_t now);
void rq_special_account(struct run_queue *rq, struct thread *t, uint64_t delta, uint64_t now);
bool rq_special_preempts(const struct run_queue *rq, const struct thread *t);
uint64_t rq_special_tick(const struct run_queue *rq, uint64_t now);
uint64_t rq_special_turn(const struct thread *t);

/* group.c: the rarer ways, for a CPU that has, or is about to have, threads of several groups */
extern struct sched_group sched_root_group;
/* What the balancer compares, 10 fraction bits: how much t, or all that is runnable on rq, counts; load: as below. */
uint64_t group_part(const struct thread *t, uint64_t load);
uint64_t group_pull(const struct run_queue *rq, uint64_t load);
/* rq is plain, and its group's threads do not count for themselves: the weight of them all, everywhere; else 0. */
uint64_t group_plain_load(const struct run_queue *rq);
void group_enter(struct run_queue *rq, struct thread *t, uint64_t now);
void group_leave(struct run_queue *rq, struct thread *t);
struct thread *group_pick(struct run_queue *rq, uint64_t now);
struct fair_request group_request_to_own(const struct thread *t, struct fair_request r);
void group_join(struct run_queue *rq, struct thread *t, const struct fair_request *r, uint64_t now);
void group_place(struct run_queue *rq, struct thread *t, struct fair_request r);
struct fair_request group_request_from_own(const struct thread *t, struct fair_request r);
/* t's group, counted. Takes the queue's lock. */
struct sched_group *sched_group_get(struct thread *t);
/* nice: -20..19 */
uint32_t weight_of_nice(int nice);

/* realtime.c */
void rq_rt_enqueue(struct run_queue *rq, struct thread *t, bool at_head);
void rq_rt_remove(struct run_queue *rq, struct thread *t);
void rq_rt_account(struct run_queue *rq, uint64_t delta, uint64_t now);
/* The throttle's period is over: true if real-time threads may run again that could not. */
bool rq_rt_period(struct run_queue *rq, uint64_t now);

/* deadline.c */
void rq_dl_enqueue(struct run_queue *rq, struct thread *t, uint64_t now);
void rq_dl_remove(struct run_queue *rq, struct thread *t);
/* The deadline t is ordered by. */
uint64_t dl_due(const struct thread *t);
/* t wakes up, or becomes DEADLINE: goes on with what is left of its period if that is not too much, else a new one. */
void dl_wake(struct thread *t, uint64_t now);
/*
 * Whoever asks for other parameters has no more budget than before, and gets the next one no earlier.  As long as it is
 * not DEADLINE, due_ns is when its next period may begin.
 */
void dl_keep_period(struct sched_dl *to, const struct sched_dl *from);
/* Queues the exhausted threads whose next period has begun. True if there was one. */
bool rq_dl_refill(struct run_queue *rq, uint64_t now);
/* Books the bandwidth of a thread that goes from one set of parameters to another. -EBUSY. Any lock may be held. */
int dl_admit(const struct sched_dl *from, const struct sched_dl *to, unsigned cpu_count) must_check;

/* Takes t, which is queued, out of the middle. */
void rq_dequeue(struct run_queue *rq, struct thread *t);
/* Whether the running thread should be looked at: its turn is over and somebody waits, or somebody is more urgent. */
bool rq_turn_is_over(const struct run_queue *rq, uint64_t now);
/* eff_policy, eff_rt, weight and vslice_ns from what is set and the boost, after any of them changed; t is on no queue.
 * rq: t's. */
void thread_set_effective(struct thread *t);
/* How far the queue is ahead of t, which is on none: positive is owed to t, negative by it. */
int64_t rq_lag(const struct run_queue *rq, const struct thread *t);

static always_inline bool time_before(uint64_t a, uint64_t b)
{
	return (int64_t)(a - b) < 0;
}

/* Its boost is a deadline: then it has no budget. */
static always_inline bool thread_deadline_donated(const struct thread *t)
{
	return t->boost.rank == 1;
}

/* For comparing what CPUs run: 0 fair or idle, then by real-time priority, then DEADLINE. */
static always_inline uint8_t thread_urgency(const struct thread *t)
{
	return unlikely(t->special) ? (t->eff_rt ? t->eff_rt : RT_PRIORITIES) : 0;
}

/* ---- virtual time ---- */

static always_inline uint64_t real_to_virtual(const struct thread *t, uint64_t ns)
{
	return likely(t->vrate == VRATE_ONE) ? ns : (uint64_t)((unsigned __int128)ns * t->vrate >> 20);
}

/* Of a thread that counts for itself. */
static always_inline uint64_t vrate_of_weight(uint32_t weight)
{
	return likely(weight == WEIGHT_NICE_0) ? VRATE_ONE : VRATE_ONE * WEIGHT_NICE_0 / weight;
}

static always_inline int64_t fair_key(const struct fair_queue *q, const struct thread *t)
{
	return (int64_t)(t->vruntime_ns - q->base);
}

/* Whether the running thread competes with the fair ones. */
static always_inline bool rq_fair_runs(const struct run_queue *rq)
{
	return rq->current != rq->idle && !rq->current->special;
}

/* The virtual time of the queue: the weighted mean of all that compete, the running one included. */
static always_inline uint64_t rq_vtime(const struct run_queue *rq)
{
	const struct fair_queue *q = &rq->fair;
	int64_t sum = q->sum;
	uint64_t load = q->load;
	if (likely(rq_fair_runs(rq))) {
		if (!load)
			return rq->current->vruntime_ns;
		sum += fair_key(q, rq->current) * rq->current->share;
		load += rq->current->share;
	}
	return load ? q->base + (uint64_t)(sum / (int64_t)load) : q->base;
}

/* Whether t has had no more than its share; among those that wait only (pick) or with the running one. */
static always_inline bool fair_eligible(const struct fair_queue *q, uint64_t vruntime_ns)
{
	return (__int128)(int64_t)(vruntime_ns - q->base) * (int64_t)q->load <= q->sum;
}

static always_inline bool rq_eligible(const struct run_queue *rq, const struct thread *t)
{
	const struct fair_queue *q = &rq->fair;
	int64_t sum = q->sum;
	uint64_t load = q->load;
	if (rq_fair_runs(rq)) {
		sum += fair_key(q, rq->current) * rq->current->share;
		load += rq->current->share;
	}
	return (__int128)fair_key(q, t) * (int64_t)load <= sum;
}

/* ---- the queue ---- */

static always_inline void fair_count(struct fair_queue *q, const struct thread *t)
{
	q->sum += fair_key(q, t) * t->share;
	q->load += t->share;
}

static always_inline void fair_discount(struct fair_queue *q, const struct thread *t)
{
	q->sum -= fair_key(q, t) * t->share;
	q->load -= t->share;
}

static always_inline void fair_enqueue(struct fair_queue *q, struct thread *t)
{
	fair_count(q, t);
	if (likely(!q->single))
		q->single = t;
	else
		fair_tree_insert(q, t);
}

/* Takes the eligible one with the earliest deadline; NULL: there is none at all. */
static always_inline struct thread *fair_pick(struct fair_queue *q)
{
	struct thread *t = q->single;
	if (unlikely(!rb_empty(&q->tree)))
		t = fair_tree_pick(q);
	else
		q->single = NULL;
	if (t)
		fair_discount(q, t);
	return t;
}

/* ---- who counts ---- */

/* t becomes runnable on rq: before it gets its place. */
static always_inline void rq_count(struct run_queue *rq, struct thread *t, uint64_t now)
{
	if (unlikely(t->special))
		rq->weight_special += t->weight;
	else if (unlikely(t->group != rq->group))
		group_enter(rq, t, now);
	rq->runnable++;
	rq->weight += t->weight;
}

/* It is not any more; it is in no queue. */
static always_inline void rq_discount(struct run_queue *rq, struct thread *t)
{
	rq->runnable--;
	rq->weight -= t->weight;
	if (unlikely(t->special))
		rq->weight_special -= t->weight;
	else if (unlikely(!rq->group))
		group_leave(rq, t);
}

/* rq_count() has been called. */
static always_inline void rq_enqueue(struct run_queue *rq, struct thread *t, bool at_head, uint64_t now)
{
	ASSERT(!t->queued && t != rq->idle);
	t->queued = true;
	t->switched_in_ns = now;
	if (unlikely(t->special))
		rq_special_enqueue(rq, t, at_head, now);
	else
		fair_enqueue(&rq->fair, t);
}

/* Takes the thread to run next off the queue; the idle thread if there is none. */
static always_inline struct thread *rq_pick(struct run_queue *rq, uint64_t now)
{
	struct thread *t = NULL;
	if (unlikely(rq->special))
		t = rq_special_pick(rq);
	if (!t)
		t = likely(rq->group) ? fair_pick(&rq->fair) : group_pick(rq, now);
	if (!t)
		return rq->idle;
	t->queued = false;
	return t;
}

/*
 * prev, which runs and is fair, goes on the queue, and the thread to run next comes off it.  Where only one other waits
 * the two are compared as they stand: what rq_enqueue() and rq_pick() come to, without the tree.
 */
static always_inline struct thread *rq_exchange(struct run_queue *rq, struct thread *prev, uint64_t now)
{
	struct fair_queue *q = &rq->fair;
	struct thread *other = q->single;
	if (unlikely(!other || !rb_empty(&q->tree) || !rq->group || rq->special || sched_seeded)) {
		rq_enqueue(rq, prev, true, now);
		return rq_pick(rq, now);
	}
	prev->switched_in_ns = now;
	fair_count(q, prev);
	bool stays = fair_eligible(q, prev->vruntime_ns) &&
		!(time_before(other->vdeadline_ns, prev->vdeadline_ns) && fair_eligible(q, other->vruntime_ns));
	struct thread *next = stays ? prev : other;
	fair_discount(q, next);
	if (!stays) {
		q->single = prev;
		prev->queued = true;
		other->queued = false;
	}
	return next;
}

/* Charges the running thread for its time up to now. Other CPUs' clocks may be a little behind: then for nothing. */
static always_inline void rq_account(struct run_queue *rq, struct thread *t, uint64_t now)
{
	uint64_t delta = now - t->switched_in_ns;
	if (unlikely((int64_t)delta <= 0))
		return;
	t->switched_in_ns = now;
	if (t == rq->idle) { /* nobody's run time, and not the executor's either */
		rq->idle_ns += delta;
		return;
	}
	t->exec_ns += delta;
	if (t->in_user) {
		t->user_ns += delta;
		rq->user_ns += delta;
	} else {
		t->system_ns += delta;
		rq->system_ns += delta;
	}
	if (unlikely(t->special)) {
		rq_special_account(rq, t, delta, now);
		return;
	}
	t->vruntime_ns += real_to_virtual(t, delta);
	if (unlikely(!time_before(t->vruntime_ns, t->vserved_ns))) { /* served: the next request */
		t->vdeadline_ns = t->vserved_ns = t->vruntime_ns + t->vslice_ns;
		if (unlikely(t->vruntime_ns - rq->fair.base > REBASE_NS))
			fair_rebase(&rq->fair, t->vruntime_ns);
	}
}

/* t, which runs, begins or goes on with its request. */
static always_inline void rq_begin_turn(struct thread *t, uint64_t now)
{
	uint64_t ns;
	if (unlikely(t->special))
		ns = rq_special_turn(t);
	else if (likely(t->vrate == VRATE_ONE))
		ns = t->vserved_ns - t->vruntime_ns;
	else
		ns = ((t->vserved_ns - t->vruntime_ns) * VRATE_ONE + t->vrate - 1) / t->vrate;
	t->slice_end_ns = now + ns;
}

/* The running thread, still rq->current, goes to sleep: what it is owed or owes is kept. */
static always_inline void rq_leave(struct run_queue *rq, struct thread *t)
{
	rq->runnable--;
	rq->weight -= t->weight;
	if (unlikely(t->special)) {
		rq->weight_special -= t->weight;
		return;
	}
	if (unlikely(!rq->group))
		group_leave(rq, t);
	if (!rq->fair.load) {
		rq->fair.base = t->vruntime_ns; /* the queue is empty: this is its time now */
		t->lag_ns = 0;
	} else if (rq_eligible(rq, t)) {
		t->lag_ns = fair_lag_of_credit(rq, t);
	} else {
		t->lag_ns = -1;
	}
}

/* The request is at t's present rate. */
static always_inline void rq_place_at_rate(struct run_queue *rq, struct thread *t, struct fair_request r)
{
	uint64_t load = rq->fair.load + (rq_fair_runs(rq) ? rq->current->share : 0);
	t->vruntime_ns = rq_vtime(rq);
	if (r.lag_ns && load) /* t itself moves the mean: so that it is lag_ns away from where that will be then */
		t->vruntime_ns -= (uint64_t)(r.lag_ns + r.lag_ns * (int64_t)t->share / (int64_t)load);
	t->vserved_ns = t->vruntime_ns + r.length_ns;
	t->vdeadline_ns = t->vserved_ns - r.head_start_ns;
}

/* Gives t, which is on no queue but counts already, its place among the fair ones. */
static always_inline void rq_place(struct run_queue *rq, struct thread *t, struct fair_request r)
{
	if (unlikely(t->rate_of))
		group_place(rq, t, r);
	else
		rq_place_at_rate(rq, t, r);
}

/* Both for a fair thread. */
static always_inline void rq_join(struct run_queue *rq, struct thread *t, const struct fair_request *r, uint64_t now)
{
	if (unlikely(t->group != rq->group)) {
		group_join(rq, t, r, now);
		return;
	}
	rq->runnable++;
	rq->weight += t->weight;
	rq_place_at_rate(rq, t, *r);
}

/* What fair_request says of t, which is queued or runs, and whose account is up to date. */
static always_inline struct fair_request rq_request(const struct run_queue *rq, const struct thread *t)
{
	struct fair_request r = {.lag_ns = (int64_t)(rq_vtime(rq) - t->vruntime_ns),
				 .length_ns = t->vserved_ns - t->vruntime_ns,
				 .head_start_ns = t->vserved_ns - t->vdeadline_ns};
	return unlikely(t->rate_of) ? group_request_to_own(t, r) : r;
}

/* What a woken thread asks for first. */
static always_inline struct fair_request woken_request(const struct thread *t, int64_t lag_ns)
{
	if (unlikely(t->eff_policy != SCHED_NORMAL))
		return (struct fair_request){.lag_ns = lag_ns, .length_ns = t->vslice_ns};
	return (struct fair_request){.lag_ns = lag_ns,
				     .length_ns = likely(t->slice_ns > SLICE_WOKEN_NS)
					     ? real_to_virtual(t, SLICE_WOKEN_NS)
					     : t->vslice_ns,
				     .head_start_ns = SLICE_NS};
}

/* Whether t, just queued, should have the CPU at once. */
static always_inline bool rq_should_preempt(const struct run_queue *rq, const struct thread *t)
{
	const struct thread *cur = rq->current;
	if (cur == rq->idle)
		return true;
	if (unlikely(t->eff_policy | cur->eff_policy))
		return rq_special_preempts(rq, t);
	return time_before(t->vdeadline_ns, cur->vdeadline_ns) && rq_eligible(rq, t);
}

/* When the scheduler should look again at what runs now; UINT64_MAX: never. */
static always_inline uint64_t rq_tick_wanted(const struct run_queue *rq, uint64_t now)
{
	const struct thread *cur = rq->current;
	if (unlikely(cur->eff_policy | rq->special || rq->dl_exhausted_first || cur == rq->idle || sched_seeded))
		return rq_special_tick(rq, now);
	return rq->fair.load ? cur->slice_end_ns : now + rq->sample_ns;
}
