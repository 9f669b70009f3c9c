/*
 * Wait queues: nothing is lost, everybody is woken that should be, and nobody else.
 */
#include <arch/time.h>
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"
#include "sync/atomic.h"

#define A_LONG_TIME (30 * NSEC_PER_SEC) /* only a lost wake-up takes as long */

/* A timer interrupt that comes at ever different moments of the sleeper's way into sleep. */
static struct {
	struct timer timer;
	struct wait_queue queue;
	uint32_t events;
	uint64_t gap_ns;
} hammer;

static void hammer_fire(struct timer *t)
{
	hammer.events++;
	wait_wake_all(&hammer.queue);
	hammer.gap_ns = hammer.gap_ns * 7 % 40009;
	timer_set(t, time_ns() + 2000 + hammer.gap_ns);
}

KTEST(sched, wait_hammer_loses_no_wakeup)
{
	enum { EVENTS = 3000 };
	wait_queue_init(&hammer.queue);
	timer_init(&hammer.timer, hammer_fire);
	hammer.events = 0;
	hammer.gap_ns = 1;
	timer_set(&hammer.timer, time_ns() + 1000);
	int err = 0;
	for (uint32_t seen = 0; seen < EVENTS && !err; seen = READ_ONCE(hammer.events))
		err = WAIT_UNTIL(&hammer.queue, READ_ONCE(hammer.events) != seen, 0, time_ns() + A_LONG_TIME);
	timer_cancel(&hammer.timer);
	KTEST_EQ(err, 0);
}

/* A thread that is pre-empted with its state already set goes on by itself: nobody will wake it. */
static uint32_t other_ran, leave_cpu;

static void run_beside(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
	while (!READ_ONCE(leave_cpu))
		WRITE_ONCE(other_ran, other_ran + 1);
}

static bool until_preempted(void)
{
	if (thread_current()->state == THREAD_RUNNABLE)
		return false; /* the first look, before the state is set */
	uint32_t seen = READ_ONCE(other_ran);
	while (READ_ONCE(other_ran) == seen)
		;
	return true;
}

KTEST(sched, preempted_on_the_way_to_sleep)
{
	static struct wait_queue q = WAIT_QUEUE_INIT(q);
	struct crew c;
	leave_cpu = 0;
	crew_start(&c, 1, run_beside);
	int err = WAIT_UNTIL(&q, until_preempted(), 0, WAIT_FOREVER);
	WRITE_ONCE(leave_cpu, 1);
	crew_join(&c);
	KTEST_EQ(err, 0);
}

/* Two threads hand a token back and forth. */
static struct wait_queue ping_queue[2];
static uint32_t ping_turn, ping_errors;

static void ping(struct crew *c, unsigned me)
{
	(void)c;
	for (unsigned i = 0; i < 2000; i++) {
		ping_errors += WAIT_UNTIL(&ping_queue[me], READ_ONCE(ping_turn) == me, 0, time_ns() + A_LONG_TIME) != 0;
		WRITE_ONCE(ping_turn, !me);
		wait_wake(&ping_queue[!me], 1);
	}
}

KTEST(sched, wait_ping_pong)
{
	struct crew c;
	wait_queue_init(&ping_queue[0]);
	wait_queue_init(&ping_queue[1]);
	ping_turn = ping_errors = 0;
	crew_start(&c, 2, ping);
	crew_join(&c);
	KTEST_EQ(ping_errors, 0);
}

KTEST(sched, wait_times_out)
{
	static struct wait_queue q = WAIT_QUEUE_INIT(q);
	uint64_t deadline = time_ns() + 2 * NSEC_PER_MSEC;
	KTEST_EQ(WAIT_UNTIL(&q, false, 0, deadline), -ETIMEDOUT);
	KTEST_TRUE(time_ns() >= deadline);
	KTEST_EQ(WAIT_UNTIL(&q, false, 0, 0), -ETIMEDOUT);
	KTEST_EQ(WAIT_UNTIL(&q, true, 0, 0), 0);
	KTEST_TRUE(list_empty(&q.waiters));
}

static struct wait_queue gate;
static uint32_t gate_open, gate_order[8], gate_passed, gate_waiting;

static void wait_at_gate(struct crew *c, unsigned me)
{
	(void)c;
	while (queue_length(&gate) < me) /* in the order of their numbers, wherever they are preempted */
		sched_yield();
	__atomic_fetch_add(&gate_waiting, 1, __ATOMIC_RELAXED);
	(void)WAIT_UNTIL(&gate, READ_ONCE(gate_open) > READ_ONCE(gate_passed), WAIT_EXCLUSIVE, WAIT_FOREVER);
	gate_order[__atomic_fetch_add(&gate_passed, 1, __ATOMIC_RELAXED)] = me;
}

