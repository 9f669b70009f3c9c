/*
 * Receiving signals: what a thread does about them on its way back to its program.
 *
 * One loop: take the next deliverable signal; stop, end, ignore, or push a handler frame and look again, so that
 * several pending signals nest their frames as on Linux. An interrupted system call is settled by the first of them:
 * restarted or turned into EINTR (signal(7), abi/errno_kernel.h).
 */
#include <asm/errno.h>
#include <asm/unistd.h>

#include "core/log.h"
#include "lib/string.h"
#include "proc/internal.h"
#include "sched/clock.h"
#include "sched/sched.h"
#include "vm/nearest.h"

#define SIG_DFL_WORD 0ull
#define SIG_IGN_WORD 1ull
#define UNBLOCKABLE (SIGNAL_BIT(SIGKILL) | SIGNAL_BIT(SIGSTOP))
#define DEFAULT_IGNORE (SIGNAL_BIT(SIGCHLD) | SIGNAL_BIT(SIGCONT) | SIGNAL_BIT(SIGURG) | SIGNAL_BIT(SIGWINCH))

bool signal_pending_current(void)
{
	return thread_has_work(thread_current(), WORK_SIGNAL | WORK_KILL);
}

/* --- interrupted system calls ------------------------------------------------------------------------------------ */

static void settle_syscall(struct trap_frame *f, const struct signal_action *handler)
{
	if (!syscall_in_frame(f))
		return;
	switch (-syscall_result(f)) {
	case ERESTARTNOINTR:
		syscall_restart(f);
		break;
	case ERESTARTSYS:
		if (handler && !(handler->flags & SA_RESTART))
			context_set_return(f, -EINTR);
		else
			syscall_restart(f);
		break;
	case ERESTARTNOHAND:
		if (handler)
			context_set_return(f, -EINTR);
		else
			syscall_restart(f);
		break;
	case ERESTART_RESTARTBLOCK:
		if (handler)
			context_set_return(f, -EINTR);
		else
			syscall_restart_as(f, __NR_restart_syscall);
		break;
	default:
		break;
	}
	syscall_forget(f);
}

/* --- stopping ---------------------------------------------------------------------------------------------------- */

void signal_notify_parent_stop(struct process *p, int code)
{
	SPIN_GUARD(&process_tree_lock);
	struct process *parent = p->parent;

	if (!parent)
		return;
	struct usage u;
	process_usage_locked(p, &u);
	struct signal_info info = {.signo = SIGCHLD,
				   .code = code,
				   .child_pid = p->pid,
				   .child_uid = READ_ONCE(p->real_uid),
				   .child_status = code == CLD_CONTINUED ? SIGCONT : p->stop_signal,
				   .child_utime = (int64_t)(u.user_ns / (NSEC_PER_SEC / 100)),
				   .child_stime = (int64_t)(u.system_ns / (NSEC_PER_SEC / 100))};
	irqflags_t f = spin_lock(&parent->signal_lock);
	if (parent->sighand) {
		const struct signal_action *a = &parent->sighand->actions[SIGCHLD - 1];
		if (a->handler != SIG_IGN_WORD && !(a->flags & SA_NOCLDSTOP))
			(void)!signal_send_locked(parent, NULL, SIGCHLD, &info);
	}
	spin_unlock(&parent->signal_lock, f);
	wait_wake_all(&parent->child_event);
}

bool signal_notify_parent_exit_locked(struct process *p)
{
	struct process *parent = p->parent;
	bool autoreap = false;

	if (p->exit_signal) {
		struct usage u;
		process_usage_locked(p, &u);
		int st = p->exit_status;
		struct signal_info info = {.signo = p->exit_signal,
					   .code = (st & 0x7f) ? CLD_KILLED : CLD_EXITED,
					   .child_pid = p->pid,
					   .child_uid = READ_ONCE(p->real_uid),
					   .child_status = (st & 0x7f) ? st & 0x7f : st >> 8 & 0xff,
					   .child_utime = (int64_t)(u.user_ns / (NSEC_PER_SEC / 100)),
					   .child_stime = (int64_t)(u.system_ns / (NSEC_PER_SEC / 100))};
		SPIN_GUARD(&parent->signal_lock);
		if (parent->sighand) {
			const struct signal_action *a = &parent->sighand->actions[SIGCHLD - 1];
			bool ignore = a->handler == SIG_IGN_WORD;
			/* man 2 sigaction, SA_NOCLDWAIT; man 2 wait, NOTES. */
			if (p->exit_signal == SIGCHLD)
				autoreap = ignore || (a->flags & SA_NOCLDWAIT);
			if (!(p->exit_signal == SIGCHLD && ignore))
				(void)!signal_send_locked(parent, NULL, p->exit_signal, &info);
		}
	}
	wait_wake_all(&parent->child_event);
	return autoreap;
}

