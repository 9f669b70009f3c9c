/*
 * /proc/[pid]/stat, statm and status (man 5 proc): the three files ps, top and pstree live on. Field by field as
 * Linux 6.1 prints them.
 */
#include <asm/errno.h>
#include <linux/resource.h>

#include "dev/tty.h"
#include "lib/string.h"
#include "mm/page.h"
#include "mm/pgtable.h"
#include "proc/procfs_internal.h"
#include "sched/sched.h"
#include "vm/aspace.h"

#define TICK_NS (NSEC_PER_SEC / 100)
typedef unsigned long long ull;

/* A consistent copy of what the texts need. */
struct snapshot {
	char comm[16];
	char state;
	int tid, ppid, pgrp, session, tty_nr, tpgid, nice, policy, rt_priority, exit_signal, exit_status;
	unsigned threads, cpu;
	struct usage own, children;
	uint64_t start_ns, exec_ns, pending, shared_pending, blocked, ignored, caught, rss_limit, queued, queue_limit,
		affinity;
	uint64_t alarm_ns, wchan, user_sp, user_ip;
	bool no_new_privs;
	const struct cred *cred; /* counted; NULL for a zombie */
	struct aspace *aspace;	 /* counted or NULL */
	uint32_t umask;
	uint32_t fd_size;
};

static char state_letter(const struct task *t)
{
	switch ((enum thread_state)READ_ONCE(t->thread.state)) {
	case THREAD_RUNNABLE:
		return 'R';
	case THREAD_SLEEPING:
		return 'S';
	case THREAD_BLOCKED:
		return 'D';
	case THREAD_STOPPED:
		return 'T';
	case THREAD_DEAD:
		return 'X';
	}
	return 'X';
}

static void snap_tree(struct process *p, struct task *t, bool whole, struct snapshot *s)
{
	SPIN_GUARD(&process_tree_lock);
	s->ppid = p->parent_pid;
	s->exit_signal = p->exit_signal;
	s->threads = p->thread_count;
	s->children = p->children_usage;
	if (p->group) {
		s->pgrp = p->group->id;
		s->session = p->group->session->id;
		struct tty *tty = p->group->session->tty;
		s->tpgid = tty ? tty_foreground_group(tty) : -1;
		s->tty_nr = tty ? (int)tty_device_number(tty) : 0;
	}
	if (whole)
		process_usage_locked(p, &s->own);
	else
		task_usage(t, &s->own);
}

static void snap_signals(struct process *p, struct task *t, struct snapshot *s)
{
	SPIN_GUARD(&p->signal_lock);
	s->shared_pending = p->pending.set;
	s->exit_status = p->exit_status;
	if (t) {
		s->pending = t->pending.set;
		s->blocked = t->blocked;
		s->queued = (uint64_t)MAX(atomic_load_relaxed(&t->account->signals), 0);
	}
	if (!p->sighand)
		return;
	for (unsigned i = 0; i < SIGNALS; i++) {
		uint64_t h = READ_ONCE(p->sighand->actions[i].handler);
		if (h == (uint64_t)SIG_IGN)
			s->ignored |= BIT(i);
		else if (h != (uint64_t)SIG_DFL)
			s->caught |= BIT(i);
	}
}

static void snap_task(struct task *t, struct snapshot *s)
{
	s->state = state_letter(t);
	s->nice = t->thread.nice;
	s->policy = t->thread.policy;
	s->rt_priority = t->thread.rt_priority;
	s->cpu = t->thread.cpu;
	s->affinity = sched_get_affinity(&t->thread);
	s->wchan = s->state != 'R' && READ_ONCE(t->thread.wait_reason) != NULL;
	s->cred = task_cred(t);
	struct fs_context *fs = task_fs(t);
	if (fs) {
		s->umask = fs->umask;
		fs_context_put(fs);
	}
	struct fdtable *files = task_files(t);
	if (files) {
		s->fd_size = files->capacity;
		fdtable_put(files);
	}
}

static int snap(int pid, int tid, struct snapshot *s)
{
	struct procfs_target g;
	int err = procfs_target_get(pid, tid, &g);

	if (err)
		return err;
	struct process *p = g.process;
	bool whole = !tid || tid == pid;
	memset(s, 0, sizeof(*s));
	s->tid = tid ? tid : pid;
	s->state = 'Z';
	s->tpgid = -1;
	s->start_ns = p->start_ns;
	s->no_new_privs = p->no_new_privs;
	s->rss_limit = p->rlimits[RLIMIT_RSS].cur;
	s->queue_limit = p->rlimits[RLIMIT_SIGPENDING].cur;
	irqflags_t f = spin_lock(&p->lock);
	memcpy(s->comm, whole || !g.task ? p->comm : g.task->thread.name, sizeof(s->comm));
	spin_unlock(&p->lock, f);
	s->comm[15] = '\0';
	snap_tree(p, g.task, whole, s);
	snap_signals(p, g.task, s);
	if (g.task)
		snap_task(g.task, s);
	s->aspace = process_aspace(p);
	procfs_target_put(&g);
	return 0;
}

