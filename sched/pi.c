/*
 * Priority inheritance: theory.
 *
 * A thread that holds what a more urgent one waits for runs with the other's priority until it lets go; else a third
 * one in between keeps both waiting for as long as it likes.  Only DEADLINE and the real-time priorities are inherited:
 * all others are equal here (PI_KEY_NONE), stand in order of arrival and boost nobody, so locks among ordinary threads
 * pay for none of this.
 *
 * Two kinds of trees.  A lock's waiters, by priority.  A thread's boosters: of each lock it holds the first waiter, if
 * that has a priority; the highest of them is its boost.  When a thread's priority changes while it waits itself, its
 * place in that lock's queue changes, hence perhaps that lock's first waiter, hence that owner's boost: pi_walk()
 * follows this chain.
 *
 * Locking.  L of a lock guards its queue, and its owner as long as PI_WAITERS is set; T of a thread guards what it
 * waits for and its boosters.  L before T, and neither two Ls nor two Ts at a time, so that the walk holds two locks
 * at most, however long the chain.  It goes T → L (from a thread to what it waits for), against that order: it tries L
 * and starts the step over if it fails.  T keeps L's memory in place meanwhile: a waiter leaves under both.
 *
 * Between two steps no lock is held, and the chain may change: somebody releases, gives up, is boosted by another
 * chain.  Each step sets the state it finds right by present values, never by remembered ones, and each change starts
 * a walk of its own, so the last one to pass leaves it right.
 *
 * Circles: a walk with a searcher goes on to the end of the chain and reports when it meets the searcher.  Two threads
 * that close a circle together have both entered their queues (under L and T) before they walk, so at least one sees
 * it whole.  A circle the searcher is not part of ends the walk by its length.
 *
 * Lifetime: a waiter is in the lock's tree, hence the lock exists, while blocked_on points to it.  An owner is counted
 * before L is dropped; under L it cannot go, since it must take L to release.
 *
 * A lock that is free but has waiters (the mutex's business, see there) boosts nobody; if one of them gets a priority
 * meanwhile the lock is reserved for the first (PI_HANDOFF), who is woken.
 *
 * Rejected: one lock for all chains (simple, and each contended mutex of the machine would meet there); boosting by
 * lending the waiter's time slice (proxy execution: the owner would have to run on the waiter's CPU).
 */
#include "sched/pi.h"

#include <asm/errno.h>

#include "core/panic.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sync/atomic.h"

void pi_lock_init(struct pi_lock *l, const char *name)
{
	*l = (struct pi_lock)PI_LOCK_INIT(name);
}

void pi_thread_init(struct thread *t)
{
	t->pi = (struct pi_thread){.lock = SPINLOCK_INIT(LOCK_PI_THREAD, "thread's waiting"),
				   .boost = {.rank = PI_KEY_NONE}};
}

static struct pi_key key_of(struct thread *t)
{
	struct sched_key k = sched_key(t);

	return k.rank < PI_KEY_NONE ? (struct pi_key){k.rank, k.deadline_ns} : (struct pi_key){.rank = PI_KEY_NONE};
}

static bool key_before(struct pi_key a, struct pi_key b)
{
	return a.rank < b.rank || (a.rank == b.rank && a.deadline_ns < b.deadline_ns);
}

static bool key_equal(struct pi_key a, struct pi_key b)
{
	return a.rank == b.rank && a.deadline_ns == b.deadline_ns;
}

/* Whether it is urgent enough to boost somebody. */
static bool urgent(const struct pi_waiter *w)
{
	return w->key.rank < PI_KEY_NONE;
}

/* --- the two trees ----------------------------------------------------------------------------------------------- */

static void queue_insert(struct pi_lock *l, struct pi_waiter *w)
{
	struct rb_node **link = &l->waiters.node, *parent = NULL;
	bool first = true;

	while (*link) {
		parent = *link;
		if (key_before(w->key, RB_ENTRY(parent, struct pi_waiter, lock_node)->key)) {
			link = &parent->left;
		} else {
			link = &parent->right;
			first = false;
		}
	}
	rb_link(&w->lock_node, parent, link);
	rb_insert_fix(&l->waiters, &w->lock_node);
	if (first)
		l->first = w;
}

static void queue_remove(struct pi_lock *l, struct pi_waiter *w)
{
	if (l->first == w) {
		struct rb_node *next = rb_next(&w->lock_node);
		l->first = next ? RB_ENTRY(next, struct pi_waiter, lock_node) : NULL;
	}
	rb_erase(&l->waiters, &w->lock_node);
}

/* T held. */
static void booster_insert(struct pi_thread *owner, struct pi_waiter *w)
{
	struct rb_node **link = &owner->boosters.node, *parent = NULL;

	w->boost = w->key;
	while (*link) {
		parent = *link;
		bool before = key_before(w->boost, RB_ENTRY(parent, struct pi_waiter, owner_node)->boost);
		link = before ? &parent->left : &parent->right;
	}
	rb_link(&w->owner_node, parent, link);
	rb_insert_fix(&owner->boosters, &w->owner_node);
}

/* T held. True: its priority may have changed by it. */
static bool boost_update(struct thread *owner)
{
	struct rb_node *n = rb_first(&owner->pi.boosters);
	struct pi_key boost = n ? RB_ENTRY(n, struct pi_waiter, owner_node)->boost
				: (struct pi_key){.rank = PI_KEY_NONE};

	if (key_equal(boost, owner->pi.boost))
		return false;
	owner->pi.boost = boost;
	sched_set_boost(owner, n ? (struct sched_key){boost.rank, boost.deadline_ns} : SCHED_KEY_NONE);
	return true;
}

/* L held: the owner's tree gets the lock's present first waiter in place of the former. Returns the owner, counted, if
 * the walk has to go on there. */
