/*
 * Making tasks: fork(2), vfork(2), clone(2), clone3(2).
 *
 * Prepare, then commit: everything that may fail (memory, numbers, limits) is done while the new task is invisible;
 * publishing it takes T and S and cannot fail except for one thing that must be looked at under S: the group is being
 * killed or stopped, in which case the call is abandoned and restarted after the signal (a fork bomb dies of one
 * Ctrl-C).
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/resource.h>
#include <linux/sched.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "mm/usercopy.h"
#include "proc/internal.h"
#include "sched/sched.h"

/*
 * The parent of vfork(2) sleeps on this, on its own stack, until the child execs or ends.  It takes the child's S
 * before it goes, which the child holds until it has woken it.
 */
struct vfork_wait {
	struct thread *parent;
	uint32_t done;
};

#define CLONE_SUPPORTED                                                                                                \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT | CLONE_THREAD |               \
	 CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | CLONE_DETACHED | CLONE_UNTRACED | \
	 CLONE_CHILD_SETTID | CLONE_IO | CLONE_PTRACE | CLONE_CLEAR_SIGHAND)
/* Namespaces: the answers are those of a Linux built without them. */
#define CLONE_NAMESPACES                                                                                             \
	(CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | CLONE_NEWTIME | \
	 CLONE_NEWUSER)

static int check_namespaces(const struct task *me, uint64_t fl)
{
	if (!(fl & CLONE_NAMESPACES))
		return 0;
	/* A new user namespace gives the right to all others; there is none to be had. */
	return fl & CLONE_NEWUSER || cred_capable(me->cred, CAP_SYS_ADMIN) ? -EINVAL : -EPERM;
}

/* What contradicts itself comes before what is not allowed (man 2 clone, ERRORS). */
static int check_flags(const struct clone_args *a)
{
	uint64_t fl = a->flags;

	if (fl & CLONE_FS && fl & (CLONE_NEWNS | CLONE_NEWUSER))
		return -EINVAL;
	if ((fl & CLONE_THREAD) && !(fl & CLONE_SIGHAND))
		return -EINVAL;
	if ((fl & CLONE_SIGHAND) && !(fl & CLONE_VM))
		return -EINVAL;
	if ((fl & CLONE_SIGHAND) && (fl & CLONE_CLEAR_SIGHAND))
		return -EINVAL;
	if ((fl & CLONE_PARENT) && !process_current()->parent)
		return -EINVAL; /* children of nobody could not be reaped */
	if (fl & CLONE_THREAD && fl & (CLONE_NEWUSER | CLONE_NEWPID))
		return -EINVAL;
	if (fl & CLONE_SETTLS && a->tls >= USER_VA_END)
		return -EPERM; /* as arch_prctl(2) says of such a base */
	if (fl & CLONE_INTO_CGROUP)
		return -EBADF; /* no descriptor can be that of a control group */
	int err = check_namespaces(task_current(), fl);
	if (err)
		return err;
	return fl & ~(uint64_t)CLONE_SUPPORTED ? -EINVAL : 0;
}

/* set_tid: the number the child gets, in the one pid namespace there is. NULL array: any number. */
static int child_number(const struct task *me, const struct clone_args *a, int *tid)
{
	uint32_t wanted;

	if (!a->set_tid_size)
		return pid_alloc(tid);
	if (a->set_tid_size > 1)
		return -EINVAL;
	if (get_user_u32(&wanted, uptr(a->set_tid)) != 0)
		return -EFAULT;
	if (wanted < 1 || wanted >= PID_MAX)
		return -EINVAL;
	if (!cred_capable(me->cred, CAP_SYS_ADMIN) && !cred_capable(me->cred, CAP_CHECKPOINT_RESTORE))
		return -EPERM;
	*tid = (int)wanted;
	return pid_alloc_this((int)wanted);
}

