/*
 * Reader-writer lock: theory.
 *
 * `state` is the number of readers, or -1 for a writer; taking a free or reader-held lock is one compare-and-exchange.
 * A reader that finds a writer waiting queues behind it, so writers don't starve; the queue is served in order of
 * arrival, so readers don't either.
 *
 * The queue is changed under its lock.  Who releases the lock to 0 and finds somebody queued grants: to the first if it
 * is a writer, else to all readers up to the next writer.  Granting changes `state` for the waiter before waking it.
 * Newcomers on the fast path may get in between; then the grant fails, and the newcomer's release grants again.
 *
 * No lost grant: a waiter enters the queue, fences, and tries to grant itself (as anybody may) before it sleeps; a
 * releaser changes state, which is a full fence, and then looks at the queue.
 *
 * Not recursive, also for readers: a writer that comes between the two would deadlock them.
 */
#include "sched/mutex.h"

#include "abi/errno_kernel.h"
#include "core/panic.h"
#include "sched/sched.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

struct rw_waiter {
	struct waiter w;
	bool writer;
	bool granted; /* l->waiters.lock to set; read by the waiter without */
};

void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name)
{
	*l = (struct rwlock){.rank = (uint8_t)rank, .name = name};
	wait_queue_init(&l->waiters);
}

static always_inline bool try_read(struct rwlock *l)
{
	int32_t s = atomic_load_relaxed(&l->state);
	while (s >= 0)
		if (atomic_cas(&l->state, &s, s + 1))
			return true;
	return false;
}

static always_inline bool try_write(struct rwlock *l)
{
	int32_t s = 0;
	return atomic_cas(&l->state, &s, -1);
}

/* Gives the lock to whoever stands first, as far as it goes. l->waiters.lock held. */
static void grant(struct rwlock *l)
{
	struct list_node *n;
	while ((n = list_first(&l->waiters.waiters))) {
		struct rw_waiter *r = container_of(n, struct rw_waiter, w.node);
		bool writer = r->writer;
		if (writer ? !try_write(l) : !try_read(l))
			return;
		list_remove(n);
		if (writer)
			l->writers_waiting--;
		struct thread *t = r->w.thread;
		thread_get(t); /* r lies on its stack and may go once granted is seen */
		atomic_store_release(&r->granted, true);
		sched_wake(t, WAKE_NORMAL);
		thread_put(t);
		if (writer)
			return;
	}
}

static noinline int lock_slow(struct rwlock *l, bool writer, bool killable)
{
	struct thread *t = thread_current();
	struct rw_waiter r = {.w.thread = t, .writer = writer};
	uint32_t state = killable ? THREAD_SLEEPING : THREAD_BLOCKED;
	int err = 0;

	irqflags_t f = spin_lock(&l->waiters.lock);
	list_push_back(&l->waiters.waiters, &r.w.node);
	l->writers_waiting += writer;
	t->wait_reason = l->name;
	t->state = state;
	atomic_fence();
	grant(l);
	spin_unlock(&l->waiters.lock, f);
	for (;;) {
		atomic_fence();
		if (atomic_load_acquire(&r.granted))
			break;
		if (killable && thread_has_work(t, WORK_KILL)) {
			f = spin_lock(&l->waiters.lock);
			if (!r.granted) {
				list_remove(&r.w.node);
				l->writers_waiting -= writer;
				err = -ERESTARTSYS;
				grant(l); /* those behind may go now */
			}
			spin_unlock(&l->waiters.lock, f);
			break;
		}
		sched_switch();
		t->state = state;
	}
	t->state = THREAD_RUNNABLE;
	return err;
}

static void released(struct rwlock *l)
{
	if (unlikely(wait_queue_active(&l->waiters))) {
		irqflags_t f = spin_lock(&l->waiters.lock);
		grant(l);
		spin_unlock(&l->waiters.lock, f);
	}
}

void rwlock_read_lock(struct rwlock *l)
{
	if (CONFIG_DEBUG) {
		lockdep_may_sleep();
		lockdep_acquire(l, l->rank, l->name, true);
	}
	if (unlikely(READ_ONCE(l->writers_waiting) || !try_read(l)))
		(void)lock_slow(l, false, false);
}

void rwlock_read_unlock(struct rwlock *l)
{
	if (CONFIG_DEBUG)
		lockdep_release(l);
	int32_t before = atomic_fetch_add(&l->state, -1);
	BUG_ON(before <= 0);
	if (before == 1)
		released(l);
}

void rwlock_write_lock_nested(struct rwlock *l, enum lock_rank rank)
{
	if (CONFIG_DEBUG) {
		lockdep_may_sleep();
		lockdep_acquire(l, rank, l->name, true);
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
		lockdep_may_sleep();
		lockdep_acquire(l, l->rank, l->name, true);
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
	BUG_ON(atomic_load_relaxed(&l->state) != -1);
	atomic_store_release(&l->state, 0);
	released(l); /* begins with a full fence */
}

bool rwlock_is_write_locked(const struct rwlock *l)
{
	return atomic_load_relaxed(&l->state) < 0;
}
