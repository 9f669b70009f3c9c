/*
 * The end of a thread against those who still have to do with it on other CPUs.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "sched/queues.h"
#include "sched/sched.h"
#include "sched/test/crew.h"
#include "sched/thread.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"

#define HELD_UP_NS (5 * NSEC_PER_MSEC)
#define ROUNDS 8 /* in some an interrupt waits for our lock there, and the thread does not come to its end */

static struct {
	struct thread *thread; /* counted */
	bool go;
} doomed;

static void ends_when_told(void *arg)
{
	struct thread *self = thread_current();

	KTEST_EQ(sched_set_affinity(self, BIT((unsigned)(uintptr_t)arg)), 0);
	thread_get(self);
	atomic_store_release(&doomed.thread, self);
	while (!atomic_load_acquire(&doomed.go))
		cpu_relax();
}

/* A thread of that CPU goes to its end while we hold the lock of its queue: its state then. */
static uint32_t state_while_held_up(unsigned cpu)
{
	doomed.thread = NULL;
	doomed.go = false;
	KTEST_EQ(thread_create(ends_when_told, (void *)(uintptr_t)cpu, "doomed"), 0);
	while (!atomic_load_acquire(&doomed.thread))
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);

	struct thread *t = doomed.thread;
	irqflags_t f = spin_lock(&run_queues[cpu]->lock);
	uint64_t until = time_ns() + HELD_UP_NS;
	atomic_store_release(&doomed.go, true);
	while (time_ns() < until)
		smp_relax();
	uint32_t was = READ_ONCE(t->state);
	spin_unlock(&run_queues[cpu]->lock, f);
	while (READ_ONCE(t->state) != THREAD_DEAD)
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
	thread_put(t);
	return was;
}

/*
 * A waker looks at the state and writes it under the lock of the queue; between the two its CPU may be held up. A
 * thread it found asleep may have gone on by itself meanwhile, and must not come to its end before that write.
 */
KTEST(sched, death_waits_for_a_late_waker)
{
	unsigned cpu = (unsigned)__builtin_ctzll(cpus_online_mask & (cpus_online_mask - 1) ?: cpus_online_mask);

	if (cpus_online == 1)
		return; /* nobody could be held up */
	(void)crew_bind(cpus_online_mask);
	for (unsigned round = 0; round < ROUNDS; round++)
		KTEST_EQ(state_while_held_up(cpu), THREAD_RUNNABLE);
}
