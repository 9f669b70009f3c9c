/*
 * Mutex: theory.
 *
 * One word says it all (pi.h): the owner's address, with two flags below.  Taking a free mutex and releasing one nobody
 * waits for is a single compare-and-exchange: indivisible also against interrupts, so it needs no lock and no cli.
 *
 * Contended, in this order:
 *  - Spinning.  While the owner runs on another CPU it will most likely be done sooner than a sleep and a wake-up take;
 *    so a newcomer watches the word for a while.  It stops when the owner leaves its CPU, when it should itself leave
 *    its own, or after SPIN_TURNS.  The owner may end and its memory be freed meanwhile: so it is not looked at.  Its
 *    address is compared with what each CPU says it runs.
 *  - Sleeping.  Under L it enters the queue (by priority, then arrival), sets PI_WAITERS and sleeps.  From then on the
 *    owner must release under L, so under L an owner stays.
 *
 * Release with waiters: the word becomes free (PI_WAITERS alone) and the first waiter is woken.  Until that one runs, a
 * thread that runs already may take the mutex: the mutex is not idle for the length of a wake-up (barging).  A waiter
 * that wakes up and finds it taken has been passed over; it sets PI_HANDOFF, and the next release makes it the owner
 * directly.  So nobody is passed over twice while it stands first, and with arrival order nobody starves.  If the first
 * waiter has a real-time priority it is made the owner at once: nobody less urgent gets in between.
 *
 * Priority inheritance is pi.c's.  A newcomer that takes a free mutex with waiters gets no boost from them, as it needs
 * none: they have no priority, or the mutex would have been handed on.
 *
 * Memory order.  Taking is an acquire and releasing a release on the word, also when the word is granted by another
 * thread (its release store, or L).  No wake-up is lost: the sleeper sets its state under L after it has found the word
 * taken, the releaser changes the word under L and then wakes: whichever holds L later sees what the other did.  The
 * kill bit is set without L, therefore the fence between state and bit (sched.c).
 *
 * Lifetime: the last thing a releaser touches is either the word (fast path) or L, and the next owner cannot release
 * without L if there were waiters; so an owner may free the mutex after its own release.
 *
 * Rejected: handing over always (fair, but each contended release then costs two switches: the mutex idles while the
 * next owner wakes up); a queue of spinners (MCS: a node per spinner; they stop after SPIN_TURNS anyway).
 */
#include "sched/mutex.h"

#include "abi/errno_kernel.h"
#include "core/panic.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sync/atomic.h"
#include "sync/lockdep.h"

#define SPIN_TURNS 1000u

void mutex_init(struct mutex *m, enum lock_rank rank, const char *name)
{
	*m = (struct mutex)MUTEX_INIT(*m, (uint8_t)rank, name);
}

bool mutex_is_mine(const struct mutex *m)
{
	return pi_owner(&m->pi) == thread_current();
}

static always_inline bool try_fast(struct mutex *m)
{
	uintptr_t expected = 0;
	return atomic_cas(&m->pi.word, &expected, (uintptr_t)thread_current());
}

/* Watches the word while its owner runs. True: taken. */
static bool spin(struct pi_lock *l)
{
	const struct thread *watched = NULL;
	struct cpu *at = NULL;

	if (cpus_online == 1)
		return false;
	for (unsigned i = 0; i < SPIN_TURNS; i++) {
		uintptr_t word = atomic_load_relaxed(&l->word);
		const struct thread *owner = (const struct thread *)(word & ~PI_FLAGS);
		if (word & PI_HANDOFF)
			return false; /* the next owner is chosen */
		if (!owner) {
			if (atomic_cas(&l->word, &word, (uintptr_t)thread_current() | word))
				return true;
			continue;
		}
		if (owner != watched) {
			watched = owner;
			at = cpu_running(owner);
		}
		if (!at || READ_ONCE(at->current) != owner || thread_has_work(thread_current(), WORK_RESCHED))
			return false;
		cpu_relax();
	}
	return false;
}

/* L held. Takes it if it is free and not reserved for another; w: the caller's place in the queue, NULL: none yet. If
 * not, PI_WAITERS is set. */
