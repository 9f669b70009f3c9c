/*
 * The event trace: theory.
 *
 * A ring of fixed slots, written like the log's (core/log.c): a writer takes the next number by one atomic add, which
 * names its slot, fills it, and publishes it by storing the number.  No lock, so an event may be recorded anywhere,
 * also in the scheduler and in an NMI; a reader that meets a slot in the middle of a change passes over it.
 *
 * Off by default: each place costs one compare then.  The monitor itself switches it off while it prints, or the
 * printing would be all there is to see.
 *
 * Rejected: recording to a file or a format of somebody's viewer here; the ring is the mechanism, and what is made of
 * it can come later.
 */
#include "core/trace.h"

#include <arch/cpu.h>

#include "core/monitor.h"
#include "lib/string.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sync/atomic.h"
#include "syscall/syscall.h"

#define SLOTS 512u

struct event {
	uint64_t published; /* its number + 1; 0 while it is written */
	uint64_t time_ns;
	uint64_t words[2];
	char thread[16];
	uint8_t kind, cpu;
};

static struct event events[SLOTS];
static uint64_t next;

bool trace_on;

void trace_record(enum trace_kind kind, uint64_t a, uint64_t b)
{
	uint64_t number = atomic_fetch_add(&next, 1);
	struct event *e = &events[number % SLOTS];
	const struct thread *t = thread_current();

	atomic_store_release(&e->published, 0);
	e->time_ns = clock_monotonic_ns();
	e->words[0] = a;
	e->words[1] = b;
	memcpy(e->thread, t ? t->name : "boot", t ? sizeof(e->thread) : 5);
	e->kind = (uint8_t)kind;
	e->cpu = (uint8_t)this_cpu()->id;
	atomic_store_release(&e->published, number + 1);
}

static bool read(uint64_t number, struct event *out)
{
	const struct event *e = &events[number % SLOTS];

	if (atomic_load_acquire(&e->published) != number + 1)
		return false;
	*out = *e;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return atomic_load_relaxed(&e->published) == number + 1;
}

static const char *call_name(uint64_t nr)
{
	return nr < syscall_table_len && syscall_table[nr].name ? syscall_table[nr].name : "?";
}

static void print(struct monitor_out *out, const struct event *e)
{
	const unsigned long long a = e->words[0], b = e->words[1];
	char symbol[96];

	monitor_print(out, "%5llu.%06llu cpu%u %-15.16s ", (unsigned long long)(e->time_ns / NSEC_PER_SEC),
		      (unsigned long long)(e->time_ns % NSEC_PER_SEC / 1000), e->cpu, e->thread);
	switch ((enum trace_kind)e->kind) {
	case TRACE_SYSCALL:
		monitor_print(out, "%s(%#llx, ...)\n", call_name(a), b);
		break;
	case TRACE_RESULT:
		monitor_print(out, "%s = %lld\n", call_name(a), (long long)b);
		break;
	case TRACE_INTERRUPT:
		monitor_print(out, "irq %llu at %#llx%s\n", a, b, monitor_symbol(b, symbol, sizeof(symbol)));
		break;
	case TRACE_FAULT:
		monitor_print(out, "page fault at %#llx, access %#llx\n", a, b);
		break;
	case TRACE_SWITCH:
		monitor_print(out, "-> %.16s\n", (const char *)e->words);
		break;
	case TRACE_KINDS:
		break;
	}
}

MONITOR_COMMAND(trace, "[on|off|COUNT]",
		"system calls, interrupts, faults and switches: record, or show the last COUNT", MONITOR_AFTER_PANIC)
{
	uint64_t count = 40, end = atomic_load_acquire(&next);
	bool was_on = trace_on;
	struct event e;

	if (argc > 1 && (str_equal(argv[1], "on") || str_equal(argv[1], "off"))) {
		WRITE_ONCE(trace_on, str_equal(argv[1], "on"));
		monitor_print(out, "tracing is %s\n", trace_on ? "on: `exit`, let things run, and look again" : "off");
		return;
	}
	if (argc > 1 && !monitor_number(out, argv[1], &count))
		return;
	WRITE_ONCE(trace_on, false);
	if (end == 0)
		monitor_print(out, "nothing recorded; `trace on` starts it\n");
	for (uint64_t n = end - MIN(end, MIN(count, SLOTS)); n < end && !out->interrupted; n++)
		if (read(n, &e))
			print(out, &e);
	WRITE_ONCE(trace_on, was_on);
}
