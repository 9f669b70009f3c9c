/*
 * Processes: theory, references, and what can be asked of one.
 *
 * A process is a thread group: it owns an address space, signal actions and process-directed signals, limits, and its
 * place in the tree. A task is one of its threads; it owns credentials, mask and thread-directed signals and shares
 * root/cwd (fs) and descriptors (files) as clone(2) was told, which is why those two hang off the task: threads
 * without CLONE_FILES are legal.
 *
 * Life of a process: pid_alloc → published under T (tree links, number) → its threads run → the last thread to end
 * makes it a zombie under T → reaped by its parent's wait (or at once, if nobody will wait) → freed when the last
 * look-up's reference goes. Life of a task: made by clone, freed by the scheduler after its last switch (thread_exit)
 * plus look-up references. Everything that may sleep to release (descriptors, address space) is given back by the
 * thread itself in task_exit; what remains (numbers, memory) is released from any context.
 *
 * Locking. T (process_tree_lock) guards parents, children, groups, sessions and the zombie state: relations between
 * processes, which have no natural owner; it is held for a few list operations and for signalling a whole group. S
 * (per process) guards signals and the thread list's readers. P (per process) guards the pointers that others look
 * through (aspace, fs, files, cred). Order: T, S, sighand, P.
 *
 * Failure: clone prepares everything that may fail before it publishes anything; exit cannot fail.
 *
 * Rejected: one lock for all of S and P (signal senders from interrupts would wait for /proc readers); keeping the
 * dead leader's struct task for its numbers as Linux does (a zombie would hold a kernel stack: here it holds struct
 * process alone); a reference-counted "struct pid" (nobody needs a number to outlive its meanings until there are pid
 * files).
 */
#include "proc/process.h"

#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/resource.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "proc/futex.h"
#include "proc/internal.h"
#include "sched/clock.h"

struct spinlock process_tree_lock = SPINLOCK_INIT(LOCK_PROCESS_TREE, "process tree");
struct process *process_init_process;
void (*process_init_exited)(int wait_status);

static struct slab_cache *process_cache;

struct process *process_alloc(void)
{
	struct process *p = slab_alloc(process_cache, ALLOC_ZERO);
	if (!p)
		return NULL;
	refcount_init(&p->refs, 1);
	spin_init(&p->lock, LOCK_PROCESS, "process");
	spin_init(&p->signal_lock, LOCK_SIGNAL, "signals");
	list_init(&p->children);
	list_init(&p->threads);
	list_node_init(&p->sibling);
	wait_queue_init(&p->child_event);
	wait_queue_init(&p->thread_event);
	wait_queue_init(&p->signal_event);
	signal_pending_init(&p->pending);
	p->start_ns = clock_monotonic_ns();
	p->dumpable = 1;
	itimer_init_process(p);
	return p;
}

static void process_free(struct rcu_deferred *d)
{
	slab_free(process_cache, container_of(d, struct process, deferred));
}

void process_put(struct process *p)
{
	if (!refcount_put(&p->refs))
		return;
	signal_pending_flush(&p->pending);
	rcu_defer(&p->deferred, process_free);
}

void process_init(void)
{
	process_cache = slab_cache_create("process", sizeof(struct process), 0);
	if (!process_cache)
		boot_stop("no memory for the process cache");
	task_init_caches();
	signal_init();
	futex_init();
	jobs_init();
	oom_init();
	vdso_init();
	procfs_pid_init();
	procfs_sched_init();
}

/* --- what others may look through -------------------------------------------------------------------------------- */

struct task *process_any_task(struct process *p)
{
	SPIN_GUARD(&p->signal_lock);
	struct task *t = LIST_FIRST(&p->threads, struct task, thread_node);

	if (t)
		task_get(t);
	return t;
}

struct aspace *process_aspace(struct process *p)
{
	SPIN_GUARD(&p->lock);
	if (p->aspace)
		aspace_get(p->aspace);
	return p->aspace;
}

int process_aspace_for_access(int pid, struct aspace **out)
{
	struct process *p = process_find(pid);
	if (!p)
		return -ESRCH;
	struct aspace *as = process_aspace(p); /* first: an exec in between may take the right away */
	int err = !process_may_read(p) ? -EPERM : as ? 0 : -ESRCH;
	process_put(p);
	if (!err)
		*out = as;
	else if (as)
		aspace_put(as);
	return err;
}

struct file *process_exe(struct process *p)
{
	SPIN_GUARD(&p->lock);
	if (!p->exe)
		return NULL;
	file_get(p->exe->file);
	return p->exe->file;
}

