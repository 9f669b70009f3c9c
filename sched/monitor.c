/*
 * Monitor commands on scheduling: who holds which locks.  (`ps` and `bt`, which know of programs, are in
 * proc/monitor.c, `timers` is in timer.c.)
 */
#include "core/monitor.h"
#include "core/panic.h"
#include "lib/string.h"
#include "mm/slab.h"
#include "sched/internal.h"
#include "sched/sched.h"
#include "sched/thread.h"
#include "sync/lockdep.h"

struct holder {
	char name[16];
	struct lockdep_stack locks;
};

struct holders {
	struct monitor_out *out;
	struct holder *list; /* NULL: print at once, there is no lock to be dropped first */
	unsigned count, max; /* count: holders, also those printed at once */
};

static void print(struct monitor_out *out, const char *name, const struct lockdep_stack *locks)
{
	char symbol[96];

	for (int i = 0; i < MIN((int)locks->depth, LOCKDEP_DEPTH); i++) {
		const struct lockdep_held *h = &locks->held[i];
		monitor_print(out, "%-15s %-20s rank %2u %s, taken at%s\n", name, h->name, h->rank,
			      h->sleeping ? "sleeping" : "spinning",
			      monitor_symbol((uint64_t)h->where, symbol, sizeof(symbol)));
	}
}

static void visit(struct thread *t, void *arg)
{
	struct holders *all = arg;

	if (t->locks.depth == 0 || t == thread_current())
		return;
	if (!all->list) {
		all->count++;
		print(all->out, t->name, &t->locks);
	} else if (all->count < all->max) {
		struct holder *h = &all->list[all->count++];
		memcpy(h->name, t->name, sizeof(h->name));
		h->locks = t->locks;
	}
}

MONITOR_COMMAND(locks, "", "which thread holds which locks", MONITOR_AFTER_PANIC)
{
	struct holders all = {.out = out, .max = 64};

	if (!CONFIG_DEBUG) {
		monitor_print(out, "this build keeps no record of held locks; `make BUILD=debug` does\n");
		return;
	}
	const struct lockdep_stack *own = lockdep_current ? lockdep_current() : NULL;
	if (own)
		print(out, thread_current()->name, own);
	if (!panic_in_progress) {
		all.list = kmalloc(all.max * sizeof(*all.list));
		if (!all.list) {
			monitor_print(out, "no memory\n");
			return;
		}
	}
	thread_for_each(visit, &all);
	for (unsigned i = 0; all.list && i < all.count; i++)
		print(out, all.list[i].name, &all.list[i].locks);
	kfree(all.list);
	if (!all.count && !(own && own->depth))
		monitor_print(out, "no thread holds a lock\n");
}

MONITOR_COMMAND(sched, "", "run queues: switches, load, time", MONITOR_RUNNING)
{
	struct sched_stats s;
	uint64_t load[3];

	for (unsigned cpu = 0; cpu < CPUS_MAX; cpu++) {
		if (!cpus[cpu])
			continue;
		sched_stats_get(cpu, &s);
		monitor_print(out, "cpu %u: %u runnable, %llu switches; ms: user %llu, system %llu, idle %llu\n", cpu,
			      s.running, (unsigned long long)s.switches,
			      (unsigned long long)(s.user_ns / NSEC_PER_MSEC),
			      (unsigned long long)(s.system_ns / NSEC_PER_MSEC),
			      (unsigned long long)(s.idle_ns / NSEC_PER_MSEC));
		if (cpu == 0)
			monitor_print(out, "%u threads, %llu since boot\n", s.threads,
				      (unsigned long long)s.threads_created);
	}
	sched_load_average(load);
	monitor_print(out, "load:");
	for (unsigned i = 0; i < 3; i++)
		monitor_print(out, " %llu.%02llu", (unsigned long long)(load[i] >> 11),
			      (unsigned long long)((load[i] & 2047) * 100 >> 11));
	monitor_print(out, "\n");
}
