/*
 * A bounded queue for many producers and many consumers, in the caller's memory: theory.
 *
 * The cells are a ring.  Each carries a sequence number that says whose turn it is: number = position: free for the
 * producer of that position; position + 1: filled, for the consumer of that position; position + size: free again, for
 * the producer one turn later (D. Vyukov's scheme).  A producer claims a position by moving `put_at` with a CAS, and
 * only then fills the cell, so two never write one; consumers the same with `get_at`.  Positions wrap at 2^32, which
 * signed differences take care of; ABA would need a context to be held up for 2^32 operations between two instructions.
 *
 * Progress: nobody ever waits.  A context that is interrupted between its claim and its publication hides its cell, and
 * those behind it, from consumers until it goes on; they are told "empty" and go away.  An interrupt handler on the
 * same CPU may therefore use the queue at any moment.  So "empty" means: nothing that could be had now; whoever
 * publishes must tell the consumer afterwards, not before.  "full" likewise.
 *
 * Order: values of one producer come out in the order they were put in.
 *
 * Memory order, access by access:
 *   position, load       relaxed: a stale one makes the CAS fail or the sequence number not match.
 *   sequence, load       acquire: pairs with the release below, so that the value (for a consumer), or the fact that it
 *                        was read (for the producer of the next turn), has happened before.
 *   position, CAS        relaxed: it only makes claims unique; everything of interest hangs on the cell's number.
 *   value                plain: between claim and publication it has one owner.
 *   sequence, store      release: the value, or the reading of it, is complete.
 *
 * Rejected: one lock (an interrupt handler would have to switch interrupts off in all other users); a ring with two
 * counters and no numbers (lib/ring.h), which is faster and enough where there is one producer and one consumer.
 */
#pragma once

#include "lib/types.h"

struct mpmc_cell {
	uint32_t sequence; /* atomic */
	uint64_t value;
};

struct mpmc {
	struct mpmc_cell *cells; /* borrowed */
	uint32_t mask;
	/* a cache line each: producers and consumers do not disturb one another */
	uint32_t put_at aligned_to(64); /* atomic */
	uint32_t get_at aligned_to(64); /* atomic */
};

/* `count` must be a power of two from 2 to 2^30. Not concurrent with anything. */
static inline void mpmc_init(struct mpmc *q, struct mpmc_cell *cells, uint32_t count)
{
	*q = (struct mpmc){.cells = cells, .mask = count - 1};
	for (uint32_t i = 0; i < count; i++)
		cells[i].sequence = i;
}

/* Claims the cell at *at whose number is position + ahead; NULL: there is none now. */
static inline struct mpmc_cell *mpmc_claim(struct mpmc *q, uint32_t *at, uint32_t ahead, uint32_t *position)
{
	uint32_t pos = __atomic_load_n(at, __ATOMIC_RELAXED);
	for (;;) {
		struct mpmc_cell *c = &q->cells[pos & q->mask];
		int32_t turn = (int32_t)(__atomic_load_n(&c->sequence, __ATOMIC_ACQUIRE) - (pos + ahead));
		if (turn < 0)
			return NULL; /* the other side has not been here yet */
		if (turn > 0) {
			pos = __atomic_load_n(at, __ATOMIC_RELAXED); /* somebody of our side was faster */
			continue;
		}
		if (__atomic_compare_exchange_n(at, &pos, pos + 1, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
			*position = pos;
			return c;
		}
	}
}

/* Any context. False: full. */
static inline bool mpmc_put(struct mpmc *q, uint64_t value)
{
	uint32_t pos;
	struct mpmc_cell *c = mpmc_claim(q, &q->put_at, 0, &pos);
	if (!c)
		return false;
	c->value = value;
	__atomic_store_n(&c->sequence, pos + 1, __ATOMIC_RELEASE);
	return true;
}

/* Any context. False: empty, *value untouched. */
static inline bool mpmc_get(struct mpmc *q, uint64_t *value)
{
	uint32_t pos;
	struct mpmc_cell *c = mpmc_claim(q, &q->get_at, 1, &pos);
	if (!c)
		return false;
	*value = c->value;
	__atomic_store_n(&c->sequence, pos + q->mask + 1, __ATOMIC_RELEASE);
	return true;
}

/* Whether mpmc_get would find something. A snapshot. */
static inline bool mpmc_empty(const struct mpmc *q)
{
	uint32_t pos = __atomic_load_n(&q->get_at, __ATOMIC_RELAXED);
	return (int32_t)(__atomic_load_n(&q->cells[pos & q->mask].sequence, __ATOMIC_ACQUIRE) - (pos + 1)) < 0;
}

/* Whether mpmc_put would fail. A snapshot; "not full" stays true for a single producer. */
static inline bool mpmc_full(const struct mpmc *q)
{
	uint32_t pos = __atomic_load_n(&q->put_at, __ATOMIC_RELAXED);
	return (int32_t)(__atomic_load_n(&q->cells[pos & q->mask].sequence, __ATOMIC_ACQUIRE) - pos) < 0;
}