static void snap_free(struct snapshot *s)
{
	if (s->cred)
		cred_put(s->cred);
	if (s->aspace)
		aspace_put(s->aspace);
}

static uint64_t resident(const struct aspace *as, bool file)
{
	int64_t n = file ? READ_ONCE(as->resident_file) : READ_ONCE(as->resident_anon);

	return n > 0 ? (uint64_t)n : 0;
}

int procfs_show_stat(int pid, int tid, struct text *t)
{
	static const struct aspace no_memory;
	struct snapshot s;
	int err = snap(pid, tid, &s);

	if (err)
		return err;
	const struct aspace *as = s.aspace ? s.aspace : &no_memory;
	/* Priority as Linux shows it: 20 + nice, or -1 - real-time priority. */
	int priority = s.rt_priority ? -1 - s.rt_priority : 20 + s.nice;
	text_printf(t, "%d (%s) %c %d %d %d %d %d %u %llu %llu %llu %llu", s.tid, s.comm, s.state, s.ppid, s.pgrp,
		    s.session, s.tty_nr, s.tpgid, 0x400000u, (ull)s.own.faults_minor, (ull)s.children.faults_minor,
		    (ull)s.own.faults_major, (ull)s.children.faults_major);
	text_printf(t, " %llu %llu %llu %llu %d %d %u 0 %llu", (ull)(s.own.user_ns / TICK_NS),
		    (ull)(s.own.system_ns / TICK_NS), (ull)(s.children.user_ns / TICK_NS),
		    (ull)(s.children.system_ns / TICK_NS), priority, s.nice, s.threads, (ull)(s.start_ns / TICK_NS));
	text_printf(t, " %llu %llu %llu %llu %llu %llu 0 0", (ull)as->mapped_bytes,
		    (ull)(resident(as, false) + resident(as, true)), (ull)s.rss_limit,
		    (ull)(s.aspace ? as->code_start : 0), (ull)as->code_end, (ull)as->stack_start);
	text_printf(t, " %llu %llu %llu %llu %llu 0 0 %d %u %d %d 0 0 0", (ull)(s.pending & 0x7fffffff),
		    (ull)(s.blocked & 0x7fffffff), (ull)(s.ignored & 0x7fffffff), (ull)(s.caught & 0x7fffffff),
		    (ull)s.wchan, s.exit_signal, s.cpu, s.rt_priority, s.policy);
	text_printf(t, " %llu %llu %llu %llu %llu %llu %llu %d\n", (ull)as->data_start, (ull)as->data_end,
		    (ull)as->brk_start, (ull)as->arg_start, (ull)as->arg_end, (ull)as->env_start, (ull)as->env_end,
		    s.exit_status);
	snap_free(&s);
	return 0;
}

int procfs_show_statm(int pid, int tid, struct text *t)
{
	struct snapshot s;
	int err = snap(pid, tid, &s);

	if (err)
		return err;
	const struct aspace *as = s.aspace;
	if (as)
		text_printf(t, "%llu %llu %llu %llu 0 %llu 0\n", (ull)(as->mapped_bytes >> PAGE_SHIFT),
			    (ull)(resident(as, false) + resident(as, true)), (ull)resident(as, true),
			    (ull)((ALIGN_UP(as->code_end, (uint64_t)PAGE_SIZE) -
				   ALIGN_DOWN(as->code_start, (uint64_t)PAGE_SIZE)) >>
				  PAGE_SHIFT),
			    (ull)((as->data_bytes + as->stack_bytes) >> PAGE_SHIFT));
	else
		text_printf(t, "0 0 0 0 0 0 0\n");
	snap_free(&s);
	return 0;
}

