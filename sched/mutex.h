/*
 * Sleeping locks: mutex (one holder, who inherits the priority of those that wait) and rwlock (many readers or one
 * writer; nobody starves).  Thread context only, interrupts on.  Held across sleeps, user copies and I/O.  Ranked like
 * spinlocks (sync/lock_order.h).  Theory in mutex.c and rwlock.c.
 */
#pragma once

#include "lib/list.h"
#include "lib/types.h"
#include "sched/pi.h"
#include "sync/lockdep.h"
#include "sync/lock_order.h"

struct mutex {
	struct pi_lock pi;
	uint8_t rank;
	const char *name;
};

void mutex_init(struct mutex *m, enum lock_rank rank, const char *name);
#define MUTEX_INIT(var, rank_, name_)                                       \
	{                                                                   \
		.pi = PI_LOCK_INIT(name_), .rank = (rank_), .name = (name_) \
	}
void mutex_lock(struct mutex *m);
/* Same with another rank for the second lock of a class (child inode, the aspace being copied to). */
void mutex_lock_nested(struct mutex *m, enum lock_rank rank);
/* -ERESTARTSYS if a fatal signal comes first. */
int mutex_lock_killable(struct mutex *m) must_check;
bool mutex_trylock(struct mutex *m) must_check;
void mutex_unlock(struct mutex *m);
bool mutex_is_mine(const struct mutex *m);

static inline void mutex_guard_release(struct mutex **m)
{
	mutex_unlock(*m);
}
static inline struct mutex *mutex_guard_take(struct mutex *m)
{
	mutex_lock(m);
	return m;
}
#define MUTEX_GUARD_NAME2(line) mutex_guard_##line
#define MUTEX_GUARD_NAME(line) MUTEX_GUARD_NAME2(line)
#define MUTEX_GUARD(m)                           \
	struct mutex *MUTEX_GUARD_NAME(__LINE__) \
	maybe_unused cleanup_with(mutex_guard_release) = mutex_guard_take(m)

struct rwlock {
	uint32_t state; /* RW_… and the number of readers */
	uint8_t rank;
	bool coming;	       /* the writer has been granted it and does not know yet; changes under lock */
	struct thread *writer; /* who holds it, for those that spin: never followed */
	const char *name;
	struct spinlock lock;
	struct list waiters; /* lock: in order of arrival */
};

void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name);
void rwlock_read_lock(struct rwlock *l);
void rwlock_read_unlock(struct rwlock *l);
void rwlock_write_lock(struct rwlock *l);
void rwlock_write_lock_nested(struct rwlock *l, enum lock_rank rank);
int rwlock_write_lock_killable(struct rwlock *l) must_check;
void rwlock_write_unlock(struct rwlock *l);
bool rwlock_is_write_locked(const struct rwlock *l);
