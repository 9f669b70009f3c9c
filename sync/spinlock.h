/*
 * Spinlock: for short work, from any context.
 *
 * Taking one saves and disables interrupts on this CPU, so a handler can never spin on what its own CPU holds, and the
 * holder is never
 * pre-empted.  FIFO by tickets, so waiting is bounded.  Never sleep, copy to or from a program, or do slow I/O under
 * one.
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
	uint16_t next, owner; /* tickets: free when equal */
	uint8_t rank;	      /* enum lock_rank */
	const char *name;
};

_Static_assert(offsetof(struct spinlock, next) == 0 && offsetof(struct spinlock, owner) == 2, "spin_try_acquire");

#define SPINLOCK_INIT(rank_, name_)              \
	{                                        \
		.rank = (rank_), .name = (name_) \
	}

static inline void spin_init(struct spinlock *l, enum lock_rank rank, const char *name)
{
	*l = (struct spinlock)SPINLOCK_INIT((uint8_t)rank, name);
}

/* Until it is the ticket's turn; does meanwhile what other CPUs ask for (smp_call.h). Interrupts off. */
void spin_wait(struct spinlock *l, uint16_t ticket);

/* The pair that leaves the interrupt flag alone: only where interrupts are known to be off already. */
static always_inline void spin_acquire_rank(struct spinlock *l, unsigned rank)
{
	(void)rank; /* only lockdep asks */
	if (CONFIG_DEBUG)
		lockdep_acquire(l, rank, l->name, false);
	uint16_t mine = __atomic_fetch_add(&l->next, 1, __ATOMIC_RELAXED);
	if (unlikely(__atomic_load_n(&l->owner, __ATOMIC_ACQUIRE) != mine))
		spin_wait(l, mine);
}

static always_inline void spin_acquire(struct spinlock *l)
{
	spin_acquire_rank(l, l->rank);
}

/* Takes it only if it is free; interrupts are off. For whoever must go against the order of ranks. */
static always_inline must_check bool spin_try_acquire(struct spinlock *l)
{
	/* Both tickets at once, so that "free" and "mine is the next" are one look. */
	uint32_t *tickets = (uint32_t *)(void *)l, seen = __atomic_load_n(tickets, __ATOMIC_RELAXED);
	uint16_t next = (uint16_t)seen;
	if (next != seen >> 16)
		return false;
	uint32_t taken = (seen & 0xffff0000u) | (uint16_t)(next + 1);
	if (!__atomic_compare_exchange_n(tickets, &seen, taken, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
		return false;
	if (CONFIG_DEBUG)
		lockdep_acquire_tried(l, l->rank, l->name, false);
	return true;
}

static always_inline void spin_release(struct spinlock *l)
{
	if (CONFIG_DEBUG)
		lockdep_release(l);
	__atomic_store_n(&l->owner, (uint16_t)(l->owner + 1), __ATOMIC_RELEASE);
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
	return READ_ONCE(l->next) != READ_ONCE(l->owner);
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
