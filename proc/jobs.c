/*
 * Job control between processes and terminals: what dev/tty asks of sessions and groups (dev/tty.h, tty_job_ops), and
 * what becomes of a terminal when its session's leader ends (man 7 credentials, tty_ioctl(2)).
 */
#include <asm/errno.h>
#include <linux/capability.h>

#include "dev/tty.h"
#include "proc/internal.h"

/* Kernel threads write to consoles too: they have no session. */
static struct process *caller(void)
{
	struct thread *t = thread_current();

	return t && t->user ? ((struct task *)t)->process : NULL;
}

static int current_session(void)
{
	struct process *p = caller();
	SPIN_GUARD(&process_tree_lock);

	return p && p->group ? p->group->session->id : 0;
}

static int current_group(void)
{
	struct process *p = caller();
	SPIN_GUARD(&process_tree_lock);

	return p && p->group ? p->group->id : 0;
}

static bool current_is_session_leader(void)
{
	struct process *p = caller();
	SPIN_GUARD(&process_tree_lock);

	return p && p->group && p->group->session->leader == p;
}

static struct tty *current_tty(void)
{
	struct process *p = caller();
	SPIN_GUARD(&process_tree_lock);

	return p && p->group ? p->group->session->tty : NULL;
}

static bool group_in_session(int pgid, int session)
{
	SPIN_GUARD(&process_tree_lock);
	struct process_group *g = pid_lookup(pgid, PID_GROUP);

	return g && g->session->id == session;
}

static bool current_ignores(int sig)
{
	struct process *p = caller();

	return !p || (task_current()->blocked & SIGNAL_BIT(sig)) || signal_ignored_by(p, sig);
}

static bool current_group_orphaned(void)
{
	struct process *p = caller();
	SPIN_GUARD(&process_tree_lock);

	return p && p->group && group_is_orphaned_locked(p->group, NULL);
}

static void tty_signal_group(int pgid, int sig)
{
	(void)signal_group(pgid, sig);
}

static void session_set_tty(int session, struct tty *t)
{
	SPIN_GUARD(&process_tree_lock);
	struct session *s = pid_lookup(session, PID_SESSION);

	if (s)
		s->tty = t;
}

static bool capable_admin(void)
{
	return !caller() || process_capable(CAP_SYS_ADMIN);
}

static const struct tty_job_ops ops = {
	.current_session = current_session,
	.current_group = current_group,
	.current_is_session_leader = current_is_session_leader,
	.current_tty = current_tty,
	.group_in_session = group_in_session,
	.current_ignores = current_ignores,
	.current_group_orphaned = current_group_orphaned,
	.signal_group = tty_signal_group,
	.session_set_tty = session_set_tty,
	.capable_admin = capable_admin,
};

void jobs_init(void)
{
	tty_job_ops = &ops;
}

void jobs_leader_exits(struct process *p)
{
	struct tty *tty = NULL;

	irqflags_t f = spin_lock(&process_tree_lock);
	if (p->group->session->leader == p) {
		tty = p->group->session->tty;
		p->group->session->tty = NULL;
		p->group->session->leader = NULL;
	}
	spin_unlock(&process_tree_lock, f);
	if (tty)
		tty_disassociate(tty);
}
