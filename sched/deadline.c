/*
 * SCHED_DEADLINE (man 7 sched): so much run time in every period, by a deadline.
 *
 * Earliest deadline first, with a constant-bandwidth server for each thread: it has a budget, its run time, which
 * running uses up, and a deadline.  A thread whose budget is used up is exhausted: it waits, off the queue for the CPU,
 * until its next period, and comes back with a new budget and the next deadline.  So it never takes more than runtime
 * per period from the others, whatever it asks for.  One that wakes up goes on with budget and deadline if running all
 * of that budget until the deadline is within its bandwidth (budget / time left <= runtime / deadline), else it begins
 * a period now; otherwise who sleeps at the right moments would get more.  Where the deadline is before the end of the
 * period, beginning one now would be more as well: such a thread keeps its deadline, with as much budget as is within
 * the bandwidth, and after its deadline waits for the next period.
 *
 * Admission: the bandwidths (runtime / period) of all DEADLINE threads may not exceed 95 % of the CPUs.  They may run
 * anywhere, so a thread's affinity must leave out none.  Then no thread is late by more than the longest run time on
 * one CPU, and by a bounded time on several.
 *
 * A thread that inherits a deadline (priority inheritance) is ordered by it and has no budget meanwhile: it has the CPU
 * for as long as it holds the lock, which whoever wrote that critical section answers for.
 *
 * Rejected: fixing each thread to one CPU (simpler guarantees, but refuses sets that fit the machine and are accepted
 * by Linux).
 *
 * Two trees per CPU: ready ones by deadline, exhausted ones by the start of their next period, each with its first
 * remembered.  All O(log n).
 */
#include <asm/errno.h>

#include "sched/runqueue.h"
#include "sync/atomic.h"

#define BANDWIDTH_ONE (1ull << 20) /* a whole CPU */
#define BANDWIDTH_MAX (BANDWIDTH_ONE * 95 / 100)

static struct spinlock admission_lock = SPINLOCK_INIT(LOCK_LEAF, "deadline admission");
static uint64_t admitted; /* sum over all DEADLINE threads; admission_lock */

/* runtime_ns / length_ns, in parts of BANDWIDTH_ONE. */
static uint64_t density(uint64_t runtime_ns, uint64_t length_ns)
{
	unsigned scale = runtime_ns >> 43 ? 20 : 0; /* hours: then milliseconds are exact enough */
	return (runtime_ns >> scale) * BANDWIDTH_ONE / (length_ns >> scale);
}

static uint64_t bandwidth(const struct sched_dl *dl)
{
	return dl->runtime_ns ? density(dl->runtime_ns, dl->period_ns) : 0;
}

int dl_admit(const struct sched_dl *from, const struct sched_dl *to, unsigned cpu_count)
{
	SPIN_GUARD(&admission_lock);
	uint64_t after = admitted - bandwidth(from) + bandwidth(to);
	if (after > admitted && after > BANDWIDTH_MAX * cpu_count)
		return -EBUSY;
	admitted = after;
	return 0;
}

uint64_t dl_due(const struct thread *t)
{
	bool donated = thread_deadline_donated(t) &&
		(t->policy != SCHED_DEADLINE || time_before(t->boost.deadline_ns, t->dl.due_ns));
	return donated ? t->boost.deadline_ns : t->dl.due_ns;
}

/* The start of the period after the one due_ns belongs to. */
static uint64_t next_period(const struct sched_dl *dl)
{
	return dl->due_ns - dl->deadline_ns + dl->period_ns;
}

void dl_keep_period(struct sched_dl *to, const struct sched_dl *from)
{
	to->budget_ns = from->budget_ns;
	if (to->runtime_ns)
		to->budget_ns = MIN(to->budget_ns, (int64_t)to->runtime_ns);
	if (!from->due_ns)
		return;
	uint64_t next = from->runtime_ns ? next_period(from) : from->due_ns;
	to->due_ns = to->runtime_ns ? next - to->period_ns + to->deadline_ns : next;
}

