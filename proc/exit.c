/*
 * The end of a thread and of a process (exit(2), man 2 exit_group).
 *
 * task_exit gives back what may sleep first (robust futexes, descriptors, memory), then takes the thread out of its
 * process under T and S. The last thread out makes the process a zombie in the same step, hands its children on, and
 * tells the parent. The last thread to leave the address space (live_count) frees it: all others have stopped
 * using it by then, since each drops its page tables before it counts itself out.
 */
#include <asm/errno.h>

#include <arch/mmu.h>

#include "mm/slab.h"
#include "mm/usercopy.h"
#include "proc/futex.h"
#include "proc/internal.h"
#include "sched/sched.h"
#include "vm/aspace.h"

/* What the program's memory is told before it is dropped: lock owners died, the thread id is gone, vfork's parent may
 * go on. */
void task_leave_memory(struct task *t, bool again)
{
	futex_leave(t, again);
	if (!uptr_null(t->clear_child_tid)) {
		/* Nobody can wait on a word of memory that nobody else has. */
		if (refcount_read(&t->thread.aspace->refs) > 1 || t->process->live_count > 1) {
			(void)!put_user_u32(t->clear_child_tid, 0);
			(void)futex_wake(t->clear_child_tid, 1, ~0u, true);
		}
		t->clear_child_tid = uptr(0);
	}
	process_vfork_done(t);
}

/* Counts the thread out. True: it was the last. */
static bool begin_exit(struct task *t, int status)
{
	struct process *p = t->process;
	bool last, told;

	irqflags_t f = spin_lock(&p->signal_lock);
	t->exiting = true;
	/* A group's status is that of its leader unless somebody ended the group. */
	if (!p->group_exiting && t->tid == p->pid)
		p->exit_status = status;
	/* Not live_count == 1: that one falls later, so of two threads that end at a time neither would be the last. */
	last = ++p->leaving_count == p->live_count;
	told = signal_thread_leaves_locked(t);
	spin_unlock(&p->signal_lock, f);
	if (told)
		signal_notify_parent_stop(p, CLD_STOPPED);
	return last;
}

static void drop_fs_files(struct task *t)
{
	struct process *p = t->process;
	irqflags_t f = spin_lock(&p->lock);
	struct fs_context *fs = t->fs;
	struct fdtable *files = t->files;

	t->fs = NULL;
	t->files = NULL;
	spin_unlock(&p->lock, f);
	fdtable_put(files);
	fs_context_put(fs);
}

/* The thread goes on with the kernel's tables alone. Returns the process's address space if nobody of it uses it any
 * more; then *u is what it counted. */
static struct aspace *leave_aspace(struct task *t, struct exe **exe, struct usage *u)
{
	struct process *p = t->process;
	struct aspace *as = NULL;
	irqflags_t f = irq_save();

	t->thread.aspace = NULL;
	t->thread.mmu = NULL;
	mmu_switch_lazy();
	irq_restore(f);

	f = spin_lock(&p->signal_lock);
	p->leaving_count--;
	bool last = --p->live_count == 0;
	spin_unlock(&p->signal_lock, f);
	if (!last)
		return NULL;
	f = spin_lock(&p->lock);
	as = p->aspace;
	p->aspace = NULL;
	*exe = p->exe;
	p->exe = NULL;
	spin_unlock(&p->lock, f);
	*u = (struct usage){.faults_minor = as->faults_minor,
			    .faults_major = as->faults_major,
			    .peak_resident_pages = as->peak_resident};
	return as;
}

/* T held. Who inherits p's children: the nearest ancestor that asked for it, else PID 1. */
static struct process *find_reaper_locked(struct process *p)
{
	for (struct process *r = p->parent; r; r = r->parent)
		if (r->is_subreaper)
			return r;
	return process_init_process;
}

/* T held. */
static void hang_up_orphans_locked(struct process_group *g, const struct process *except)
{
	if (!group_has_stopped_locked(g) || !group_is_orphaned_locked(g, except))
		return;
	(void)signal_group_locked(g, SIGHUP);
	(void)signal_group_locked(g, SIGCONT);
}

/* T held. Zombies nobody waits for any more go to `dead`. */
static void hand_on_children_locked(struct process *p, struct list *dead)
{
	struct process *reaper = find_reaper_locked(p), *c;

	LIST_FOR_EACH_SAFE(c, &p->children, sibling) {
		list_remove(&c->sibling);
		c->parent = reaper;
		c->parent_pid = reaper->pid;
		if (c->zombie)
			list_push_front(&reaper->children, &c->sibling);
		else
			list_push_back(&reaper->children, &c->sibling);
		/* A group that p's being there kept from being orphaned: its stopped members would sleep for ever
		 * (POSIX, _exit). */
		if (c->group != p->group && c->group->session == p->group->session)
			hang_up_orphans_locked(c->group, NULL);
		if (c->parent_death_signal)
			(void)!signal_send_process(c, c->parent_death_signal, NULL);
		c->exit_signal = SIGCHLD;
		if (c->zombie && signal_notify_parent_exit_locked(c)) {
			list_remove(&c->sibling);
			list_push_back(dead, &c->sibling);
			c->parent = NULL; /* nobody's wait finds it any more */
		}
	}
}

