/*
 * Priority inheritance: the lock core under the mutex and under PI futexes.  Theory in pi.c.
 *
 *   L  pi_lock.lock (LOCK_PI)   T  thread.pi.lock (LOCK_PI_THREAD)   I  immutable
 */
#pragma once

#include "lib/rbtree.h"
#include "lib/types.h"
#include "sync/spinlock.h"

struct thread;
struct pi_lock;

/* How urgent a waiter is: sched_key() with everything that is neither DEADLINE nor real-time made equal. */
struct pi_key {
	uint32_t rank; /* PI_KEY_NONE: boosts nobody */
	uint64_t deadline_ns;
};
#define PI_KEY_NONE 100u

/* Somebody who waits for a pi_lock; lies on its stack or in its waiter. */
struct pi_waiter {
	struct rb_node lock_node;  /* pi_lock.waiters: by priority, equals in order of arrival; L */
	struct rb_node owner_node; /* the owner's pi.boosters, while it is pi_lock.booster; L to enter and leave, T */
	struct thread *thread;	   /* I */
	struct pi_lock *lock;	   /* I while it waits */
	struct pi_key key;	   /* what it is queued with; L */
	struct pi_key boost;	   /* the same as the owner's tree knows it; L and T to change */
	uint32_t granted;	   /* it has become the owner; L to set */
};

/* In each struct thread. */
struct pi_thread {
	struct spinlock lock;
	struct pi_waiter *blocked_on; /* T; L of its lock too to change */
	struct rb_root boosters;      /* first waiters of the locks it holds, those that have a priority; T */
	struct pi_key boost;	      /* the most urgent of them, as the scheduler was told; T */
};

struct pi_lock {
	uintptr_t word; /* the owner's address, and: */
	struct spinlock lock;
	struct rb_root waiters;	   /* L */
	struct pi_waiter *first;   /* L: leftmost of waiters */
	struct pi_waiter *booster; /* L: the one of them that is in the owner's tree; NULL: none has a priority */
};

#define PI_WAITERS 1ul /* somebody waits: the owner must release under L. Changed under L */
#define PI_HANDOFF 2ul /* and the next owner is to be the first of them, nobody else. Changed under L */
#define PI_FLAGS 3ul

#define PI_LOCK_INIT(name_)                             \
	{                                               \
		.lock = SPINLOCK_INIT(LOCK_PI, (name_)) \
	}
/* How long a chain of waiting owners may be: as on Linux (kernel.max_lock_depth). */
#define PI_CHAIN_MAX 1024u

void pi_lock_init(struct pi_lock *l, const char *name);
void pi_thread_init(struct thread *t);

static always_inline struct thread *pi_owner(const struct pi_lock *l)
{
	return (struct thread *)(__atomic_load_n(&l->word, __ATOMIC_RELAXED) & ~PI_FLAGS);
}

/*
 * L held.  w (thread set, nothing else) enters the queue: PI_WAITERS is set by the caller, who has seen to it that
 * there is an owner.  Returns that owner counted if the chain has to be walked from it (pi_walk, after L is dropped):
 * its priority has changed while it waits itself, or `always` and it waits. Else NULL.
 */
struct thread *pi_enter_locked(struct pi_lock *l, struct pi_waiter *w, bool always) must_check;
/* L held. w gives up. Returns as pi_enter_locked: the owner may have lost a boost that it had passed on. */
struct thread *pi_leave_locked(struct pi_lock *l, struct pi_waiter *w) must_check;
/* L held. The caller's thread or another owner loses the lock; its boost from it goes. */
void pi_disown_locked(struct pi_lock *l, struct thread *owner);
/* L held, nobody owns it. The waiter w leaves the queue and owns it; those left boost it. */
void pi_own_locked(struct pi_lock *l, struct pi_waiter *w);
/*
 * The chain from t on, which was counted by the caller and is put: whoever waits gets its place in the queue by its
 * present priority, and passes it on to the owner. searcher: whose waiting began it, for finding circles: -EDEADLK when
 * the chain leads back to it or never ends; NULL: not asked. No lock held; any context.
 */
int pi_walk(struct thread *t, const struct thread *searcher);
/* The scheduler's: t's own priority has been changed by somebody. No lock held. */
void pi_priority_changed(struct thread *t);
