/*
 * Mutex and rwlock under contention.
 */
#include <arch/time.h>
#include "sched/mutex.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"

static struct mutex mutex;
static uint64_t counter, inside;
static uint32_t broken;

static void count_up(struct crew *c, unsigned me)
{
	(void)c;
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
	KTEST_TRUE(mutex.owner == NULL);
}

static uint32_t order[8], order_count, arrival[8];

static struct thread *taker[8];

static void take_once(struct crew *c, unsigned me)
{
	(void)c;
	taker[me] = thread_current();
	mutex_lock(&mutex);
	order[order_count++] = me;
	mutex_unlock(&mutex);
}

static void nap(void)
{
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

KTEST(sched, mutex_serves_the_longest_waiter)
{
	struct crew c;
	mutex_init(&mutex, LOCK_PIPE, "test");
	order_count = 0;
	mutex_lock(&mutex);
	crew_start(&c, 8, take_once);
	while (queue_length(&mutex.waiters) < 8)
		nap();
	unsigned n = 0;
	struct waiter *w;
	LIST_FOR_EACH(w, &mutex.waiters.waiters, node) /* nobody comes or goes while we hold the mutex */
		for (unsigned i = 0; i < 8; i++)
			if (taker[i] == w->thread)
				arrival[n++] = i;
	KTEST_EQ(order_count, 0);
	mutex_unlock(&mutex);
	mutex_lock(&mutex); /* behind all of them */
	KTEST_EQ(order_count, 8);
	mutex_unlock(&mutex);
	crew_join(&c);
	bool once[8] = {false};
	for (unsigned i = 0; i < 8; i++) {
		KTEST_TRUE(order[i] == arrival[i] && !once[order[i]]);
		once[order[i]] = true;
	}
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
	while (queue_length(&mutex.waiters) < 1)
		nap();
	thread_set_work(victim, WORK_KILL);
	crew_join(&c);
	KTEST_EQ(victim_err, -ERESTARTSYS);
	KTEST_EQ((uintptr_t)mutex.owner, (uintptr_t)thread_current()); /* no "has waiters" left behind */
	mutex_unlock(&mutex);
	KTEST_TRUE(mutex.owner == NULL);
}

static struct rwlock rw;
static int32_t readers_in, writers_in, readers_most;
static uint64_t rw_value;

static void read_and_write(struct crew *c, unsigned me)
{
	(void)c;
	for (unsigned i = 0; i < 200; i++) {
		if ((i + me) % 4 == 0) {
			rwlock_write_lock(&rw);
			broken += __atomic_add_fetch(&writers_in, 1, __ATOMIC_RELAXED) != 1 || READ_ONCE(readers_in) ||
				!rwlock_is_write_locked(&rw);
			uint64_t v = rw_value;
			sched_yield();
			rw_value = v + 1;
			__atomic_fetch_sub(&writers_in, 1, __ATOMIC_RELAXED);
			rwlock_write_unlock(&rw);
		} else {
			rwlock_read_lock(&rw);
			int32_t in = __atomic_add_fetch(&readers_in, 1, __ATOMIC_RELAXED);
			readers_most = MAX(readers_most, in);
			broken += READ_ONCE(writers_in) != 0;
			if (i % 3 == 0)
				sched_yield();
			__atomic_fetch_sub(&readers_in, 1, __ATOMIC_RELAXED);
			rwlock_read_unlock(&rw);
		}
	}
}

KTEST(sched, rwlock_shares_and_excludes)
{
	struct crew c;
	rwlock_init(&rw, LOCK_PIPE, "test");
	rw_value = 0;
	broken = 0;
	readers_in = writers_in = readers_most = 0;
	crew_start(&c, 8, read_and_write);
	crew_join(&c);
	KTEST_EQ(broken, 0);
	KTEST_EQ(rw_value, 8 * 50);
	KTEST_TRUE(readers_most > 1);
	KTEST_EQ(rw.state, 0);
	KTEST_EQ(rw.writers_waiting, 0);
}

static uint32_t writer_done, late_readers;

static void writer_then_readers(struct crew *c, unsigned me)
{
	(void)c;
	if (me == 0) {
		rwlock_write_lock(&rw);
		writer_done = late_readers == 0;
		rwlock_write_unlock(&rw);
	} else {
		while (!READ_ONCE(rw.writers_waiting)) /* the writer queues first: the readers must line up behind it */
			nap();
		rwlock_read_lock(&rw);
		__atomic_fetch_add(&late_readers, 1, __ATOMIC_RELAXED);
		rwlock_read_unlock(&rw);
	}
}

KTEST(sched, rwlock_writer_is_not_starved)
{
	struct crew c;
	rwlock_init(&rw, LOCK_PIPE, "test");
	writer_done = late_readers = 0;
	rwlock_read_lock(&rw);
	crew_start(&c, 4, writer_then_readers);
	while (queue_length(&rw.waiters) < 4)
		nap();
	KTEST_EQ(late_readers, 0);
	rwlock_read_unlock(&rw);
	crew_join(&c);
	KTEST_EQ(writer_done, 1);
	KTEST_EQ(late_readers, 3);
}

static void be_killed_writing(struct crew *c, unsigned me)
{
	(void)c;
	if (me) {
		while (!READ_ONCE(rw.writers_waiting))
			nap();
		rwlock_read_lock(&rw);
		late_readers++;
		rwlock_read_unlock(&rw);
		return;
	}
	WRITE_ONCE(victim, thread_current());
	victim_err = rwlock_write_lock_killable(&rw);
	thread_clear_work(thread_current(), WORK_KILL);
}

KTEST(sched, rwlock_killed_writer_lets_readers_on)
{
	struct crew c;
	rwlock_init(&rw, LOCK_PIPE, "test");
	victim = NULL;
	late_readers = 0;
	rwlock_read_lock(&rw);
	crew_start(&c, 3, be_killed_writing);
	while (queue_length(&rw.waiters) < 3)
		nap();
	KTEST_EQ(late_readers, 0);
	thread_set_work(victim, WORK_KILL);
	crew_join(&c); /* with the read lock still held: the readers must get in */
	KTEST_EQ(victim_err, -ERESTARTSYS);
	KTEST_EQ(late_readers, 2);
	rwlock_read_unlock(&rw);
	KTEST_EQ(rw.state, 0);
}
