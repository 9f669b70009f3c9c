/*
 * The order of threads: theory.
 *
 * Real-time threads (SCHED_FIFO, SCHED_RR) come before all others, by priority, one FIFO per priority and a bit that
 * says whether it has anybody: O(1).
 *
 * The others share what is left in proportion to their weight.  Each has a virtual run time, which grows while it runs
 * by the time taken times (weight of nice 0 / its weight); whoever has had least runs next.  A nice step is a factor of
 * 1.25 in weight, hence about 10 % of the CPU between two threads one step apart, whatever their level (man 7 sched).
 * A sleeper does not save up credit: it comes back at most WAKE_CREDIT_NS behind min_vruntime, which lets it run soon
 * but not long.
 *
 * The queue is a red-black tree by vruntime, except that the first of all is kept outside it in fair_first.  With up to
 * one thread waiting, which is nearly always, the tree is never touched, and switching between two threads is a few
 * loads and stores. Invariant: fair_first is NULL only if the tree is empty; no thread in the tree has less vruntime
 * than it.
 *
 * The running thread is in no queue.  rq_account() is the only place where time is given to anybody, so the sum over
 * threads is the time.
 *
 * What a switch between two ordinary threads needs is inline in runqueue.h; here is the rest.
 *
 * Rejected: virtual deadlines (EEVDF): all slices are equal here, so the order by deadline is the order by vruntime;
 * round robin without weights (nice would mean nothing); a tree with the first inside (two rebalancings a switch).
 */
#include "sched/runqueue.h"

#include <linux/sched.h>

/* 1024 · 1.25^-nice, rounded; nice -20 … 19. */
static const uint32_t nice_weight[40] = {
	88818, 71054, 56843, 45475, 36380, 29104, 23283, 18626, 14901, 11921, 9537, 7629, 6104, 4883,
	3906,  3125,  2500,  2000,  1600,  1280,  1024,	 819,	655,   524,   419,  336,  268,	215,
	172,   137,   110,   88,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};

void thread_set_weight(struct thread *t)
{
	t->weight = t->policy == SCHED_IDLE ? 3 : nice_weight[t->nice + 20];
}

void rq_tree_insert(struct run_queue *rq, struct thread *t)
{
	struct rb_node **link = &rq->fair.node, *parent = NULL;
	while (*link) {
		parent = *link;
		link = rq_before(t, RB_ENTRY(parent, struct thread, run_node)) ? &parent->left : &parent->right;
	}
	rb_link(&t->run_node, parent, link);
	rb_insert_fix(&rq->fair, &t->run_node);
}

struct thread *rq_tree_take_first(struct run_queue *rq)
{
	struct rb_node *n = rb_first(&rq->fair);
	rb_erase(&rq->fair, n);
	return RB_ENTRY(n, struct thread, run_node);
}

void rq_rt_enqueue(struct run_queue *rq, struct thread *t, bool at_head)
{
	unsigned p = t->rt_priority;
	struct list *l = &rq->rt[p];
	if (!(rq->rt_present[p / 64] & BIT(p % 64))) {
		list_init(l);
		rq->rt_present[p / 64] |= BIT(p % 64);
	}
	if (at_head)
		list_push_front(l, &t->rt_node);
	else
		list_push_back(l, &t->rt_node);
}

void rq_rt_remove(struct run_queue *rq, struct thread *t)
{
	unsigned p = t->rt_priority;
	list_remove(&t->rt_node);
	if (list_empty(&rq->rt[p]))
		rq->rt_present[p / 64] &= ~BIT(p % 64);
}

void rq_dequeue(struct run_queue *rq, struct thread *t)
{
	ASSERT(t->queued);
	t->queued = false;
	if (thread_is_rt(t))
		rq_rt_remove(rq, t);
	else if (t == rq->fair_first)
		rq_fair_advance(rq);
	else
		rb_erase(&rq->fair, &t->run_node);
}

/* One of the two is not SCHED_NORMAL. */
bool rq_special_preempts(const struct run_queue *rq, const struct thread *t)
{
	const struct thread *cur = rq->current;
	if (thread_is_rt(t) || thread_is_rt(cur))
		return t->rt_priority > cur->rt_priority;
	if ((t->policy == SCHED_IDLE) != (cur->policy == SCHED_IDLE))
		return cur->policy == SCHED_IDLE;
	return t->policy != SCHED_BATCH && t->vruntime_ns + WAKE_GRANULARITY_NS < cur->vruntime_ns;
}

bool rq_slice_is_over(const struct run_queue *rq, uint64_t now)
{
	const struct thread *cur = rq->current;
	if (cur == rq->idle)
		return rq->runnable != 0;
	if (rq_rt_any(rq)) {
		unsigned p = rq_rt_highest(rq);
		return p > cur->rt_priority ||
			(p == cur->rt_priority && cur->policy == SCHED_RR && now >= cur->slice_end_ns);
	}
	return !thread_is_rt(cur) && rq->fair_first && now >= cur->slice_end_ns;
}
