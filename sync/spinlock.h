/*
 * Spinlock: for short work, from any context.
 *
 * Taking one saves and disables interrupts on this CPU, so a handler can never spin on what its own CPU holds, and the
 * holder is never pre-empted.  Never sleep, copy to or from a program, or do slow I/O under one.
 *
 * Whoever waits looks until the lock is free and then tries to take it: first come is not first served.  Rejected:
 * tickets, which are fair, but where the host has fewer processors than the guest, a waiter whose turn it is may be the
 * one the host does not run, and all others wait for it (measured: a hundred times slower with four on two).
 *
 *     irqflags_t f = spin_lock(&q->lock);
 *     …
 *     spin_unlock(&q->lock, f);
 *
 * or, for a lock held to the end of the scope:  SPIN_GUARD(&q->lock);
 */
#pragma once

#include <arch/cpu.h>
#include "lib/types.h"
#include "sync/lock_order.h"
#include "sync/lockdep.h"

struct spinlock {
	bool taken;   /* atomic */
	uint8_t rank; /* enum lock_rank */
	const char *name;
};

#define SPINLOCK_INIT(rank_, name_)              \
	{                                        \
		.rank = (rank_), .name = (name_) \
	}

static inline void spin_init(struct spinlock *l, enum lock_rank rank, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint8_t)rank, name);
}

/* Until the lock is taken; does meanwhile what other CPUs ask for (smp_call.h). Interrupts off. */
void spin_wait(struct spinlock *l);

/* Without lock checking, for the log, which may be written to anywhere. Interrupts off. */
static always_inline must_check bool spin_try_unchecked(struct spinlock *l)
{
	return !__atomic_exchange_n(&l->taken, true, __ATOMIC_ACQUIRE);
}

static always_inline void spin_release_unchecked(struct spinlock *l)
{
	__atomic_store_n(&l->taken, false, __ATOMIC_RELEASE);
}

/* The pair that leaves the interrupt flag alone: only where interrupts are known to be off already. */
static always_inline void spin_acquire_rank(struct spinlock *l, unsigned rank)
{
	(void)rank; /* only lockdep asks */
	if (CONFIG_DEBUG)
		lockdep_acquire(l, rank, l->name, false);
	if (unlikely(!spin_try_unchecked(l)))
		spin_wait(l);
}

static always_inline void spin_acquire(struct spinlock *l)
{
	spin_acquire_rank(l, l->rank);
}

/* Takes it only if it is free; interrupts are off. For whoever must go against the order of ranks. */
static always_inline must_check bool spin_try_acquire(struct spinlock *l)
{
	if (READ_ONCE(l->taken) || !spin_try_unchecked(l))
		return false;
	if (CONFIG_DEBUG)
		lockdep_acquire_tried(l, l->rank, l->name, false);
	return true;
}

static always_inline void spin_release(struct spinlock *l)
{
	if (CONFIG_DEBUG)
		lockdep_release(l);
	spin_release_unchecked(l);
}

static always_inline irqflags_t spin_lock(struct spinlock *l)
{
	irqflags_t f = irq_save();
	spin_acquire(l);
	return f;
}

/* The second lock of a class (the other of two hash buckets), under a rank of its own. */
static always_inline irqflags_t spin_lock_nested(struct spinlock *l, enum lock_rank rank)
{
	irqflags_t f = irq_save();
	spin_acquire_rank(l, rank);
	return f;
}

static always_inline void spin_unlock(struct spinlock *l, irqflags_t f)
{
	spin_release(l);
	irq_restore(f);
}

static inline bool spin_is_locked(const struct spinlock *l)
{
	return READ_ONCE(l->taken);
}

struct spin_guard {
	struct spinlock *lock;
	irqflags_t flags;
};

static always_inline void spin_guard_release(struct spin_guard *g)
{
	spin_unlock(g->lock, g->flags);
}

#define SPIN_GUARD_NAME2(line) spin_guard_##line
#define SPIN_GUARD_NAME(line) SPIN_GUARD_NAME2(line)
#define SPIN_GUARD(lock_)                                                      \
	struct spin_guard SPIN_GUARD_NAME(__LINE__) maybe_unused cleanup_with( \
		spin_guard_release) = {.lock = (lock_), .flags = spin_lock(lock_)}