/* Counts the new task; undone by uncount. */
static int count_task(struct task *me)
{
	struct user_account *a = me->account;
	uint32_t total = __atomic_add_fetch(&task_total, 1, __ATOMIC_RELAXED);
	int32_t mine = __atomic_add_fetch(&a->tasks, 1, __ATOMIC_RELAXED);

	if (total <= task_limit() &&
	    ((uint64_t)(uint32_t)mine <= process_limit(RLIMIT_NPROC) || a->uid == 0 ||
	     cred_capable(me->cred, CAP_SYS_RESOURCE) || cred_capable(me->cred, CAP_SYS_ADMIN)))
		return 0;
	__atomic_fetch_sub(&task_total, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&a->tasks, 1, __ATOMIC_RELAXED);
	return -EAGAIN;
}

static void uncount_task(struct task *me)
{
	__atomic_fetch_sub(&task_total, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&me->account->tasks, 1, __ATOMIC_RELAXED);
}

static int clone_fs_files(struct task *me, struct task *t, uint64_t fl)
{
	int err;

	if (fl & CLONE_FS) {
		fs_context_get(me->fs);
		t->fs = me->fs;
	} else {
		err = fs_context_copy(me->fs, &t->fs);
		if (err)
			return err;
	}
	if (fl & CLONE_FILES) {
		fdtable_get(me->files);
		t->files = me->files;
		return 0;
	}
	return fdtable_copy(me->files, &t->files);
}

/* A thread's share is its process's; a new process gets its own struct, aspace and handlers. */
static int clone_process(struct task *me, struct task *t, uint64_t fl)
{
	struct process *from = me->process, *p;
	int err;

	/* Alone while its maker waits for it: vfork. */
	if ((fl & (CLONE_VM | CLONE_VFORK)) == CLONE_VM)
		WRITE_ONCE(from->aspace->has_threads, true);
	if (fl & CLONE_THREAD) {
		process_get(from);
		t->process = from;
		return 0;
	}
	p = process_alloc();
	if (!p)
		return -ENOMEM;
	t->process = p;
	if (fl & CLONE_SIGHAND) {
		sighand_get(from->sighand);
		p->sighand = from->sighand;
	} else {
		err = sighand_copy(from->sighand, &p->sighand);
		if (err)
			return err;
		if (fl & CLONE_CLEAR_SIGHAND)
			for (unsigned i = 0; i < SIGNALS; i++)
				if (p->sighand->actions[i].handler != (uint64_t)SIG_IGN)
					p->sighand->actions[i] = (struct signal_action){.handler = (uint64_t)SIG_DFL};
	}
	if (fl & CLONE_VM) {
		aspace_get(from->aspace);
		p->aspace = from->aspace;
	} else {
		err = aspace_copy(from->aspace, &p->aspace);
		if (err)
			return err;
	}
	irqflags_t f = spin_lock(&from->lock); /* other threads, prlimit(2) from anywhere */
	memcpy(p->rlimits, from->rlimits, sizeof(p->rlimits));
	memcpy(p->comm, from->comm, sizeof(p->comm));
	spin_unlock(&from->lock, f);
	if (from->exe) {
		refcount_get(&from->exe->refs);
		p->exe = from->exe;
	}
	p->dumpable = from->dumpable;
	p->no_new_privs = from->no_new_privs;
	p->oom_score_adj = from->oom_score_adj;
	p->uid = me->cred->euid;
	p->gid = me->cred->egid;
	p->real_uid = me->cred->uid;
	p->saved_uid = me->cred->suid;
	return 0;
}

/* Undoes whatever the preparation did; t was never published. */
static void unprepare(struct task *me, struct task *t)
{
	struct process *p = t->process;

	if (t->files)
		fdtable_put(t->files);
	if (t->fs)
		fs_context_put(t->fs);
	if (p && p != me->process) {
		exe_put(p->exe);
		if (p->aspace)
			aspace_put(p->aspace);
		if (p->sighand)
			sighand_put(p->sighand);
	}
	task_free(t);
}

