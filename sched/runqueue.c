/*
 * The order of threads: theory.
 *
 * Classes.  DEADLINE (deadline.c) comes before real-time (realtime.c) before fair before idle.  Those in the first two
 * are called special here, since nearly always there are none.
 *
 * Fair threads share what is left in proportion to their weight.  A nice step is a factor of 1.25 in weight, hence
 * about 10 % of the CPU between two threads one step apart, whatever their level (man 7 sched).  Where threads of
 * several sessions compete, a thread's share counts in place of its weight: by it sessions come first (group.c).
 *
 * Virtual time.  A thread's vruntime grows while it runs by the time taken times (weight of nice 0 / its weight).  The
 * queue's virtual time V is the mean of the vruntimes of all who compete (those that wait and the one that runs),
 * weighted by their weights: where everybody would be had time been shared in infinitely small pieces.  V - vruntime is
 * a thread's lag: what it is owed, or owes.  A thread is eligible if it owes nothing.  By definition of the mean the
 * weighted lags add up to zero, so somebody always is.
 *
 * Virtual deadlines (EEVDF).  Time is requested in slices: a thread's deadline is its vruntime at the request plus the
 * slice in virtual time, which is when it would be served were it to get exactly its share from then on.  Of the
 * eligible threads the one with the earliest deadline runs, until its request is served.  So shares come from
 * eligibility alone, whatever the slices, and nobody's lag exceeds the longest slice; while a short slice buys early
 * service in small pieces.  sched_setattr() sets the slice (sched_runtime).
 *
 * Waking up.  The first request after a sleep is short (SLICE_WOKEN_NS), and its deadline a usual slice earlier than
 * its length says: so an interactive thread that owes nothing goes before all that compute, whose deadlines are ahead
 * of V, at once or at the latest when the present turn ends, however many they are; among several that woke it is first
 * come, first served.  A heavy weight comes earlier, a light one (from nice 8 on) waits for its turn like the rest.  It
 * costs nobody his share, since it only goes to who is eligible.
 *
 * Who sleeps keeps its lag.  A credit is kept as it is, at most LAG_SLICES requests.  A debt is paid by waiting, as it
 * would be on the queue: it shrinks as V moves on, so what is kept is the vruntime.  Putting a thread with a lag on the
 * queue moves V itself; rq_place() allows for that.  A new thread has no lag.  Between CPUs the lag is what moves.
 *
 * The queue.  V is never stored: `sum` is Σ weight·(vruntime - base) and `load` Σ weight, which change by one
 * multiplication when a thread comes or goes; "eligible" is (vruntime - base)·load <= sum, without a division and
 * without rounding.  base follows the running thread so that the terms stay small.  Threads wait in a red-black tree by
 * deadline, in which each node knows the least vruntime of its subtree; from the top, left if anybody there is
 * eligible, finds the pick in O(log n).
 *
 * One waiting thread, `single`, is kept outside the tree: whoever comes while the place is free.  With one thread
 * waiting, which is nearly always, the tree is never touched and switching between two threads is a few loads and
 * stores; with more it saves about half of the tree's work.
 *
 * The running thread is in no queue.  rq_account() is the only place where time is given to anybody, so the sum over
 * threads is the time.
 *
 * What a switch between two ordinary threads needs is inline in runqueue.h; here is the rest.
 *
 * Rejected: least vruntime first (no place for latency: a thread is served early only by being given time); keeping
 * sleepers that owe on the queue until they have paid (the same effect for more bookkeeping: they would have to be
 * found when they wake on another CPU); a tree by vruntime (the pick would search past all eligible ones); round robin
 * without weights.
 */
#include "sched/runqueue.h"

/* 1024 · 1.25^-nice, rounded; nice -20 … 19. */
static const uint32_t nice_weight[40] = {
	88818, 71054, 56843, 45475, 36380, 29104, 23283, 18626, 14901, 11921, 9537, 7629, 6104, 4883,
	3906,  3125,  2500,  2000,  1600,  1280,  1024,	 819,	655,   524,   419,  336,  268,	215,
	172,   137,   110,   88,    70,	   56,	  45,	 36,	29,    23,    18,   15,
};
#define WEIGHT_IDLE 3u

#define SEEDED_TURN_MIN_NS 20000
#define SEEDED_TURN_DRAWN_NS 500000

/* ---- the tree of fair threads ---- */

static always_inline struct thread *entry(struct rb_node *n)
{
	return RB_ENTRY(n, struct thread, run_node);
}

static void recompute(struct rb_node *n)
{
	struct thread *t = entry(n);
	uint64_t least = t->vruntime_ns;
	if (n->left && time_before(entry(n->left)->least_vruntime_ns, least))
		least = entry(n->left)->least_vruntime_ns;
	if (n->right && time_before(entry(n->right)->least_vruntime_ns, least))
		least = entry(n->right)->least_vruntime_ns;
	t->least_vruntime_ns = least;
}

