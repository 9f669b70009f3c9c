/*
 * A sequence count: data that is read far more often than it changes, by readers who write nothing at all.
 *
 * Odd while the data changes. A reader takes what it finds between two looks at the count, and what it found is good if
 * the count was even and has not moved.  Who changes the data must be alone: sync/seqlock.h adds the lock; what has one
 * writer anyway uses this.  Pure, so that it also serves below sync/ and in the vDSO.
 *
 * Memory order.  Writer: the odd count is stored before any of the data (release fence after the store), the even one
 * after all of it (store-release).  Reader: the count is loaded before any of the data (load-acquire), and again after
 * all of it (acquire fence before the second load).  Should a reader's load see a byte of the new data, then that fence
 * and the writer's make its second look see at least the odd count, and it retries; if its first look saw the even
 * count, it sees all of the new data.  The data itself is accessed by READ_ONCE and WRITE_ONCE: the values of a look
 * that fails are torn and only thrown away. On x86 all four are plain loads and stores; only the compiler is held.
 */
#pragma once

#include "lib/types.h"

struct seqcount {
	uint32_t n;
};

/* The count at the start of a look; odd: a change is under way, and nothing that is read now is good. */
static always_inline uint32_t seqcount_read_begin(const struct seqcount *s)
{
	return __atomic_load_n(&s->n, __ATOMIC_ACQUIRE);
}

static always_inline bool seqcount_is_changing(uint32_t begun)
{
	return begun & 1;
}

/* Whether what was read since `begun` has to be thrown away. */
static always_inline bool seqcount_read_retry(const struct seqcount *s, uint32_t begun)
{
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return seqcount_is_changing(begun) || unlikely(__atomic_load_n(&s->n, __ATOMIC_RELAXED) != begun);
}

/* The only writer, and no reader may interrupt it that would wait for it: interrupts off. */
static always_inline void seqcount_write_begin(struct seqcount *s)
{
	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELAXED);
	__atomic_thread_fence(__ATOMIC_RELEASE);
}

static always_inline void seqcount_write_end(struct seqcount *s)
{
	__atomic_store_n(&s->n, s->n + 1, __ATOMIC_RELEASE);
}