static void let_others_run(unsigned times)
{
	while (times--)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

KTEST(sched, wait_exclusive_wakes_in_order)
{
	struct crew c;
	wait_queue_init(&gate);
	gate_open = gate_passed = gate_waiting = 0;
	crew_start(&c, 6, wait_at_gate);
	while (READ_ONCE(gate_waiting) < 6 || queue_length(&gate) < 6)
		let_others_run(1);
	for (unsigned i = 1; i <= 4; i++) {
		WRITE_ONCE(gate_open, i);
		wait_wake(&gate, 1);
		for (unsigned tries = 0; READ_ONCE(gate_passed) < i && tries < 1000; tries++)
			let_others_run(1);
		let_others_run(1);
		KTEST_EQ(READ_ONCE(gate_passed), i);
	}
	WRITE_ONCE(gate_open, 6);
	wait_wake(&gate, 2);
	crew_join(&c);
	for (unsigned i = 0; i < 4; i++)
		KTEST_EQ(gate_order[i], i);
	/* Which of two that were woken together runs first is the scheduler's business. */
	KTEST_EQ(MIN(gate_order[4], gate_order[5]), 4);
	KTEST_EQ(MAX(gate_order[4], gate_order[5]), 5);
}

/* Callback waiters stay until removed and see the key. */
static uint32_t called_with;
static bool record_key(struct waiter *w, uint32_t key)
{
	(void)w;
	called_with = key;
	return false;
}

KTEST(sched, wait_callback_sees_key)
{
	static struct wait_queue q = WAIT_QUEUE_INIT(q);
	struct waiter w = {.wake = record_key};
	called_with = 0;
	waiter_add(&q, &w);
	wait_wake_key(&q, 5);
	KTEST_EQ(called_with, 5);
	wait_wake_key(&q, 6);
	KTEST_EQ(called_with, 6);
	wait_wake_all(&q);
	KTEST_EQ(called_with, UINT32_MAX);
	waiter_remove(&q, &w);
	waiter_remove(&q, &w);
	wait_wake_key(&q, 7);
	KTEST_EQ(called_with, UINT32_MAX);
}

/* Who is ended by which work bit. */
static struct thread *subject[3];
static int subject_err[3];
static struct wait_queue never;
static const unsigned subject_flags[3] = {WAIT_INTERRUPTIBLE, WAIT_KILLABLE, 0};

static bool never_open;

static void be_subject(struct crew *c, unsigned me)
{
	(void)c;
	subject_err[me] = 1;
	WRITE_ONCE(subject[me], thread_current());
	int err = WAIT_UNTIL(&never, READ_ONCE(never_open), subject_flags[me], WAIT_FOREVER);
	thread_clear_work(thread_current(), WORK_SIGNAL | WORK_KILL);
	WRITE_ONCE(subject_err[me], err);
}

KTEST(sched, wait_signals_end_what_they_should)
{
	struct crew c;
	wait_queue_init(&never);
	subject[0] = subject[1] = subject[2] = NULL;
	never_open = false;
	crew_start(&c, 3, be_subject);
	while (!READ_ONCE(subject[0]) || !READ_ONCE(subject[1]) || !READ_ONCE(subject[2]))
		let_others_run(1);
	for (unsigned i = 0; i < 3; i++)
		thread_set_work(subject[i], WORK_SIGNAL);
	for (unsigned tries = 0; READ_ONCE(subject_err[0]) == 1 && tries < 1000; tries++)
		let_others_run(1);
	KTEST_EQ(READ_ONCE(subject_err[0]), -ERESTARTSYS);
	KTEST_EQ(READ_ONCE(subject_err[1]), 1);
	KTEST_EQ(READ_ONCE(subject_err[2]), 1);
	thread_set_work(subject[1], WORK_KILL);
	thread_set_work(subject[2], WORK_KILL);
	for (unsigned tries = 0; READ_ONCE(subject_err[1]) == 1 && tries < 1000; tries++)
		let_others_run(1);
	KTEST_EQ(READ_ONCE(subject_err[1]), -ERESTARTSYS);
	KTEST_EQ(READ_ONCE(subject_err[2]), 1);
	WRITE_ONCE(never_open, true);
	wait_wake_all(&never);
	crew_join(&c);
	KTEST_EQ(subject_err[2], 0);
}

/* A signal that is already there before the sleep. */
KTEST(sched, wait_sees_earlier_signal)
{
	static struct wait_queue q = WAIT_QUEUE_INIT(q);
	thread_set_work(thread_current(), WORK_SIGNAL);
	int err = WAIT_UNTIL(&q, false, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	int err2 = sleep_until_ns(time_ns() + A_LONG_TIME, true);
	int err3 = WAIT_UNTIL(&q, true, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	thread_clear_work(thread_current(), WORK_SIGNAL);
	KTEST_EQ(err, -ERESTARTSYS);
	KTEST_EQ(err2, -ERESTARTSYS);
	KTEST_EQ(err3, 0);
}