void fair_tree_insert(struct fair_queue *q, struct thread *t)
{
	struct rb_node **link = &q->tree.node, *parent = NULL;
	while (*link) {
		parent = *link;
		link = time_before(t->vdeadline_ns, entry(parent)->vdeadline_ns) ? &parent->left : &parent->right;
	}
	rb_link(&t->run_node, parent, link);
	rb_insert_augmented(&q->tree, &t->run_node, recompute);
}

/* The first by deadline that is eligible; NULL: none in the tree is. */
static struct thread *tree_best(const struct fair_queue *q)
{
	struct rb_node *n = q->tree.node;
	while (n) {
		if (n->left && fair_eligible(q, entry(n->left)->least_vruntime_ns))
			n = n->left;
		else if (fair_eligible(q, entry(n)->vruntime_ns))
			return entry(n);
		else
			n = n->right;
	}
	return NULL;
}

/* The tree is not empty. */
struct thread *fair_tree_pick(struct fair_queue *q)
{
	struct thread *best = tree_best(q), *single = q->single;
	bool swap = sched_seed_chance(4); /* sometimes the other of the two candidates */

	/* Nobody is eligible: lags so absurd that `sum` wrapped. Somebody runs all the same. */
	if (unlikely(!best && !single))
		best = entry(rb_first(&q->tree));
	if (!best ||
	    (single && fair_eligible(q, single->vruntime_ns) &&
	     time_before(single->vdeadline_ns, best->vdeadline_ns) != swap)) {
		q->single = NULL;
		return single;
	}
	rb_erase_augmented(&q->tree, &best->run_node, recompute);
	return best;
}

void fair_remove(struct run_queue *rq, struct thread *t)
{
	struct fair_queue *q = &rq->fair;
	fair_discount(q, t);
	if (t == q->single)
		q->single = NULL;
	else
		rb_erase_augmented(&q->tree, &t->run_node, recompute);
}

void fair_rebase(struct fair_queue *q, uint64_t base)
{
	q->sum -= (int64_t)(base - q->base) * (int64_t)q->load;
	q->base = base;
}

/* ---- lag ---- */

static int64_t lag_limit(const struct thread *t)
{
	return (int64_t)(LAG_SLICES * t->vslice_ns);
}

int64_t fair_lag_of_credit(const struct run_queue *rq, const struct thread *t)
{
	int64_t lag = (int64_t)(rq_vtime(rq) - t->vruntime_ns);
	return MAX(MIN(lag, lag_limit(t)), 0);
}

int64_t rq_lag(const struct run_queue *rq, const struct thread *t)
{
	if (t->lag_ns >= 0)
		return t->lag_ns;
	int64_t debt = (int64_t)(rq_vtime(rq) - t->vruntime_ns);
	return debt >= 0 ? 0 : MAX(debt, -lag_limit(t));
}

/* ---- all classes ---- */

uint32_t weight_of_nice(int nice)
{
	return nice_weight[nice + 20];
}

void thread_set_effective(struct thread *t)
{
	unsigned policy = t->policy, rt = t->rt_priority;
	int nice = t->nice;
	uint32_t boost = t->boost.rank - 1; /* none: wraps to more than any */

	if (boost == 0) {
		policy = SCHED_DEADLINE;
		rt = 0;
	} else if (boost < RT_PRIORITIES && policy != SCHED_DEADLINE && RT_PRIORITIES - boost > rt) {
		rt = RT_PRIORITIES - boost;
		policy = SCHED_FIFO;
	} else if (boost >= RT_PRIORITIES && boost < RT_PRIORITIES + 40 && !rt && policy != SCHED_DEADLINE) {
		int donated = (int)boost - RT_PRIORITIES - 20;
		if (policy == SCHED_IDLE) {
			policy = SCHED_NORMAL;
			nice = donated;
		}
		nice = MIN(nice, donated);
	}
	t->eff_policy = (uint8_t)policy;
	t->eff_rt = (uint8_t)rt;
	t->special = rt || policy == SCHED_DEADLINE;
	t->weight = policy == SCHED_IDLE ? WEIGHT_IDLE : nice_weight[nice + 20];
	t->share = t->weight;
	t->vrate = vrate_of_weight(t->weight);
	t->rate_of = 0;
	t->vslice_ns = real_to_virtual(t, t->slice_ns);
}

void rq_dequeue(struct run_queue *rq, struct thread *t)
{
	ASSERT(t->queued);
	t->queued = false;
	if (likely(!t->special))
		fair_remove(rq, t);
	else if (t->eff_rt)
		rq_rt_remove(rq, t);
	else
		rq_dl_remove(rq, t);
}

void rq_special_enqueue(struct run_queue *rq, struct thread *t, bool at_head, uint64_t now)
{
	if (t->eff_rt)
		rq_rt_enqueue(rq, t, at_head);
	else
		rq_dl_enqueue(rq, t, now);
}

static unsigned rt_highest(const struct run_queue *rq)
{
	return rq->rt_present[1] ? 127u - (unsigned)__builtin_clzll(rq->rt_present[1])
				 : 63u - (unsigned)__builtin_clzll(rq->rt_present[0]);
}

