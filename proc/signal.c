/*
 * Signals: theory, queues, and sending.  Receiving is signal_deliver.c; who may signal whom, signal_kill.c.
 *
 * A signal is pending on a thread or on a process: a bit, plus a queued signal_info where there was memory for one.
 * Standard signals keep the first info, real-time ones queue each (signal(7)).  Sending decides under S of the
 * target:
 *
 *   - stop signals and SIGCONT cancel one another, and SIGCONT resumes at once, whatever its disposition;
 *   - a signal that is ignored, and not blocked, vanishes here;
 *   - one thread that does not block it is told (WORK_SIGNAL, and its sleep ends);
 * - a signal whose default action will end the process ends the whole group here: every thread gets WORK_KILL, so
 * that killable sleeps end as well
 *     and the status is decided by who came first.
 *
 * WORK_SIGNAL only ever means "look": it is set by senders and by mask changes, and cleared by signal_deliver alone.
 * A sleep it ended in vain restarts.
 *
 * PID 1 is unkillable: signals it has no handler for do not reach it, SIGKILL and SIGSTOP included (man 2 kill).
 * Faults do.
 *
 * No core files: "core" actions terminate, and the wait status says so by not having the core bit.
 *
 * Locking: S for pending sets, masks and stop state; sighand->lock, inside S, for the actions. A single word of an
 * action is read by senders without it. Memory: an info that cannot be queued (no memory, RLIMIT_SIGPENDING) loses
 * its details for a standard signal and fails with -EAGAIN for a real-time one.
 */
#include "proc/signal.h"

#include <asm/errno.h>
#include <linux/resource.h>

#include "lib/string.h"
#include "mm/slab.h"
#include "proc/internal.h"
#include "sched/sched.h"

struct queued_signal {
	struct list_node node;
	struct user_account *account; /* counted against */
	struct signal_info info;
};

#define SIG_SET_DEFAULT_IGNORE (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))
#define SIG_SET_SYNCHRONOUS                                                                                         \
	(SIGNAL_BIT(SIGSEGV) | SIGNAL_BIT(SIGBUS) | SIGNAL_BIT(SIGILL) | SIGNAL_BIT(SIGTRAP) | SIGNAL_BIT(SIGFPE) | \
	 SIGNAL_BIT(SIGSYS))
#define SIG_DFL_WORD 0ull
#define SIG_IGN_WORD 1ull

static struct slab_cache *queued_cache, *sighand_cache;

void signal_init(void)
{
	queued_cache = slab_cache_create("signal", sizeof(struct queued_signal), 0);
	sighand_cache = slab_cache_create("sighand", sizeof(struct sighand), 0);
	if (!queued_cache || !sighand_cache)
		boot_stop("no memory for the signal caches");
}

/* --- actions ----------------------------------------------------------------------------------------------------- */

static struct sighand *sighand_alloc(void)
{
	struct sighand *h = slab_alloc(sighand_cache, 0);

	if (h) {
		refcount_init(&h->refs, 1);
		spin_init(&h->lock, LOCK_PROCESS, "signal actions");
	}
	return h;
}

int sighand_create(struct sighand **out)
{
	struct sighand *h = sighand_alloc();
	if (!h)
		return -ENOMEM;
	h->changed = 0;
	memset(h->actions, 0, sizeof(h->actions));
	*out = h;
	return 0;
}

int sighand_copy(struct sighand *from, struct sighand **out)
{
	struct sighand *h = sighand_alloc();
	if (!h)
		return -ENOMEM;
	irqflags_t f = spin_lock(&from->lock);
	h->changed = from->changed;
	memcpy(h->actions, from->actions, sizeof(h->actions));
	spin_unlock(&from->lock, f);
	*out = h;
	return 0;
}

void sighand_put(struct sighand *h)
{
	if (refcount_put(&h->refs))
		slab_free(sighand_cache, h);
}

static uint64_t handler_of(const struct process *p, int sig)
{
	return READ_ONCE(p->sighand->actions[sig - 1].handler);
}