/* S held. Begins a group stop: every thread has to come by. */
static void group_stop_begin_locked(struct process *p, int sig)
{
	struct task *t;

	if (p->stopping)
		return;
	p->stopping = true;
	p->stopped = false;
	p->continued = false;
	p->tell_continued = false;
	p->stop_signal = sig;
	p->stop_count = 0;
	LIST_FOR_EACH(t, &p->threads, thread_node) {
		if (t->exiting)
			continue;
		t->stop_counted = true;
		p->stop_count++;
		thread_set_work(&t->thread, WORK_SIGNAL);
		if (t != task_current())
			(void)sched_wake(&t->thread, WAKE_SIGNAL);
	}
}

/* S held on entry, released. Stops here until continued or killed. */
static void stop_here(struct task *t, irqflags_t f)
{
	struct process *p = t->process;
	bool last = false;

	if (t->stop_counted) {
		t->stop_counted = false;
		last = --p->stop_count == 0;
	}
	if (last) {
		p->stopped = true;
		p->stop_reported = false;
	}
	/*
	 * Set under S: whoever ends the stop afterwards finds a stopped thread to wake, and the switch below comes back
	 * at once. And before the parent is told, which may look at the state.
	 */
	t->thread.wait_reason = "stopped";
	__atomic_store_n(&t->thread.state, THREAD_STOPPED, __ATOMIC_SEQ_CST);
	spin_unlock(&p->signal_lock, f);
	if (last)
		signal_notify_parent_stop(p, CLD_STOPPED);
	sched_switch();
	t->thread.wait_reason = NULL;
}

/* S held on entry and return, dropped between. SIGTSTP and its kin do nothing in an orphaned group (POSIX). */
static void stop_signal_taken(struct process *p, int sig, irqflags_t *f)
{
	if (sig != SIGSTOP) {
		p->stop_dequeued = true;
		spin_unlock(&p->signal_lock, *f);
		irqflags_t tf = spin_lock(&process_tree_lock);
		bool orphaned = group_is_orphaned_locked(p->group, NULL);
		spin_unlock(&process_tree_lock, tf);
		*f = spin_lock(&p->signal_lock);
		if (orphaned || !p->stop_dequeued || p->group_exiting)
			return;
		p->stop_dequeued = false;
	}
	group_stop_begin_locked(p, sig);
}

/* --- taking the next one ----------------------------------------------------------------------------------------- */

/*
 * The next signal with a handler: its number, or 0 when there is none left. Everything else is done here: stops,
 * defaults, the end. On return WORK_SIGNAL is clear unless something came meanwhile.
 */
static int next_handled(struct task *t, struct signal_info *info, struct signal_action *act)
{
	struct process *p = t->process;

	for (;;) {
		irqflags_t f = spin_lock(&p->signal_lock);
		thread_clear_work(&t->thread, WORK_SIGNAL);
		if (unlikely(p->group_exiting || (p->exec_task && p->exec_task != t))) {
			int status = p->group_exiting ? p->exit_status : 0;
			spin_unlock(&p->signal_lock, f);
			task_exit(status);
		}
		if (unlikely(p->tell_continued)) {
			p->tell_continued = false;
			spin_unlock(&p->signal_lock, f);
			signal_notify_parent_stop(p, CLD_CONTINUED);
			continue;
		}
		if (unlikely(p->stopping)) {
			stop_here(t, f);
			continue;
		}
		int sig = signal_dequeue_locked(t, t->blocked, info);
		if (!sig) {
			spin_unlock(&p->signal_lock, f);
			return 0;
		}
		struct signal_action *a = &p->sighand->actions[sig - 1];
		irqflags_t af = spin_lock(&p->sighand->lock);
		*act = *a;
		if (act->handler > SIG_IGN_WORD && (act->flags & SA_RESETHAND))
			a->handler = SIG_DFL_WORD;
		spin_unlock(&p->sighand->lock, af);
		if (act->handler == SIG_DFL_WORD && !(DEFAULT_IGNORE & SIGNAL_BIT(sig)) && !p->unkillable) {
			if (signal_is_stop(sig))
				stop_signal_taken(p, sig, &f);
			else
				signal_group_exit_locked(p, WAIT_STATUS_SIGNAL(sig));
		}
		spin_unlock(&p->signal_lock, f);
		if (act->handler > SIG_IGN_WORD)
			return sig;
	}
}

/* --- the handler's frame ----------------------------------------------------------------------------------------- */

static bool on_altstack(const struct altstack *a, uint64_t sp)
{
	return sp - 1 - a->sp < a->size; /* sp one past the top still belongs to it */
}