static bool rt_any(const struct run_queue *rq)
{
	return rq->rt_present[0] | rq->rt_present[1];
}

/* NULL: a fair one is to run, there is one. */
struct thread *rq_special_pick(struct run_queue *rq)
{
	struct thread *t = rq->dl_first;
	if (t) {
		rq_dl_remove(rq, t);
		return t;
	}
	if (rq->rt_throttled && rq->fair.load)
		return NULL;
	t = LIST_FIRST(&rq->rt[rt_highest(rq)], struct thread, rt_node);
	rq_rt_remove(rq, t);
	return t;
}

void rq_special_account(struct run_queue *rq, struct thread *t, uint64_t delta, uint64_t now)
{
	if (t->eff_rt)
		rq_rt_account(rq, delta, now);
	else if (!thread_deadline_donated(t)) /* a boost ends with the lock it is for: no budget */
		t->dl.budget_ns -= (int64_t)delta;
}

/* How long t may run from now on. */
uint64_t rq_special_turn(const struct thread *t)
{
	if (t->eff_policy == SCHED_RR)
		return t->vdeadline_ns > t->exec_ns ? t->vdeadline_ns - t->exec_ns : 0;
	if (t->eff_policy == SCHED_DEADLINE && !thread_deadline_donated(t))
		return (uint64_t)MAX(t->dl.budget_ns, 0);
	return NSEC_PER_SEC * 3600;
}

/* One of the two is not SCHED_NORMAL. */
bool rq_special_preempts(const struct run_queue *rq, const struct thread *t)
{
	const struct thread *cur = rq->current;
	bool t_dl = t->eff_policy == SCHED_DEADLINE, cur_dl = cur->eff_policy == SCHED_DEADLINE;

	if (t_dl || cur_dl) {
		if (t_dl && t->dl.refill_ns)
			return false;
		return t_dl && (!cur_dl || time_before(dl_due(t), dl_due(cur)));
	}
	if (t->eff_rt || cur->eff_rt) {
		if (rq->rt_throttled && (!t->eff_rt || !cur->eff_rt))
			return !t->eff_rt;
		return t->eff_rt > cur->eff_rt;
	}
	if ((t->eff_policy == SCHED_IDLE) != (cur->eff_policy == SCHED_IDLE))
		return cur->eff_policy == SCHED_IDLE;
	return t->eff_policy != SCHED_BATCH && time_before(t->vdeadline_ns, cur->vdeadline_ns) && rq_eligible(rq, t);
}

/* Whether a waiting special thread is more urgent than the running one, or as urgent and that has had its turn. */
static bool special_waits(const struct run_queue *rq, uint64_t now)
{
	const struct thread *cur = rq->current;
	bool cur_dl = cur->eff_policy == SCHED_DEADLINE;

	if (rq->dl_first && (!cur_dl || time_before(dl_due(rq->dl_first), dl_due(cur))))
		return true;
	if (cur_dl || !rt_any(rq))
		return false;
	if (rq->rt_throttled && (rq->fair.load || !cur->eff_rt))
		return false;
	unsigned p = rt_highest(rq);
	return p > cur->eff_rt || (p == cur->eff_rt && cur->eff_policy == SCHED_RR && now >= cur->slice_end_ns);
}

bool rq_turn_is_over(const struct run_queue *rq, uint64_t now)
{
	const struct thread *cur = rq->current;
	if (cur == rq->idle)
		return rq->runnable != 0;
	if (rq->special && special_waits(rq, now))
		return true;
	if (cur->eff_policy == SCHED_DEADLINE)
		return !thread_deadline_donated(cur) && cur->dl.budget_ns <= 0;
	if (cur->eff_rt)
		return rq->rt_throttled && rq->fair.load;
	return rq->fair.load && now >= cur->slice_end_ns;
}

uint64_t rq_special_tick(const struct run_queue *rq, uint64_t now)
{
	const struct thread *cur = rq->current;
	uint64_t at = UINT64_MAX;

	if (cur != rq->idle) {
		at = now + rq->sample_ns;
		if (cur->special ? cur->eff_policy != SCHED_FIFO : rq->fair.load != 0)
			at = MIN(at, cur->slice_end_ns);
	}
	if (cur->eff_rt && rq->fair.load && !rq->rt_throttled && rt_runtime_ns != UINT64_MAX)
		at = MIN(at, now + (rt_runtime_ns - rq->rt_used_ns));
	if (rq->rt_throttled && rt_any(rq))
		at = MIN(at, rq->rt_period_end_ns);
	if (rq->dl_exhausted_first)
		at = MIN(at, rq->dl_exhausted_first->dl.refill_ns);
	if (sched_seeded && cur != rq->idle)
		at = MIN(at, now + SEEDED_TURN_MIN_NS + sched_seed_draw(SEEDED_TURN_DRAWN_NS));
	return MAX(at, now);
}