void exe_put(struct exe *e)
{
	if (!e || !refcount_put(&e->refs))
		return;
	vfs_exec_done(e->file);
	file_put(e->file);
	kfree(e);
}

struct fs_context *task_fs(struct task *t)
{
	SPIN_GUARD(&t->process->lock);
	if (t->fs)
		fs_context_get(t->fs);
	return t->fs;
}

struct fdtable *task_files(struct task *t)
{
	SPIN_GUARD(&t->process->lock);
	if (t->files)
		fdtable_get(t->files);
	return t->files;
}

const struct cred *task_cred(struct task *t)
{
	const struct cred *c;

	/* One that has just been replaced may have nobody left: then there is a new one. */
	do {
		irqflags_t f = rcu_enter();

		c = atomic_load_acquire(&t->cred);
		if (!refcount_get_unless_zero(&((struct cred *)(uintptr_t)c)->refs))
			c = NULL;
		rcu_leave(f);
	} while (!c);
	return c;
}

bool process_may_read(struct process *p)
{
	const struct cred *me = task_current()->cred;

	if (p == process_current() || cred_capable(me, CAP_SYS_PTRACE))
		return true;
	return p->dumpable == 1 && me->fsuid == READ_ONCE(p->uid) && me->fsuid == READ_ONCE(p->real_uid) &&
		me->fsuid == READ_ONCE(p->saved_uid);
}

/* --- identity ---------------------------------------------------------------------------------------------------- */

static void mirror_ids(struct process *p, const struct cred *c)
{
	WRITE_ONCE(p->uid, c->euid);
	WRITE_ONCE(p->gid, c->egid);
	WRITE_ONCE(p->real_uid, c->uid);
	WRITE_ONCE(p->saved_uid, c->suid);
}

void task_set_cred(const struct cred *c)
{
	struct task *t = task_current();
	struct process *p = t->process;
	const struct cred *old = t->cred;

	if (c->uid != old->uid) {
		struct user_account *a = account_get(c->uid), *before = t->account;
		/* Without memory for the new user's record the task goes on counting for the old one: a limit is off
		 * by one, nothing worse. */
		if (a) {
			__atomic_fetch_add(&a->tasks, 1, __ATOMIC_RELAXED);
			__atomic_fetch_sub(&before->tasks, 1, __ATOMIC_RELAXED);
			/* who sends us a signal counts it there, under S */
			irqflags_t f = spin_lock(&p->signal_lock);
			t->account = a;
			spin_unlock(&p->signal_lock, f);
			account_put(before);
		}
	}
	/* man 2 prctl, PR_SET_PDEATHSIG and PR_SET_DUMPABLE: both are reset when the effective ids change. */
	if (c->euid != old->euid || c->egid != old->egid || c->fsuid != old->fsuid || c->fsgid != old->fsgid) {
		p->dumpable = 0;
		p->parent_death_signal = 0;
	}
	irqflags_t f = spin_lock(&p->lock);
	atomic_store_release(&t->cred, c);
	mirror_ids(p, c);
	spin_unlock(&p->lock, f);
	cred_put(old);
}

void task_set_name(struct task *t, const char *name)
{
	struct process *p = t->process;

	thread_set_name(&t->thread, name);
	if (t->tid == p->pid) {
		SPIN_GUARD(&p->lock);
		strlcpy(p->comm, name, sizeof(p->comm));
	}
}

/* --- limits ------------------------------------------------------------------------------------------------------ */

int process_prlimit(int pid, unsigned resource, const struct resource_limit *set, struct resource_limit *old)
{
	if (resource >= RLIMITS)
		return -EINVAL;
	if (set && set->cur > set->max)
		return -EINVAL;

	struct process *me = process_current(), *p = me;
	if (pid != 0 && pid != me->pid) {
		struct task *t = task_find(pid); /* any thread names its process */
		p = t ? t->process : NULL;
		if (p)
			process_get(p);
		if (t)
			task_put(t);
	} else {
		process_get(p);
	}
	if (!p)
		return -ESRCH;

	int err = 0;
	const struct cred *c = task_current()->cred;
	if (p != me && !cred_capable(c, CAP_SYS_RESOURCE) &&
	    (c->uid != READ_ONCE(p->uid) || c->uid != READ_ONCE(p->real_uid) || c->uid != READ_ONCE(p->saved_uid)))
		err = -EPERM;
	if (!err) {
		SPIN_GUARD(&p->lock);
		struct resource_limit *l = &p->rlimits[resource], before = *l;
		if (set && set->max > l->max && !cred_capable(c, CAP_SYS_RESOURCE))
			err = -EPERM;
		else if (set && resource == RLIMIT_NOFILE && set->max > FDTABLE_MAX)
			err = -EPERM;
		else if (set)
			*l = *set;
		if (!err && old)
			*old = before;
		if (!err && set && p->aspace) {
			/* Written without the address space's lock: each is one word, and a race only decides which
			 * limit a concurrent mmap met. */
			if (resource == RLIMIT_AS)
				WRITE_ONCE(p->aspace->limit_bytes, set->cur);
			if (resource == RLIMIT_DATA)
				WRITE_ONCE(p->aspace->limit_data_bytes, set->cur);
			if (resource == RLIMIT_STACK)
				WRITE_ONCE(p->aspace->limit_stack_bytes, set->cur);
		}
	}
	process_put(p);
	return err;
}