static void push_handler(struct task *t, struct trap_frame *f, const struct signal_info *info,
			 const struct signal_action *act)
{
	uint8_t image[128];
	uint64_t sp = trap_sp(f).v;
	struct altstack *alt = &t->altstack;

	if (unlikely(!rseq_signal(f, info->signo)))
		return;
	if ((act->flags & SA_ONSTACK) && alt->size && !(alt->flags & SS_DISABLE) && !on_altstack(alt, sp))
		sp = alt->sp + alt->size;
	signal_info_to_user(info, image);
	struct arch_signal s = {
		.handler = act->handler,
		.restorer = (act->flags & SA_RESTORER) ? act->restorer : 0,
		.signo = info->signo,
		.siginfo = image,
		.sigmask = t->restore_mask ? t->saved_mask : t->blocked,
		.altstack_sp = alt->sp,
		.altstack_size = alt->size,
		.altstack_flags = alt->flags,
		.sp = sp,
	};
	if (arch_sigframe_push(f, &s) != 0) {
		/* signal(7): no room for the frame. If the handler was SIGSEGV's own, it is of no use. */
		if (info->signo == SIGSEGV)
			(void)!signal_action_change(SIGSEGV, &(struct signal_action){0}, NULL);
		signal_fault(SIGSEGV, SI_KERNEL, 0);
		return;
	}
	t->restore_mask = false;
	if (alt->flags & (int)SS_AUTODISARM)
		*alt = (struct altstack){.flags = SS_DISABLE};
	signal_mask_set(t, t->blocked | act->mask | ((act->flags & SA_NODEFER) ? 0 : SIGNAL_BIT(info->signo)));
}

void signal_deliver(struct trap_frame *f)
{
	struct task *t = task_current();
	struct signal_info info;
	struct signal_action act;

	while (next_handled(t, &info, &act)) {
		settle_syscall(f, &act);
		push_handler(t, f, &info, &act);
	}
	settle_syscall(f, NULL);
	if (t->restore_mask) {
		t->restore_mask = false;
		signal_mask_set(t, t->saved_mask);
	}
}

/* --- faults ------------------------------------------------------------------------------------------------------ */

/* At most ten lines in five seconds: a program that faults in a loop must not drown the log. */
static bool log_allowed(void)
{
	static uint64_t window_start_ns;
	static unsigned in_window;
	uint64_t now = clock_monotonic_ns();

	if (now - READ_ONCE(window_start_ns) > 5 * NSEC_PER_SEC) {
		WRITE_ONCE(window_start_ns, now);
		WRITE_ONCE(in_window, 0);
	}
	return __atomic_fetch_add(&in_window, 1, __ATOMIC_RELAXED) < 10;
}

/* What it wanted to do there, and which areas are nearest. */
static void log_nearest(const struct task *t, int code, uint64_t addr)
{
	uint64_t access = t->thread.arch.trap_error;
	struct area_near near[2];
	char text[128];
	unsigned n = aspace_nearest(t->thread.aspace, addr, near);

	for (unsigned i = 0; i < n; i++)
		log_info("%s[%d]: %s %s; %s", t->thread.name, t->tid,
			 access & TRAP_ACCESS_EXEC	      ? "execute"
				 : access & TRAP_ACCESS_WRITE ? "write"
							      : "read",
			 code == SEGV_ACCERR ? "forbidden" : "where nothing is",
			 area_near_text(&near[i], text, sizeof(text)));
}

static void log_fault(struct task *t, int signo, int code, uint64_t addr)
{
	const struct trap_frame *f = context_user_frame(&t->thread.arch);
	const char *what = "fault";

	switch (signo) {
	case SIGSEGV:
		what = code == SI_KERNEL ? "general protection fault" : "segfault";
		break;
	case SIGBUS:
		what = "bus error";
		break;
	case SIGILL:
		what = "invalid opcode";
		break;
	case SIGFPE:
		what = "divide error";
		break;
	case SIGTRAP:
		what = "trap";
		break;
	case SIGKILL:
		what = "out of memory";
		break;
	default:
		break;
	}
	log_info("%s[%d]: %s at %llx ip %016llx sp %016llx", t->thread.name, t->tid, what, (unsigned long long)addr,
		 (unsigned long long)trap_ip(f).v, (unsigned long long)trap_sp(f).v);
	if (signo == SIGSEGV && (code == SEGV_MAPERR || code == SEGV_ACCERR))
		log_nearest(t, code, addr);
}

