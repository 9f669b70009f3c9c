/*
 * Waiting for children (wait4(2), waitid(2)), and the last step of a process: being reaped.
 *
 * A child's change of state wakes every waiter of its parent; each looks again under T, so two waiters never get the
 * same zombie. Zombies stand at the front of the list of children, so the usual look is short; a wait for one pid
 * does not look at the list at all.
 */
#include <asm/errno.h>
#include <linux/wait.h>

#include "mm/slab.h"
#include "proc/internal.h"

struct reaped process_reap_locked(struct process *p)
{
	struct reaped r = {.process = p};

	list_remove(&p->sibling);
	p->parent = NULL;
	r.garbage = group_leave_locked(p);
	pid_clear(p->pid, PID_PROCESS);
	return r;
}

void process_reaped(struct reaped r)
{
	struct user_account *a = r.process->account;

	group_free(r.garbage);
	__atomic_fetch_sub(&task_total, 1, __ATOMIC_RELAXED);
	__atomic_fetch_sub(&a->tasks, 1, __ATOMIC_RELAXED);
	account_put(a);
	process_put(r.process);
}

struct wait_look {
	int idtype, id, options;
	struct process *parent;
	struct wait_result *out;
	long result; /* 0: keep waiting */
	bool reap;
	struct reaped reaped;
};

static bool matches(const struct wait_look *w, const struct process *c)
{
	if (w->idtype == P_PID && c->pid != w->id)
		return false;
	if (w->idtype == P_PGID && c->group->id != w->id)
		return false;
	/* man 2 wait: "clone" children are those that do not send SIGCHLD. */
	if (w->options & __WALL)
		return true;
	return (c->exit_signal != SIGCHLD) == !!(w->options & __WCLONE);
}

static void describe_end(struct process *c, struct wait_result *out)
{
	out->status = c->exit_status;
	out->code = (c->exit_status & 0x7f) ? CLD_KILLED : CLD_EXITED;
}

/* T held: whether c has news the caller asked for; if so it is in *out and, without WNOWAIT, consumed. */
static bool take_news(struct wait_look *w, struct process *c)
{
	struct wait_result *out = w->out;
	bool keep = w->options & WNOWAIT;

	if (c->zombie) {
		if (!(w->options & WEXITED))
			return false;
		describe_end(c, out);
	} else {
		SPIN_GUARD(&c->signal_lock);
		if (c->stopped && !c->stop_reported && (w->options & WSTOPPED)) {
			out->status = WAIT_STATUS_STOP(c->stop_signal);
			out->code = CLD_STOPPED;
			if (!keep)
				c->stop_reported = true;
		} else if (c->continued && (w->options & WCONTINUED)) {
			out->status = WAIT_STATUS_CONTINUED;
			out->code = CLD_CONTINUED;
			if (!keep)
				c->continued = false;
		} else {
			return false;
		}
	}
	out->pid = c->pid;
	out->signal_uid = (int)READ_ONCE(c->real_uid);
	process_usage_locked(c, &out->usage);
	usage_add(&out->usage, &c->children_usage);
	if (c->zombie && !keep) {
		usage_add(&w->parent->children_usage, &out->usage);
		w->reaped = process_reap_locked(c);
		w->reap = true;
	}
	return true;
}

/* True when the wait is over: w->result is set. */
static bool look(struct wait_look *w)
{
	SPIN_GUARD(&process_tree_lock);
	struct process *c;
	bool any = false;

	if (w->idtype == P_PID) {
		c = pid_lookup(w->id, PID_PROCESS);
		if (c && c->parent == w->parent && matches(w, c)) {
			any = true;
			if (take_news(w, c))
				w->result = w->out->pid;
		}
	} else {
		LIST_FOR_EACH(c, &w->parent->children, sibling) {
			if (!matches(w, c))
				continue;
			any = true;
			if (take_news(w, c)) {
				w->result = w->out->pid;
				break;
			}
		}
	}
	if (!any)
		w->result = -ECHILD;
	return w->result != 0;
}

long process_wait(int idtype, int id, int options, struct wait_result *out)
{
	const int known = WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD | __WCLONE | __WALL;
	struct process *p = process_current();

	if ((options & ~known) || !(options & (WEXITED | WSTOPPED | WCONTINUED)))
		return -EINVAL;
	if (idtype != P_ALL && idtype != P_PID && idtype != P_PGID)
		return -EINVAL;
	if ((idtype == P_PID && id <= 0) || (idtype == P_PGID && id < 0))
		return -EINVAL;
	if (idtype == P_PGID && id == 0)
		id = (int)process_getpgid(0);

	struct wait_result result = {0};
	struct wait_look w = {.idtype = idtype, .id = id, .options = options, .parent = p, .out = &result};
	int err = 0;
	if (options & WNOHANG)
		(void)look(&w);
	else
		err = WAIT_UNTIL(&p->child_event, look(&w), WAIT_INTERRUPTIBLE, WAIT_FOREVER);
	if (w.reap)
		process_reaped(w.reaped);
	if (w.result > 0)
		*out = result;
	return w.result ? w.result : err;
}