/* T held. */
static void become_zombie_locked(struct process *p)
{
	struct process_group *g = p->group;

	if (p->parent && p->parent->group != g && p->parent->group->session == g->session)
		hang_up_orphans_locked(g, p);
	p->zombie = true;
	if (p->parent) {
		list_remove(&p->sibling);
		list_push_front(&p->parent->children, &p->sibling); /* wait looks here first */
	}
}

/* Out of the process, under T and S. Returns whether the process ended with it. */
static bool unlink_task(struct task *t, const struct usage *memory, struct list *dead)
{
	struct process *p = t->process;
	struct usage u;
	irqflags_t tf = spin_lock(&process_tree_lock);
	irqflags_t sf = spin_lock(&p->signal_lock);
	struct sighand *h = NULL;

	list_remove(&t->thread_node);
	bool last = --p->thread_count == 0;
	pid_clear(t->tid, PID_TASK);
	if (last) {
		h = p->sighand;
		p->sighand = NULL;
		p->account = account_ref(t->account);
	}
	spin_unlock(&p->signal_lock, sf);
	task_usage(t, &u);
	usage_add(&p->self, &u);
	usage_add(&p->self, memory);
	if (last) {
		hand_on_children_locked(p, dead);
		become_zombie_locked(p);
		if (!p->parent || signal_notify_parent_exit_locked(p)) {
			list_remove(&p->sibling);
			list_push_back(dead, &p->sibling);
			p->parent = NULL;
		}
	}
	spin_unlock(&process_tree_lock, tf);
	if (h)
		sighand_put(h);
	return last;
}

static void reap_dead(struct list *dead)
{
	struct process *p;

	while ((p = LIST_FIRST(dead, struct process, sibling))) {
		irqflags_t f = spin_lock(&process_tree_lock);
		struct reaped r = process_reap_locked(p);
		spin_unlock(&process_tree_lock, f);
		process_reaped(r);
	}
}

/* The process as a whole is over; only its last thread runs. */
static void last_thread_leaves(struct process *p, int status)
{
	if (p == process_init_process && p->did_exec && process_init_exited)
		process_init_exited(p->group_exiting ? p->exit_status : status);
	irqflags_t f = spin_lock(&p->signal_lock);
	p->itimer_interval_ns = 0; /* an expiry under way, which is under S too, has re-armed it by now or does not */
	spin_unlock(&p->signal_lock, f);
	(void)timer_cancel(&p->itimer_real);
	jobs_leader_exits(p);
}

noreturn void task_exit(int status)
{
	struct task *t = task_current();
	struct process *p = t->process;
	struct list dead = LIST_INIT(dead);

	task_leave_memory(t, false);
	bool last_to_begin = begin_exit(t, status);
	if (last_to_begin)
		last_thread_leaves(p, status);
	drop_fs_files(t);
	struct exe *exe = NULL;
	struct usage memory = {0};
	struct aspace *as = leave_aspace(t, &exe, &memory);
	if (as)
		aspace_put(as);
	exe_put(exe);

	bool over = unlink_task(t, &memory, &dead);
	if (!over) {
		__atomic_fetch_sub(&task_total, 1, __ATOMIC_RELAXED);
		__atomic_fetch_sub(&t->account->tasks, 1, __ATOMIC_RELAXED);
		wait_wake_all(&p->thread_event);
	}
	reap_dead(&dead);
	task_put(t); /* the owner's; the scheduler's keeps us until the last switch */
	thread_exit();
}

noreturn void process_exit_group(int status)
{
	struct process *p = process_current();
	irqflags_t f = spin_lock(&p->signal_lock);

	/* An exec under way in another thread loses: the group ends. */
	signal_group_exit_locked(p, status);
	status = p->exit_status;
	spin_unlock(&p->signal_lock, f);
	task_exit(status);
}

void process_take_lead(struct task *t)
{
	struct process *p = t->process;
	int old = t->tid;

	if (old == p->pid)
		return;
	SPIN_GUARD(&process_tree_lock);
	pid_set(p->pid, PID_TASK, t);
	t->tid = p->pid;
	pid_clear(old, PID_TASK);
}

int process_kill_other_threads(void)
{
	struct task *t = task_current(), *other;
	struct process *p = t->process;

	if (READ_ONCE(p->thread_count) == 1 && !READ_ONCE(p->group_exiting))
		return 0;
	irqflags_t f = spin_lock(&p->signal_lock);
	if (p->group_exiting || p->exec_task) {
		spin_unlock(&p->signal_lock, f);
		return -EAGAIN;
	}
	p->exec_task = t;
	LIST_FOR_EACH(other, &p->threads, thread_node) {
		if (other == t)
			continue;
		thread_set_work(&other->thread, WORK_KILL | WORK_SIGNAL);
		(void)sched_wake(&other->thread, WAKE_SIGNAL | WAKE_STOPPED);
	}
	spin_unlock(&p->signal_lock, f);
	int err = WAIT_UNTIL(&p->thread_event, READ_ONCE(p->thread_count) == 1, WAIT_KILLABLE, WAIT_FOREVER);
	f = spin_lock(&p->signal_lock);
	p->exec_task = NULL;
	spin_unlock(&p->signal_lock, f);
	if (err)
		return -EAGAIN; /* killed: the others end all the same */
	return 0;
}
