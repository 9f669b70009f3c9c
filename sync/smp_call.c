/*
 * Running a function on other CPUs: theory.
 *
 * Each CPU has one slot for the call it is making, and one inbox: a bit for each CPU that wants something of it.  A
 * caller fills its slot, sets its bit in the inboxes of those it calls, interrupts the ones whose inbox was empty (the
 * others have an interrupt on its way), and waits until all have cleared their bit in slot->pending.  Nothing is
 * allocated, no lock is taken, callers do not wait for one another, and a CPU that many call at once takes one
 * interrupt.
 *
 * The caller keeps interrupts off, so the slot is its own for the time.  Two CPUs that call each other would then wait
 * for ever, and so would one that holds a spinlock which the called one is waiting for with interrupts off.  Therefore
 * whoever waits for another CPU with interrupts off serves its own inbox meanwhile: spin_wait() and smp_relax() are the
 * two loops in the kernel where that happens.
 *
 * Memory order.  slot → inbox: the release of the inbox bit and the acquire of its exchange pass the slot's contents,
 * and all the caller wrote before.  pending: released by each callee after fn, acquired by the caller.
 *
 * Rejected: a queue of requests (allocation, or a node for each pair of CPUs on the stack); waiting with interrupts on
 * (then another thread of this CPU could want the slot, and calls under a spinlock, which is what unmapping pages does,
 * would be impossible).
 */
#include "sync/smp_call.h"

#include <arch/cpu.h>
#include <arch/irq.h>
#include <arch/smp.h>
#include "core/panic.h"
#include "sync/atomic.h"
#include "sync/spinlock.h"

struct call_slot {
	void (*fn)(void *arg);
	void *arg;
	uint64_t pending; /* bit per CPU that has not returned from fn; atomic */
} aligned_to(CACHE_LINE);

struct inbox {
	uint64_t callers; /* bit per CPU whose slot is to be looked at; atomic */
} aligned_to(CACHE_LINE);

static struct call_slot slots[CPUS_MAX];
static struct inbox inboxes[CPUS_MAX];

void smp_serve(void)
{
	unsigned me = this_cpu()->id;
	uint64_t callers = __atomic_exchange_n(&inboxes[me].callers, 0, __ATOMIC_ACQ_REL);

	for (; callers; callers &= callers - 1) {
		struct call_slot *s = &slots[__builtin_ctzll(callers)];
		s->fn(s->arg);
		__atomic_fetch_and(&s->pending, ~BIT(me), __ATOMIC_RELEASE);
	}
}

void smp_relax(void)
{
	cpu_relax();
	if (unlikely(atomic_load_relaxed(&inboxes[this_cpu()->id].callers)))
		smp_serve();
}

void spin_wait(struct spinlock *l)
{
	do
		while (READ_ONCE(l->taken)) /* reading keeps the line shared until it is worth trying */
			smp_relax();
	while (!spin_try_unchecked(l));
}

void smp_call(uint64_t mask, void (*fn)(void *arg), void *arg)
{
	irqflags_t f = irq_save();
	unsigned me = this_cpu()->id;
	struct call_slot *s = &slots[me];

	mask &= __atomic_load_n(&cpus_online_mask, __ATOMIC_ACQUIRE) & ~BIT(me);
	if (mask && !READ_ONCE(panic_in_progress)) {
		ASSERT(!s->pending);
		s->fn = fn;
		s->arg = arg;
		atomic_store_relaxed(&s->pending, mask);
		for (uint64_t m = mask; m; m &= m - 1) {
			unsigned cpu = (unsigned)__builtin_ctzll(m);
			if (!__atomic_fetch_or(&inboxes[cpu].callers, BIT(me), __ATOMIC_ACQ_REL))
				smp_interrupt(cpu, IRQ_CALL);
		}
		/* Also if a panic begins meanwhile and they do not answer: this CPU will be stopped here, rather than
		 * go on as if they had. */
		while (atomic_load_acquire(&s->pending))
			smp_relax();
	}
	irq_restore(f);
}
