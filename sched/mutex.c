/*
 * Mutex: theory.
 *
 * One word says it all: the owner's address, with bit 0 set while somebody waits.  Taking a free one and releasing one
 * nobody waits for is a single compare-and-exchange.
 *
 * Whoever finds it taken enters the list, under the list's lock, sets bit 0 and sleeps.  The release that sees bit 0
 * takes the longest waiter off the list and writes IT as the owner, so the lock is never free while somebody waits: no
 * overtaking, no starvation, and a woken thread needs no second try.  The price is that the lock is idle while the new
 * owner wakes up, which matters only under contention.
 *
 * Bit 0 is set and cleared under the list's lock only, and is set exactly while the list is not empty.  A waiter that
 * is killed removes itself under the same lock, unless it finds it has become the owner meanwhile: then it has the lock
 * and says so.
 *
 * Rejected: spinning for a while before sleeping (one CPU; and it needs the owner's on_cpu, to be measured with
 * several); barging (faster on average, but a waiter can starve).
 */
#include "sched/mutex.h"

#include "abi/errno_kernel.h"
#include "core/panic.h"
#include "sched/sched.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

#define HAS_WAITERS 1ul

static uintptr_t *owner_word(struct mutex *m)
{
	return (uintptr_t *)&m->owner;
}

void mutex_init(struct mutex *m, enum lock_rank rank, const char *name)
{
	*m = (struct mutex){.rank = (uint8_t)rank, .name = name};
	wait_queue_init(&m->waiters);
}

bool mutex_is_mine(const struct mutex *m)
{
	return ((uintptr_t)READ_ONCE(m->owner) & ~HAS_WAITERS) == (uintptr_t)thread_current();
}

static always_inline bool try_fast(struct mutex *m)
{
	uintptr_t expected = 0;
	return atomic_cas(owner_word(m), &expected, (uintptr_t)thread_current());
}

/* Takes it, or enters the list. True: taken. */
static bool take_or_enter(struct mutex *m, struct waiter *w, uint32_t state)
{
	irqflags_t f = spin_lock(&m->waiters.lock);
	uintptr_t old = atomic_load_relaxed(owner_word(m));
	bool taken = false;
	for (;;) {
		if (!old) {
			if ((taken = atomic_cas(owner_word(m), &old, (uintptr_t)w->thread)))
				break;
		} else if (old & HAS_WAITERS || atomic_cas(owner_word(m), &old, old | HAS_WAITERS)) {
			break;
		}
	}
	if (!taken) {
		list_push_back(&m->waiters.waiters, &w->node);
		w->thread->wait_reason = m->name;
		w->thread->state = state;
	}
	spin_unlock(&m->waiters.lock, f);
	return taken;
}

/* Gives up waiting. True: it was granted at the last moment after all. */
static bool leave(struct mutex *m, struct waiter *w)
{
	irqflags_t f = spin_lock(&m->waiters.lock);
	bool mine = mutex_is_mine(m);
	if (!mine) {
		list_remove(&w->node);
		if (list_empty(&m->waiters.waiters))
			__atomic_fetch_and(owner_word(m), ~HAS_WAITERS, __ATOMIC_ACQ_REL);
	}
	spin_unlock(&m->waiters.lock, f);
	return mine;
}

static noinline int lock_slow(struct mutex *m, bool killable)
{
	struct thread *t = thread_current();
	struct waiter w = {.thread = t};
	uint32_t state = killable ? THREAD_SLEEPING : THREAD_BLOCKED;
	int err = 0;

	if (CONFIG_DEBUG && mutex_is_mine(m))
		panic("mutex %s taken again by its owner", m->name);
	if (take_or_enter(m, &w, state))
		return 0;
	for (;;) {
		/* The state is set; a grant or a kill from here on ends the sleep (sched.c). */
		atomic_fence();
		if (mutex_is_mine(m))
			break;
		if (killable && thread_has_work(t, WORK_KILL)) {
			t->state = THREAD_RUNNABLE;
			err = leave(m, &w) ? 0 : -ERESTARTSYS;
			break;
		}
		sched_switch();
		t->state = state;
	}
	t->state = THREAD_RUNNABLE;
	return err;
}

void mutex_lock_nested(struct mutex *m, enum lock_rank rank)
{
	if (CONFIG_DEBUG) {
		lockdep_may_sleep();
		lockdep_acquire(m, rank, m->name, true);
	}
	if (unlikely(!try_fast(m)))
		(void)lock_slow(m, false);
}

void mutex_lock(struct mutex *m)
{
	mutex_lock_nested(m, m->rank);
}

int mutex_lock_killable(struct mutex *m)
{
	if (CONFIG_DEBUG) {
		lockdep_may_sleep();
		lockdep_acquire(m, m->rank, m->name, true);
	}
	if (likely(try_fast(m)))
		return 0;
	int err = lock_slow(m, true);
	if (CONFIG_DEBUG && err)
		lockdep_release(m);
	return err;
}

bool mutex_trylock(struct mutex *m)
{
	if (!try_fast(m))
		return false;
	if (CONFIG_DEBUG)
		lockdep_acquire_tried(m, m->rank, m->name, true);
	return true;
}

static noinline void unlock_slow(struct mutex *m)
{
	irqflags_t f = spin_lock(&m->waiters.lock);
	struct list_node *n = list_pop_front(&m->waiters.waiters);
	if (!n) { /* the last waiter was killed between our look and the lock */
		atomic_store_release(owner_word(m), 0);
	} else {
		struct thread *t = LIST_ENTRY(n, struct waiter, node)->thread;
		/* Its stack, and with it the waiter, may go as soon as it sees itself as the owner; the thread itself
		 * is waiting for us here. */
		thread_get(t);
		atomic_store_release(owner_word(m), (uintptr_t)t | (list_empty(&m->waiters.waiters) ? 0 : HAS_WAITERS));
		sched_wake(t, WAKE_NORMAL);
		spin_unlock(&m->waiters.lock, f);
		thread_put(t);
		return;
	}
	spin_unlock(&m->waiters.lock, f);
}

void mutex_unlock(struct mutex *m)
{
	if (CONFIG_DEBUG) {
		if (!mutex_is_mine(m))
			panic("mutex %s released by %s, who does not hold it", m->name, thread_current()->name);
		lockdep_release(m);
	}
	uintptr_t expected = (uintptr_t)thread_current();
	if (unlikely(!atomic_cas(owner_word(m), &expected, 0)))
		unlock_slow(m);
}
