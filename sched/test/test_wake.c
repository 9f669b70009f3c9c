/*
 * Wake-ups that several wait for: each gets what is his, and nothing that is handed out goes to one who no longer wants
 * it.  And what lock checking knows in an interrupt.
 */
#include <arch/time.h>
#include "sched/mutex.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

static void nap(void)
{
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

static struct wait_queue hall;
static uint32_t doors_open, came_through;

static void wait_in_the_hall(struct crew *c maybe_unused, unsigned me)
{
	(void)WAIT_UNTIL(&hall, READ_ONCE(doors_open), me & 1 ? WAIT_EXCLUSIVE : 0, WAIT_FOREVER);
	__atomic_fetch_add(&came_through, 1, __ATOMIC_RELAXED);
}

KTEST(sched, wait_wakes_all)
{
	struct crew c;
	wait_queue_init(&hall);
	doors_open = came_through = 0;
	crew_start(&c, 5, wait_in_the_hall);
	while (queue_length(&hall) < 5)
		nap();
	WRITE_ONCE(doors_open, 1);
	wait_wake_all(&hall);
	for (unsigned tries = 0; READ_ONCE(came_through) < 5 && tries < 200; tries++)
		nap();
	uint32_t after_one = READ_ONCE(came_through);
	while (READ_ONCE(came_through) < 5) { /* whoever was forgotten */
		wait_wake_all(&hall);
		nap();
	}
	crew_join(&c);
	KTEST_EQ(after_one, 5);
}

/* Two wait for one piece each.  The first is woken for it, and a signal ends its wait before it looks: the second must
 * be woken in its place. */
static struct thread *first_in_line;
static uint32_t pieces, served;
static int first_err;

static bool take_piece(void)
{
	uint32_t n = READ_ONCE(pieces);
	return n && atomic_cas(&pieces, &n, n - 1);
}

static void wait_for_piece(struct crew *c maybe_unused, unsigned me)
{
	if (me == 0) {
		struct waiter w = {0};
		WRITE_ONCE(first_in_line, thread_current());
		wait_prepare(&hall, &w, WAIT_INTERRUPTIBLE | WAIT_EXCLUSIVE);
		first_err = wait_sleep(&w, WAIT_INTERRUPTIBLE, WAIT_FOREVER);
		/* woken by the queue; what it would find out by looking again is known here */
		wait_end(&hall, &w, -ERESTARTSYS);
		return;
	}
	while (queue_length(&hall) < 1)
		sched_yield();
	(void)WAIT_UNTIL(&hall, take_piece(), WAIT_EXCLUSIVE, WAIT_FOREVER);
	WRITE_ONCE(served, 1);
}

KTEST(sched, wait_hands_on_what_it_does_not_take)
{
	struct crew c;
	wait_queue_init(&hall);
	pieces = served = 0;
	first_in_line = NULL;
	crew_start(&c, 2, wait_for_piece);
	while (queue_length(&hall) < 2)
		nap();
	WRITE_ONCE(pieces, 1);
	wait_wake(&hall, 1); /* goes to the first */
	for (unsigned tries = 0; !READ_ONCE(served) && tries < 300; tries++)
		nap();
	uint32_t handed_on = READ_ONCE(served);
	wait_wake(&hall, 1); /* should it have been forgotten */
	crew_join(&c);
	KTEST_EQ(first_err, 0);
	KTEST_EQ(handed_on, 1);
	KTEST_EQ(pieces, 0);
}

/* A handler holds nothing of what the thread holds that it interrupted. */
static struct mutex threads_mutex;
static uint32_t handler_ran;
static bool handler_holds;

static void look_from_handler(struct timer *t maybe_unused)
{
	handler_holds = lockdep_holds(&threads_mutex);
	WRITE_ONCE(handler_ran, 1);
}

KTEST(sync, lockdep_keeps_handlers_apart)
{
	struct timer timer;
	if (!CONFIG_DEBUG)
		ktest_skip("lock checking is in debug builds only");
	mutex_init(&threads_mutex, LOCK_PIPE, "test");
	handler_ran = 0;
	timer_init(&timer, look_from_handler);
	mutex_lock(&threads_mutex);
	timer_set(&timer, time_ns() + NSEC_PER_MSEC);
	while (!READ_ONCE(handler_ran))
		cpu_relax();
	bool thread_holds = lockdep_holds(&threads_mutex);
	mutex_unlock(&threads_mutex);
	timer_cancel(&timer);
	KTEST_TRUE(thread_holds && !handler_holds);
}
