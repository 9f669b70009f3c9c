/*
 * Scheduling groups on a run queue of its own, with threads that never run and a clock that the test turns.
 */
#include <asm/errno.h>
#include <linux/sched.h>

#include "core/ktest.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/group.h"
#include "sched/test/crew.h"
#include "sched/test/queue_bench.h"

#define THREADS 240u
#define GROUPS 4u
#define CPU (CPUS_MAX - 1) /* the root group's counts for it are nobody else's */

static struct bench {
	struct queue_bench q;
	struct thread t[THREADS];
	struct sched_group *group[GROUPS];
	uint64_t due_ns[THREADS]; /* what each would have had by now, were time shared in infinitely small pieces */
} * b;

static bool was_grouping;

static void begin(void)
{
	was_grouping = sched_grouping_get();
	sched_grouping_set(true);
	b = kzalloc(sizeof(*b));
	KTEST_TRUE(b != NULL);
	queue_begin(&b->q);
	b->q.rq.cpu = CPU;
	for (unsigned i = 0; i < GROUPS; i++) {
		struct sched_group *g = b->group[i] = kzalloc(sizeof(*g) + CPUS_MAX * sizeof(g->cpu[0]));
		KTEST_TRUE(g != NULL);
		g->id = i;
		g->weight = WEIGHT_NICE_0;
		g->cpu_count = CPUS_MAX;
	}
}

static void finish(void)
{
	sched_root_group.cpu[CPU] = (struct group_cpu){0};
	queue_end(&b->q);
	sched_grouping_set(was_grouping);
	for (unsigned i = 0; i < GROUPS; i++)
		kfree(b->group[i]);
	kfree(b);
}

static bool runnable(const struct thread *t)
{
	return t->queued || b->q.rq.current == t;
}

/* What belongs to t of each nanosecond, in 2^-32: by definition. */
static uint64_t part(const struct thread *t)
{
	uint64_t all = 0, mates = 0, seen = 0;
	for (unsigned i = 0; i < THREADS; i++) {
		const struct thread *o = &b->t[i];
		if (!o->group || !runnable(o))
			continue;
		if (o->group == t->group)
			mates += o->weight;
		if (o->group == &sched_root_group) {
			all += o->weight;
			continue;
		}
		all += seen & BIT(o->group->id) ? 0 : o->group->weight;
		seen |= BIT(o->group->id);
	}
	return t->group == &sched_root_group ? ((uint64_t)t->weight << 32) / all
					     : ((uint64_t)t->group->weight * t->weight << 32) / (all * mates);
}

static struct thread *add(unsigned i, struct sched_group *g, int nice)
{
	struct thread *t = &b->t[i];
	t->group = g;
	t->nice = (int8_t)nice;
	t->slice_ns = SLICE_NS;
	thread_set_effective(t);
	rq_account(&b->q.rq, b->q.rq.current, b->q.now);
	rq_count(&b->q.rq, t, b->q.now);
	rq_place(&b->q.rq, t, (struct fair_request){.length_ns = t->vslice_ns});
	rq_enqueue(&b->q.rq, t, false, b->q.now);
	return t;
}

static void wake(struct thread *t)
{
	rq_account(&b->q.rq, b->q.rq.current, b->q.now);
	struct fair_request r = woken_request(t, rq_lag(&b->q.rq, t));
	rq_join(&b->q.rq, t, &r, b->q.now);
	rq_enqueue(&b->q.rq, t, false, b->q.now);
}

static struct sched_group *group(unsigned i)
{
	return b->group[i];
}

/* Each is as near to its part as it would be without groups. */
KTEST(sched, group_time_goes_by_group_then_by_thread)
{
	static const struct {
		int group, nice;
	} who[] = {{0, 0}, {1, 0}, {1, 0}, {1, 0}, {1, 0}, {2, 0}, {2, 5}, {2, -3}, {3, 19}, {-1, 0}, {-1, 5}};
	begin();
	group(3)->weight = weight_of_nice(-5);
	for (unsigned i = 0; i < ARRAY_SIZE(who); i++)
		add(i, who[i].group < 0 ? &sched_root_group : group((unsigned)who[i].group), who[i].nice);
	queue_run_for(&b->q, 60 * NSEC_PER_SEC);
	for (unsigned i = 0; i < ARRAY_SIZE(who); i++) {
		uint64_t due = 60 * (NSEC_PER_SEC * (part(&b->t[i]) >> 12) >> 20), got = b->t[i].exec_ns;
		KTEST_TRUE(got + 2 * SLICE_NS + due / 200 >= due && got <= due + due / 200 + 2 * SLICE_NS);
	}
	finish();
}

