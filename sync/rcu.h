/*
 * Reading what may be taken away: memory is freed only after all who may be looking at it have finished.  Theory in
 * rcu.c.
 */
#pragma once

#include <arch/cpu.h>
#include "lib/types.h"
#include "sync/atomic.h"

/* Embedded in what is freed late. */
struct rcu_deferred {
	struct rcu_deferred *next;
	void (*free)(struct rcu_deferred *d);
};

struct rcu_cpu {
	uint64_t seq; /* odd: inside a section; written by its CPU */
} aligned_to(CACHE_LINE);
extern struct rcu_cpu rcu_cpus[CPUS_MAX];

/*
 * A section: what is seen inside is not freed before it ends, if it is freed by rcu_defer() after nobody can find it
 * any more. Interrupts are off: no sleeping. Sections do not nest.
 */
static always_inline irqflags_t rcu_enter(void)
{
	irqflags_t f = irq_save();
	struct rcu_cpu *c = &rcu_cpus[this_cpu()->id];

	/* a full fence: the section's loads come after the mark is seen */
	__atomic_exchange_n(&c->seq, c->seq + 1, __ATOMIC_SEQ_CST);
	return f;
}

static always_inline void rcu_leave(irqflags_t f)
{
	struct rcu_cpu *c = &rcu_cpus[this_cpu()->id];

	atomic_store_release(&c->seq, c->seq + 1);
	irq_restore(f);
}

/*
 * Calls d->free once every section that may see the object has ended: at once when no other CPU runs. Any context, any
 * lock `free` does not need; not inside a section. d must no longer be reachable.
 */
void rcu_defer(struct rcu_deferred *d, void (*free)(struct rcu_deferred *d));
/* Waits for the sections of this moment, and frees all that was deferred before. Thread context, no spinlock held. */
void rcu_drain(void);