static void clone_registers(struct task *me, struct task *t, const struct clone_args *a)
{
	struct trap_frame *f = context_user_frame(&t->thread.arch);

	*f = *context_user_frame(&me->thread.arch);
	context_set_return(f, 0);
	if (a->stack)
		context_set_sp(f, vaddr(a->stack + a->stack_size));
	fpu_save_current();
	memcpy(t->thread.arch.fpu, me->thread.arch.fpu, fpu_area_bytes());
	context_save_tls(&me->thread.arch);
	t->thread.arch.fs_base = me->thread.arch.fs_base;
	t->thread.arch.gs_base = me->thread.arch.gs_base;
	if (a->flags & CLONE_SETTLS)
		context_set_tls(&t->thread.arch, a->tls);
}

static void clone_own_state(struct task *me, struct task *t, const struct clone_args *a)
{
	struct aspace *as = t->process->aspace;

	t->cred = me->cred;
	cred_get(t->cred);
	t->account = account_ref(me->account);
	t->blocked = me->blocked;
	t->thread.aspace = as;
	t->thread.mmu = &as->mmu;
	rseq_clone(me, t, a->flags & CLONE_VM);
	/* sigaltstack(2): a thread that shares memory starts without one, unless its parent waits for it (vfork). */
	if (!(a->flags & CLONE_VM) || (a->flags & CLONE_VFORK))
		t->altstack = me->altstack;
	if (a->flags & CLONE_CHILD_SETTID)
		t->set_child_tid = uptr(a->child_tid);
	if (a->flags & CLONE_CHILD_CLEARTID)
		t->clear_child_tid = uptr(a->child_tid);
}

/* T and the caller's S held. */
static void link_locked(struct task *me, struct task *t, const struct clone_args *a)
{
	struct process *from = me->process, *p = t->process;

	list_push_back(&p->threads, &t->thread_node);
	p->thread_count++;
	p->live_count++;
	pid_set(t->tid, PID_TASK, t);
	if (a->flags & CLONE_THREAD)
		return;
	p->exit_signal = a->exit_signal <= SIGNALS ? (int)a->exit_signal : 0; /* clone(2) takes any byte: no signal */
	p->parent = from;
	if (a->flags & CLONE_PARENT) {
		p->parent = from->parent;
		p->exit_signal = from->exit_signal;
	}
	p->parent_pid = p->parent->pid;
	list_push_back(&p->parent->children, &p->sibling);
	group_join_locked(p, from->group);
	pid_set(p->pid, PID_PROCESS, p);
}

static int publish(struct task *me, struct task *t, const struct clone_args *a)
{
	struct process *from = me->process;
	irqflags_t tf = spin_lock(&process_tree_lock);
	irqflags_t sf = spin_lock(&from->signal_lock);
	int err = 0;

	/*
	 * A thread created behind the back of a group exit, an exec or a stop would miss it; and a process created
	 * after its parent was sent a stop with its whole group (under T) would run on when all others of the group
	 * stop.
	 */
	uint64_t pending = (me->pending.set | from->pending.set) & ~me->blocked;
	if (from->group_exiting || from->stopping || (from->exec_task && (a->flags & CLONE_THREAD)) ||
	    unlikely(pending & SIGNALS_STOP)) {
		thread_set_work(&me->thread, WORK_SIGNAL); /* another thread may be the one that was told */
		err = -ERESTARTNOINTR;
	} else {
		link_locked(me, t, a);
	}
	spin_unlock(&from->signal_lock, sf);
	spin_unlock(&process_tree_lock, tf);
	return err;
}