static uint64_t seed;

static uint64_t draw(uint64_t limit)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (seed >> 33) % limit;
}

/* Groups whose threads come and go at random: over time each gets what it is due by definition, within 3 %. */
KTEST(sched, group_model)
{
	enum { EACH = 3, COUNT = EACH * GROUPS };
	uint64_t sleeps_until[COUNT] = {0}, wants_ns[COUNT], start;
	begin();
	seed = 42;
	for (unsigned i = 0; i < COUNT; i++) {
		wants_ns[i] = draw(40 * NSEC_PER_MSEC);
		add(i, group(i / EACH), (int)(i % EACH) * 2 - 2);
	}
	start = b->q.now;
	while (b->q.now < start + 120 * NSEC_PER_SEC) {
		struct thread *t = queue_turn(&b->q, false);
		uint64_t until = t == &b->q.idle ? b->q.now + 50 * NSEC_PER_MSEC : t->slice_end_ns, from = b->q.now;
		unsigned me = (unsigned)(t - b->t), next = COUNT;
		if (t != &b->q.idle)
			until = MIN(until, b->q.now + wants_ns[me]);
		for (unsigned i = 0; i < COUNT; i++) {
			if (sleeps_until[i] && sleeps_until[i] < until) {
				until = MAX(sleeps_until[i], b->q.now);
				next = i;
			}
		}
		for (unsigned i = 0; i < COUNT; i++)
			if (!sleeps_until[i])
				b->due_ns[i] += (until - from) * (part(&b->t[i]) >> 12) >> 20;
		b->q.now = until;
		if (next < COUNT) {
			wake(&b->t[next]);
			sleeps_until[next] = 0;
			wants_ns[next] = 1 + draw(60 * NSEC_PER_MSEC);
		}
		if (t == &b->q.idle)
			continue;
		wants_ns[me] -= MIN(until - from, wants_ns[me]);
		if (!wants_ns[me]) {
			sleeps_until[me] = b->q.now + 1 + draw(100 * NSEC_PER_MSEC);
			queue_turn(&b->q, true);
			wants_ns[me] = 1;
		}
	}
	for (unsigned g = 0; g < GROUPS; g++) {
		uint64_t got = 0, due = 0;
		for (unsigned i = g * EACH; i < (g + 1) * EACH; i++) {
			got += b->t[i].exec_ns;
			due += b->due_ns[i];
		}
		KTEST_TRUE(got * 100 >= due * 97 && got * 100 <= due * 103);
	}
	finish();
}

/* One group costs nothing: it is found out when a second one comes, and when it has gone. */
KTEST(sched, group_one_is_none)
{
	begin();
	for (unsigned i = 0; i < 4; i++)
		add(i, group(0), 0);
	queue_run_for(&b->q, 20 * SLICE_NS);
	KTEST_TRUE(b->q.rq.group == group(0));
	KTEST_TRUE(b->t[0].share == WEIGHT_NICE_0 && b->t[0].vrate == VRATE_ONE);
	struct thread *other = add(4, group(1), 0);
	KTEST_TRUE(!b->q.rq.group);
	queue_run_for(&b->q, 20 * SLICE_NS);
	KTEST_EQ(b->q.rq.groups, 2);
	KTEST_EQ(group(0)->cpu[CPU].load, 4 * WEIGHT_NICE_0);
	KTEST_EQ(b->t[0].share, WEIGHT_NICE_0 / 4);
	while (queue_turn(&b->q, false) != other)
		b->q.now = b->q.rq.current->slice_end_ns;
	b->q.now += 1000;
	queue_turn(&b->q, true);
	KTEST_EQ(other->vrate, VRATE_ONE);
	queue_run_for(&b->q, 20 * SLICE_NS);
	KTEST_TRUE(b->q.rq.group == group(0));
	KTEST_EQ(b->q.rq.scaled, 0);
	KTEST_EQ(group(0)->cpu[CPU].load, 0);
	for (unsigned i = 0; i < 4; i++)
		KTEST_TRUE(b->t[i].share == WEIGHT_NICE_0 && b->t[i].vrate == VRATE_ONE && !b->t[i].rate_of);
	finish();
}

