/*
 * A few kernel threads that a test starts and waits for.
 */
#pragma once

#include <arch/cpu.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sched/wait.h"

struct crew {
	struct thread *owner; /* who started them and waits; counted */
	uint32_t running;
	uint32_t over;
	void (*fn)(struct crew *c, unsigned index);
	uint32_t next_index;
	uint64_t cpus; /* where they run; 0: anywhere */
};

static inline void crew_thread(void *arg)
{
	struct crew *c = arg;
	if (c->cpus)
		KTEST_EQ(sched_set_affinity(thread_current(), c->cpus), 0);
	c->fn(c, __atomic_fetch_add(&c->next_index, 1, __ATOMIC_RELAXED));
	if (__atomic_sub_fetch(&c->running, 1, __ATOMIC_ACQ_REL) == 0) {
		struct thread *owner = c->owner;
		atomic_store_release(&c->over, 1); /* from here on c may be gone */
		sched_wake(owner, WAKE_NORMAL);
		thread_put(owner);
	}
}

static inline void crew_start_on(struct crew *c, uint64_t cpu_mask, unsigned count,
				 void (*fn)(struct crew *c, unsigned index))
{
	*c = (struct crew){.owner = thread_current(), .running = count, .fn = fn, .cpus = cpu_mask};
	thread_get(c->owner);
	for (unsigned i = 0; i < count; i++)
		KTEST_EQ(thread_create(crew_thread, c, "crew"), 0);
}

static inline void crew_start(struct crew *c, unsigned count, void (*fn)(struct crew *c, unsigned index))
{
	crew_start_on(c, 0, count, fn);
}

/* Binds the caller to a CPU: to the lowest of the mask. Returns its bit. The runner's thread for each test is a new
 * one. */
static inline uint64_t crew_bind(uint64_t cpu_mask)
{
	uint64_t bit = cpu_mask & -cpu_mask;
	KTEST_EQ(sched_set_affinity(thread_current(), bit), 0);
	return bit;
}

static inline void crew_join(struct crew *c)
{
	(void)wait_word(&c->over, 0, WAIT_FOREVER, "crew");
}

/* One CPU after the other, so that all of them take part. */
static inline void crew_spread(unsigned me)
{
	(void)!sched_set_affinity(thread_current(), BIT(me % MAX(cpus_online, 1u)));
}

/* How many sleep on it. */
static inline unsigned queue_length(struct wait_queue *q)
{
	unsigned n = 0;
	struct waiter *w;
	irqflags_t f = spin_lock(&q->lock);
	LIST_FOR_EACH(w, &q->waiters, node)
		n++;
	spin_unlock(&q->lock, f);
	return n;
}
