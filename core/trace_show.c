/*
 * The event trace told: `trace` in the monitor, for people, all CPUs in one order; and /proc/ashlar/trace, for
 * tools/trace:
 *
 *     control   reading: "on|off EVENTS_PER_CPU"; writing "on", "on EVENTS_PER_CPU" or "off"
 *     cpuN      one line an event, the oldest first, the fields separated by tabs:
 *               time in ns, tid, thread, kind, and for each kind
 *               call    name, first argument (hexadecimal)
 *               result  name, result
 *               irq     number
 *               fault   address, access (hexadecimal)
 *               switch  tid, thread that goes on, state of the one that leaves: run, sleep, block, stop, dead
 *               wake    tid, thread that is woken
 *
 * Tracing should be off while cpuN is read: what is overwritten meanwhile is missing.
 */
#include <arch/cpu.h>
#include <asm/errno.h>

#include "core/log.h"
#include "core/monitor.h"
#include "core/panic.h"
#include "core/trace_internal.h"
#include "fs/procfs/procfs.h"
#include "lib/printf.h"
#include "lib/string.h"
#include "sched/clock.h"
#include "sched/thread.h"
#include "sync/atomic.h"
#include "syscall/syscall.h"

static const char *call_name(uint64_t nr)
{
	return nr < syscall_table_len && syscall_table[nr].name ? syscall_table[nr].name : "?";
}

/* --- the monitor -------------------------------------------------------------------------------------------------- */

static void print(struct monitor_out *out, unsigned cpu, const struct trace_slot *e)
{
	const unsigned long long a = e->words[0], b = e->words[1];
	char symbol[96];

	monitor_print(out, "%5llu.%06llu cpu%u %-15.16s ", (unsigned long long)(e->time_ns / NSEC_PER_SEC),
		      (unsigned long long)(e->time_ns % NSEC_PER_SEC / 1000), cpu, e->thread);
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
	case TRACE_WAKE:
		monitor_print(out, "wakes %.16s\n", (const char *)e->words);
		break;
	case TRACE_KINDS:
		break;
	}
}

/* What one look at all rings has seen of them. */
struct cursor {
	uint64_t at, end;
};

/* The last `count` events of all CPUs, in order of time.  Each step looks at one event of each CPU. */
static void show_last(struct monitor_out *out, uint64_t count)
{
	static struct cursor cursors[CPUS_MAX]; /* the monitor is one thread, and its stack small */
	struct trace_slot e, best;
	uint64_t first[CPUS_MAX] = {0}, shown = 0;

	CPUS_FOR_EACH(i) {
		first[i] = trace_range(i, &cursors[i].end);
		cursors[i].at = cursors[i].end;
	}
	for (; shown < count; shown++) { /* back, to find where they begin */
		int from = -1;

		CPUS_FOR_EACH(i) {
			while (cursors[i].at > first[i] && !trace_read(i, cursors[i].at - 1, &e))
				cursors[i].at--;
			if (cursors[i].at > first[i] && (from < 0 || e.time_ns > best.time_ns)) {
				from = (int)i;
				best = e;
			}
		}
		if (from < 0)
			break;
		cursors[from].at--;
	}
	while (!out->interrupted) {
		int from = -1;

		CPUS_FOR_EACH(i) {
			while (cursors[i].at < cursors[i].end && !trace_read(i, cursors[i].at, &e))
				cursors[i].at++;
			if (cursors[i].at < cursors[i].end && (from < 0 || e.time_ns < best.time_ns)) {
				from = (int)i;
				best = e;
			}
		}
		if (from < 0)
			break;
		print(out, (unsigned)from, &best);
		cursors[from].at++;
	}
	if (!shown)
		monitor_print(out, "nothing recorded; `trace on` starts it\n");
}

MONITOR_COMMAND(trace, "[on|off|COUNT]",
		"system calls, interrupts, faults, switches and wake-ups: record, or show the last COUNT",
		MONITOR_AFTER_PANIC)
{
	uint64_t count = 40;
	bool was_on = trace_on;

	if (argc > 1 && str_equal(argv[1], "on")) {
		if (panic_in_progress || trace_start(TRACE_EVENTS_DEFAULT))
			monitor_print(out, "there is no memory for it now\n");
		else
			monitor_print(out, "tracing is on: `exit`, let things run, and look again\n");
		return;
	}
	if (argc > 1 && str_equal(argv[1], "off")) {
		trace_stop();
		monitor_print(out, "tracing is off\n");
		return;
	}
	if (argc > 1 && !monitor_number(out, argv[1], &count))
		return;
	WRITE_ONCE(trace_on, false);
	show_last(out, count);
	WRITE_ONCE(trace_on, was_on);
}

