/*
 * Monitor commands on threads and programs: who there is, what each waits for, where each stands, what it has mapped.
 */
#include <linux/sched.h>

#include <arch/context.h>
#include <arch/mmu.h>
#include <arch/smp.h>
#include <arch/trap.h>
#include "core/monitor.h"
#include "core/panic.h"
#include "lib/string.h"
#include "mm/pgtable.h"
#include "mm/slab.h"
#include "proc/process.h"
#include "sched/sched.h"
#include "vm/aspace.h"

#define ROWS_SPARE 16 /* threads that may start while room for the list is made */

struct row {
	int tid, pid; /* 0: a kernel thread */
	char name[16];
	const char *state, *wait;
	unsigned cpu;
	int nice;
	unsigned rt_priority;
	uint64_t exec_ns;
};

struct rows {
	struct monitor_out *out;
	struct row *list; /* NULL: print at once, no lock is held */
	unsigned count, max;
};

static const char *state_name(const struct thread *t)
{
	static const char *const names[] = {"ready", "sleeps", "blocked", "stopped", "dead"};
	uint32_t state = READ_ONCE(t->state);

	if (READ_ONCE(t->on_cpu) || t == thread_current())
		return "runs";
	return state < ARRAY_SIZE(names) ? names[state] : "?";
}

static void row_fill(struct row *r, struct thread *t)
{
	const struct task *task = task_from_thread(t);

	*r = (struct row){
		.tid = task ? task->tid : 0,
		.pid = task ? task->process->pid : 0,
		.state = state_name(t),
		.cpu = t->cpu,
		.nice = t->nice,
		.rt_priority = t->rt_priority,
		.exec_ns = thread_exec_ns(t),
	};
	memcpy(r->name, t->name, sizeof(r->name));
	r->name[sizeof(r->name) - 1] = '\0';
	r->wait = t->state == THREAD_RUNNABLE ? NULL : READ_ONCE(t->wait_reason);
}

static void row_print(struct monitor_out *out, const struct row *r)
{
	char tid[12] = "-", priority[12];

	if (r->tid)
		snprintf(tid, sizeof(tid), "%d", r->tid);
	if (r->rt_priority)
		snprintf(priority, sizeof(priority), "rt%u", r->rt_priority);
	else
		snprintf(priority, sizeof(priority), "%d", r->nice);
	monitor_print(out, "%6s %-15s %3u %-8s %4s %8llu  %s\n", tid, r->name, r->cpu, r->state, priority,
		      (unsigned long long)(r->exec_ns / NSEC_PER_MSEC), r->wait ? r->wait : "");
}

static void visit(struct thread *t, void *arg)
{
	struct rows *rows = arg;
	struct row r;

	if (!rows->list) {
		row_fill(&r, t);
		row_print(rows->out, &r);
	} else if (rows->count < rows->max) {
		row_fill(&rows->list[rows->count++], t);
	}
}

MONITOR_COMMAND(ps, "", "threads: state, priority, CPU time, what they wait for", MONITOR_AFTER_PANIC)
{
	struct rows rows = {.out = out};

	if (!panic_in_progress) {
		struct sched_stats s;
		sched_stats_get(0, &s);
		rows.max = s.threads + ROWS_SPARE;
		rows.list = kcalloc(rows.max, sizeof(*rows.list));
		if (!rows.list) {
			monitor_print(out, "no memory\n");
			return;
		}
	}
	monitor_print(out, "%6s %-15s %3s %-8s %4s %8s  %s\n", "tid", "name", "cpu", "state", "nice", "ms",
		      "waits for");
	thread_for_each(visit, &rows);
	for (unsigned i = 0; i < rows.count && !out->interrupted; i++)
		row_print(out, &rows.list[i]);
	kfree(rows.list);
}

/* --- bt --- */

#define FRAMES_MAX 32