static int prepare(struct task *me, const struct clone_args *a, struct task **out)
{
	struct task *t = task_alloc();
	if (!t)
		return -ENOMEM;

	int err = clone_fs_files(me, t, a->flags);
	if (!err)
		err = clone_process(me, t, a->flags);
	if (!err)
		err = child_number(me, a, &t->tid);
	if (err) {
		unprepare(me, t);
		return err;
	}
	err = task_thread_init(t, &me->thread, task_start_running);
	if (err) {
		pid_cancel(t->tid);
		unprepare(me, t);
		return err;
	}
	clone_own_state(me, t, a);
	clone_registers(me, t, a);
	if (!(a->flags & CLONE_THREAD)) {
		t->process->pid = t->tid;
		/* the number's and the parent's reference, until reaped; the first is the task's */
		process_get(t->process);
	}
	*out = t;
	return 0;
}

static void vfork_wait_for(struct task *t, struct vfork_wait *v)
{
	(void)!wait_word(&v->done, WAIT_KILLABLE, WAIT_FOREVER, "vfork");
	irqflags_t f = spin_lock(&t->process->signal_lock);
	t->vfork = NULL;
	spin_unlock(&t->process->signal_lock, f);
}

void process_vfork_done(struct task *t)
{
	if (likely(!t->vfork))
		return;
	SPIN_GUARD(&t->process->signal_lock);
	if (t->vfork) {
		atomic_store_release(&t->vfork->done, 1);
		sched_wake(t->vfork->parent, WAKE_NORMAL);
		t->vfork = NULL;
	}
}

long process_clone(const struct clone_args *a)
{
	struct task *me = task_current(), *t;
	struct vfork_wait v;
	int err = check_flags(a);

	if (err)
		return err;
	if (signal_pending_current())
		return -ERESTARTNOINTR;
	if (me->thread.policy == SCHED_DEADLINE && !me->thread.reset_on_fork)
		return -EAGAIN; /* man 7 sched: its bandwidth is for one */
	err = count_task(me);
	if (err)
		return err;
	err = prepare(me, a, &t);
	if (err) {
		uncount_task(me);
		return err;
	}
	int tid = t->tid;
	bool wait = a->flags & CLONE_VFORK;
	if (wait) {
		v = (struct vfork_wait){.parent = &me->thread};
		t->vfork = &v;
		task_get(t);
	}
	if (a->flags & CLONE_PARENT_SETTID)
		(void)!put_user_u32(uptr(a->parent_tid), (uint32_t)tid);
	err = publish(me, t, a);
	if (err) {
		uncount_task(me);
		thread_fini(&t->thread);
		pid_cancel(tid);
		if (t->process != me->process)
			process_put(t->process);
		unprepare(me, t);
		return err;
	}
	thread_start(&t->thread);
	if (wait) {
		vfork_wait_for(t, &v);
		task_put(t);
	}
	return tid;
}

int process_unshare(unsigned long flags)
{
	struct task *me = task_current();
	struct fs_context *fs = NULL, *old_fs = NULL;
	struct fdtable *files = NULL, *old_files = NULL;
	int err = 0;

	if (flags &
	    ~(unsigned long)(CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_THREAD | CLONE_SIGHAND | CLONE_VM |
			     CLONE_NAMESPACES))
		return -EINVAL;
	err = check_namespaces(me, flags);
	if (err)
		return err;
	/* These cannot be taken apart again; alone, there is nothing to take apart (man 2 unshare). */
	if ((flags & (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)) && me->process->thread_count > 1)
		return -EINVAL;
	if ((flags & CLONE_FS) && refcount_read(&me->fs->refs) > 1)
		err = fs_context_copy(me->fs, &fs);
	if (!err && (flags & CLONE_FILES) && refcount_read(&me->files->refs) > 1)
		err = fdtable_copy(me->files, &files);
	irqflags_t f = spin_lock(&me->process->lock);
	if (fs && !err) {
		old_fs = me->fs;
		me->fs = fs;
	}
	if (files && !err) {
		old_files = me->files;
		me->files = files;
	}
	spin_unlock(&me->process->lock, f);
	if (err && fs)
		fs_context_put(fs);
	if (old_fs)
		fs_context_put(old_fs);
	if (old_files)
		fdtable_put(old_files);
	return err;
}
