/*
 * Real-time threads (SCHED_FIFO, SCHED_RR; man 7 sched): one list per priority and a bit that says whether it has
 * anybody, so everything is O(1).
 *
 * A pre-empted thread goes to the head of its list, one whose turn is over, or that yields, to the tail.  SCHED_RR's
 * turn is counted in its own CPU time: vdeadline_ns, which has no other use in this class, is the exec_ns at which it
 * ends; so a pre-empted thread goes on with the rest of its turn.
 *
 * The throttle.  A real-time thread that never sleeps would take the CPU for good, the shell included.  So of each
 * period (1 s) real-time threads have 950 ms while fair threads wait, per CPU; the rest is the fair threads'.  The end
 * of a period is noticed by a tick, or by the next real-time thread that wakes up.  With no
 * fair thread waiting there is nothing to throttle for, and the real-time threads run on.  A period begins with the
 * first real-time run after the one before has ended.
 */
#include "sched/runqueue.h"

uint64_t rt_period_ns = NSEC_PER_SEC, rt_runtime_ns = 950 * NSEC_PER_MSEC;

void rq_rt_enqueue(struct run_queue *rq, struct thread *t, bool at_head)
{
	unsigned p = t->eff_rt;
	struct list *l = &rq->rt[p];
	if (!(rq->rt_present[p / 64] & BIT(p % 64))) {
		list_init(l);
		rq->rt_present[p / 64] |= BIT(p % 64);
	}
	if (at_head) {
		list_push_front(l, &t->rt_node);
	} else {
		t->vdeadline_ns = t->exec_ns + SLICE_RR_NS;
		list_push_back(l, &t->rt_node);
	}
	rq->special++;
}

void rq_rt_remove(struct run_queue *rq, struct thread *t)
{
	unsigned p = t->eff_rt;
	list_remove(&t->rt_node);
	if (list_empty(&rq->rt[p]))
		rq->rt_present[p / 64] &= ~BIT(p % 64);
	rq->special--;
}

bool rq_rt_period(struct run_queue *rq, uint64_t now)
{
	if (time_before(now, rq->rt_period_end_ns) && rt_runtime_ns != UINT64_MAX)
		return false;
	bool was = rq->rt_throttled;
	rq->rt_throttled = false;
	rq->rt_used_ns = 0;
	rq->rt_period_end_ns = now + rt_period_ns;
	return was;
}

void rq_rt_account(struct run_queue *rq, uint64_t delta, uint64_t now)
{
	(void)rq_rt_period(rq, now);
	rq->rt_used_ns += delta;
	if (rq->rt_used_ns >= rt_runtime_ns)
		rq->rt_throttled = true;
}
