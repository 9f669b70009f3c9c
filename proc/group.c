/*
 * Process groups and sessions (man 7 credentials, setpgid(2), setsid(2)).
 *
 * Both are counted by their members and live under T. A group knows its session; a session knows its controlling
 * terminal and its leader. The numbers are the pid map's, so that a number stays taken as long as a group or session
 * bears it.
 *
 * A session is also what shares the CPU as one (man 7 sched, autogroups): setsid(2) puts the process into a scheduling
 * group of its own, and children inherit that with everything else of the thread that made them.
 */
#include <asm/errno.h>

#include "mm/slab.h"
#include "proc/internal.h"
#include "sched/group.h"

void group_join_locked(struct process *p, struct process_group *g)
{
	p->group = g;
	list_push_back(&g->members, &p->group_node);
}

struct group_garbage group_leave_locked(struct process *p)
{
	struct group_garbage out = {NULL, NULL};
	struct process_group *g = p->group;

	list_remove(&p->group_node);
	p->group = NULL;
	if (!list_empty(&g->members))
		return out;
	if (g->id)
		pid_clear(g->id, PID_GROUP);
	out.group = g;
	if (--g->session->groups == 0) {
		if (g->session->id)
			pid_clear(g->session->id, PID_SESSION);
		out.session = g->session;
	}
	return out;
}

void group_free(struct group_garbage g)
{
	kfree(g.group);
	kfree(g.session);
}

static void group_make_locked(struct process_group *g, struct session *s, int id)
{
	g->id = id;
	g->session = s;
	list_init(&g->members);
	s->groups++;
	if (id)
		pid_set(id, PID_GROUP, g);
}

/*
 * PID 1 starts in group 0 of session 0, which have no leader and which no lookup finds.  So it is free to call
 * setsid(2), as programs started from an initramfs's script do (`exec setsid cttyhack sh`).
 */
int group_create_first(struct process *p)
{
	struct process_group *g = kzalloc(sizeof(*g));
	struct session *s = kzalloc(sizeof(*s));

	if (!g || !s) {
		kfree(g);
		kfree(s);
		return -ENOMEM;
	}
	SPIN_GUARD(&process_tree_lock);
	group_make_locked(g, s, 0);
	group_join_locked(p, g);
	return 0;
}

bool group_is_orphaned_locked(const struct process_group *g, const struct process *except)
{
	struct process *p;

	LIST_FOR_EACH(p, &g->members, group_node) {
		if (p == except || (p->zombie && list_empty(&p->threads)) || !p->parent ||
		    p->parent == process_init_process)
			continue;
		if (p->parent->group != g && p->parent->group->session == g->session)
			return false;
	}
	return true;
}

bool group_has_stopped_locked(const struct process_group *g)
{
	struct process *p;

	LIST_FOR_EACH(p, &g->members, group_node)
		if (READ_ONCE(p->stopped))
			return true;
	return false;
}

/* T held. Whether the caller may move p (man 2 setpgid), and into which session's groups. */
static int may_move_locked(struct process *me, struct process *p)
{
	if (!p)
		return -ESRCH;
	if (p != me) {
		if (p->parent != me)
			return -ESRCH;
		if (p->group->session != me->group->session)
			return -EPERM;
		if (p->did_exec)
			return -EACCES;
	}
	return p->group->session->leader == p ? -EPERM : 0;
}

int process_setpgid(int pid, int pgid)
{
	struct process *me = process_current(), *p;
	struct group_garbage garbage = {NULL, NULL};

	if (pgid < 0 || pid < 0)
		return -EINVAL;
	if (pid == 0)
		pid = me->pid;
	if (pgid == 0)
		pgid = pid;
	struct process_group *fresh = kzalloc(sizeof(*fresh));
	if (!fresh)
		return -ENOMEM;

	irqflags_t f = spin_lock(&process_tree_lock);
	p = pid_lookup(pid, PID_PROCESS);
	int err = may_move_locked(me, p);
	if (!err) {
		struct process_group *g = pid_lookup(pgid, PID_GROUP);
		struct session *s = p->group->session;
		if (g == p->group) {
			/* already there */
		} else if (g ? g->session != s : pgid != pid) {
			err = -EPERM;
		} else {
			if (!g) {
				g = fresh;
				fresh = NULL;
				group_make_locked(g, s, pgid);
			}
			garbage = group_leave_locked(p);
			group_join_locked(p, g);
		}
	}
	spin_unlock(&process_tree_lock, f);
	kfree(fresh);
	group_free(garbage);
	return err;
}

long process_getpgid(int pid)
{
	SPIN_GUARD(&process_tree_lock);
	struct process *p = pid ? pid_lookup(pid, PID_PROCESS) : process_current();

	return p ? p->group->id : -ESRCH;
}

long process_getsid(int pid)
{
	SPIN_GUARD(&process_tree_lock);
	struct process *p = pid ? pid_lookup(pid, PID_PROCESS) : process_current();

	return p ? p->group->session->id : -ESRCH;
}

static void sched_group_join_all(struct process *p, struct sched_group *g)
{
	struct task *t;
	irqflags_t f = spin_lock(&p->signal_lock);

	LIST_FOR_EACH(t, &p->threads, thread_node)
		sched_group_join(&t->thread, g);
	spin_unlock(&p->signal_lock, f);
}

long process_setsid(void)
{
	struct process *p = process_current();
	struct group_garbage garbage = {NULL, NULL};
	struct process_group *g = kzalloc(sizeof(*g));
	struct session *s = kzalloc(sizeof(*s));
	struct sched_group *sched = NULL;
	long result = -ENOMEM;

	if (g && s && sched_group_create(&sched) == 0) {
		SPIN_GUARD(&process_tree_lock);
		/* Its own number must not name a group already: that group's members would be torn from their
		 * session. */
		if (pid_lookup(p->pid, PID_GROUP) || p->group->session->leader == p) {
			result = -EPERM;
		} else {
			s->id = p->pid;
			s->leader = p;
			pid_set(s->id, PID_SESSION, s);
			garbage = group_leave_locked(p);
			group_make_locked(g, s, p->pid);
			group_join_locked(p, g);
			sched_group_join_all(p, sched);
			result = s->id;
			g = NULL;
			s = NULL;
		}
	}
	kfree(g);
	kfree(s);
	sched_group_put(sched);
	group_free(garbage);
	return result;
}