/* --- usage ------------------------------------------------------------------------------------------------------- */

void usage_add(struct usage *to, const struct usage *from)
{
	to->user_ns += from->user_ns;
	to->system_ns += from->system_ns;
	to->faults_minor += from->faults_minor;
	to->faults_major += from->faults_major;
	to->switches_voluntary += from->switches_voluntary;
	to->switches_involuntary += from->switches_involuntary;
	to->peak_resident_pages = MAX(to->peak_resident_pages, from->peak_resident_pages);
}

void task_usage(const struct task *t, struct usage *out)
{
	uint64_t exec = thread_exec_ns(&t->thread);
	uint64_t user = MIN(t->thread.user_ns, exec);

	/* Ticks and switches attribute time to user or system by sampling; what they have not attributed yet goes to
	 * system. */
	*out = (struct usage){.user_ns = user,
			      .system_ns = exec - user,
			      .switches_voluntary = t->thread.switches,
			      .switches_involuntary = t->thread.preemptions};
}

static void add_memory_usage(struct process *p, struct usage *u)
{
	SPIN_GUARD(&p->lock);
	struct aspace *as = p->aspace;

	if (!as)
		return;
	u->faults_minor += READ_ONCE(as->faults_minor);
	u->faults_major += READ_ONCE(as->faults_major);
	u->peak_resident_pages = MAX(u->peak_resident_pages, READ_ONCE(as->peak_resident));
}

void process_usage_locked(struct process *p, struct usage *out)
{
	struct task *t;
	struct usage u;

	*out = p->self;
	LIST_FOR_EACH(t, &p->threads, thread_node) {
		task_usage(t, &u);
		usage_add(out, &u);
	}
	add_memory_usage(p, out);
}

int process_usage(int who, struct usage *out)
{
	struct process *p = process_current();

	if (who == RUSAGE_THREAD) {
		struct usage u;
		task_usage(task_current(), &u);
		add_memory_usage(p, &u);
		*out = u;
		return 0;
	}
	if (who != RUSAGE_SELF && who != RUSAGE_CHILDREN)
		return -EINVAL;
	SPIN_GUARD(&process_tree_lock);
	if (who == RUSAGE_SELF)
		process_usage_locked(p, out);
	else
		*out = p->children_usage;
	return 0;
}

uint64_t process_cpu_ns(struct process *p)
{
	struct usage u;

	SPIN_GUARD(&process_tree_lock);
	process_usage_locked(p, &u);
	return u.user_ns + u.system_ns;
}

uint32_t process_count(void)
{
	return atomic_load_relaxed(&task_total);
}

/* --- iteration --------------------------------------------------------------------------------------------------- */

void process_for_each(bool (*fn)(struct process *p, void *arg), void *arg)
{
	SPIN_GUARD(&process_tree_lock);
	for (int pid = pid_next(1, PID_PROCESS); pid >= 0; pid = pid_next(pid + 1, PID_PROCESS)) {
		struct process *p = pid_lookup(pid, PID_PROCESS);
		if (p && !fn(p, arg))
			return;
	}
}

void process_group_for_each(int pgid, bool (*fn)(struct process *p, void *arg), void *arg)
{
	SPIN_GUARD(&process_tree_lock);
	/* 0 is the caller's own: it may be PID 1's first one, which has no number. */
	struct process_group *g = pgid ? pid_lookup(pgid, PID_GROUP) : process_current()->group;
	struct process *p;

	if (!g)
		return;
	LIST_FOR_EACH(p, &g->members, group_node)
		if (!fn(p, arg))
			return;
}
