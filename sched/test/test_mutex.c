/*
 * The mutex under contention, on all CPUs.
 */
#include <arch/time.h>
#include "sched/mutex.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"

static struct mutex mutex;
static uint64_t counter, inside;
static uint32_t broken;

/* How many sleep on it. */
static unsigned sleepers(struct mutex *m)
{
	unsigned n = 0;
	irqflags_t f = spin_lock(&m->pi.lock);
	for (struct rb_node *w = rb_first(&m->pi.waiters); w; w = rb_next(w))
		n++;
	spin_unlock(&m->pi.lock, f);
	return n;
}

static void count_up(struct crew *c, unsigned me)
{
	(void)c;
	crew_spread(me);
	for (unsigned i = 0; i < 300; i++) {
		mutex_lock(&mutex);
		broken += __atomic_fetch_add(&inside, 1, __ATOMIC_RELAXED) != 0 || !mutex_is_mine(&mutex);
		uint64_t v = READ_ONCE(counter);
		if ((i + me) % 3 == 0)
			sched_yield();
		WRITE_ONCE(counter, v + 1);
		__atomic_fetch_sub(&inside, 1, __ATOMIC_RELAXED);
		mutex_unlock(&mutex);
		if (i % 7 == me)
			sched_yield();
	}
}

KTEST(sched, mutex_excludes)
{
	struct crew c;
	mutex_init(&mutex, LOCK_PIPE, "test");
	counter = inside = 0;
	broken = 0;
	crew_start(&c, 8, count_up);
	crew_join(&c);
	KTEST_EQ(counter, 8 * 300);
	KTEST_EQ(broken, 0);
	KTEST_EQ(mutex.pi.word, 0);
}

static uint32_t order[8], order_count;

static void nap(void)
{
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

/* In the order of their numbers: each once those before it wait. */
static void take_once(struct crew *c, unsigned me)
{
	(void)c;
	while (sleepers(&mutex) < me)
		nap();
	mutex_lock(&mutex);
	order[order_count++] = me;
	mutex_unlock(&mutex);
}

KTEST(sched, mutex_serves_the_longest_waiter)
{
	struct crew c;
	mutex_init(&mutex, LOCK_PIPE, "test");
	order_count = 0;
	mutex_lock(&mutex);
	crew_start(&c, 8, take_once);
	while (sleepers(&mutex) < 8)
		nap();
	KTEST_EQ(order_count, 0);
	mutex_unlock(&mutex);
	crew_join(&c);
	for (unsigned i = 0; i < 8; i++)
		KTEST_EQ(order[i], i);
	KTEST_EQ(mutex.pi.word, 0);
}

KTEST(sched, mutex_passes_over_once_at_most)
{
	struct crew c;
	mutex_init(&mutex, LOCK_PIPE, "test");
	order_count = 0;
	mutex_lock(&mutex);
	crew_start(&c, 1, take_once);
	while (sleepers(&mutex) < 1)
		nap();
	mutex_unlock(&mutex);
	mutex_lock(&mutex); /* most likely before the waiter has come to run */
	while (!READ_ONCE(order_count) && !(READ_ONCE(mutex.pi.word) & PI_HANDOFF))
		nap();
	mutex_unlock(&mutex);
	mutex_lock(&mutex); /* but not again */
	KTEST_EQ(READ_ONCE(order_count), 1);
	mutex_unlock(&mutex);
	crew_join(&c);
	KTEST_EQ(mutex.pi.word, 0);
}

KTEST(sched, mutex_trylock)
{
	mutex_init(&mutex, LOCK_PIPE, "test");
	KTEST_TRUE(mutex_trylock(&mutex));
	KTEST_TRUE(mutex_is_mine(&mutex));
	KTEST_TRUE(!mutex_trylock(&mutex));
	mutex_unlock(&mutex);
	KTEST_TRUE(!mutex_is_mine(&mutex));
}

static struct thread *victim;
static int victim_err;

static void be_killed_waiting(struct crew *c, unsigned me)
{
	(void)c;
	(void)me;
	WRITE_ONCE(victim, thread_current());
	victim_err = mutex_lock_killable(&mutex);
	if (!victim_err)
		mutex_unlock(&mutex);
	thread_clear_work(thread_current(), WORK_KILL);
}

KTEST(sched, mutex_killable_gives_up)
{
	struct crew c;
	mutex_init(&mutex, LOCK_PIPE, "test");
	victim = NULL;
	mutex_lock(&mutex);
	crew_start(&c, 1, be_killed_waiting);
	while (sleepers(&mutex) < 1)
		nap();
	thread_set_work(victim, WORK_KILL);
	crew_join(&c);
	KTEST_EQ(victim_err, -ERESTARTSYS);
	KTEST_EQ(mutex.pi.word, (uintptr_t)thread_current()); /* no "has waiters" left behind */
	mutex_unlock(&mutex);
	KTEST_EQ(mutex.pi.word, 0);
}

/* Holders that let go while others come, give up and are killed: everybody gets it or an error, nobody hangs. */
static void come_and_go(struct crew *c, unsigned me)
{
	(void)c;
	crew_spread(me);
	for (unsigned i = 0; i < 120; i++) {
		if (i % 5 == me % 5)
			thread_set_work(thread_current(), WORK_KILL);
		int err = mutex_lock_killable(&mutex);
		thread_clear_work(thread_current(), WORK_KILL);
		if (err) {
			__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
			continue;
		}
		broken += inside++ != 0;
		for (unsigned spin = 0; spin < (i % 8) * 50; spin++)
			cpu_relax();
		if (i % 16 == me)
			sched_yield();
		inside--;
		mutex_unlock(&mutex);
		__atomic_fetch_add(&counter, 1, __ATOMIC_RELAXED);
	}
}

KTEST(sched, mutex_killed_waiters_lose_nobody)
{
	struct crew c;
	mutex_init(&mutex, LOCK_PIPE, "test");
	counter = inside = 0;
	broken = 0;
	crew_start(&c, 8, come_and_go);
	crew_join(&c);
	KTEST_EQ(counter, 8 * 120);
	KTEST_EQ(broken, 0);
	KTEST_EQ(mutex.pi.word, 0);
}
