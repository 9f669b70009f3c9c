/*
 * A run queue of the test's own, with threads that never run and a clock that the test turns.
 */
#pragma once

#include "core/ktest.h"
#include "sched/runqueue.h"

struct queue_bench {
	struct run_queue rq;
	struct thread idle;
	uint64_t now;
	bool was_seeded;
};

/* q is zeroed. The queue is empty and time goes on from 1 s; what is tested is the order by the book. */
static inline void queue_begin(struct queue_bench *q)
{
	q->was_seeded = sched_seeded;
	sched_seeded = false;
	q->rq.idle = q->rq.current = &q->idle;
	q->rq.group = &sched_root_group;
	q->rq.sample_ns = SAMPLE_MIN_NS;
	q->now = NSEC_PER_SEC;
	q->rq.fair.base = 0 - 100 * NSEC_PER_MSEC; /* virtual time passes 0 soon: it may wrap */
}

static inline void queue_end(const struct queue_bench *q)
{
	sched_seeded = q->was_seeded;
}

/* What a switch does to the queue. The thread that ran goes back unless it sleeps. Returns the next. */
static inline struct thread *queue_turn(struct queue_bench *q, bool sleeps)
{
	struct run_queue *rq = &q->rq;
	struct thread *prev = rq->current;
	rq_account(rq, prev, q->now);
	if (prev != rq->idle && !sleeps && !prev->special) {
		rq->current = rq_exchange(rq, prev, q->now);
	} else {
		if (prev != rq->idle && sleeps)
			rq_leave(rq, prev);
		else if (prev != rq->idle)
			rq_enqueue(rq, prev, false, q->now);
		rq->current = rq_pick(rq, q->now);
	}
	rq->current->switched_in_ns = q->now;
	if (rq->current != rq->idle)
		rq_begin_turn(rq->current, q->now);
	return rq->current;
}

/* Whoever runs does so until its turn is over, or the time is. */
static inline void queue_run_for(struct queue_bench *q, uint64_t ns)
{
	for (uint64_t until = q->now + ns; q->now < until;)
		q->now = MIN(queue_turn(q, false)->slice_end_ns, until);
	rq_account(&q->rq, q->rq.current, q->now);
}