void dl_wake(struct thread *t, uint64_t now)
{
	struct sched_dl *dl = &t->dl;
	if (dl->runtime_ns == 0) /* a boosted one */
		return;
	int64_t left = (int64_t)(dl->due_ns - now);
	if (dl->budget_ns <= 0 && left > 0)
		return; /* it slept after it had used all: rq_dl_enqueue() finds it exhausted */
	if (left > 0 && (__int128)dl->budget_ns * (int64_t)dl->deadline_ns <= (__int128)dl->runtime_ns * left)
		return;
	if (dl->due_ns && dl->deadline_ns < dl->period_ns && time_before(now, next_period(dl))) {
		if (left > 0)
			dl->budget_ns = (int64_t)((unsigned __int128)density(dl->runtime_ns, dl->deadline_ns) *
						  (uint64_t)left / BANDWIDTH_ONE);
		else
			dl->budget_ns = MIN(dl->budget_ns, 0);
		return;
	}
	dl->due_ns = now + dl->deadline_ns;
	dl->budget_ns = (int64_t)dl->runtime_ns;
}

static struct thread *entry(struct rb_node *n)
{
	return RB_ENTRY(n, struct thread, run_node);
}

static uint64_t refill_of(const struct thread *t)
{
	return t->dl.refill_ns;
}

/* Equal ones stay in the order they came. */
static void insert(struct rb_root *root, struct thread **first, struct thread *t,
		   uint64_t (*key)(const struct thread *t))
{
	struct rb_node **link = &root->node, *parent = NULL;
	bool leftmost = true;
	while (*link) {
		parent = *link;
		if (time_before(key(t), key(entry(parent)))) {
			link = &parent->left;
		} else {
			link = &parent->right;
			leftmost = false;
		}
	}
	rb_link(&t->run_node, parent, link);
	rb_insert_fix(root, &t->run_node);
	if (leftmost)
		*first = t;
}

static void erase(struct rb_root *root, struct thread **first, struct thread *t)
{
	if (*first == t) {
		struct rb_node *next = rb_next(&t->run_node);
		*first = next ? entry(next) : NULL;
	}
	rb_erase(root, &t->run_node);
}

static void refill(struct sched_dl *dl, uint64_t now)
{
	/* What it took too much, while it could not be interrupted, is taken from later periods. */
	uint64_t periods = dl->budget_ns < 0 ? (uint64_t)-dl->budget_ns / dl->runtime_ns + 1 : 1;
	dl->due_ns += periods * dl->period_ns;
	dl->budget_ns += (int64_t)(periods * dl->runtime_ns);
	if (time_before(dl->due_ns, now)) { /* far behind: what was not used is gone, and so is what is owed */
		dl->due_ns = now + dl->deadline_ns;
		dl->budget_ns = (int64_t)dl->runtime_ns;
	}
}

void rq_dl_enqueue(struct run_queue *rq, struct thread *t, uint64_t now)
{
	struct sched_dl *dl = &t->dl;
	if (dl->budget_ns <= 0 && !thread_deadline_donated(t)) {
		if (time_before(now, next_period(dl))) {
			dl->refill_ns = next_period(dl) | 1; /* not 0 */
			insert(&rq->dl_exhausted, &rq->dl_exhausted_first, t, refill_of);
			rq->runnable--;
			return;
		}
		refill(dl, now);
	}
	insert(&rq->dl_ready, &rq->dl_first, t, dl_due);
	rq->special++;
}

void rq_dl_remove(struct run_queue *rq, struct thread *t)
{
	if (t->dl.refill_ns) {
		erase(&rq->dl_exhausted, &rq->dl_exhausted_first, t);
		t->dl.refill_ns = 0;
		rq->runnable++;
	} else {
		erase(&rq->dl_ready, &rq->dl_first, t);
		rq->special--;
	}
}

bool rq_dl_refill(struct run_queue *rq, uint64_t now)
{
	bool any = false;
	while (rq->dl_exhausted_first && !time_before(now, rq->dl_exhausted_first->dl.refill_ns)) {
		struct thread *t = rq->dl_exhausted_first;
		rq_dl_remove(rq, t);
		refill(&t->dl, now);
		insert(&rq->dl_ready, &rq->dl_first, t, dl_due);
		rq->special++;
		any = true;
	}
	return any;
}
