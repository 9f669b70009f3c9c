/*
 * Sleeping locks: mutex (one holder) and rwlock (many readers or one writer, writers not starved).
 * Thread context only. Held across sleeps, user copies and I/O. Ranked like spinlocks (sync/lock_order.h).
 */
#pragma once

#include "lib/types.h"
#include "sched/wait.h"
#include "sync/lock_order.h"

struct mutex {
	struct thread *owner; /* NULL: free. Low bit set: there are waiters. */
	uint8_t rank;
	const char *name;
	struct wait_queue waiters;
};

void mutex_init(struct mutex *m, enum lock_rank rank, const char *name);
#define MUTEX_INIT(var, rank_, name_)                                                     \
	{                                                                                 \
		.rank = (rank_), .name = (name_), .waiters = WAIT_QUEUE_INIT(var.waiters) \
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
	int32_t state; /* >0 readers, -1 writer */
	uint32_t writers_waiting;
	uint8_t rank;
	const char *name;
	struct wait_queue waiters;
};

void rwlock_init(struct rwlock *l, enum lock_rank rank, const char *name);
void rwlock_read_lock(struct rwlock *l);
void rwlock_read_unlock(struct rwlock *l);
void rwlock_write_lock(struct rwlock *l);
void rwlock_write_lock_nested(struct rwlock *l, enum lock_rank rank);
int rwlock_write_lock_killable(struct rwlock *l) must_check;
void rwlock_write_unlock(struct rwlock *l);
bool rwlock_is_write_locked(const struct rwlock *l);