void signal_fault(int signo, int code, uint64_t addr)
{
	struct task *t = task_current();
	struct process *p = t->process;
	struct signal_info info = {.signo = signo, .code = code};
	bool unhandled = false;

	if (code > 0 && code != SI_KERNEL)
		info.addr = addr;
	irqflags_t f = spin_lock(&p->signal_lock);
	struct signal_action *a = &p->sighand->actions[signo - 1];
	uint64_t handler = READ_ONCE(a->handler);
	bool blocked = t->blocked & SIGNAL_BIT(signo);
	if (blocked || handler <= SIG_IGN_WORD || signo == SIGKILL) {
		unhandled = !p->group_exiting;
		irqflags_t af = spin_lock(&p->sighand->lock);
		a->handler = SIG_DFL_WORD;
		spin_unlock(&p->sighand->lock, af);
		t->blocked &= ~SIGNAL_BIT(signo);
		thread_set_work(&t->thread, WORK_SIGNAL); /* one may have been pending already: then none is sent */
		p->unkillable = false; /* the instruction cannot be gone past: not even PID 1 survives that */
	}
	(void)!signal_send_locked(p, t, signo, &info);
	spin_unlock(&p->signal_lock, f);
	if (unhandled && log_allowed())
		log_fault(t, signo, code, addr);
}

/* --- masks and the alternate stack ------------------------------------------------------------------------------- */

void signal_mask_set(struct task *t, uint64_t mask)
{
	struct process *p = t->process;
	struct task *other;

	mask &= ~UNBLOCKABLE;
	if (mask == t->blocked)
		return;
	SPIN_GUARD(&p->signal_lock);
	uint64_t newly = mask & ~t->blocked & p->pending.set;
	t->blocked = mask;
	if ((t->pending.set | p->pending.set) & ~mask)
		thread_set_work(&t->thread, WORK_SIGNAL);
	/* The process's signals this thread was told of and now blocks are another's business. */
	if (newly && p->thread_count > 1)
		LIST_FOR_EACH(other, &p->threads, thread_node)
			if (other != t && !other->exiting && (newly & ~other->blocked)) {
				thread_set_work(&other->thread, WORK_SIGNAL);
				(void)sched_wake(&other->thread, WAKE_SIGNAL);
			}
}

void signal_mask_begin(uint64_t mask)
{
	struct task *t = task_current();

	t->saved_mask = t->blocked;
	t->restore_mask = true;
	signal_mask_set(t, mask);
}

void signal_mask_end(bool interrupted)
{
	struct task *t = task_current();

	if (interrupted && signal_pending_current())
		return; /* signal_deliver does it */
	if (t->restore_mask) {
		t->restore_mask = false;
		signal_mask_set(t, t->saved_mask);
	}
}

static long sleep_for_signal(void)
{
	const uint32_t never = 0;

	(void)!wait_word(&never, WAIT_INTERRUPTIBLE, WAIT_FOREVER, "signal");
	return -ERESTARTNOHAND;
}

long signal_suspend(uint64_t mask)
{
	signal_mask_begin(mask);
	return sleep_for_signal();
}

long signal_pause(void)
{
	return sleep_for_signal();
}

int signal_altstack(const struct altstack *set, struct altstack *old, uint64_t user_sp)
{
	struct task *t = task_current();
	struct altstack before = t->altstack;
	bool active = !(before.flags & SS_DISABLE) && !(before.flags & (int)SS_AUTODISARM) &&
		on_altstack(&before, user_sp);

	if (set) {
		int mode = set->flags & ~(int)SS_AUTODISARM;
		if (active)
			return -EPERM;
		if (mode != 0 && mode != SS_DISABLE && mode != SS_ONSTACK)
			return -EINVAL;
		if (mode == SS_DISABLE)
			t->altstack = (struct altstack){.flags = set->flags};
		else if (set->size < MINSIGSTKSZ)
			return -ENOMEM;
		else
			t->altstack = (struct altstack){.sp = set->sp,
							.size = set->size,
							.flags = set->flags & (int)SS_AUTODISARM};
	}
	if (old) {
		*old = before;
		if (active)
			old->flags |= SS_ONSTACK;
	}
	return 0;
}

long signal_return(struct trap_frame *f)
{
	struct task *t = task_current();
	uint64_t mask, alt_sp, alt_size;
	int alt_flags;

	if (arch_sigframe_pop(f, &mask, &alt_sp, &alt_size, &alt_flags) != 0) {
		signal_fault(SIGSEGV, SI_KERNEL, 0);
		return 0;
	}
	signal_mask_set(t, mask);
	struct altstack alt = {.sp = alt_sp, .size = alt_size, .flags = alt_flags & ~SS_ONSTACK};
	(void)!signal_altstack(&alt, NULL, trap_sp(f).v); /* as on Linux a refusal is no error here */
	syscall_forget(f);
	return syscall_result(f); /* rax as the frame had it */
}