static bool take_locked(struct pi_lock *l, struct pi_waiter *w)
{
	uintptr_t word = atomic_load_relaxed(&l->word);

	for (;;) {
		bool reserved = word & PI_HANDOFF && l->first != w;
		if (!(word & ~PI_FLAGS) && !reserved && (!w || l->first == w)) {
			if (!w) {
				if (atomic_cas(&l->word, &word, (uintptr_t)thread_current() | (word & PI_WAITERS)))
					return true;
			} else if (atomic_cas(&l->word, &word, (uintptr_t)w->thread | PI_WAITERS)) {
				pi_own_locked(l, w);
				return true;
			}
		} else if (word & PI_WAITERS || atomic_cas(&l->word, &word, word | PI_WAITERS)) {
			return false;
		}
	}
}

/* L held: the caller stands first and has been woken in vain. */
static void reserve_locked(struct pi_lock *l)
{
	(void)__atomic_fetch_or(&l->word, PI_HANDOFF, __ATOMIC_RELAXED);
}

/* L held: w gives up. Returns where the chain has to be walked from. */
static struct thread *give_up_locked(struct pi_lock *l, struct pi_waiter *w)
{
	struct thread *owner = pi_leave_locked(l, w);

	if (!l->first)
		__atomic_fetch_and(&l->word, ~PI_FLAGS, __ATOMIC_ACQ_REL);
	else if (!pi_owner(l)) /* it was w that had been told of the free mutex */
		(void)sched_wake(l->first->thread, WAKE_NORMAL);
	return owner;
}

static noinline int lock_slow(struct mutex *m, bool killable)
{
	struct thread *t = thread_current(), *walk = NULL;
	struct pi_lock *l = &m->pi;
	struct pi_waiter w = {.thread = t};
	uint32_t state = killable ? THREAD_SLEEPING : THREAD_BLOCKED;
	bool entered = false;
	int err = 0;

	if (CONFIG_DEBUG && mutex_is_mine(m))
		panic("mutex %s taken again by its owner", m->name);
	if (spin(l))
		return 0;
	for (;;) {
		irqflags_t f = spin_lock(&l->lock);
		if (w.granted || take_locked(l, entered ? &w : NULL)) {
			spin_unlock(&l->lock, f);
			break;
		}
		if (!entered) {
			walk = pi_enter_locked(l, &w, false);
			entered = true;
		} else if (killable && thread_has_work(t, WORK_KILL)) {
			walk = give_up_locked(l, &w);
			spin_unlock(&l->lock, f);
			err = -ERESTARTSYS;
			break;
		} else if (l->first == &w) {
			reserve_locked(l);
		}
		/* Free, reserved for who stood first until now, and that is no longer true: nobody else will come for
		 * it. */
		bool again = l->first == &w && !pi_owner(l);
		t->wait_reason = m->name;
		WRITE_ONCE(t->state, again ? THREAD_RUNNABLE : state);
		spin_unlock(&l->lock, f);
		if (walk)
			(void)pi_walk(walk, NULL);
		walk = NULL;
		atomic_fence();
		if (killable && thread_has_work(t, WORK_KILL))
			WRITE_ONCE(t->state, THREAD_RUNNABLE);
		else if (!again)
			sched_switch();
	}
	WRITE_ONCE(t->state, THREAD_RUNNABLE);
	if (walk)
		(void)pi_walk(walk, NULL);
	return err;
}

void mutex_lock_nested(struct mutex *m, enum lock_rank rank)
{
	if (CONFIG_DEBUG) {
		lockdep_acquire(m, rank, m->name, true);
		lockdep_may_sleep();
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
		lockdep_acquire(m, m->rank, m->name, true);
		lockdep_may_sleep();
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

/* False: the waiters have gone meanwhile, the fast way is open again. */
static noinline bool unlock_slow(struct pi_lock *l)
{
	SPIN_GUARD(&l->lock);
	struct pi_waiter *first = l->first;

	if (!first)
		return false;
	pi_disown_locked(l, thread_current());
	struct thread *t = first->thread;
	if (first->key.rank < PI_KEY_NONE || atomic_load_relaxed(&l->word) & PI_HANDOFF) {
		pi_own_locked(l, first);
		first->granted = 1; /* it sees it under L: until then first, and t, stay where they are */
	} else {
		atomic_store_release(&l->word, PI_WAITERS);
	}
	(void)sched_wake(t, WAKE_NORMAL);
	return true;
}

void mutex_unlock(struct mutex *m)
{
	if (CONFIG_DEBUG) {
		if (!mutex_is_mine(m))
			panic("mutex %s released by %s, who does not hold it", m->name, thread_current()->name);
		lockdep_release(m);
	}
	for (;;) {
		uintptr_t expected = (uintptr_t)thread_current();
		if (likely(atomic_cas(&m->pi.word, &expected, 0)) || unlock_slow(&m->pi))
			return;
	}
}
