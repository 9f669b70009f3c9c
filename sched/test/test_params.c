/*
 * Parameters of threads: what is refused, what it does to a live thread, and priority inheritance.
 */
#include <asm/errno.h>
#include <linux/sched.h>

#include <arch/time.h>
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"

static const struct sched_params tenth = {.policy = SCHED_DEADLINE,
					  .runtime_ns = NSEC_PER_MSEC,
					  .deadline_ns = 10 * NSEC_PER_MSEC,
					  .period_ns = 10 * NSEC_PER_MSEC};

static int set(struct sched_params p)
{
	return sched_set_params(thread_current(), &p);
}

KTEST(sched, params_are_checked)
{
	struct sched_params p = tenth, got;
	KTEST_EQ(set((struct sched_params){.policy = SCHED_FIFO}), -EINVAL);
	KTEST_EQ(set((struct sched_params){.policy = SCHED_RR, .rt_priority = 100}), -EINVAL);
	KTEST_EQ(set((struct sched_params){.policy = SCHED_IDLE, .rt_priority = 1}), -EINVAL);
	KTEST_EQ(set((struct sched_params){.policy = 4}), -EINVAL);
	p.runtime_ns = p.deadline_ns + 1;
	KTEST_EQ(set(p), -EINVAL);
	p = tenth;
	p.period_ns = p.deadline_ns - 1;
	KTEST_EQ(set(p), -EINVAL);
	p = tenth;
	p.runtime_ns = 1000;
	KTEST_EQ(set(p), -EINVAL);
	KTEST_EQ(set((struct sched_params){.policy = SCHED_NORMAL, .nice = 3, .slice_ns = 1}), 0);
	sched_get_params(thread_current(), &got);
	KTEST_EQ(got.slice_ns, 100 * NSEC_PER_USEC);
	KTEST_EQ(got.nice, 3);
	KTEST_EQ(set((struct sched_params){.policy = SCHED_NORMAL}), 0);
	sched_get_params(thread_current(), &got);
	KTEST_EQ(got.slice_ns, 3 * NSEC_PER_MSEC);
}

/* Nine tenths of each CPU fit, the next does not, and what ends or changes gives its part back. */
static struct wait_queue gate;
static uint32_t gate_open;
static int admitted[64 * 10];

static void be_admitted(struct crew *c, unsigned me)
{
	(void)c;
	admitted[me] = sched_set_params(thread_current(), &tenth);
	(void)WAIT_UNTIL(&gate, READ_ONCE(gate_open), 0, WAIT_FOREVER);
}

KTEST(sched, deadline_admission)
{
	struct crew c;
	unsigned cpu_count = 0, refused = 0;
	for (uint64_t m = sched_cpus(); m; m &= m - 1)
		cpu_count++;
	unsigned fit = cpu_count * 95 / 10, count = MIN(fit + 2, (unsigned)ARRAY_SIZE(admitted));
	wait_queue_init(&gate);
	gate_open = 0;
	crew_start(&c, count, be_admitted);
	while (queue_length(&gate) < count)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	KTEST_EQ(set(tenth), -EBUSY);
	WRITE_ONCE(gate_open, 1);
	wait_wake_all(&gate);
	crew_join(&c);
	for (unsigned i = 0; i < count; i++) {
		KTEST_TRUE(admitted[i] == 0 || admitted[i] == -EBUSY);
		refused += admitted[i] != 0;
	}
	KTEST_EQ(refused, count - fit);
	int err = -EBUSY;
	for (unsigned tries = 0; err == -EBUSY && tries < 1000; tries++) { /* the last of them may still be ending */
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
		err = set(tenth);
	}
	KTEST_EQ(err, 0);
	KTEST_EQ(sched_set_affinity(thread_current(), 1), sched_cpus() == 1 ? 0 : -EBUSY);
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_NORMAL, 0), 0);
	KTEST_EQ(sched_set_affinity(thread_current(), 1), 0);
	KTEST_EQ(set(tenth), sched_cpus() == 1 ? 0 : -EPERM);
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_NORMAL, 0), 0);
}

/* A DEADLINE thread that never sleeps gets on, and leaves time for others on all CPUs: how much
 * is test_runqueue.c's. */
static uint32_t stop;

static void take_all(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
	KTEST_EQ(sched_set_params(thread_current(), &tenth), 0);
	while (!READ_ONCE(stop))
		;
}

KTEST(sched, deadline_leaves_the_rest)
{
	struct crew c;
	stop = 0;
	crew_start(&c, 1, take_all);
	for (unsigned i = 0; i < 20; i++) {
		uint64_t until = thread_exec_ns(thread_current()) + NSEC_PER_MSEC;
		while (thread_exec_ns(thread_current()) < until)
			;
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	}
	WRITE_ONCE(stop, 1);
	crew_join(&c);
}

KTEST(sched, deadline_yield_ends_the_period)
{
	uint64_t start = time_ns();
	KTEST_EQ(set(tenth), 0);
	for (unsigned i = 0; i < 3; i++)
		sched_yield();
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_NORMAL, 0), 0);
	KTEST_TRUE(time_ns() - start >= 20 * NSEC_PER_MSEC);
}

