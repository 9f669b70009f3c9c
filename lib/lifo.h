/*
 * A lock-free stack (R. K. Treiber, "Systems Programming: Coping with Parallelism", IBM RJ 5118, 1986): theory.
 *
 * Any number of contexts push, on any CPU, also in interrupts and NMIs; whoever takes, takes everything at once.
 *
 * Elements are intrusive: pushing allocates nothing and cannot fail.  Nobody ever waits: a push that loses the race for
 * the top tries again, and it lost only because another one succeeded, so some context always gets on.
 *
 * ABA.  A compare-and-swap sees that the top is the same pointer, not that nothing happened.  Here that does not
 * matter: a push depends on nothing but the top it compares with (what lies below, or whether the top left and came
 * back, is of no interest to it), and lifo_take_all() compares nothing at all.  What would need protection is taking a
 * single element: that has to store `top->next`, which may be stale, or freed, when the comparison succeeds.
 * Rejected for that reason: lifo_pop() with a counter beside the pointer, which needs a double-width CAS or spare
 * pointer bits, and memory that is never unmapped, and is not faster for users that want all elements anyway.
 *
 * Memory order: argued at each access.
 */
#pragma once

#include "lib/types.h"

struct lifo_node {
	struct lifo_node *next; /* whose? the pusher's before the push, the stack's while on it, then the taker's */
};

struct lifo {
	struct lifo_node *top; /* atomic */
};

/*
 * Any context. The node must be on no stack. True: the stack was empty.
 *
 * The first look at the top is relaxed: the pointer is not followed, and the CAS below finds out if it is stale.
 * The CAS must be at least release: whoever takes the node must see n->next and what the pusher wrote before.  Nodes
 * pushed earlier stay visible through it too: a CAS continues the release sequence of those before it.  It is
 * sequentially consistent because lib/ready_queue.h needs "push, then look at `asleep`" in one order with "set
 * `asleep`, then look at the stack"; a locked instruction is that on x86 anyway.  On failure nothing was published and
 * nothing is followed: relaxed.
 */
static inline bool lifo_push(struct lifo *s, struct lifo_node *n)
{
	struct lifo_node *top = __atomic_load_n(&s->top, __ATOMIC_RELAXED);
	do {
		n->next = top;
	} while (!__atomic_compare_exchange_n(&s->top, &top, n, true, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED));
	return !top;
}

/*
 * Takes all elements, the last pushed first, NULL-terminated through next; they are the caller's. Any context.
 *
 * The first look spares an empty stack the exchange (and its cache line a transfer); a push it misses counts as having
 * come after.  The exchange acquires what every push of the chain released.  It has nothing to release: the next
 * pusher looks at no element.
 */
static inline struct lifo_node *lifo_take_all(struct lifo *s)
{
	if (!__atomic_load_n(&s->top, __ATOMIC_RELAXED))
		return NULL;
	return __atomic_exchange_n(&s->top, NULL, __ATOMIC_ACQUIRE);
}

/* A snapshot; sequentially consistent for lib/ready_queue.h (a plain load on x86). */
static inline bool lifo_empty(const struct lifo *s)
{
	return !__atomic_load_n(&s->top, __ATOMIC_SEQ_CST);
}

/* Turns a chain taken around: the first pushed comes first. Returns its new head. */
static inline struct lifo_node *lifo_reverse(struct lifo_node *n)
{
	struct lifo_node *done = NULL;
	while (n) {
		struct lifo_node *next = n->next;
		n->next = done;
		done = n;
		n = next;
	}
	return done;
}
