/*
 * getpriority(2), setpriority(2): the nice value of processes, groups and users' processes. A process's threads are
 * set together when it is named by pid of its leader; POSIX and Linux agree only on the single-threaded case, and
 * Linux sets the one thread: so does this.
 */
#include <asm/errno.h>
#include <linux/capability.h>
#include <linux/resource.h>

#include "proc/internal.h"
#include "sched/sched.h"

struct priority_visit {
	bool set;
	int nice; /* to set, or the best found */
	int found, err;
	uint32_t uid; /* PRIO_USER */
	bool by_user;
};

static void visit_task(struct task *t, struct priority_visit *v)
{
	struct process *p = t->process;

	v->found++;
	if (!v->set) {
		v->nice = MIN(v->nice, (int)t->thread.nice);
		return;
	}
	const struct cred *me = task_current()->cred;
	uint32_t uid = READ_ONCE(p->real_uid), euid = READ_ONCE(p->uid);
	if (me->euid != uid && me->euid != euid && !cred_capable(me, CAP_SYS_NICE)) {
		v->err = -EPERM;
		return;
	}
	/* man 2 getrlimit, RLIMIT_NICE: the limit is 20 - nice. */
	if (v->nice < t->thread.nice && (uint64_t)(20 - v->nice) > READ_ONCE(p->rlimits[RLIMIT_NICE].cur) &&
	    !cred_capable(me, CAP_SYS_NICE)) {
		v->err = -EACCES;
		return;
	}
	sched_set_nice(&t->thread, v->nice);
}

static bool visit_process(struct process *p, void *arg)
{
	struct priority_visit *v = arg;
	struct task *t;

	if (v->by_user && READ_ONCE(p->real_uid) != v->uid)
		return true;
	LIST_FOR_EACH(t, &p->threads, thread_node)
		visit_task(t, v);
	return true;
}

static int visit(int which, int who, struct priority_visit *v)
{
	if (which == PRIO_PROCESS) {
		struct task *t = who ? task_find(who) : task_current();
		if (!t)
			return -ESRCH;
		visit_task(t, v);
		if (who)
			task_put(t);
	} else if (which == PRIO_PGRP) {
		process_group_for_each(who ? who : (int)process_getpgid(0), visit_process, v);
	} else if (which == PRIO_USER) {
		v->by_user = true;
		v->uid = who ? (uint32_t)who : task_current()->cred->uid;
		process_for_each(visit_process, v);
	} else {
		return -EINVAL;
	}
	return v->found ? v->err : -ESRCH;
}

long process_get_priority(int which, int who)
{
	struct priority_visit v = {.nice = 20};
	int err = visit(which, who, &v);

	return err ? err : 20 - v.nice;
}

long process_set_priority(int which, int who, int nice)
{
	struct priority_visit v = {.set = true, .nice = nice};

	return visit(which, who, &v);
}
