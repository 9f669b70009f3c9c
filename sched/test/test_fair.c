/*
 * Fairness among real threads bound to one CPU.  What they got is measured by their own CPU time, and waits by how
 * often the CPU switched, so a host that is busy with other things makes no difference.
 */
#include <linux/sched.h>

#include "mm/slab.h"
#include "sched/queues.h"
#include "sched/seed.h"
#include "sched/test/crew.h"
#include "sync/atomic.h"

#define HOGS 64u
#define TURNS_SOON 2 /* the switch to it, and one before it */

static struct {
	bool stop;
	uint32_t present;
	int nice[HOGS];
	struct thread *thread[HOGS];
} hogs;

static void hog(struct crew *c, unsigned index)
{
	(void)c;
	sched_set_nice(thread_current(), hogs.nice[index]);
	hogs.thread[index] = thread_current();
	atomic_fetch_add(&hogs.present, 1);
	while (!READ_ONCE(hogs.stop))
		;
}

static void hogs_start(struct crew *c, uint64_t cpu, unsigned count)
{
	hogs.stop = false;
	hogs.present = 0;
	crew_start_on(c, cpu, count, hog);
	while (atomic_load_relaxed(&hogs.present) < count)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

static void hogs_stop(struct crew *c)
{
	WRITE_ONCE(hogs.stop, true);
	crew_join(c);
}

/*
 * What issue 4 asks for: nice 0, 0 and 5 get 1024 : 1024 : 335 within 2 %.  Nobody is ever off by more than a slice or
 * what the host took from it in one piece, so the longer it runs the nearer it comes: that it comes there is tested.
 */
KTEST(sched, fair_shares_of_nice_0_0_5)
{
	static const uint64_t weight[3] = {1024, 1024, 335};
	uint64_t cpu = crew_bind(sched_get_affinity(thread_current())), before[3];
	struct crew c;
	bool fair = false;

	hogs.nice[0] = hogs.nice[1] = 0;
	hogs.nice[2] = 5;
	hogs_start(&c, cpu, 3);
	for (unsigned i = 0; i < 3; i++)
		before[i] = thread_exec_ns(hogs.thread[i]);
	for (unsigned round = 0; round < 100 && !fair; round++) {
		uint64_t got[3], sum = 0;
		(void)!sleep_until_ns(time_ns() + 200 * NSEC_PER_MSEC, false);
		for (unsigned i = 0; i < 3; i++)
			sum += got[i] = thread_exec_ns(hogs.thread[i]) - before[i];
		fair = true;
		for (unsigned i = 0; i < 3; i++) {
			uint64_t due = sum * weight[i] / (1024 + 1024 + 335);
			fair &= got[i] >= due - due / 50 && got[i] <= due + due / 50;
		}
	}
	hogs_stop(&c);
	hogs.nice[2] = 0;
	KTEST_TRUE(fair);
}

static struct sleeper {
	struct timer timer;
	struct wait_queue queue;
	struct thread *thread;
	uint32_t cpu;
	bool rung, may_wait; /* when it rang */
	uint64_t switches;   /* of the CPU, when it rang */
} * s;

static uint64_t switches(uint32_t cpu)
{
	struct sched_stats stats;
	sched_stats_get(cpu, &stats);
	return stats.switches;
}

/* Where they take turns, nobody ever is: by more than a turn. */
static bool hog_is_behind(const struct run_queue *rq)
{
	for (unsigned i = 0; i < HOGS; i++)
		if ((int64_t)(rq_vtime(rq) - hogs.thread[i]->vruntime_ns) > (int64_t)SLICE_NS)
			return true;
	return false;
}

static void ring(struct timer *t)
{
	struct run_queue *rq = my_queue();
	irqflags_t f = spin_lock(&rq->lock);
	(void)t;
	rq_account(rq, rq->current, time_ns());
	s->may_wait = rq_lag(rq, s->thread) < 0 || hog_is_behind(rq);
	spin_unlock(&rq->lock, f);
	s->switches = switches(s->cpu);
	WRITE_ONCE(s->rung, true);
	wait_wake(&s->queue, 1);
}

/*
 * Under 64 that only compute, one that sleeps comes next when it is woken: the present turn ends, and no other begins.
 * Unless it has had more than its part, as when the host stops the machine just while it runs, or that has put others
 * behind by more than a turn: those come first, so such wake-ups are not counted.  That leaves stops after the ringing,
 * which are few.  In order of arrival all 64 would come before it.
 */
KTEST(sched, fair_sleeper_comes_next_among_64_hogs)
{
	uint64_t bit = crew_bind(sched_get_affinity(thread_current()));
	bool was_seeded = sched_seeded;
	struct crew c;
	uint64_t soon = 0, asked = 0;

	sched_seeded = false; /* seeds make others come first now and then */
	s = kzalloc(sizeof(*s));
	KTEST_TRUE(s);
	s->thread = thread_current();
	s->cpu = (uint32_t)__builtin_ctzll(bit);
	wait_queue_init(&s->queue);
	timer_init(&s->timer, ring);
	hogs_start(&c, bit, HOGS);
	for (unsigned i = 0; i < 1000 && asked < 100; i++) {
		s->rung = false;
		timer_set(&s->timer, time_ns() + 5 * NSEC_PER_MSEC + i * 17389);
		(void)WAIT_UNTIL(&s->queue, READ_ONCE(s->rung), 0, WAIT_FOREVER);
		soon += !s->may_wait && switches(s->cpu) - s->switches <= TURNS_SOON;
		asked += !s->may_wait;
	}
	hogs_stop(&c);
	sched_seeded = was_seeded;
	kfree(s);
	KTEST_TRUE(asked >= 20);
	KTEST_TRUE(soon * 10 >= asked * 9);
}
