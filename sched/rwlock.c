/*
 * Reader-writer lock: theory.
 *
 * One word: RW_WRITER, RW_QUEUE (somebody stands in the queue), and the number of readers above them.  Taking and
 * releasing without RW_QUEUE is a single compare-and-exchange or addition, indivisible also against interrupts.
 *
 * With RW_QUEUE set nobody takes the lock but through the queue, which is served in order of arrival: who releases it
 * last grants it to the first if that is a writer, else to all readers up to the next writer.  So neither starves,
 * however many come.  Granting changes the word for the waiter before it is woken; the lock is never free while
 * somebody stands in the queue, except under the queue's lock.
 *
 * Before it queues, a newcomer spins for a while if a writer has the lock and runs on another CPU, or has just been
 * granted it and is on its way (`coming`), and nobody queues: it overtakes nobody by that.  The second is what ends a
 * convoy: two threads that take turns by sleeping would else go on so for ever, since whoever comes back finds a writer
 * that does not run yet.  Readers are not known by name, so nobody spins for them.
 *
 * RW_QUEUE is set and cleared under the queue's lock, and set exactly while the queue is not empty.  A release that
 * sees it takes that lock, and finds the waiter or somebody who has served it: so no grant is lost.
 *
 * Memory order: taking is an acquire, releasing a release on the word; a grant is made under the queue's lock, which
 * the waiter takes before it goes on, so all that the last holder wrote is seen, and the waiter's stack outlives the
 * grant.
 *
 * Not recursive, also for readers: a writer that comes between the two would deadlock them.
 *
 * Rejected: overtaking by running writers, as the mutex allows (page faults are readers and come in crowds: they would
 * have to be kept from starving by counting); inheritance (a boost for a crowd of readers has no single receiver).
 */
#include "sched/mutex.h"

#include "abi/errno_kernel.h"
#include "core/panic.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

#define RW_WRITER 1u
#define RW_QUEUE 2u
#define RW_READER 4u /* one of them */
#define SPIN_TURNS 1000u

struct rw_waiter {
	struct list_node node;
	struct thread *thread;
	bool writer;
	bool granted; /* l->lock */
};

void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name)
{
	*l = (struct rwlock){.rank = (uint8_t)rank, .name = name, .lock = SPINLOCK_INIT(LOCK_WAITQUEUE, name)};
	list_init(&l->waiters);
}

static always_inline bool try_read(struct rwlock *l)
{
	uint32_t s = atomic_load_relaxed(&l->state);
	while (likely(!(s & (RW_WRITER | RW_QUEUE))))
		if (likely(atomic_cas(&l->state, &s, s + RW_READER)))
			return true;
	return false;
}

static always_inline bool try_write(struct rwlock *l)
{
	uint32_t s = 0;
	if (unlikely(!atomic_cas(&l->state, &s, RW_WRITER)))
		return false;
	atomic_store_relaxed(&l->writer, thread_current());
	return true;
}

/* Watches a writer that runs. True: taken. */
static bool spin(struct rwlock *l, bool writer)
{
	const struct thread *watched = NULL;
	struct cpu *at = NULL;

	if (cpus_online == 1)
		return false;
	for (unsigned i = 0; i < SPIN_TURNS; i++) {
		uint32_t s = atomic_load_relaxed(&l->state);
		if (s & RW_QUEUE)
			return false;
		if (!(s & RW_WRITER)) {
			if (writer ? try_write(l) : try_read(l))
				return true;
			if (s)
				return false; /* readers */
			continue;
		}
		/* A writer that has just come may not have put its name down yet. */
		const struct thread *owner = atomic_load_relaxed(&l->writer);
		if (owner && !atomic_load_relaxed(&l->coming)) {
			if (owner != watched) {
				watched = owner;
				at = cpu_running(owner);
			}
			if (!at || READ_ONCE(at->current) != owner)
				return false;
		}
		if (thread_has_work(thread_current(), WORK_RESCHED))
			return false;
		cpu_relax();
	}
	return false;
}