/* --- /proc -------------------------------------------------------------------------------------------------------- */

/* A thread's name is whatever the program likes: here without what separates fields and lines. */
static void clean_name(char to[17], const void *name)
{
	memcpy(to, name, 16);
	to[16] = '\0';
	for (char *c = to; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 0x7f)
			*c = '?';
}

static void text_event(struct text *t, const struct trace_slot *e)
{
	static const char *const states[] = {
		[THREAD_RUNNABLE] = "run", [THREAD_SLEEPING] = "sleep", [THREAD_BLOCKED] = "block",
		[THREAD_STOPPED] = "stop", [THREAD_DEAD] = "dead",
	};
	const unsigned long long a = e->words[0], b = e->words[1];
	char name[17], other[17];

	clean_name(name, e->thread);
	text_printf(t, "%llu\t%d\t%s\t", (unsigned long long)e->time_ns, e->tid, name);
	switch ((enum trace_kind)e->kind) {
	case TRACE_SYSCALL:
		text_printf(t, "call\t%s\t%llx\n", call_name(a), b);
		break;
	case TRACE_RESULT:
		text_printf(t, "result\t%s\t%lld\n", call_name(a), (long long)b);
		break;
	case TRACE_INTERRUPT:
		text_printf(t, "irq\t%llu\n", a);
		break;
	case TRACE_FAULT:
		text_printf(t, "fault\t%llx\t%llx\n", a, b);
		break;
	case TRACE_SWITCH:
		clean_name(other, e->words);
		text_printf(t, "switch\t%d\t%s\t%s\n", e->other_tid, other,
			    e->state < ARRAY_SIZE(states) ? states[e->state] : "?");
		break;
	case TRACE_WAKE:
		clean_name(other, e->words);
		text_printf(t, "wake\t%d\t%s\n", e->other_tid, other);
		break;
	case TRACE_KINDS:
		break;
	}
}

static void show_cpu(struct text *t, void *arg)
{
	unsigned cpu = (unsigned)(uintptr_t)arg;
	uint64_t end;
	struct trace_slot e;

	for (uint64_t n = trace_range(cpu, &end); n < end && !t->failed; n++)
		if (trace_read(cpu, n, &e))
			text_event(t, &e);
}

static void show_control(struct text *t, void *arg)
{
	(void)arg;
	text_printf(t, "%s %u\n", READ_ONCE(trace_on) ? "on" : "off", READ_ONCE(trace_slots));
}

static int store_control(const char *text, size_t len, void *arg)
{
	char word[32];
	uint32_t events = 0;

	(void)arg;
	if (len && text[len - 1] == '\n')
		len--;
	if (len >= sizeof(word))
		return -EINVAL;
	memcpy(word, text, len);
	word[len] = '\0';
	if (str_equal(word, "off")) {
		trace_stop();
		return 0;
	}
	const char *number = str_skip_prefix(word, "on");

	if (!number || (*number && *number != ' '))
		return -EINVAL;
	for (number += *number == ' '; *number; number++) {
		if (*number < '0' || *number > '9' || events > TRACE_EVENTS_MAX)
			return -EINVAL;
		events = events * 10 + (uint32_t)(*number - '0');
	}
	return trace_start(events ? events : TRACE_EVENTS_DEFAULT);
}

void trace_init(void)
{
	static const struct procfs_entry control = {.path = "ashlar/trace/control",
						    .mode = 0600,
						    .show = show_control,
						    .store = store_control};
	static struct procfs_entry rings[CPUS_MAX];
	static char names[CPUS_MAX][24];
	int err = procfs_register(&control);

	CPUS_FOR_EACH(i) {
		if (err)
			break;
		snprintf(names[i], sizeof(names[i]), "ashlar/trace/cpu%u", i);
		rings[i] = (struct procfs_entry){.path = names[i],
						 .mode = 0400,
						 .show = show_cpu,
						 .arg = (void *)(uintptr_t)i};
		err = procfs_register(&rings[i]);
	}
	if (err)
		log_warn("trace: no /proc/ashlar/trace: error %d", -err);
}
