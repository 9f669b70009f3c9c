/* Read-copy-update: nothing is freed under a reader's eyes, and what nobody sees is freed. */
#include "sync/rcu.h"

#include <arch/time.h>
#include "core/ktest.h"
#include "mm/slab.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sync/smp_call.h"

#define OBJECTS 512 /* several batches */
#define ROUNDS 5000
#define LOOKS 32

static struct rcu_deferred objects[OBJECTS];
static uint32_t freed;

static void count_free(struct rcu_deferred *d)
{
	(void)d;
	atomic_fetch_add(&freed, 1);
}

static struct {
	bool inside, leave, gone;
} reader;

/* On another CPU: stays in a section until it is told to leave. */
static void stay_inside(void *arg)
{
	if (!sched_set_affinity(thread_current(), BIT((unsigned)(uintptr_t)arg))) {
		irqflags_t f = rcu_enter();

		atomic_store_release(&reader.inside, true);
		while (!atomic_load_acquire(&reader.leave))
			smp_relax(); /* with interrupts off: others may want something */
		rcu_leave(f);
	}
	atomic_store_release(&reader.gone, true);
}

KTEST(sync, rcu_frees_nothing_under_a_reader)
{
	if (cpus_online == 1)
		ktest_skip("there is one CPU");
	irqflags_t f = irq_save();
	unsigned me = this_cpu()->id, other = cpu_next(me + 1) < CPUS_MAX ? cpu_next(me + 1) : cpu_next(0);
	irq_restore(f);
	KTEST_EQ(sched_set_affinity(thread_current(), BIT(me)), 0);
	reader = (typeof(reader)){0};
	freed = 0;
	KTEST_EQ(thread_create(stay_inside, (void *)(uintptr_t)other, "rcu reader"), 0);
	while (!atomic_load_acquire(&reader.inside) && !atomic_load_acquire(&reader.gone))
		sched_yield();
	bool was_inside = !atomic_load_acquire(&reader.gone);
	for (unsigned i = 0; i < OBJECTS; i++)
		rcu_defer(&objects[i], count_free);
	uint32_t early = atomic_load_acquire(&freed);
	atomic_store_release(&reader.leave, true);
	while (!atomic_load_acquire(&reader.gone))
		sched_yield();
	rcu_drain();
	KTEST_TRUE(was_inside);
	KTEST_EQ(early, 0);
	KTEST_EQ(freed, OBJECTS);
	KTEST_EQ(sched_set_affinity(thread_current(), UINT64_MAX), 0);
}

/* The last two batches of a CPU may have to wait; those before them need nobody to ask. */
KTEST(sync, rcu_frees_when_readers_have_left)
{
	freed = 0;
	for (unsigned i = 0; i < OBJECTS; i++) {
		rcu_defer(&objects[i], count_free);
		if (i % 16 == 0) /* where the host has fewer CPUs, one may stand still inside a section for a while */
			(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	}
	uint32_t unasked = atomic_load_acquire(&freed);
	rcu_drain();
	KTEST_TRUE(unasked > 0);
	KTEST_EQ(freed, OBJECTS);
}

/* One pointer, replaced all the time; its readers find whole objects, never freed ones. */
struct number {
	struct rcu_deferred deferred;
	uint64_t value, inverse;
};

static struct number *shown;
static uint32_t running, damaged;

static void number_free(struct rcu_deferred *d)
{
	struct number *n = container_of(d, struct number, deferred);

	WRITE_ONCE(n->inverse, n->value); /* who looks now is wrong */
	kfree(n);
}

static void watch(void *arg)
{
	(void)arg;
	while (!atomic_load_acquire(&reader.leave)) {
		irqflags_t f = rcu_enter();
		const struct number *n = atomic_load_acquire(&shown);
		for (unsigned i = 0; n && i < LOOKS; i++)
			if (READ_ONCE(n->value) != ~READ_ONCE(n->inverse))
				atomic_fetch_add(&damaged, 1);
		rcu_leave(f);
		sched_yield();
	}
	atomic_fetch_add(&running, -1u);
}

KTEST(sync, rcu_readers_see_whole_objects)
{
	reader.leave = false;
	damaged = 0;
	running = MAX(cpus_online - 1, 1u);
	for (unsigned i = running; i-- > 0;)
		if (thread_create(watch, NULL, "rcu watcher"))
			atomic_fetch_add(&running, -1u);
	for (uint64_t i = 0; i < ROUNDS; i++) {
		struct number *next = kmalloc(sizeof(*next));
		if (!next)
			break;
		next->value = i;
		next->inverse = ~i;
		struct number *old = __atomic_exchange_n(&shown, next, __ATOMIC_ACQ_REL);
		if (old)
			rcu_defer(&old->deferred, number_free);
		if (i % 64 == 0)
			sched_yield();
	}
	atomic_store_release(&reader.leave, true);
	while (atomic_load_acquire(&running))
		sched_yield();
	struct number *last = __atomic_exchange_n(&shown, NULL, __ATOMIC_ACQ_REL);
	if (last)
		rcu_defer(&last->deferred, number_free);
	rcu_drain();
	KTEST_EQ(damaged, 0);
}
