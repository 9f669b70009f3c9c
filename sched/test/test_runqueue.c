/*
 * The order of threads on a run queue of its own, with threads that never run and a clock that the test turns.
 */
#include <linux/sched.h>

#include "core/ktest.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/runqueue.h"

#define THREADS 8u

static struct bench {
	struct run_queue rq;
	struct thread idle, t[THREADS];
	uint64_t now;
} * b;

static void begin(void)
{
	b = kzalloc(sizeof *b);
	KTEST_TRUE(b != NULL);
	b->rq.idle = b->rq.current = &b->idle;
	b->now = NSEC_PER_SEC;
}

static void add(unsigned i, int policy, int nice, int rt_priority)
{
	struct thread *t = &b->t[i];
	t->policy = (uint8_t)policy;
	t->nice = (int8_t)nice;
	t->rt_priority = (uint8_t)rt_priority;
	thread_set_weight(t);
	rq_place(&b->rq, t, true);
	rq_enqueue(&b->rq, t, false);
	b->rq.runnable++;
}

/* What a switch does to the queue. The thread that ran goes back unless it sleeps. */
static struct thread *turn(bool sleeps)
{
	struct run_queue *rq = &b->rq;
	rq_account(rq, rq->current, b->now);
	if (rq->current != rq->idle && !sleeps)
		rq_enqueue(rq, rq->current, false);
	rq->current = rq_pick(rq);
	rq->current->switched_in_ns = b->now;
	rq->current->slice_end_ns = b->now + SLICE_NS;
	return rq->current;
}

static void run_slices(unsigned count)
{
	while (count--) {
		turn(false);
		b->now += SLICE_NS;
	}
	rq_account(&b->rq, b->rq.current, b->now);
}

KTEST(sched, runqueue_equal_threads_get_equal_time)
{
	begin();
	for (unsigned i = 0; i < 5; i++)
		add(i, SCHED_NORMAL, 0, 0);
	run_slices(1000);
	for (unsigned i = 0; i < 5; i++)
		KTEST_EQ(b->t[i].exec_ns, 200 * SLICE_NS);
	kfree(b);
}

KTEST(sched, runqueue_time_goes_by_weight)
{
	begin();
	static const int nice[6] = {-10, -3, 0, 1, 5, 19};
	uint64_t weights = 0;
	for (unsigned i = 0; i < 6; i++) {
		add(i, SCHED_NORMAL, nice[i], 0);
		weights += b->t[i].weight;
	}
	run_slices(20000);
	for (unsigned i = 0; i < 6; i++) {
		uint64_t due = 20000 * b->t[i].weight / weights, got = b->t[i].exec_ns / SLICE_NS;
		KTEST_TRUE(got + 2 >= due && got <= due + 2);
	}
	kfree(b);
}

/* A long sleep is no credit: the sleeper is at most a little ahead when it comes back. */
KTEST(sched, runqueue_sleepers_save_nothing)
{
	begin();
	add(0, SCHED_NORMAL, 0, 0);
	add(1, SCHED_NORMAL, 0, 0);
	struct thread *sleeper = turn(false);
	b->now += SLICE_NS;
	turn(true);
	run_slices(500);
	uint64_t before = sleeper->exec_ns;
	rq_place(&b->rq, sleeper, false);
	rq_enqueue(&b->rq, sleeper, false);
	KTEST_TRUE(rq_should_preempt(&b->rq, sleeper)); /* soon … */
	run_slices(100);
	KTEST_TRUE(sleeper->exec_ns - before <= 51 * SLICE_NS); /* … but not long */
	KTEST_TRUE(sleeper->exec_ns - before >= 49 * SLICE_NS);
	kfree(b);
}

KTEST(sched, runqueue_realtime_first_by_priority_and_arrival)
{
	begin();
	add(0, SCHED_NORMAL, -20, 0);
	add(1, SCHED_FIFO, 0, 1);
	add(2, SCHED_FIFO, 0, 99);
	add(3, SCHED_RR, 0, 50);
	add(4, SCHED_FIFO, 0, 50);
	add(5, SCHED_FIFO, 0, 64);
	static const uint8_t order[6] = {2, 5, 3, 4, 1, 0};
	for (unsigned i = 0; i < 6; i++) {
		KTEST_EQ(turn(true) - b->t, order[i]);
		b->now += 1000;
	}
	KTEST_TRUE(turn(true) == &b->idle);
	/* a pre-empted one goes back to the head of its priority, one whose turn is over to the tail */
	rq_enqueue(&b->rq, &b->t[3], false);
	rq_enqueue(&b->rq, &b->t[4], true);
	KTEST_TRUE(rq_pick(&b->rq) == &b->t[4]);
	KTEST_TRUE(rq_pick(&b->rq) == &b->t[3]);
	kfree(b);
}

KTEST(sched, runqueue_preemption_rules)
{
	begin();
	add(0, SCHED_NORMAL, 0, 0);
	KTEST_TRUE(rq_should_preempt(&b->rq, &b->t[0])); /* anybody before idle */
	turn(false);
	add(1, SCHED_NORMAL, 0, 0);
	KTEST_TRUE(!rq_should_preempt(&b->rq, &b->t[1]));
	add(2, SCHED_FIFO, 0, 1);
	KTEST_TRUE(rq_should_preempt(&b->rq, &b->t[2]));
	add(3, SCHED_IDLE, 0, 0);
	KTEST_TRUE(!rq_should_preempt(&b->rq, &b->t[3]));
	KTEST_TRUE(turn(false) == &b->t[2]);
	KTEST_TRUE(!rq_should_preempt(&b->rq, &b->t[0]));
	add(4, SCHED_FIFO, 0, 1);
	KTEST_TRUE(!rq_should_preempt(&b->rq, &b->t[4]));	      /* equal: waits */
	KTEST_TRUE(!rq_slice_is_over(&b->rq, b->now + NSEC_PER_SEC)); /* FIFO has no slice */
	kfree(b);
}

/* Against a sorted shadow, with removals from the middle. */
KTEST(sched, runqueue_random_order)
{
	begin();
	uint64_t seed = 7;
	bool queued[THREADS] = {false};
	for (unsigned step = 0; step < 5000; step++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		unsigned i = (unsigned)(seed >> 40) % THREADS;
		if (!queued[i]) {
			b->t[i].weight = WEIGHT_NICE_0;
			b->t[i].vruntime_ns = (seed >> 20) % 1000 * THREADS + i; /* all different */
			rq_enqueue(&b->rq, &b->t[i], false);
			queued[i] = true;
		} else if (seed >> 63) {
			rq_dequeue(&b->rq, &b->t[i]);
			queued[i] = false;
		} else {
			unsigned least = i;
			for (unsigned k = 0; k < THREADS; k++)
				if (queued[k] && b->t[k].vruntime_ns < b->t[least].vruntime_ns)
					least = k;
			KTEST_TRUE(rq_pick(&b->rq) == &b->t[least]);
			queued[least] = false;
		}
	}
	kfree(b);
}
