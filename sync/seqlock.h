/*
 * Sequence lock: a spinlock among writers, and readers who take no lock and write nothing, but look again when a writer
 * was at work (lib/seqcount.h has the memory order).
 *
 *     unsigned begun;
 *     do {
 *             begun = seqlock_read_begin(&l);
 *             …copy with READ_ONCE; follow no pointer that a writer may free…
 *     } while (seqlock_read_retry(&l, begun));
 *
 *     irqflags_t f = seqlock_write_lock(&l);
 *     …change with WRITE_ONCE…
 *     seqlock_write_unlock(&l, f);
 *
 * Readers: any context, also an interrupt that caught a reader. A writer has interrupts off, so that nothing on its own
 * CPU waits for it; a reader in an NMI must not use this. Writers go before readers: for what seldom changes only.
 */
#pragma once

#include <arch/cpu.h>
#include "lib/seqcount.h"
#include "sync/spinlock.h"

struct seqlock {
	struct seqcount count;
	struct spinlock lock; /* among writers */
};

#define SEQLOCK_INIT(rank_, name_)                   \
	{                                            \
		.lock = SPINLOCK_INIT(rank_, name_), \
	}

static inline void seqlock_init(struct seqlock *l, enum lock_rank rank, const char *name)
{
	l->count.n = 0;
	spin_init(&l->lock, rank, name);
}

static always_inline uint32_t seqlock_read_begin(const struct seqlock *l)
{
	uint32_t begun;

	while (unlikely(seqcount_is_changing(begun = seqcount_read_begin(&l->count))))
		cpu_relax();
	return begun;
}

static always_inline must_check bool seqlock_read_retry(const struct seqlock *l, uint32_t begun)
{
	return seqcount_read_retry(&l->count, begun);
}

static always_inline irqflags_t seqlock_write_lock(struct seqlock *l)
{
	irqflags_t f = spin_lock(&l->lock);

	seqcount_write_begin(&l->count);
	return f;
}

static always_inline void seqlock_write_unlock(struct seqlock *l, irqflags_t f)
{
	seqcount_write_end(&l->count);
	spin_unlock(&l->lock, f);
}