bool signal_is_stop(int sig)
{
	return SIGNALS_STOP & SIGNAL_BIT(sig);
}

/* S held. Whether sig would do nothing if it were delivered now. */
static bool is_ignored_locked(const struct process *p, int sig)
{
	uint64_t h = handler_of(p, sig);

	if (h == SIG_IGN_WORD)
		return true;
	return h == SIG_DFL_WORD && ((SIG_SET_DEFAULT_IGNORE & SIGNAL_BIT(sig)) || p->unkillable);
}

bool signal_ignored_by(struct process *p, int sig)
{
	SPIN_GUARD(&p->signal_lock);
	return p->sighand && handler_of(p, sig) == SIG_IGN_WORD;
}

/* --- queues ------------------------------------------------------------------------------------------------------ */

void signal_pending_init(struct signal_pending *q)
{
	q->set = 0;
	list_init(&q->queue);
}

static void queued_free(struct queued_signal *s)
{
	__atomic_fetch_sub(&s->account->signals, 1, __ATOMIC_RELAXED);
	account_put(s->account);
	slab_free(queued_cache, s);
}

void signal_pending_flush(struct signal_pending *q)
{
	struct queued_signal *s;

	q->set = 0;
	while ((s = LIST_FIRST(&q->queue, struct queued_signal, node))) {
		list_remove(&s->node);
		queued_free(s);
	}
}

/* S held. */
static void discard_locked(struct signal_pending *q, uint64_t set)
{
	struct queued_signal *s;

	if (!(q->set & set))
		return;
	q->set &= ~set;
	LIST_FOR_EACH_SAFE(s, &q->queue, node) {
		if (set & SIGNAL_BIT(s->info.signo)) {
			list_remove(&s->node);
			queued_free(s);
		}
	}
}

static void discard_everywhere_locked(struct process *p, uint64_t set)
{
	struct task *t;

	discard_locked(&p->pending, set);
	LIST_FOR_EACH(t, &p->threads, thread_node)
		discard_locked(&t->pending, set);
}

static int enqueue_locked(struct process *p, struct task *first, struct signal_pending *q, int sig,
			  const struct signal_info *info)
{
	struct user_account *a = first->account;
	struct queued_signal *s = NULL;

	if (sig == SIGKILL) {
		q->set |= SIGNAL_BIT(sig);
		return 0;
	}
	if ((uint64_t)__atomic_add_fetch(&a->signals, 1, __ATOMIC_RELAXED) <= p->rlimits[RLIMIT_SIGPENDING].cur)
		s = slab_alloc(queued_cache, 0);
	if (!s) {
		__atomic_fetch_sub(&a->signals, 1, __ATOMIC_RELAXED);
		if (sig >= SIGRTMIN && info && info->code != SI_USER)
			return -EAGAIN;
		q->set |= SIGNAL_BIT(sig); /* it is delivered, without its details */
		return 0;
	}
	q->set |= SIGNAL_BIT(sig);
	s->account = account_ref(a);
	if (info)
		s->info = *info;
	else
		s->info = (struct signal_info){.code = SI_KERNEL};
	s->info.signo = sig;
	list_push_back(&q->queue, &s->node);
	return 0;
}

static int dequeue_from_locked(struct signal_pending *q, int sig, struct signal_info *out)
{
	struct queued_signal *s, *found = NULL;
	bool more = false;

	LIST_FOR_EACH(s, &q->queue, node) {
		if (s->info.signo != sig)
			continue;
		if (found) {
			more = true;
			break;
		}
		found = s;
		if (sig < SIGRTMIN)
			break;
	}
	if (!more)
		q->set &= ~SIGNAL_BIT(sig);
	if (found) {
		*out = found->info;
		list_remove(&found->node);
		queued_free(found);
	} else {
		*out = (struct signal_info){.signo = sig, .code = SI_USER};
	}
	return sig;
}

/* The thread's own before the process's, faults first, then the lowest number (signal(7), "Queueing and delivery
 * semantics"). */
