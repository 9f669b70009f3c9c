/*
 * Signals from program to program: who may send what to whom (kill(2), tgkill(2), rt_sigqueueinfo(2)), and waiting
 * for signals without a handler (rt_sigtimedwait(2), signalfd(2)).
 */
#include <asm/errno.h>
#include <linux/capability.h>

#include "proc/internal.h"
#include "sched/clock.h"

/* T held only where the session matters; ids are single words. */
static bool may_signal(struct process *p, int sig)
{
	const struct cred *me = task_current()->cred;
	struct process *self = process_current();

	if (p == self)
		return true;
	uint32_t uid = READ_ONCE(p->real_uid), suid = READ_ONCE(p->saved_uid);
	if (me->euid == suid || me->euid == uid || me->uid == suid || me->uid == uid || cred_capable(me, CAP_KILL))
		return true;
	return sig == SIGCONT && process_getsid(p->pid) == process_getsid(0);
}

static int send_one(struct process *p, int sig, const struct signal_info *info)
{
	if (!may_signal(p, sig))
		return -EPERM;
	return signal_send_process(p, sig, info);
}

struct kill_many {
	struct process *self, *spare; /* spare: not signalled (kill(-1) leaves the caller and PID 1 out) */
	int sig;
	const struct signal_info *info;
	bool same_session_asked;
	int found, sent, err;
};

static bool kill_member(struct process *p, void *arg)
{
	struct kill_many *k = arg;
	const struct cred *me = task_current()->cred;
	uint32_t uid = READ_ONCE(p->real_uid), suid = READ_ONCE(p->saved_uid);

	if (p == k->spare || (k->spare && p == process_init_process))
		return true;
	k->found++;
	bool may = p == k->self || me->euid == suid || me->euid == uid || me->uid == suid || me->uid == uid ||
		cred_capable(me, CAP_KILL) || (k->sig == SIGCONT && p->group->session == k->self->group->session);
	int err = may ? signal_send_process(p, k->sig, k->info) : -EPERM;
	if (err)
		k->err = err;
	else
		k->sent++;
	return true;
}

static int kill_result(const struct kill_many *k)
{
	if (k->found == 0)
		return -ESRCH;
	/* With -1, those the caller may not signal are no error. */
	return k->sent || (k->spare && k->err == -EPERM) ? 0 : k->err;
}

int signal_kill(int pid, int sig, const struct signal_info *info)
{
	struct process *self = process_current();
	struct signal_info mine = {.signo = sig, .code = SI_USER, .pid = self->pid, .uid = task_current()->cred->uid};
	struct kill_many k = {.self = self, .sig = sig, .info = info ? info : &mine};

	if (sig < 0 || sig > SIGNALS)
		return -EINVAL;
	if (pid > 0) {
		struct process *p = process_find(pid);
		if (!p) {
			/* A thread's number names its process here (man 2 kill's ESRCH says process; Linux takes
			 * both). */
			struct task *t = task_find(pid);
			if (!t)
				return -ESRCH;
			int r = send_one(t->process, sig, k.info);
			task_put(t);
			return r;
		}
		int err = send_one(p, sig, k.info);
		process_put(p);
		return err;
	}
	if (pid == INT32_MIN)
		return -ESRCH;
	if (pid == -1) {
		k.spare = self;
		process_for_each(kill_member, &k);
	} else {
		process_group_for_each(pid == 0 ? (int)process_getpgid(0) : -pid, kill_member, &k);
	}
	return kill_result(&k);
}

int signal_tgkill(int tgid, int tid, int sig, const struct signal_info *info)
{
	struct signal_info mine = {.signo = sig,
				   .code = SI_TKILL,
				   .pid = process_current()->pid,
				   .uid = task_current()->cred->uid};

	if (tid <= 0)
		return -EINVAL;
	struct task *t = task_find(tid);
	if (!t)
		return -ESRCH;
	int err = -ESRCH;
	/* A thread that is not there comes before a signal that is none. */
	if (tgid <= 0 || t->process->pid == tgid) {
		if (sig < 0 || sig > SIGNALS)
			err = -EINVAL;
		else
			err = may_signal(t->process, sig) ? signal_send_task(t, sig, info ? info : &mine) : -EPERM;
	}
	task_put(t);
	return err;
}

/* --- without a handler ------------------------------------------------------------------------------------------- */

uint64_t signal_pending_blocked(void)
{
	struct task *t = task_current();

	return (READ_ONCE(t->pending.set) | READ_ONCE(t->process->pending.set)) & t->blocked;
}

bool signal_waiting(uint64_t set)
{
	struct task *t = task_current();

	return (READ_ONCE(t->pending.set) | READ_ONCE(t->process->pending.set)) & set;
}

bool signal_take(uint64_t set, struct signal_info *out)
{
	struct task *t = task_current();

	set &= ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	SPIN_GUARD(&t->process->signal_lock);
	return signal_dequeue_locked(t, ~set, out) != 0;
}

static void sigwait_begin(struct task *t, uint64_t set)
{
	SPIN_GUARD(&t->process->signal_lock);
	t->sigwait_set = set;
}

long signal_wait(uint64_t set, uint64_t deadline_ns, struct signal_info *out)
{
	struct task *t = task_current();

	set &= ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	if (signal_take(set, out))
		return out->signo;
	if (deadline_ns != WAIT_FOREVER && deadline_ns <= clock_monotonic_ns())
		return -EAGAIN;
	/* From here on a signal of the set is kept for us, even one that would be ignored or fatal. */
	sigwait_begin(t, set);
	bool taken = signal_take(set, out);
	int err = 0;
	if (!taken)
		err = WAIT_UNTIL(&t->process->signal_event, (taken = signal_take(set, out)), WAIT_INTERRUPTIBLE,
				 deadline_ns);
	sigwait_begin(t, 0);
	if (taken)
		return out->signo;
	return err == -ETIMEDOUT ? -EAGAIN : -EINTR;
}