static struct thread *boosters_update(struct pi_lock *l, struct thread *owner, bool always)
{
	struct pi_waiter *want = l->first && urgent(l->first) ? l->first : NULL, *have = l->booster;
	bool same = want == have && (!want || key_equal(want->boost, want->key));

	if (same && !always)
		return NULL;
	spin_acquire(&owner->pi.lock);
	bool changed = false;
	if (!same) {
		if (have)
			rb_erase(&owner->pi.boosters, &have->owner_node);
		if (want)
			booster_insert(&owner->pi, want);
		l->booster = want;
		changed = boost_update(owner);
	}
	bool walk = (changed || always) && owner->pi.blocked_on;
	if (walk)
		thread_get(owner);
	spin_release(&owner->pi.lock);
	return walk ? owner : NULL;
}

/* --- entering and leaving ---------------------------------------------------------------------------------------- */

struct thread *pi_enter_locked(struct pi_lock *l, struct pi_waiter *w, bool always)
{
	struct thread *t = w->thread;

	w->lock = l;
	w->granted = 0;
	spin_acquire(&t->pi.lock);
	w->key = key_of(t);
	ASSERT(!t->pi.blocked_on);
	t->pi.blocked_on = w;
	queue_insert(l, w);
	spin_release(&t->pi.lock);
	struct thread *owner = pi_owner(l);
	return owner ? boosters_update(l, owner, always) : NULL;
}

static void unblock_locked(struct pi_lock *l, struct pi_waiter *w)
{
	spin_acquire(&w->thread->pi.lock);
	w->thread->pi.blocked_on = NULL;
	spin_release(&w->thread->pi.lock);
	queue_remove(l, w);
}

struct thread *pi_leave_locked(struct pi_lock *l, struct pi_waiter *w)
{
	unblock_locked(l, w);
	struct thread *owner = pi_owner(l);
	return owner ? boosters_update(l, owner, false) : NULL;
}

void pi_disown_locked(struct pi_lock *l, struct thread *owner)
{
	if (likely(!l->booster))
		return;
	spin_acquire(&owner->pi.lock);
	rb_erase(&owner->pi.boosters, &l->booster->owner_node);
	l->booster = NULL;
	(void)boost_update(owner);
	spin_release(&owner->pi.lock);
}

void pi_own_locked(struct pi_lock *l, struct pi_waiter *w)
{
	ASSERT(!l->booster);
	unblock_locked(l, w);
	atomic_store_release(&l->word, (uintptr_t)w->thread | (l->first ? PI_WAITERS : 0));
	/* It waits for nothing any more, so there is nothing to walk. */
	(void)boosters_update(l, w->thread, false);
}

/* --- the chain --------------------------------------------------------------------------------------------------- */

/* L held: the queue of a lock that nobody owned has got another order. Returns the owner it turns out to have. */
static struct thread *reserve_for_first(struct pi_lock *l)
{
	uintptr_t old;

	/* From now on nobody takes the free lock; but somebody may have just before, and is an owner like others. */
	if (urgent(l->first))
		old = __atomic_fetch_or(&l->word, PI_HANDOFF, __ATOMIC_ACQ_REL) & ~PI_FLAGS;
	else
		old = (uintptr_t)pi_owner(l);
	if (!old)
		(void)sched_wake(l->first->thread, WAKE_NORMAL); /* who was told of the lock may not be the first now */
	return (struct thread *)old;
}

enum step { STEP_END, STEP_AGAIN, STEP_NEXT, STEP_CIRCLE };

/* From *t, counted, to the owner of what it waits for, counted in its place. */
static enum step chain_step(struct thread **t, const struct thread *searcher)
{
	struct thread *owner, *next = NULL;
	irqflags_t f = spin_lock(&(*t)->pi.lock);
	struct pi_waiter *w = (*t)->pi.blocked_on;

	if (!w) {
		spin_unlock(&(*t)->pi.lock, f);
		return STEP_END;
	}
	struct pi_lock *l = w->lock;
	if (!spin_try_acquire(&l->lock)) {
		spin_unlock(&(*t)->pi.lock, f);
		return STEP_AGAIN;
	}
	/* L pins w, and with it the lock. */
	struct pi_key key = key_of(*t);
	spin_release(&(*t)->pi.lock);
	owner = pi_owner(l);
	if (searcher && owner == searcher) {
		spin_unlock(&l->lock, f);
		return STEP_CIRCLE;
	}
	bool moved = !key_equal(w->key, key);
	if (moved) {
		queue_remove(l, w);
		w->key = key;
		queue_insert(l, w);
	}
	if (!owner && moved)
		owner = reserve_for_first(l);
	if (owner && (moved || searcher))
		next = boosters_update(l, owner, searcher != NULL);
	spin_unlock(&l->lock, f);
	if (!next)
		return STEP_END;
	thread_put(*t);
	*t = next;
	return STEP_NEXT;
}

int pi_walk(struct thread *t, const struct thread *searcher)
{
	unsigned depth = 0;
	int err = 0;

	for (;;) {
		enum step s = t == searcher ? STEP_CIRCLE : chain_step(&t, searcher);
		if (s == STEP_AGAIN) {
			cpu_relax();
			continue;
		}
		if (s == STEP_END)
			break;
		if (s == STEP_CIRCLE || ++depth == PI_CHAIN_MAX) {
			err = searcher ? -EDEADLK : 0;
			break;
		}
	}
	thread_put(t);
	return err;
}

void pi_priority_changed(struct thread *t)
{
	/* Under T (chain_step), as whoever enters a queue reads its priority: one of the two sees the other. */
	thread_get(t);
	(void)pi_walk(t, NULL);
}
