/*
 * Priority inheritance: boosts come, pass along chains, and go.
 */
#include <linux/sched.h>

#include "sched/mutex.h"
#include "sched/test/crew.h"

static struct mutex a, b; /* b may be held when a is taken */
static struct thread *who[8];
static uint32_t step;
static int errs[8];

static void nap(void)
{
	(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

static unsigned sleepers(struct mutex *m)
{
	unsigned n = 0;
	irqflags_t f = spin_lock(&m->pi.lock);
	for (struct rb_node *w = rb_first(&m->pi.waiters); w; w = rb_next(w))
		n++;
	spin_unlock(&m->pi.lock, f);
	return n;
}

static void wait_sleepers(struct mutex *m, unsigned n)
{
	while (sleepers(m) != n)
		nap();
}

static void wait_step(uint32_t n)
{
	while (READ_ONCE(step) < n)
		nap();
}

/* The real-time priority t runs with; 0: ordinary. */
static unsigned priority_of(struct thread *t)
{
	struct sched_key k = sched_key(t);
	return k.rank >= 100 ? 0 : 100 - k.rank;
}

/* The boost passes along the chain a little after its giver is among the waiters. */
static bool comes_to_priority(struct thread *t, unsigned priority)
{
	for (unsigned tries = 0; tries < 5000 && priority_of(t) != priority; tries++)
		nap();
	return priority_of(t) == priority;
}

static void start(void)
{
	mutex_init(&b, LOCK_PIPE, "b");
	mutex_init(&a, LOCK_TTY, "a");
	step = 0;
	for (unsigned i = 0; i < 8; i++)
		who[i] = NULL;
}

static void chain_of_three(struct crew *c, unsigned me)
{
	(void)c;
	crew_spread(me);
	switch (me) {
	case 0:
		mutex_lock(&a);
		WRITE_ONCE(who[0], thread_current());
		wait_step(1);
		mutex_unlock(&a);
		KTEST_EQ(priority_of(thread_current()), 0);
		break;
	case 1:
		while (!READ_ONCE(who[0]))
			nap();
		mutex_lock(&b);
		WRITE_ONCE(who[1], thread_current());
		mutex_lock(&a);
		mutex_unlock(&a);
		mutex_unlock(&b);
		KTEST_EQ(priority_of(thread_current()), 0);
		break;
	case 2:
		wait_sleepers(&a, 1);
		KTEST_EQ(sched_set_policy(thread_current(), SCHED_FIFO, 50), 0);
		WRITE_ONCE(who[2], thread_current());
		mutex_lock(&b);
		mutex_unlock(&b);
		break;
	}
}

KTEST(sched, pi_boosts_along_a_chain)
{
	struct crew c;
	start();
	crew_start(&c, 3, chain_of_three);
	wait_sleepers(&b, 1);
	KTEST_TRUE(comes_to_priority(who[1], 50));
	KTEST_TRUE(comes_to_priority(who[0], 50));
	KTEST_EQ(sched_set_policy(who[2], SCHED_RR, 80), 0); /* of one who sleeps, from outside */
	KTEST_TRUE(comes_to_priority(who[1], 80));
	KTEST_TRUE(comes_to_priority(who[0], 80));
	KTEST_EQ(sched_set_policy(who[2], SCHED_NORMAL, 0), 0);
	KTEST_TRUE(comes_to_priority(who[1], 0));
	KTEST_TRUE(comes_to_priority(who[0], 0));
	KTEST_EQ(sched_set_policy(who[2], SCHED_FIFO, 30), 0);
	KTEST_TRUE(comes_to_priority(who[0], 30));
	WRITE_ONCE(step, 1);
	crew_join(&c);
	KTEST_EQ(a.pi.word, 0);
	KTEST_EQ(b.pi.word, 0);
}

static void two_locks(struct crew *c, unsigned me)
{
	(void)c;
	crew_spread(me);
	if (me == 0) {
		mutex_lock(&b);
		mutex_lock(&a);
		WRITE_ONCE(who[0], thread_current());
		wait_step(1);
		mutex_unlock(&a);
		KTEST_EQ(priority_of(thread_current()), 30);
		wait_step(2);
		mutex_unlock(&b);
		KTEST_EQ(priority_of(thread_current()), 0);
		return;
	}
	while (!READ_ONCE(who[0]))
		nap();
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_FIFO, me == 1 ? 30 : 60), 0);
	WRITE_ONCE(who[me], thread_current());
	if (me == 3) {
		errs[3] = mutex_lock_killable(&a);
		thread_clear_work(thread_current(), WORK_KILL);
		return;
	}
	struct mutex *m = me == 1 ? &b : &a;
	mutex_lock(m);
	mutex_unlock(m);
}