/* Whoever was charged as one of 200 does not wait for what they would have had when they are gone. */
KTEST(sched, group_that_shrinks_does_not_starve)
{
	begin();
	for (unsigned i = 0; i < 200; i++)
		add(i, group(0), 0);
	struct thread *rival = add(200, group(1), 0), *left = NULL;
	queue_run_for(&b->q, 2 * NSEC_PER_SEC);
	while (!left) { /* one of the 200 at the end of its turn: the last of all */
		struct thread *t = queue_turn(&b->q, false);
		b->q.now = t->slice_end_ns;
		if (t != rival)
			left = t;
	}
	queue_turn(&b->q, false);
	for (unsigned i = 0; i < 200; i++) {
		struct thread *t = &b->t[i];
		if (t == left || b->q.rq.current == t || !t->queued)
			continue;
		rq_account(&b->q.rq, b->q.rq.current, b->q.now);
		rq_dequeue(&b->q.rq, t);
		rq_discount(&b->q.rq, t);
	}
	if (b->q.rq.current != rival && b->q.rq.current != left)
		queue_turn(&b->q, true);
	uint64_t before = left->exec_ns;
	queue_run_for(&b->q, 200 * NSEC_PER_MSEC);
	KTEST_TRUE(left->exec_ns - before >= 90 * NSEC_PER_MSEC);
	finish();
}

/* One of a group of many that only compute, and others besides: it runs when the present turn is over. */
KTEST(sched, group_woken_thread_is_served_within_a_slice)
{
	begin();
	struct thread *t = add(0, group(0), 0);
	for (unsigned i = 1; i < 65; i++)
		add(i, group(0), 0);
	for (unsigned i = 65; i < 75; i++)
		add(i, &sched_root_group, 0);
	queue_run_for(&b->q, 2 * NSEC_PER_SEC); /* until nobody is owed more than a turn because so many came at once */
	while (queue_turn(&b->q, false) != t)
		b->q.now = b->q.rq.current->slice_end_ns;
	for (unsigned round = 0; round < 100; round++) {
		b->q.now += 10 * NSEC_PER_USEC;
		queue_turn(&b->q, true);
		queue_run_for(&b->q, 20 * SLICE_NS + round * 77777);
		t->lag_ns = NSEC_PER_USEC; /* it owes nothing, and is owed next to nothing */
		wake(t);
		uint64_t woken = b->q.now;
		if (!rq_should_preempt(&b->q.rq, t))
			b->q.now = b->q.rq.current->slice_end_ns;
		KTEST_TRUE(queue_turn(&b->q, false) == t);
		KTEST_TRUE(b->q.now - woken <= SLICE_NS);
	}
	finish();
}

static struct {
	struct sched_group *group[2];
	bool stop;
	uint64_t ran_ns[8];
} live;

static void grouped_hog(struct crew *c, unsigned me)
{
	(void)c;
	sched_group_join(thread_current(), live.group[me != 0]);
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC * (me % 3), false);
	while (!READ_ONCE(live.stop)) {
		WRITE_ONCE(live.ran_ns[me], thread_exec_ns(thread_current()));
		if (me == 7) /* one that comes and goes, between groups too */
			(void)!sleep_until_ns(time_ns() + 100 * NSEC_PER_USEC, false);
		if (me == 7)
			sched_group_join(thread_current(), live.group[live.ran_ns[me] / 1000 & 1]);
	}
}

/* Real threads on all CPUs, one against seven: nothing is lost, and the one has half of a CPU at least. */
KTEST(sched, group_live)
{
	struct crew c;
	bool fair = false;
	uint64_t cpu = crew_bind(sched_get_affinity(thread_current()));

	live.stop = false;
	for (unsigned i = 0; i < 2; i++)
		KTEST_EQ(sched_group_create(&live.group[i]), 0);
	crew_start_on(&c, cpu, 8, grouped_hog);
	for (unsigned round = 0; round < 100 && !fair; round++) {
		uint64_t before[7], got[7], sum = 0;
		for (unsigned i = 0; i < 7; i++)
			before[i] = READ_ONCE(live.ran_ns[i]);
		(void)!sleep_until_ns(time_ns() + 400 * NSEC_PER_MSEC, false);
		for (unsigned i = 0; i < 7; i++)
			sum += got[i] = READ_ONCE(live.ran_ns[i]) - before[i];
		fair = sum && got[0] * 100 / sum >= 45 && got[0] * 100 / sum <= 55;
	}
	WRITE_ONCE(live.stop, true);
	crew_join(&c);
	live.stop = false;
	crew_start_on(&c, 0, 8, grouped_hog); /* anywhere, until the balancer has been at it */
	(void)!sleep_until_ns(time_ns() + 300 * NSEC_PER_MSEC, false);
	WRITE_ONCE(live.stop, true);
	crew_join(&c);
	for (unsigned i = 0; i < 2; i++)
		sched_group_put(live.group[i]);
	KTEST_TRUE(fair);
}