int signal_dequeue_locked(struct task *t, uint64_t blocked, struct signal_info *out)
{
	struct signal_pending *q = &t->pending;
	uint64_t set = q->set & ~blocked;

	if (!set) {
		q = &t->process->pending;
		set = q->set & ~blocked;
		if (!set)
			return 0;
	}
	if (set & SIG_SET_SYNCHRONOUS)
		set &= SIG_SET_SYNCHRONOUS;
	return dequeue_from_locked(q, __builtin_ctzll(set) + 1, out);
}

/* --- sending ----------------------------------------------------------------------------------------------------- */

static void tell(struct task *t, uint32_t work, uint32_t wake)
{
	thread_set_work(&t->thread, work);
	(void)sched_wake(&t->thread, wake);
}

void signal_group_exit_locked(struct process *p, int wait_status)
{
	struct task *t;

	if (p->group_exiting)
		return;
	p->group_exiting = true;
	p->exit_status = wait_status;
	p->stopping = false;
	p->stopped = false;
	LIST_FOR_EACH(t, &p->threads, thread_node)
		tell(t, WORK_KILL | WORK_SIGNAL, WAKE_SIGNAL | WAKE_STOPPED);
}

void group_stop_clear_locked(struct process *p)
{
	struct task *t;

	p->stop_dequeued = false;
	if (!p->stopping)
		return;
	if (p->stopped) {
		p->continued = true;
		p->tell_continued = true;
	}
	p->stopping = false;
	p->stopped = false;
	p->stop_count = 0;
	LIST_FOR_EACH(t, &p->threads, thread_node) {
		t->stop_counted = false;
		tell(t, WORK_SIGNAL, WAKE_STOPPED);
	}
}

/* S held. A thread to tell of a process-directed signal: the caller if it may, else the first that does not
 * block it. */
static struct task *choose_locked(struct process *p, int sig)
{
	struct task *t, *sleeper = NULL;

	LIST_FOR_EACH(t, &p->threads, thread_node) {
		if (t->exiting)
			continue;
		if (!(t->blocked & SIGNAL_BIT(sig)))
			return t;
		if (t->sigwait_set & SIGNAL_BIT(sig))
			sleeper = t;
	}
	return sleeper;
}

static bool ends_process(const struct process *p, const struct task *t, int sig)
{
	if (sig == SIGKILL)
		return true;
	if ((t->blocked | t->sigwait_set) & SIGNAL_BIT(sig))
		return false;
	return handler_of(p, sig) == SIG_DFL_WORD && !((SIG_SET_DEFAULT_IGNORE | SIGNALS_STOP) & SIGNAL_BIT(sig)) &&
		!p->unkillable;
}

int signal_send_locked(struct process *p, struct task *only, int sig, const struct signal_info *info)
{
	struct task *first = only ? only : LIST_FIRST(&p->threads, struct task, thread_node);
	struct signal_pending *q = only ? &only->pending : &p->pending;

	if (!first || !p->sighand || p->group_exiting)
		return 0; /* a zombie, or on its way to be one: signals reach it and change nothing */
	if (SIGNAL_BIT(sig) & SIGNALS_STOP) {
		discard_everywhere_locked(p, SIGNAL_BIT(SIGCONT));
	} else if (sig == SIGCONT) {
		discard_everywhere_locked(p, SIGNALS_STOP);
		group_stop_clear_locked(p);
	}
	if (is_ignored_locked(p, sig) && !((first->blocked | first->sigwait_set) & SIGNAL_BIT(sig)))
		return 0;
	if (sig < SIGRTMIN && (q->set & SIGNAL_BIT(sig)))
		return 0;
	int err = enqueue_locked(p, first, q, sig, info);
	if (err)
		return err;
	if (wait_queue_active(&p->signal_event))
		wait_wake_all(&p->signal_event);

	struct task *t = only ? only : choose_locked(p, sig);
	if (!t)
		return 0;
	/* In a stopped process only SIGKILL is looked at before SIGCONT has come (POSIX, 2.4.3). */
	if (ends_process(p, t, sig) && (!p->stopping || sig == SIGKILL))
		signal_group_exit_locked(p, WAIT_STATUS_SIGNAL(sig));
	else if (!(t->blocked & SIGNAL_BIT(sig)))
		tell(t, WORK_SIGNAL, WAKE_SIGNAL);
	return 0;
}