static void show_memory(const struct aspace *as, struct text *t)
{
	uint64_t anon = resident(as, false), file = resident(as, true);
	uint64_t code = ALIGN_UP(as->code_end, (uint64_t)PAGE_SIZE) - ALIGN_DOWN(as->code_start, (uint64_t)PAGE_SIZE);
	const struct {
		const char *name;
		uint64_t bytes;
	} rows[] = {
		{"VmPeak", MAX(as->peak_mapped, as->mapped_bytes)},
		{"VmSize", as->mapped_bytes},
		{"VmLck", as->locked_bytes},
		{"VmPin", 0},
		{"VmHWM", MAX(as->peak_resident, anon + file) << PAGE_SHIFT},
		{"VmRSS", (anon + file) << PAGE_SHIFT},
		{"RssAnon", anon << PAGE_SHIFT},
		{"RssFile", file << PAGE_SHIFT},
		{"RssShmem", 0},
		{"VmData", as->data_bytes},
		{"VmStk", as->stack_bytes},
		{"VmExe", code},
		{"VmLib", as->exec_bytes > code ? as->exec_bytes - code : 0},
		{"VmPTE", pgtable_page_count(as->mmu.root) << PAGE_SHIFT},
		{"VmSwap", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		text_printf(t, "%s:\t%8llu kB\n", rows[i].name, (ull)(rows[i].bytes / KIB));
}

static const char *state_name(char c)
{
	switch (c) {
	case 'R':
		return "running";
	case 'S':
		return "sleeping";
	case 'D':
		return "disk sleep";
	case 'T':
		return "stopped";
	case 'Z':
		return "zombie";
	default:
		return "dead";
	}
}

static void show_ids(const struct cred *c, struct text *t)
{
	static const struct cred nobody;

	if (!c)
		c = &nobody;
	text_printf(t, "Uid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid, c->gid,
		    c->egid, c->sgid, c->fsgid);
}

static void show_groups(const struct cred *c, struct text *t)
{
	text_printf(t, "Groups:\t");
	for (uint32_t i = 0; c && i < c->group_count; i++)
		text_printf(t, "%u ", c->groups[i]);
	text_printf(t, "%s\n", c && c->group_count ? "" : " ");
}

static void show_signals(const struct snapshot *s, struct text *t)
{
	text_printf(t,
		    "SigQ:\t%llu/"
		    "%llu\nSigPnd:\t%016llx\nShdPnd:\t%016llx\nSigBlk:\t%016llx\nSigIgn:\t%016llx\nSigCgt:\t%016llx\n",
		    (ull)s->queued, (ull)s->queue_limit, (ull)s->pending, (ull)s->shared_pending, (ull)s->blocked,
		    (ull)s->ignored, (ull)s->caught);
}

static void show_capabilities(const struct cred *c, struct text *t)
{
	static const struct cred none;

	if (!c)
		c = &none;
	text_printf(t, "CapInh:\t%016llx\nCapPrm:\t%016llx\nCapEff:\t%016llx\nCapBnd:\t%016llx\nCapAmb:\t%016llx\n",
		    (ull)c->cap_inheritable, (ull)c->cap_permitted, (ull)c->cap_effective, (ull)c->cap_bounding,
		    (ull)c->cap_ambient);
}

/* As a mask in words of 32 bits, and as a list of ranges (man 7 cpuset, "Formats"). */
static void show_cpus(uint64_t mask, struct text *t)
{
	if (cpus_online > 32)
		text_printf(t, "Cpus_allowed:\t%llx,%08llx\nCpus_allowed_list:\t", (ull)(mask >> 32),
			    (ull)(mask & UINT32_MAX));
	else
		text_printf(t, "Cpus_allowed:\t%llx\nCpus_allowed_list:\t", (ull)mask);
	const char *comma = "";
	for (unsigned i = 0, end; i < CPUS_MAX; i = end + 1) {
		for (end = i; end < CPUS_MAX && (mask & BIT(end)); end++)
			;
		if (end == i)
			continue;
		text_printf(t, "%s%u", comma, i);
		if (end - i > 1)
			text_printf(t, "-%u", end - 1);
		comma = ",";
	}
	text_printf(t, "\n");
}

int procfs_show_status(int pid, int tid, struct text *t)
{
	struct snapshot s;
	int err = snap(pid, tid, &s);

	if (err)
		return err;
	text_printf(t, "Name:\t%s\n", s.comm);
	if (s.aspace)
		text_printf(t, "Umask:\t%04o\n", s.umask);
	text_printf(t, "State:\t%c (%s)\nTgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", s.state,
		    state_name(s.state), pid, s.tid, s.ppid);
	show_ids(s.cred, t);
	text_printf(t, "FDSize:\t%u\n", s.fd_size);
	show_groups(s.cred, t);
	text_printf(t, "NStgid:\t%d\nNSpid:\t%d\nNSpgid:\t%d\nNSsid:\t%d\n", pid, s.tid, s.pgrp, s.session);
	if (s.aspace)
		show_memory(s.aspace, t);
	text_printf(t, "Threads:\t%u\n", MAX(s.threads, 1u));
	show_signals(&s, t);
	show_capabilities(s.cred, t);
	text_printf(t, "NoNewPrivs:\t%d\nSeccomp:\t0\n", s.no_new_privs);
	show_cpus(s.affinity, t);
	text_printf(t,
		    "Mems_allowed:\t1\nMems_allowed_list:\t0\nvoluntary_ctxt_switches:\t%llu\nnonvoluntary_ctxt_"
		    "switches:\t%llu\n",
		    (ull)s.own.switches_voluntary, (ull)s.own.switches_involuntary);
	snap_free(&s);
	return 0;
}