/* l->lock held, RW_QUEUE set: gives the lock to whoever stands first, as far as it goes. */
static void grant_locked(struct rwlock *l)
{
	struct rw_waiter *w;

	while ((w = LIST_FIRST(&l->waiters, struct rw_waiter, node))) {
		uint32_t s = atomic_load_relaxed(&l->state); /* with RW_QUEUE set it changes by releases only */
		if (s & RW_WRITER || (w->writer && s >= RW_READER))
			return;
		__atomic_fetch_add(&l->state, w->writer ? RW_WRITER : RW_READER, __ATOMIC_ACQ_REL);
		if (w->writer) {
			atomic_store_relaxed(&l->coming, true);
			atomic_store_relaxed(&l->writer, w->thread);
		}
		list_remove(&w->node);
		if (list_empty(&l->waiters))
			__atomic_fetch_and(&l->state, ~RW_QUEUE, __ATOMIC_RELAXED);
		w->granted = true; /* it sees that under l->lock, and keeps w and itself until then */
		(void)sched_wake(w->thread, WAKE_NORMAL);
	}
}

static noinline int lock_slow(struct rwlock *l, bool writer, bool killable)
{
	struct thread *t = thread_current();
	struct rw_waiter w = {.thread = t, .writer = writer};
	uint32_t state = killable ? THREAD_SLEEPING : THREAD_BLOCKED;
	int err = 0;

	if (spin(l, writer))
		return 0;
	irqflags_t f = spin_lock(&l->lock);
	list_push_back(&l->waiters, &w.node);
	/* The lock may have been released just before: from here on releases come to the queue, and we are the first
	 * who can grant. */
	__atomic_fetch_or(&l->state, RW_QUEUE, __ATOMIC_ACQ_REL);
	grant_locked(l);
	for (;;) {
		if (w.granted) {
			if (writer)
				atomic_store_relaxed(&l->coming, false);
			break;
		}
		if (killable && thread_has_work(t, WORK_KILL)) {
			list_remove(&w.node);
			if (list_empty(&l->waiters))
				__atomic_fetch_and(&l->state, ~RW_QUEUE, __ATOMIC_RELAXED);
			else
				grant_locked(l); /* those behind may go now */
			err = -ERESTARTSYS;
			break;
		}
		t->wait_reason = l->name;
		WRITE_ONCE(t->state, state);
		spin_unlock(&l->lock, f);
		atomic_fence(); /* state before the kill bit: sched.c */
		if (!(killable && thread_has_work(t, WORK_KILL)))
			sched_switch();
		WRITE_ONCE(t->state, THREAD_RUNNABLE);
		f = spin_lock(&l->lock);
	}
	spin_unlock(&l->lock, f);
	return err;
}

static noinline void release_slow(struct rwlock *l)
{
	SPIN_GUARD(&l->lock);
	if (!list_empty(&l->waiters))
		grant_locked(l);
}

void rwlock_read_lock(struct rwlock *l)
{
	if (CONFIG_DEBUG) {
		lockdep_acquire(l, l->rank, l->name, true);
		lockdep_may_sleep();
	}
	if (unlikely(!try_read(l)))
		(void)lock_slow(l, false, false);
}

void rwlock_read_unlock(struct rwlock *l)
{
	if (CONFIG_DEBUG)
		lockdep_release(l);
	uint32_t before = atomic_fetch_add(&l->state, -RW_READER);
	BUG_ON(before < RW_READER || before & RW_WRITER);
	if (unlikely(before == RW_READER + RW_QUEUE))
		release_slow(l);
}

void rwlock_write_lock_nested(struct rwlock *l, enum lock_rank rank)
{
	if (CONFIG_DEBUG) {
		lockdep_acquire(l, rank, l->name, true);
		lockdep_may_sleep();
	}
	if (unlikely(!try_write(l)))
		(void)lock_slow(l, true, false);
}

void rwlock_write_lock(struct rwlock *l)
{
	rwlock_write_lock_nested(l, l->rank);
}

int rwlock_write_lock_killable(struct rwlock *l)
{
	if (CONFIG_DEBUG) {
		lockdep_acquire(l, l->rank, l->name, true);
		lockdep_may_sleep();
	}
	if (likely(try_write(l)))
		return 0;
	int err = lock_slow(l, true, true);
	if (CONFIG_DEBUG && err)
		lockdep_release(l);
	return err;
}

void rwlock_write_unlock(struct rwlock *l)
{
	if (CONFIG_DEBUG)
		lockdep_release(l);
	atomic_store_relaxed(&l->writer, NULL);
	uint32_t before = __atomic_fetch_and(&l->state, ~RW_WRITER, __ATOMIC_RELEASE);
	BUG_ON(!(before & RW_WRITER) || before >= RW_READER);
	if (unlikely(before & RW_QUEUE))
		release_slow(l);
}

bool rwlock_is_write_locked(const struct rwlock *l)
{
	return atomic_load_relaxed(&l->state) & RW_WRITER;
}