/* Neither the same parameters once more nor another policy in between nor a new nice value gives a new budget. */
KTEST(sched, deadline_asked_for_again_gives_no_budget)
{
	static const struct sched_params third = {.policy = SCHED_DEADLINE,
						  .runtime_ns = 300 * NSEC_PER_MSEC,
						  .deadline_ns = NSEC_PER_SEC,
						  .period_ns = NSEC_PER_SEC};
	struct thread *me = thread_current();
	KTEST_EQ(set(third), 0);
	uint64_t due_ns = me->dl.due_ns, until = thread_exec_ns(me) + 2 * NSEC_PER_MSEC;
	while (thread_exec_ns(me) < until)
		;
	KTEST_EQ(set(third), 0);
	int64_t same = me->dl.budget_ns;
	sched_set_nice(me, 3);
	int64_t nice = me->dl.budget_ns;
	KTEST_EQ(sched_set_policy(me, SCHED_NORMAL, 0), 0);
	KTEST_EQ(set(third), 0);
	int64_t back = me->dl.budget_ns;
	bool same_period = me->dl.due_ns == due_ns;
	KTEST_EQ(sched_set_policy(me, SCHED_NORMAL, 0), 0);
	KTEST_TRUE(same <= 298 * (int64_t)NSEC_PER_MSEC && nice <= same && back <= nice);
	KTEST_TRUE(same_period);
}

/* The throttle: a real-time thread that never sleeps does not take the only CPU the test may use. */
static void spin_realtime(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
	(void)!sched_set_policy(thread_current(), SCHED_FIFO, 20);
	while (!READ_ONCE(stop))
		;
}

KTEST(sched, realtime_is_throttled)
{
	struct crew c;
	int64_t runtime_us, period_us;
	sched_rt_limit_get(&runtime_us, &period_us);
	KTEST_EQ(runtime_us, 950000);
	KTEST_EQ(period_us, 1000000);
	KTEST_EQ(sched_rt_limit_set(2, 1), -EINVAL);
	KTEST_EQ(sched_rt_limit_set(-2, 1000), -EINVAL);
	KTEST_EQ(sched_rt_limit_set(10000, 20000), 0);
	stop = 0;
	uint64_t here = crew_bind(sched_cpus());
	crew_start_on(&c, here, 1, spin_realtime);
	(void)!sleep_until_ns(time_ns() + 50 * NSEC_PER_MSEC, false);
	WRITE_ONCE(stop, 1); /* we come to this only if it is throttled */
	crew_join(&c);
	KTEST_EQ(sched_rt_limit_set(runtime_us, period_us), 0);
}

/* ---- priority inheritance ---- */

KTEST(sched, keys_compare_over_classes)
{
	struct thread *t = thread_current();
	struct sched_key fair = sched_key(t);
	KTEST_EQ(fair.rank, 120);
	KTEST_EQ(sched_set_policy(t, SCHED_IDLE, 0), 0);
	struct sched_key idle = sched_key(t);
	KTEST_EQ(sched_set_policy(t, SCHED_FIFO, 7), 0);
	struct sched_key rt7 = sched_key(t);
	KTEST_EQ(set(tenth), 0);
	struct sched_key deadline = sched_key(t);
	KTEST_EQ(sched_set_policy(t, SCHED_NORMAL, 0), 0);
	KTEST_TRUE(sched_key_before(deadline, rt7) && sched_key_before(rt7, fair) && sched_key_before(fair, idle));
	KTEST_TRUE(sched_key_before(idle, SCHED_KEY_NONE));
	sched_set_boost(t, rt7);
	KTEST_EQ(sched_key(t).rank, rt7.rank);
	KTEST_EQ(t->policy, SCHED_NORMAL); /* what was set is still what is reported */
	KTEST_EQ(t->eff_rt, 7);
	sched_set_boost(t, SCHED_KEY_NONE);
	KTEST_EQ(sched_key(t).rank, 120);
	KTEST_EQ(t->eff_rt, 0);
}

/* Low holds what high waits for; medium must not run between. All on one CPU. */
static struct thread *low;
static uint32_t low_done, medium_ran_first;

static void be_low(struct crew *c, unsigned me)
{
	(void)c;
	if (me == 0) {
		(void)!sched_set_policy(thread_current(), SCHED_FIFO, 1);
		WRITE_ONCE(low, thread_current());
		(void)WAIT_UNTIL(&gate, READ_ONCE(gate_open), 0, WAIT_FOREVER);
		WRITE_ONCE(low_done, 1);
	} else {
		(void)!sched_set_policy(thread_current(), SCHED_FIFO, 5);
		(void)WAIT_UNTIL(&gate, READ_ONCE(gate_open), 0, WAIT_FOREVER);
		medium_ran_first = !READ_ONCE(low_done);
	}
}

KTEST(sched, boosted_thread_runs_first)
{
	struct crew c;
	wait_queue_init(&gate);
	gate_open = low_done = medium_ran_first = 0;
	uint64_t here = crew_bind(sched_cpus());
	crew_start_on(&c, here, 2, be_low);
	while (queue_length(&gate) < 2)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_FIFO, 9), 0);
	sched_set_boost(low, sched_key(thread_current()));
	WRITE_ONCE(gate_open, 1);
	wait_wake_all(&gate);
	crew_join(&c);
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_NORMAL, 0), 0);
	KTEST_EQ(medium_ran_first, 0);
}
