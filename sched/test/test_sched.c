/*
 * Who runs: priorities, shares, pre-emption, and the books kept about it.
 */
#include <linux/sched.h>
#include <asm/errno.h>

#include <arch/time.h>
#include "lib/string.h"
#include "mm/page.h"
#include "sched/mutex.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"

static uint32_t log_entries[4], log_count;

static void nap(uint64_t ms)
{
	(void)!sleep_until_ns(time_ns() + ms * NSEC_PER_MSEC, false);
}

static const uint8_t rt_priority[4] = {10, 30, 20, 30};
static struct wait_queue rt_start;
static uint32_t rt_go;

static void log_me(struct crew *c, unsigned me)
{
	(void)c;
	(void)!sched_set_policy(thread_current(), SCHED_FIFO, rt_priority[me]);
	(void)WAIT_UNTIL(&rt_start, READ_ONCE(rt_go), WAIT_EXCLUSIVE, WAIT_FOREVER);
	log_entries[log_count++] = me;
}

KTEST(sched, realtime_runs_by_priority)
{
	static const uint8_t expected[4] = {30, 30, 20, 10};
	struct crew c;
	log_count = rt_go = 0;
	wait_queue_init(&rt_start);
	crew_start_on(&c, crew_bind(sched_cpus()), 4, log_me);
	while (queue_length(&rt_start) < 4)
		nap(1);
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_FIFO, 50), 0); /* none runs before the test sleeps */
	WRITE_ONCE(rt_go, 1);
	wait_wake_all(&rt_start);
	uint32_t too_early = log_count;
	crew_join(&c);
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_NORMAL, 0), 0);
	KTEST_EQ(too_early, 0);
	for (unsigned i = 0; i < 4; i++)
		KTEST_EQ(rt_priority[log_entries[i]], expected[i]);
}

static struct wait_queue rt_gate;
static uint32_t rt_ran;

static void rt_waiter(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
	(void)!sched_set_policy(thread_current(), SCHED_FIFO, 1);
	(void)WAIT_UNTIL(&rt_gate, READ_ONCE(rt_ran) == 1, 0, WAIT_FOREVER);
	WRITE_ONCE(rt_ran, 2);
}

static void open_rt_gate(struct timer *t)
{
	(void)t;
	WRITE_ONCE(rt_ran, 1);
	wait_wake_all(&rt_gate);
}

/* The interrupt that wakes it returns into it, not into the loop below. All on one CPU. */
KTEST(sched, interrupt_preempts_for_realtime)
{
	struct crew c;
	struct timer t;
	int64_t runtime_us, period_us;
	uint64_t here = crew_bind(sched_cpus());
	sched_rt_limit_get(&runtime_us, &period_us);
	KTEST_EQ(sched_rt_limit_set(-1, period_us), 0); /* whatever ran before: nobody is held back now */
	wait_queue_init(&rt_gate);
	rt_ran = 0;
	crew_start_on(&c, here, 1, rt_waiter);
	while (queue_length(&rt_gate) < 1)
		nap(1);
	timer_init(&t, open_rt_gate);
	timer_set(&t, time_ns() + NSEC_PER_MSEC);
	while (READ_ONCE(rt_ran) == 0)
		;
	uint32_t seen = READ_ONCE(rt_ran);
	crew_join(&c);
	KTEST_EQ(sched_rt_limit_set(runtime_us, period_us), 0);
	KTEST_EQ(seen, 2);
}

static uint32_t stop;
static struct thread *spinner[4];
static uint64_t spinner_ns[4];

static void spin(struct crew *c, unsigned me)
{
	(void)c;
	WRITE_ONCE(spinner[me], thread_current());
	while (!READ_ONCE(stop))
		;
	spinner_ns[me] = thread_exec_ns(thread_current());
}

static void spin_for(unsigned count, uint64_t ms)
{
	struct crew c;
	stop = 0;
	memset(spinner, 0, sizeof spinner);
	crew_start(&c, count, spin);
	nap(ms);
	WRITE_ONCE(stop, 1);
	crew_join(&c);
}

/* The live queue: everybody gets on. How much is test_runqueue.c's business, where time is the test's own. */
KTEST(sched, spinners_all_get_on)
{
	spin_for(4, 50);
	for (unsigned i = 0; i < 4; i++)
		KTEST_TRUE(spinner_ns[i] > 0);
}

static uint64_t sleeper_wakes;