/* The thread wanted, and what was found out about it while it could not end: with the list of threads held. */
struct wanted {
	const char *name;
	uint64_t tid; /* 0: by name */
	bool found, runs;
	uint32_t cpu;
	unsigned count;
	uint64_t addrs[FRAMES_MAX];
};

/* After a panic a thread that ran elsewhere stands where its CPU was stopped. */
static bool place_of(const struct thread *t, uint64_t *ip, uint64_t *fp)
{
	vaddr_t saved;

	if (READ_ONCE(t->on_cpu))
		return panic_in_progress && smp_stopped_place(t->cpu, ip, fp) && *ip;
	if (!t->stack || !context_saved_place(&t->arch, t->stack, &saved, fp))
		return false;
	*ip = saved.v;
	return true;
}

static void look_for(struct thread *t, void *arg)
{
	struct wanted *w = arg;
	const struct task *task = task_from_thread(t);
	uint64_t ip, fp, lo = (uint64_t)t->stack;

	if (w->found || !(w->tid ? task && (uint64_t)task->tid == w->tid : str_equal(t->name, w->name)))
		return;
	w->found = true;
	w->cpu = t->cpu;
	if (t == thread_current()) {
		w->count = trap_backtrace((uint64_t)__builtin_frame_address(0), lo, lo + KSTACK_SIZE, w->addrs,
					  FRAMES_MAX);
	} else if (place_of(t, &ip, &fp)) {
		w->addrs[0] = ip;
		w->count = 1 + trap_backtrace(fp, lo, lo + KSTACK_SIZE, w->addrs + 1, FRAMES_MAX - 1);
	}
	/* What was read of one that began to run meanwhile means nothing. */
	w->runs = !w->count || (t != thread_current() && READ_ONCE(t->on_cpu) && !panic_in_progress);
}

MONITOR_COMMAND(bt, "[TID|NAME]", "where a thread stands, or this one", MONITOR_AFTER_PANIC)
{
	struct wanted w = {0};
	char symbol[96];

	if (argc < 2) {
		monitor_backtrace(out, 0, (uint64_t)__builtin_frame_address(0), 0, UINT64_MAX);
		return;
	}
	w.name = argv[1];
	if (str_to_u64(argv[1], 10, &w.tid) != 0)
		w.tid = 0;
	thread_for_each(look_for, &w);
	if (!w.found)
		monitor_print(out, "%s: no such thread; `ps` lists them\n", argv[1]);
	else if (w.runs)
		monitor_print(out, "%s runs on cpu %u\n", argv[1], w.cpu);
	for (unsigned i = 0; i < w.count && !w.runs;
	     i++) /* a return address lies behind its call: look up the byte before */
		monitor_print(out, "  %016llx %s\n", (unsigned long long)w.addrs[i],
			      monitor_symbol(w.addrs[i] - (i > 0), symbol, sizeof(symbol)));
}

/* --- page tables: the printing is mm/pgtable_dump.c's --- */

static void print_program(struct monitor_out *out, int pid)
{
	struct aspace *as = NULL;
	struct process *p = panic_in_progress ? NULL : process_find(pid);

	if (p) {
		irqflags_t f = spin_lock(&p->lock);
		as = p->aspace;
		if (as)
			aspace_get(as);
		spin_unlock(&p->lock, f);
		process_put(p);
	}
	if (!as) {
		monitor_print(out, "%d: no such program\n", pid);
		return;
	}
	pgtable_print_user(out, as->mmu.root, &as->table_lock);
	aspace_put(as);
}

MONITOR_COMMAND(pagetables, "[PID|0xADDRESS]", "what is mapped: the kernel's half, a program's, one address",
		MONITOR_AFTER_PANIC)
{
	uint64_t n;

	if (argc < 2)
		pgtable_print_kernel(out);
	else if (!monitor_number(out, argv[1], &n))
		return;
	else if (str_skip_prefix(argv[1], "0x"))
		pgtable_print_walk(out, mmu_active_root(), vaddr(n));
	else
		print_program(out, (int)MIN(n, (uint64_t)INT32_MAX));
}