KTEST(sched, pi_boost_is_the_highest_of_all_locks)
{
	struct crew c;
	start();
	crew_start(&c, 4, two_locks);
	wait_sleepers(&b, 1);
	wait_sleepers(&a, 2);
	KTEST_TRUE(comes_to_priority(who[0], 60));
	KTEST_EQ(sched_set_policy(who[3], SCHED_FIFO, 70), 0);
	KTEST_TRUE(comes_to_priority(who[0], 70));
	thread_set_work(who[3], WORK_KILL); /* it gives up, and takes its boost along */
	wait_sleepers(&a, 1);
	while (priority_of(who[0]) != 60)
		nap();
	WRITE_ONCE(step, 1);
	wait_sleepers(&a, 0);
	WRITE_ONCE(step, 2);
	crew_join(&c);
	KTEST_EQ(errs[3], -ERESTARTSYS);
	KTEST_EQ(a.pi.word, 0);
	KTEST_EQ(b.pi.word, 0);
}

static uint32_t order[8], order_count;

static void by_priority(struct crew *c, unsigned me)
{
	(void)c;
	if (me)
		KTEST_EQ(sched_set_policy(thread_current(), SCHED_FIFO, 10 + (int)(me * 7 % 5)), 0);
	mutex_lock(&a);
	order[order_count++] = me ? 10 + me * 7 % 5 : 0;
	mutex_unlock(&a);
}

KTEST(sched, pi_most_urgent_first)
{
	struct crew c;
	start();
	order_count = 0;
	mutex_lock(&a);
	crew_start(&c, 6, by_priority);
	wait_sleepers(&a, 6);
	KTEST_EQ(priority_of(thread_current()), 14);
	mutex_unlock(&a);
	crew_join(&c);
	KTEST_EQ(order_count, 6);
	for (unsigned i = 1; i < 6; i++)
		KTEST_TRUE(order[i - 1] >= order[i]);
}

static uint64_t inside[2];
static uint32_t broken;

/* Everybody changes everybody's priority while they wait for each other. */
static void jumble(struct crew *c, unsigned me)
{
	(void)c;
	uint32_t random = me * 2654435761u + 1;
	crew_spread(me);
	WRITE_ONCE(who[me], thread_current());
	for (unsigned i = 0; i < 40; i++) {
		random = random * 1664525u + 1013904223u;
		struct thread *t = READ_ONCE(who[random >> 8 & 7]);
		int priority = random >> 16 & 15;
		if (t)
			(void)!sched_set_policy(t, priority ? SCHED_FIFO : SCHED_NORMAL, priority);
		bool both = random >> 24 & 1;
		if (both)
			mutex_lock(&b);
		mutex_lock(&a);
		broken += inside[0]++ != 0;
		if (both)
			broken += inside[1]++ != 0;
		if (i % 4 == 0)
			(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC / 20, false);
		inside[0]--;
		mutex_unlock(&a);
		if (both) {
			inside[1]--;
			mutex_unlock(&b);
		}
	}
	__atomic_fetch_add(&step, 1, __ATOMIC_RELAXED);
	while (READ_ONCE(step) < 8) /* others hold pointers to us */
		nap();
	KTEST_EQ(sched_set_policy(thread_current(), SCHED_NORMAL, 0), 0);
	broken += !rb_empty(&thread_current()->pi.boosters) || thread_current()->pi.blocked_on;
	broken += priority_of(thread_current()) != 0;
}

KTEST(sched, pi_survives_a_jumble)
{
	struct crew c;
	start();
	inside[0] = inside[1] = 0;
	broken = 0;
	crew_start(&c, 8, jumble);
	crew_join(&c);
	KTEST_EQ(broken, 0);
	KTEST_EQ(a.pi.word, 0);
	KTEST_EQ(b.pi.word, 0);
}