static void sleep_often(struct crew *c, unsigned me)
{
	if (me) {
		spin(c, me);
		return;
	}
	for (unsigned i = 0; i < 30; i++) {
		(void)!sleep_until_ns(time_ns() + 100000, false);
		sleeper_wakes++;
	}
	WRITE_ONCE(stop, 1);
}

/* A thread that sleeps gets the CPU from one that spins, each time it wakes. */
KTEST(sched, sleeper_is_served_beside_a_spinner)
{
	struct crew c;
	stop = 0;
	sleeper_wakes = 0;
	crew_start_on(&c, crew_bind(sched_cpus()), 2, sleep_often);
	crew_join(&c);
	KTEST_EQ(sleeper_wakes, 30);
}

KTEST(sched, policy_arguments_are_checked)
{
	struct thread *t = thread_current();
	KTEST_EQ(sched_set_policy(t, SCHED_FIFO, 0), -EINVAL);
	KTEST_EQ(sched_set_policy(t, SCHED_RR, 100), -EINVAL);
	KTEST_EQ(sched_set_policy(t, SCHED_NORMAL, 1), -EINVAL);
	KTEST_EQ(sched_set_policy(t, 77, 0), -EINVAL);
	KTEST_EQ(sched_set_policy(t, SCHED_BATCH, 0), 0);
	KTEST_EQ(sched_set_policy(t, SCHED_IDLE, 0), 0);
	KTEST_EQ(t->weight, 3);
	KTEST_EQ(sched_set_policy(t, SCHED_NORMAL, 0), 0);
	sched_set_nice(t, -100);
	KTEST_EQ(t->nice, -20);
	sched_set_nice(t, 0);
	KTEST_EQ(t->weight, 1024);
	KTEST_EQ(sched_set_affinity(t, 1ull << 63), -EINVAL);
	KTEST_EQ(sched_set_affinity(t, UINT64_MAX), 0);
}

static void do_nothing(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
}

static void count_thread(struct thread *t, void *arg)
{
	(void)t;
	++*(uint32_t *)arg;
}

KTEST(sched, threads_come_and_go)
{
	struct sched_stats before, after;
	uint32_t listed = 0;
	crew_bind(sched_cpus()); /* to CPU 0, whose figures are looked at */
	sched_stats_get(0, &before);
	for (unsigned round = 0; round < 20; round++) {
		struct crew c;
		crew_start(&c, 10, do_nothing);
		crew_join(&c);
		nap(1);
	}
	sched_stats_get(0, &after);
	for (unsigned tries = 0; after.threads != before.threads && tries < 1000; tries++) {
		nap(1);
		sched_stats_get(0, &after);
	}
	thread_for_each(count_thread, &listed);
	KTEST_EQ(after.threads, before.threads);
	KTEST_EQ(after.threads_created, before.threads_created + 200);
	KTEST_EQ(listed, after.threads);
	KTEST_EQ(after.running, 1);
	KTEST_TRUE(after.switches > before.switches);
}

/* user + system = total for a thread, and a CPU's times grow by what passes. */
KTEST(sched, time_is_accounted_once)
{
	uint64_t user, system;
	struct sched_stats a, b;
	crew_bind(sched_cpus());
	sched_stats_get(0, &a);
	uint64_t t0 = time_ns();
	nap(5);
	for (uint64_t until = time_ns() + 5 * NSEC_PER_MSEC; time_ns() < until;)
		;
	sched_stats_get(0, &b);
	uint64_t passed = time_ns() - t0;
	uint64_t sum = b.user_ns + b.system_ns + b.idle_ns - a.user_ns - a.system_ns - a.idle_ns;
	KTEST_TRUE(sum <= passed + NSEC_PER_MSEC && sum >= 9 * NSEC_PER_MSEC);
	irqflags_t f = irq_save();
	thread_cpu_times(thread_current(), &user, &system);
	uint64_t total = thread_exec_ns(thread_current());
	irq_restore(f);
	KTEST_EQ(user, 0);
	KTEST_TRUE(system <= total);
}

static void return_at_once(void *arg)
{
	(void)arg;
}

KTEST(sched, thread_creation_survives_failures)
{
	for (uint64_t n = 1; n <= 2; n++) {
		alloc_fail_at(n);
		int err = thread_create(return_at_once, NULL, "never");
		alloc_fail_at(0);
		KTEST_EQ(err, -ENOMEM);
	}
}
