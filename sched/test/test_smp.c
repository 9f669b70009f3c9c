/*
 * Several CPUs: calls between them, and what one CPU remembers of another's page tables.  The same tests on one CPU,
 * where there is nobody to call, and on many.
 */
#include <arch/cpu.h>
#include <arch/time.h>
#include "core/ktest.h"
#include "core/log.h"
#include "mm/kmap.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sched/timer.h"
#include "sync/atomic.h"
#include "sync/smp_call.h"
#include "sync/spinlock.h"

#define ROUNDS 200
#define CALLS 25 /* each may cost a time slice of the host, where it has fewer CPUs than the guest */
#define PAUSES 100

/* One thread on each CPU, all running body(cpu); returns when all are through. */
static struct {
	void (*body)(unsigned cpu);
	uint32_t running, arrived;
} crowd;

static void crowd_thread(void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;

	if (sched_set_affinity(thread_current(), BIT(cpu)))
		log_err("cpu %u cannot be chosen", cpu);
	atomic_fetch_add(&crowd.arrived, 1);
	while (atomic_load_acquire(&crowd.arrived) < cpus_online)
		sched_yield();
	crowd.body(cpu);
	atomic_fetch_add(&crowd.running, -1u);
}

static void on_each_cpu(void (*body)(unsigned cpu))
{
	crowd.body = body;
	crowd.arrived = 0;
	crowd.running = cpus_online;
	CPUS_FOR_EACH(cpu)
		KTEST_EQ(thread_create(crowd_thread, (void *)(uintptr_t)cpu, "crowd"), 0);
	while (atomic_load_acquire(&crowd.running))
		(void)!sleep_until_ns(time_ns() + NSEC_PER_MSEC, false);
}

static uint64_t where_seen[CPUS_MAX];

static void note_cpu(unsigned cpu)
{
	irqflags_t f = irq_save();
	where_seen[cpu] = this_cpu()->id;
	irq_restore(f);
}

KTEST(smp, threads_run_where_they_are_bound)
{
	on_each_cpu(note_cpu);
	CPUS_FOR_EACH(cpu)
		KTEST_EQ(where_seen[cpu], cpu);
}

static uint64_t called[CPUS_MAX];

static void count_call(void *arg)
{
	(void)arg;
	atomic_fetch_add(&called[this_cpu()->id], 1);
}

KTEST(smp, call_reaches_each_other_cpu_once)
{
	uint64_t before[CPUS_MAX];

	for (unsigned i = 0; i < CPUS_MAX; i++)
		before[i] = called[i];
	irqflags_t f = irq_save();
	unsigned me = this_cpu()->id;
	smp_call(UINT64_MAX, count_call, NULL);
	irq_restore(f);
	for (unsigned i = 0; i < CPUS_MAX; i++)
		KTEST_EQ(called[i] - before[i], i != me && (cpus_online_mask & BIT(i)));
}

static void call_all(unsigned cpu)
{
	(void)cpu;
	for (unsigned i = 0; i < CALLS; i++)
		smp_call(UINT64_MAX, count_call, NULL);
}

/* Everybody calls everybody: nobody waits for ever, and nothing is lost. */
KTEST(smp, calls_may_cross)
{
	for (unsigned i = 0; i < CPUS_MAX; i++)
		called[i] = 0;
	on_each_cpu(call_all);
	CPUS_FOR_EACH(cpu)
		KTEST_EQ(called[cpu], (cpus_online - 1) * CALLS);
}

static struct spinlock shared = SPINLOCK_INIT(LOCK_DEVICE, "shared");
static uint64_t in_order;

static void call_under_lock(unsigned cpu)
{
	(void)cpu;
	for (unsigned i = 0; i < CALLS; i++) {
		SPIN_GUARD(&shared);
		smp_call(UINT64_MAX, count_call, NULL); /* the others wait for `shared`, with interrupts off */
		in_order++;
	}
}

KTEST(smp, call_while_the_others_spin_for_our_lock)
{
	in_order = 0;
	on_each_cpu(call_under_lock);
	KTEST_EQ(in_order, cpus_online * CALLS);
}

/* Two pages take turns at one address; a CPU that remembers the one before would see its number. */
static struct {
	uint64_t *at;
	uint64_t version; /* what stands there now; odd while it changes */
	bool stop;
	uint64_t wrong, looks;
	struct page *page[2];
} turns;

static void turns_watch(unsigned cpu)
{
	if (cpu != 0) {
		while (!atomic_load_acquire(&turns.stop)) {
			irqflags_t f = spin_lock(&shared);
			if (READ_ONCE(*turns.at) != turns.version)
				turns.wrong++;
			WRITE_ONCE(turns.looks, turns.looks + 1);
			spin_unlock(&shared, f);
			for (unsigned i = 0; i < PAUSES; i++) /* for others to get the lock */
				cpu_relax();
		}
		return;
	}
	struct page **p = turns.page;
	if (p[0] && p[1]) {
		for (uint64_t i = 0; i < CALLS; i++) {
			uint64_t before = READ_ONCE(turns.looks);
			while (cpus_online > 1 && READ_ONCE(turns.looks) == before)
				cpu_relax(); /* the lock is not fair: somebody has to have looked at this turn */
			SPIN_GUARD(&shared);
			pgtable_unmap_kernel(vaddr_of(turns.at), PAGE_SIZE);
			*(uint64_t *)page_to_ptr(p[i % 2]) = i + 1;
			if (pgtable_map_kernel(vaddr_of(turns.at), page_to_paddr(p[i % 2]), PAGE_SIZE,
					       MMU_READ | MMU_WRITE))
				turns.wrong++;
			turns.version = i + 1;
		}
	}
	atomic_store_release(&turns.stop, true);
}

KTEST(smp, kernel_mappings_change_for_all)
{
	void *range = kmap_alloc(PAGE_SIZE);
	paddr_t own;
	unsigned prot;

	KTEST_TRUE(range && pgtable_translate(mmu_kernel_root(), vaddr_of(range), &own, &prot));
	turns = (typeof(turns)){.at = range, .page = {page_alloc(0, 0), page_alloc(0, 0)}};
	*turns.at = 0;
	on_each_cpu(turns_watch);
	pgtable_unmap_kernel(vaddr_of(range), PAGE_SIZE);
	KTEST_EQ(pgtable_map_kernel(vaddr_of(range), own, PAGE_SIZE, MMU_READ | MMU_WRITE), 0);
	kmap_free(range);
	for (unsigned i = 0; i < 2; i++)
		if (turns.page[i])
			page_put(turns.page[i]);
	KTEST_EQ(turns.wrong, 0);
}

static uint64_t latest_ns, went_back;

static void watch_time(unsigned cpu)
{
	(void)cpu;
	for (unsigned i = 0; i < 20 * ROUNDS; i++) {
		uint64_t seen = atomic_load_acquire(&latest_ns), now = time_ns();

		if (now < seen)
			atomic_fetch_add(&went_back, 1);
		while (seen < now && !atomic_cas(&latest_ns, &seen, now))
			;
	}
}

/* Who sees another's reading never reads an earlier one. */
KTEST(smp, time_is_one_for_all)
{
	went_back = 0;
	on_each_cpu(watch_time);
	KTEST_EQ(went_back, 0);
}
