/*
 * What is ready to run, and whether its one consumer sleeps: theory.
 *
 * Any context puts elements in; one consumer gets them, by priority and within a priority in the order they were put,
 * and goes to sleep when there are none.  The queue has no idea of threads: ready_put() says "you must wake the
 * consumer" to exactly one producer per sleep, ready_sleep() says "you may sleep".
 *
 * No lost wake-up.  The two sides do, in these orders:
 *
 *     producer                                     consumer
 *     P1  push the element                         C1  asleep = true
 *     P2  asleep?  then: if exchange(asleep,       C2  all stacks empty?  then sleep;
 *         false) was true, wake the consumer           else asleep = false and go on
 *
 * All four are sequentially consistent, so they stand in one order that every context agrees on.  Were a wake-up lost,
 * C2 would not have seen the push (C2 before P1) and P2 would not have seen `asleep` (P2 before C1); but P1 is before
 * P2 and C1 before C2: a circle.  That C1 and P1 are read-modify-writes and not plain stores is what makes it true on
 * the machine: a store may wait in the CPU's store buffer while the load after it goes ahead.
 *
 * The consumer's own state (that its thread is about to sleep) must be written before C1, and the waker must make it
 * runnable whether it sleeps already or is about to; sched_wake() does.  A wake-up can come late, when the consumer
 * runs again: that costs one look and no more.
 *
 * lib/test/wakeup_model.c goes through every interleaving of this on a machine with store buffers, and shows that each
 * of the steps left out is found; tools/model/ready_queue.pml says it in Promela.
 */
#pragma once

#include "lib/lifo.h"

#define READY_PRIORITIES 3 /* 0 is the highest */

struct ready_queue {
	struct lifo ready[READY_PRIORITIES];
	bool asleep aligned_to(64);		   /* atomic; with the consumer's part on a line of its own */
	struct lifo_node *batch[READY_PRIORITIES]; /* consumer: taken and in order, not yet given out */
};

/* Any context, also NMI. True: the caller has to wake the consumer. */
static inline must_check bool ready_put(struct ready_queue *q, unsigned priority, struct lifo_node *n)
{
	(void)lifo_push(&q->ready[priority], n); /* P1 */
	/* P2. The look alone suffices while the consumer is awake, which is when it matters. */
	return __atomic_load_n(&q->asleep, __ATOMIC_SEQ_CST) &&
		__atomic_exchange_n(&q->asleep, false, __ATOMIC_SEQ_CST);
}

static always_inline struct lifo_node *ready_get_at(struct ready_queue *q, unsigned priority)
{
	struct lifo_node *n = q->batch[priority];
	if (!n && !(n = lifo_reverse(lifo_take_all(&q->ready[priority]))))
		return NULL;
	q->batch[priority] = n->next;
	return n;
}

/* Consumer. The next element, NULL: none. */
static always_inline struct lifo_node *ready_get(struct ready_queue *q)
{
	struct lifo_node *n = ready_get_at(q, 0);
	if (!n)
		n = ready_get_at(q, 1);
	if (!n)
		n = ready_get_at(q, 2);
	return n;
}
_Static_assert(READY_PRIORITIES == 3, "ready_get() goes through them by hand: it is short so");

/* Consumer, after ready_get() gave NULL. True: it may sleep now. */
static inline must_check bool ready_sleep(struct ready_queue *q)
{
	(void)__atomic_exchange_n(&q->asleep, true, __ATOMIC_SEQ_CST); /* C1 */
	for (unsigned p = 0; p < READY_PRIORITIES; p++) {	       /* C2 */
		if (!lifo_empty(&q->ready[p])) {
			__atomic_store_n(&q->asleep, false, __ATOMIC_RELAXED);
			return false;
		}
	}
	return true;
}

/* Consumer, after it slept: spares producers a needless wake-up if it was woken by somebody else. */
static inline void ready_woken(struct ready_queue *q)
{
	__atomic_store_n(&q->asleep, false, __ATOMIC_RELAXED);
}
