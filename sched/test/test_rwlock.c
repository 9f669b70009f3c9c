/*
 * The reader-writer lock under contention, on all CPUs.
 */
#include <arch/time.h>
#include "sched/mutex.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/timer.h"

static uint32_t broken;
static struct thread *victim;
static int victim_err;
static struct rwlock rw;
static int32_t readers_in, writers_in, readers_most;
static uint64_t rw_value;

static unsigned rw_sleepers(void)
{
	unsigned n = 0;
	irqflags_t f = spin_lock(&rw.lock);
	for (struct list_node *w = list_first(&rw.waiters); w; w = list_next(&rw.waiters, w))
		n++;
	spin_unlock(&rw.lock, f);
	return n;
}

static void nap(void)
{
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

static void read_and_write(struct crew *c, unsigned me)
{
	(void)c;
	crew_spread(me);
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
		while (!rw_sleepers()) /* the writer queues first: the readers must line up behind it */
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
	while (rw_sleepers() < 4)
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
		while (!rw_sleepers())
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
	while (rw_sleepers() < 3)
		nap();
	KTEST_EQ(late_readers, 0);
	thread_set_work(victim, WORK_KILL);
	crew_join(&c); /* with the read lock still held: the readers must get in */
	KTEST_EQ(victim_err, -ERESTARTSYS);
	KTEST_EQ(late_readers, 2);
	rwlock_read_unlock(&rw);
	KTEST_EQ(rw.state, 0);
}

/* A writer gets in although readers never leave the lock free for it. */
static uint32_t reader_rounds, stop_reading;

static void read_without_pause(struct crew *c, unsigned me)
{
	(void)c;
	crew_spread(me);
	while (!READ_ONCE(stop_reading)) {
		rwlock_read_lock(&rw);
		__atomic_fetch_add(&reader_rounds, 1, __ATOMIC_RELAXED);
		sched_yield(); /* so that another reader is inside before this one leaves */
		rwlock_read_unlock(&rw);
	}
}

KTEST(sched, rwlock_writer_gets_in_among_readers)
{
	struct crew c;
	rwlock_init(&rw, LOCK_PIPE, "test");
	reader_rounds = stop_reading = 0;
	crew_start(&c, 4, read_without_pause);
	while (READ_ONCE(reader_rounds) < 100)
		nap();
	for (unsigned i = 0; i < 20; i++) {
		rwlock_write_lock(&rw);
		uint32_t rounds = READ_ONCE(reader_rounds);
		sched_yield();
		KTEST_EQ(READ_ONCE(reader_rounds), rounds);
		rwlock_write_unlock(&rw);
	}
	WRITE_ONCE(stop_reading, 1);
	crew_join(&c);
	KTEST_EQ(rw.state, 0);
}