int signal_send_task(struct task *t, int sig, const struct signal_info *info)
{
	SPIN_GUARD(&t->process->signal_lock);
	return sig && !t->exiting ? signal_send_locked(t->process, t, sig, info) : 0;
}

int signal_send_process(struct process *p, int sig, const struct signal_info *info)
{
	SPIN_GUARD(&p->signal_lock);
	return sig ? signal_send_locked(p, NULL, sig, info) : 0;
}

int signal_group_locked(struct process_group *g, int sig)
{
	struct process *p;

	LIST_FOR_EACH(p, &g->members, group_node)
		(void)!signal_send_process(p, sig, NULL);
	return 0;
}

int signal_group(int pgid, int sig)
{
	SPIN_GUARD(&process_tree_lock);
	struct process_group *g = pid_lookup(pgid, PID_GROUP);

	return g ? signal_group_locked(g, sig) : -ESRCH;
}

void signal_raise(int sig)
{
	struct signal_info info = {.signo = sig,
				   .code = SI_USER,
				   .pid = process_current()->pid,
				   .uid = task_current()->cred->uid};

	(void)!signal_send_task(task_current(), sig, &info);
}

bool signal_thread_leaves_locked(struct task *t)
{
	struct process *p = t->process;
	struct task *other;

	/* What was meant for the process and told to this thread must be looked at by another. */
	if (p->pending.set)
		LIST_FOR_EACH(other, &p->threads, thread_node)
			if (other != t && !other->exiting && (p->pending.set & ~other->blocked))
				tell(other, WORK_SIGNAL, WAKE_SIGNAL);
	if (!p->stopping || !t->stop_counted)
		return false;
	t->stop_counted = false;
	if (--p->stop_count > 0 || p->leaving_count == p->live_count)
		return false;
	p->stopped = true;
	p->stop_reported = false;
	return true;
}

/* --- changing actions -------------------------------------------------------------------------------------------- */

int signal_action_change(int sig, const struct signal_action *set, struct signal_action *old)
{
	struct process *p = process_current();

	if (sig < 1 || sig > SIGNALS || (set && (sig == SIGKILL || sig == SIGSTOP)))
		return -EINVAL;
	SPIN_GUARD(&p->signal_lock);
	struct signal_action *a = &p->sighand->actions[sig - 1];
	irqflags_t f = spin_lock(&p->sighand->lock);
	if (old)
		*old = *a;
	if (set) {
		p->sighand->changed |= SIGNAL_BIT(sig);
		*a = *set;
		a->mask &= ~(SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP));
	}
	spin_unlock(&p->sighand->lock, f);
	/* POSIX: setting a signal to be ignored discards it if it is pending, blocked or not. */
	if (set &&
	    (set->handler == SIG_IGN_WORD ||
	     (set->handler == SIG_DFL_WORD && (SIG_SET_DEFAULT_IGNORE & SIGNAL_BIT(sig)))))
		discard_everywhere_locked(p, SIGNAL_BIT(sig));
	return 0;
}

void signal_exec_reset(void)
{
	struct task *t = task_current();
	struct process *p = t->process;

	SPIN_GUARD(&p->signal_lock);
	SPIN_GUARD(&p->sighand->lock);
	uint64_t left = p->sighand->changed;
	p->sighand->changed = 0;
	for (; left; left &= left - 1) {
		unsigned i = (unsigned)__builtin_ctzll(left);
		struct signal_action *a = &p->sighand->actions[i];
		bool ignored = a->handler == SIG_IGN_WORD;
		*a = (struct signal_action){.handler = ignored ? SIG_IGN_WORD : SIG_DFL_WORD};
		if (ignored)
			p->sighand->changed |= BIT(i);
	}
	t->altstack = (struct altstack){.flags = SS_DISABLE};
	t->restore_mask = false;
}
